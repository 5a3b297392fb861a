"""What a cluster is to be: its regions, its nodes with their addresses, its settings."""

import re
from collections import Counter
from typing import Any, Literal, TypedDict

import msgspec

from eslab.cluster.errors import ClusterError

CommitLogSync = Literal["batch", "periodic", "group"]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
HEAP = re.compile(r"([1-9]\d*)([mMgG])")
LEAST_HEAP = 256  # MB
MOST_NODES = 9  # of all regions; each takes about 0.9 GB of memory
TOKENS = 16  # ranges of the ring that each node owns; Cassandra's default
RING = 2**64


class Node(msgspec.Struct, frozen=True):
    """One node: where others and clients reach it (`host`), and where it really listens for nodes (`inside`).

    The relay stands between the two. Where they are the same there is no relay, and no link to cut.
    """

    region: str
    number: int
    host: str
    inside: str
    cql_port: int = 9042
    storage_port: int = 7000

    @property
    def name(self) -> str:
        """How a fault names it: `us/2`."""
        return f"{self.region}/{self.number}"

    @property
    def folder(self) -> str:
        """Its folder inside the cluster's: `us-2`."""
        return f"{self.region}-{self.number}"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the nodes run; may differ from one start of a cluster to the next, its regions may not.

    commitlog_sync       batch: acknowledged is on disk; periodic: Cassandra's default, on disk within 10 s; group
    heap                 each node's Java heap
    authentication       clients must log in
    tls                  clients must use TLS
    client_certificates  clients must show a certificate; means TLS
    config               further lines of cassandra.yaml
    """

    commitlog_sync: CommitLogSync = "batch"
    heap: str = "512m"
    authentication: bool = False
    tls: bool = False
    client_certificates: bool = False
    config: dict[str, Any] = {}

    @property
    def encrypted(self) -> bool:
        """Do clients use TLS?"""
        return self.tls or self.client_certificates


class Options(TypedDict, total=False):
    """Those of the settings that somebody asks for."""

    commitlog_sync: CommitLogSync
    heap: str
    authentication: bool
    tls: bool
    client_certificates: bool
    config: dict[str, Any]


class Plan(msgspec.Struct, frozen=True):
    """A cluster as its folder remembers it."""

    name: str
    nodes: tuple[Node, ...]
    settings: Settings = Settings()
    throwaway: bool = False  # its data goes when it stops

    @property
    def regions(self) -> dict[str, int]:
        """Each region and how many nodes it has."""
        return dict(Counter(node.region for node in self.nodes))

    @property
    def relayed(self) -> bool:
        """Is there a relay between the nodes, so that links can be cut?"""
        return any(node.host != node.inside for node in self.nodes)

    def pick(self, target: str) -> list[Node]:
        """The nodes that a word means: a region (`us`) or one node of it (`us/2`). Raises ClusterError."""
        nodes = [node for node in self.nodes if target in (node.region, node.name)]
        if not nodes:
            raise ClusterError(
                f"Expected a region ({', '.join(self.regions)}) or a node "
                f"({', '.join(node.name for node in self.nodes)}) of cluster {self.name}, found {target!r}."
            )
        return nodes

    def tokens(self, node: Node) -> list[int]:
        """Where on the ring this node's ranges end: evenly within its region, regions one token apart.

        Given tokens, so nodes that start together neither wait for each other nor choose the same.
        """
        size = self.regions[node.region]
        shift = list(self.regions).index(node.region) + 1  # the ring's lowest token can't be owned
        steps = RING // (size * TOKENS)
        return [(turn * size + node.number - 1) * steps + shift - RING // 2 for turn in range(TOKENS)]


def parse_regions(text: str) -> dict[str, int]:
    """`us,eu,asia` or `us:3` or `us:2,eu`: names of regions, each with its number of nodes, 1 if not said.

    Raises ClusterError.
    """
    regions = dict(_parse_region(part.strip(), text) for part in text.split(","))
    if len(regions) < len(text.split(",")) or not 1 <= sum(regions.values()) <= MOST_NODES:
        raise ClusterError(f"Expected regions with different names and 1 to {MOST_NODES} nodes in all, found {text!r}.")
    return regions


def regions_text(regions: dict[str, int]) -> str:
    """The inverse of `parse_regions`: `us,eu` or `us:3`."""
    return ",".join(name if count == 1 else f"{name}:{count}" for name, count in regions.items())


def check_name(name: str) -> str:
    """The name of a cluster is the name of a folder, so only plain letters, digits, - and _. Raises ClusterError."""
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"Expected a cluster's name of up to 32 letters, digits, - and _ that begins with a letter, found {name!r}."
        )
    return name


def make_settings(**options: Any) -> Settings:
    """Settings from their names; raises ClusterError for one that doesn't exist or can't be."""
    try:
        settings = msgspec.convert(options, Settings)
    except msgspec.ValidationError as error:
        raise ClusterError(
            f"Expected the settings {', '.join(Settings.__struct_fields__)}, found {options}: {error}. "
            "commitlog_sync is batch, periodic or group."
        ) from None
    heap = HEAP.fullmatch(settings.heap)
    if not heap or int(heap[1]) * (1024 if heap[2] in "gG" else 1) < LEAST_HEAP:
        raise ClusterError(f"Expected a heap of {LEAST_HEAP}m or more, such as 512m or 1g, found {settings.heap!r}.")
    return settings


def parse_delay(text: str) -> float:
    """Seconds from `75ms` or `0.2s`; each way. Raises ClusterError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s)", text.strip())
    if not found:
        raise ClusterError(f"Expected a delay such as 75ms or 0.2s (0ms for none), found {text!r}.")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def _parse_region(part: str, text: str) -> tuple[str, int]:
    name, colon, count = part.partition(":")
    if not NAME.fullmatch(name) or (colon and not count.isdigit()):
        raise ClusterError(
            f"Expected regions such as us,eu,asia or us:3, found {part!r} in {text!r}. A name begins with a letter "
            "and has letters, digits, - and _."
        )
    return name, int(count or 1)
