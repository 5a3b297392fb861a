"""Loopback addresses for the nodes: each cluster takes a range 127.x.y.* of its own.

Node i of range 127.x.y is reached at 127.x.y.i and listens for other nodes at 127.x.y.(100 + i), so that a relay
can stand between. A system that has only 127.0.0.1 still runs one node, on free ports.
"""

import errno
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence

from eslab.cluster.errors import NoAddress
from eslab.cluster.plan import Node

RANGES = [f"127.{64 + number // 256}.{number % 256}" for number in range(1024)]
INSIDE = 100  # what is added to a node's number for the address where it listens itself
PORTS = (7000, 9042)
ONLY_LOOPBACK = "127.0.0.1"


def place_nodes(regions: dict[str, int], taken: Iterable[str], ranges: Sequence[str] = RANGES) -> tuple[Node, ...]:
    """Nodes of these regions on addresses that nobody uses, and none of `taken`. Raises NoAddress.

    The caller holds the lock of all clusters; what programs of others use is found by trying.
    """
    names = [(region, number) for region, count in regions.items() for number in range(1, count + 1)]
    used = {address.rpartition(".")[0] for address in taken}
    for start in (start for start in ranges if start not in used):
        nodes = _in_range(names, start)
        if not all(exists(address) for node in nodes for address in (node.host, node.inside)):
            return _on_one_address(names[0], nodes)
        if all(is_free(node.host) for node in nodes):
            return nodes
    raise NoAddress(
        f"Expected a free range between {ranges[0]}.* and {ranges[-1]}.* with ports {PORTS}, found all "
        f"{len(ranges)} in use. End what listens there, or destroy clusters: eslab cluster destroy NAME."
    )


def exists(host: str) -> bool:
    """Has this system the address?"""
    return _bind(host, 0) != errno.EADDRNOTAVAIL


def is_free(host: str) -> bool:
    """Does nobody listen on our ports of this address?"""
    return all(_bind(host, port) == 0 for port in PORTS)


def check_free(nodes: Iterable[Node]) -> None:
    """Raises NoAddress if somebody else listens where these nodes want to."""
    for node in nodes:
        for host, port in ((node.host, node.cql_port), (node.host, node.storage_port)):
            if error := _bind(host, port):
                raise NoAddress(
                    f"Expected {host}:{port} free for node {node.name}, found {errno.errorcode.get(error, error)}. "
                    f"{_way_out(host, error)}"
                )


def alias_command(hosts: Iterable[str]) -> str:
    """The one command that gives this system the addresses."""
    numbers = " ".join(hosts)
    add = "ifconfig lo0 alias $a up" if sys.platform == "darwin" else "ip address add $a/32 dev lo"
    return f"for a in {numbers}; do sudo {add}; done"


def _in_range(names: list[tuple[str, int]], start: str) -> tuple[Node, ...]:
    return tuple(
        Node(region, number, f"{start}.{at}", f"{start}.{INSIDE + at}") for at, (region, number) in enumerate(names, 1)
    )


def _on_one_address(name: tuple[str, int], nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    if len(nodes) > 1:
        wanted = [node.host for node in nodes] + [node.inside for node in nodes]
        raise NoAddress(
            f"Expected {len(wanted)} loopback addresses for {len(nodes)} nodes, found that this system lacks some. "
            f"Add them, until the next restart of the machine: {alias_command(wanted)}"
        )
    cql, storage = _free_ports(2)
    return (Node(*name, ONLY_LOOPBACK, ONLY_LOOPBACK, cql, storage),)


def _free_ports(count: int) -> Iterator[int]:
    sockets = [socket.create_server((ONLY_LOOPBACK, 0)) for _ in range(count)]
    for one in sockets:
        yield one.getsockname()[1]
        one.close()


def _bind(host: str, port: int) -> int:
    """0, or the number of the error that binding ends with."""
    try:
        with socket.create_server((host, port)):
            return 0
    except OSError as error:
        return error.errno or errno.EADDRINUSE


def _way_out(host: str, error: int) -> str:
    if error == errno.EADDRNOTAVAIL:
        return f"Add the address: {alias_command([host])}"
    return "End the program that listens there, or start a cluster with another name."
