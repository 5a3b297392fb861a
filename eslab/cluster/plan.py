"""The plan of a cluster: its regions, its nodes with addresses and tokens, its settings; and how they are parsed."""

import re
from collections import Counter
from typing import Any, Literal, TypedDict

import msgspec

from eslab.cluster.errors import ClusterError

CommitLogSync = Literal["batch", "periodic", "group"]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
HEAP = re.compile(r"([1-9]\d*)([mMgG])")
LEAST_HEAP = 256  # MB; the smallest heap that is accepted
MOST_NODES = 9  # in all regions together; a node takes about 0.9 GB of memory
TOKENS = 16  # ranges of the ring that a node owns; Cassandra's default
RING = 2**64  # Murmur3Partitioner's tokens: -2**63 to 2**63 - 1


class Node(msgspec.Struct, frozen=True):
    """One node: the address that clients and other nodes use (`host`), and the one where it listens (`inside`).

    The relay forwards from `host` to `inside`. If they are equal there is no relay, and no link to cut.
    """

    region: str
    number: int
    host: str
    inside: str
    cql_port: int = 9042
    storage_port: int = 7000

    @property
    def name(self) -> str:
        """Its name in commands and messages: `us/2`."""
        return f"{self.region}/{self.number}"

    @property
    def folder(self) -> str:
        """The name of its folder inside the cluster's folder: `us-2`."""
        return f"{self.region}-{self.number}"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the nodes run. A cluster may be started again with other settings, but not with other regions.

    commitlog_sync       batch: on disk before the answer; periodic: within 10 s (Cassandra's default); group: batches
                         of 10 ms
    heap                 Java heap of a node
    brief                for nodes of a few minutes: Java compiles once and lightly, which saves a third of the work of
                         a start, and costs speed under long load
    authentication       clients must log in
    tls                  clients must use TLS
    client_certificates  clients must show a certificate; implies tls
    config               more settings of cassandra.yaml; they override all others
    """

    commitlog_sync: CommitLogSync = "batch"
    heap: str = "512m"
    brief: bool = False
    authentication: bool = False
    tls: bool = False
    client_certificates: bool = False
    config: dict[str, Any] = {}

    @property
    def encrypted(self) -> bool:
        """Do clients use TLS?"""
        return self.tls or self.client_certificates


class Options(TypedDict, total=False):
    """The settings named in one call; the others keep their values."""

    commitlog_sync: CommitLogSync
    heap: str
    brief: bool
    authentication: bool
    tls: bool
    client_certificates: bool
    config: dict[str, Any]


class Plan(msgspec.Struct, frozen=True):
    """A cluster as stored in its folder."""

    name: str
    nodes: tuple[Node, ...]
    settings: Settings = Settings()
    throwaway: bool = False  # its data is removed when it stops

    @property
    def regions(self) -> dict[str, int]:
        """The number of nodes in every region."""
        return dict(Counter(node.region for node in self.nodes))

    @property
    def relayed(self) -> bool:
        """Is there a relay between the nodes, so that links can be cut and delayed?"""
        return any(node.host != node.inside for node in self.nodes)

    def pick(self, target: str) -> list[Node]:
        """The nodes that a target names: a region (`us`) or one node of it (`us/2`). Raises ClusterError."""
        nodes = [node for node in self.nodes if target in (node.region, node.name)]
        if not nodes:
            raise ClusterError(
                f"Expected a region ({', '.join(self.regions)}) or a node "
                f"({', '.join(node.name for node in self.nodes)}) of cluster {self.name}, got {target!r}."
            )
        return nodes

    def tokens(self, node: Node) -> list[int]:
        """The node's tokens: evenly spaced within its region, those of two regions one apart.

        Nodes with assigned tokens can start together: they neither wait for each other nor pick the same token.
        """
        size = self.regions[node.region]
        shift = list(self.regions).index(node.region) + 1  # from 1, since a node can't own the ring's lowest token
        step = RING // (size * TOKENS)
        return [(turn * size + node.number - 1) * step + shift - RING // 2 for turn in range(TOKENS)]


def parse_regions(text: str) -> dict[str, int]:
    """Parse `us,eu,asia`, `us:3` or `us:2,eu`: the number of nodes in every region, 1 by default.

    Raises ClusterError.
    """
    # A name that comes twice leaves the dict shorter than the list.
    regions = dict(_parse_region(part.strip(), text) for part in text.split(","))
    if len(regions) < len(text.split(",")) or not 1 <= sum(regions.values()) <= MOST_NODES:
        raise ClusterError(f"Expected regions with different names and 1 to {MOST_NODES} nodes in all, got {text!r}.")
    return regions


def regions_text(regions: dict[str, int]) -> str:
    """Format regions as `parse_regions` reads them: `us,eu` or `us:3`."""
    return ",".join(name if count == 1 else f"{name}:{count}" for name, count in regions.items())


def check_name(name: str) -> str:
    """Check a cluster's name; it is the name of a folder too, so it must be plain. Raises ClusterError."""
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"Expected a cluster's name of up to 32 letters, digits, - and _ that begins with a letter, got {name!r}."
        )
    return name


def make_settings(**options: Any) -> Settings:
    """Make settings from options. Raises ClusterError for an unknown name or an invalid value."""
    try:
        settings = msgspec.convert(options, Settings)
    except msgspec.ValidationError as error:
        raise ClusterError(
            f"Expected the settings {', '.join(Settings.__struct_fields__)}, got {options}: {error}. "
            "commitlog_sync is batch, periodic or group."
        ) from None
    heap = HEAP.fullmatch(settings.heap)
    if not heap or int(heap[1]) * (1024 if heap[2] in "gG" else 1) < LEAST_HEAP:
        raise ClusterError(f"Expected a heap of {LEAST_HEAP}m or more, such as 512m or 1g, got {settings.heap!r}.")
    return settings


def parse_delay(text: str) -> float:
    """Parse a delay such as `75ms` or `0.2s`, in seconds. Raises ClusterError."""
    delay = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s)", text.strip())
    if not delay:
        raise ClusterError(f"Expected a delay such as 75ms or 0.2s (0ms for none), got {text!r}.")
    return float(delay[1]) / (1000 if delay[2] == "ms" else 1)


def _parse_region(part: str, text: str) -> tuple[str, int]:
    name, colon, count = part.partition(":")
    if not NAME.fullmatch(name) or (colon and not count.isdigit()):
        raise ClusterError(
            f"Expected regions such as us,eu,asia or us:3, got {part!r} in {text!r}. A name begins with a letter "
            "and has letters, digits, - and _."
        )
    return name, int(count or 1)
