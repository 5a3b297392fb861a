"""The protocol between a process and a cluster's supervisor: one order, one reply, in JSON over loopback."""

import os
import secrets
import socket
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import psutil

from eslab.cluster.errors import ClusterError, NotRunning
from eslab.cluster.process import State, find_process

PATIENCE = 60.0  # seconds to wait for a reply; a supervisor on a busy machine is slow

Do = Literal["status", "own", "release", "keep", "freeze", "thaw", "kill", "revive", "cut", "heal", "delay", "stop"]


class Owner(msgspec.Struct, frozen=True):
    """A process that holds the cluster, and its handle: one process may hold it several times."""

    pid: int
    handle: str

    @classmethod
    def me(cls) -> "Owner":
        """This process, with a new handle."""
        return cls(os.getpid(), secrets.token_hex(4))


class Order(msgspec.Struct):
    """An order to the supervisor, with the nodes or pairs of nodes that it concerns; `token` authorizes it."""

    do: Do
    nodes: list[str] = []
    pairs: list[tuple[str, str]] = []
    seconds: float = 0.0
    owner: Owner | None = None
    token: str = ""


class NodeStatus(msgspec.Struct, frozen=True):
    """The state of one node, its process, its memory in bytes, its CQL address."""

    name: str
    region: str
    state: State
    pid: int
    memory: int
    cql: str


class LinkStatus(msgspec.Struct, frozen=True):
    """A link between two nodes: is it cut, and its delay in seconds each way."""

    a: str
    b: str
    cut: bool
    delay: float


class Status(msgspec.Struct, frozen=True):
    """The state of a cluster; of the links, only cut and delayed ones."""

    name: str
    keep: bool
    stopping: bool
    owners: tuple[Owner, ...]
    nodes: tuple[NodeStatus, ...]
    links: tuple[LinkStatus, ...]

    def __str__(self) -> str:
        nodes = [f"{n.name:<8} {n.state:<8} {n.cql:<20} {n.memory / 1e6:>5.0f} MB  pid {n.pid}" for n in self.nodes]
        links = [f"{k.a} - {k.b}: {'cut' if k.cut else f'{k.delay * 1000:.0f} ms each way'}" for k in self.links]
        return "\n".join(nodes + links)


class Reply(msgspec.Struct):
    """The status after the order, or the reason why it failed."""

    status: Status | None = None
    error: str = ""


class Address(NamedTuple):
    """A supervisor's process and port, and the token that orders must carry; stored in running.json."""

    pid: int
    port: int
    token: str


# Made here once: msgspec crashes if two threads decode the same type for the first time at the same moment.
_addresses = msgspec.json.Decoder(Address)
_replies = msgspec.json.Decoder(Reply)


def address_file(folder: Path) -> Path:
    """The file in which a running supervisor publishes its address."""
    return folder / "running.json"


def write_address(folder: Path, address: Address) -> None:
    """Publish the address, readable by this user alone."""
    # Written beside and renamed, so a reader never sees half a file.
    new = folder / "running.new"
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.encode(address))
    new.replace(address_file(folder))


def find_supervisor(folder: Path) -> Address | None:
    """The address of the cluster's supervisor if it is alive."""
    try:
        address = _addresses.decode(address_file(folder).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return address if supervisor_process(folder, address) else None


def supervisor_process(folder: Path, address: Address) -> psutil.Process | None:
    """The process of the cluster's supervisor if it is alive."""
    return find_process(address.pid, "eslab.cluster.supervisor", str(folder))


def ask(folder: Path, order: Order) -> Status:
    """Send an order; returns the status after it. Raises NotRunning, or ClusterError if the order failed."""
    address = find_supervisor(folder)
    if not address:
        raise NotRunning(
            f"Cluster {folder.name} is not running: there is no supervisor in {folder}. "
            f"Start it: eslab cluster start --name {folder.name}"
        )
    order.token = address.token
    try:
        reply = _replies.decode(exchange(address.port, order))
    except (OSError, msgspec.DecodeError) as error:
        raise NotRunning(
            f"Cluster {folder.name} did not answer the order {order.do!r} ({error!r}). "
            f"See {folder / 'supervisor.log'}, then start the cluster again."
        ) from None
    if not reply.status:
        raise ClusterError(reply.error)
    return reply.status


def exchange(port: int, order: Order) -> bytes:
    """Send an order and read the reply; an empty one if the token is wrong. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(msgspec.json.encode(order) + b"\n")
        # The supervisor closes the connection after its reply.
        return b"".join(iter(lambda: connection.recv(65536), b""))
