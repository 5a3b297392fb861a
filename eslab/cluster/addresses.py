"""Loopback addresses for the nodes: every cluster takes its own range 127.x.y.*.

Clients and other nodes reach node i of range 127.x.y at 127.x.y.i. The node itself listens for other nodes at
127.x.y.(100 + i), which leaves room for a relay. A system with only 127.0.0.1 still runs one node, on free ports.
"""

import errno
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence

from eslab.cluster.errors import NoAddress
from eslab.cluster.plan import Node

# 127.64.0 to 127.67.255: far from 127.0.0.1 and from the 127.0.1.1 that Debian gives to the host name.
RANGES = [f"127.{64 + number // 256}.{number % 256}" for number in range(1024)]
INSIDE = 100  # added to a node's number to get the address where it listens for other nodes
PORTS = (7000, 9042)  # between nodes, and for CQL clients
ONLY_LOOPBACK = "127.0.0.1"


def place_nodes(regions: dict[str, int], taken: Iterable[str], ranges: Sequence[str] = RANGES) -> tuple[Node, ...]:
    """Place the nodes of these regions on free addresses outside `taken`. Raises NoAddress.

    The caller holds the lock on all clusters, so no other start can take the same range. Addresses in use by other
    programs are detected by binding to them.
    """
    names = [(region, number) for region, count in regions.items() for number in range(1, count + 1)]
    taken_ranges = {address.rpartition(".")[0] for address in taken}
    for prefix in (prefix for prefix in ranges if prefix not in taken_ranges):
        nodes = _in_range(names, prefix)
        if not all(exists(address) for node in nodes for address in (node.host, node.inside)):
            # A system without this range (macOS) has none of the others either: don't try them.
            return _on_one_address(names[0], nodes)
        if all(is_free(node.host) for node in nodes):
            return nodes
    raise NoAddress(
        f"Expected a free address range between {ranges[0]}.* and {ranges[-1]}.* with ports {PORTS}, got "
        f"{len(ranges)} ranges in use. End the programs that listen there, or remove a cluster: "
        "eslab cluster destroy --name NAME"
    )


def exists(host: str) -> bool:
    """Can this system bind to the address?"""
    return _bind(host, 0) != errno.EADDRNOTAVAIL


def is_free(host: str) -> bool:
    """Are the ports of Cassandra free at this address?"""
    return all(_bind(host, port) == 0 for port in PORTS)


def check_free(nodes: Iterable[Node]) -> None:
    """Check that the nodes can listen on their addresses. Raises NoAddress if another program does."""
    for node in nodes:
        for host, port in ((node.host, node.cql_port), (node.host, node.storage_port)):
            if error := _bind(host, port):
                raise NoAddress(
                    f"Expected {host}:{port} free for node {node.name}, got {errno.errorcode.get(error, error)}. "
                    f"{_way_out(host, error)}"
                )


def alias_command(hosts: Iterable[str]) -> str:
    """The shell command that adds the addresses to this system."""
    add = "ifconfig lo0 alias $a up" if sys.platform == "darwin" else "ip address add $a/32 dev lo"
    return f"for a in {' '.join(hosts)}; do sudo {add}; done"


def _in_range(names: list[tuple[str, int]], prefix: str) -> tuple[Node, ...]:
    return tuple(
        Node(region, number, f"{prefix}.{last}", f"{prefix}.{INSIDE + last}")
        for last, (region, number) in enumerate(names, 1)
    )


def _on_one_address(name: tuple[str, int], nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    if len(nodes) > 1:
        wanted = [node.host for node in nodes] + [node.inside for node in nodes]
        raise NoAddress(
            f"This system lacks some of the {len(wanted)} loopback addresses that {len(nodes)} nodes need. "
            f"Add them; they stay until the machine restarts: {alias_command(wanted)}"
        )
    cql, storage = _free_ports(2)
    return (Node(*name, ONLY_LOOPBACK, ONLY_LOOPBACK, cql, storage),)


def _free_ports(count: int) -> Iterator[int]:
    # All are open before the first one is closed, so no port comes twice.
    servers = [socket.create_server((ONLY_LOOPBACK, 0)) for _ in range(count)]
    for server in servers:
        yield server.getsockname()[1]
        server.close()


def _bind(host: str, port: int) -> int:
    """Bind and close again: 0, or the error number."""
    try:
        with socket.create_server((host, port)):
            return 0
    except OSError as error:
        return error.errno or errno.EADDRINUSE


def _way_out(host: str, error: int) -> str:
    if error == errno.EADDRNOTAVAIL:
        return f"Add the address: {alias_command([host])}"
    return "End the program that listens there, or start a cluster under another name."
