"""How a process talks to a cluster's supervisor: one order and one reply, a JSON line each, over loopback."""

import os
import secrets
import socket
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import psutil

from eslab.cluster.errors import ClusterError, NotRunning

PATIENCE = 60.0  # seconds for a reply; stopping a node cleanly takes some

Do = Literal["status", "own", "release", "keep", "freeze", "thaw", "kill", "revive", "cut", "heal", "delay", "stop"]
State = Literal["starting", "up", "frozen", "dead"]


class Owner(msgspec.Struct, frozen=True):
    """Somebody for whom the cluster runs: a process, and one handle in it."""

    pid: int
    handle: str

    @classmethod
    def me(cls) -> "Owner":
        """This process, with a handle that is new each time."""
        return cls(os.getpid(), secrets.token_hex(4))


class Order(msgspec.Struct):
    """What the supervisor is to do, and with which nodes or pairs of nodes; `token` proves who asks."""

    do: Do
    nodes: list[str] = []
    pairs: list[tuple[str, str]] = []
    seconds: float = 0.0
    owner: Owner | None = None
    token: str = ""


class NodeStatus(msgspec.Struct, frozen=True):
    """How one node is: its state, its process, its memory in bytes, its CQL address."""

    name: str
    region: str
    state: State
    pid: int
    memory: int
    cql: str


class LinkStatus(msgspec.Struct, frozen=True):
    """A link between two nodes that is cut, or delayed by so many seconds each way."""

    a: str
    b: str
    cut: bool
    delay: float


class Status(msgspec.Struct, frozen=True):
    """How a cluster is; links that are whole and undelayed are not listed."""

    name: str
    keep: bool
    stopping: bool
    owners: tuple[Owner, ...]
    nodes: tuple[NodeStatus, ...]
    links: tuple[LinkStatus, ...]

    def __str__(self) -> str:
        lines = [f"{n.name:<8} {n.state:<8} {n.cql:<20} {n.memory / 1e6:>5.0f} MB  pid {n.pid}" for n in self.nodes]
        lines += [f"{k.a} - {k.b}: {'cut' if k.cut else f'{k.delay * 1000:.0f} ms each way'}" for k in self.links]
        return "\n".join(lines)


class Reply(msgspec.Struct):
    """The status after the order, or why it was not carried out."""

    status: Status | None = None
    error: str = ""


class Address(NamedTuple):
    """Where a supervisor listens, who it is, and the token that orders must carry; kept in running.json."""

    pid: int
    port: int
    token: str


def address_file(folder: Path) -> Path:
    """Where a running supervisor says how to reach it."""
    return folder / "running.json"


def write_address(folder: Path, address: Address) -> None:
    """Publish it in one step, readable by this user alone."""
    new = folder / "running.new"
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.encode(address))
    new.replace(address_file(folder))


def find_supervisor(folder: Path) -> Address | None:
    """The supervisor of the cluster in this folder, if it lives."""
    try:
        address = msgspec.json.decode(address_file(folder).read_bytes(), type=Address)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return address if is_process(address.pid, str(folder)) else None


def is_process(pid: int, word: str) -> bool:
    """Does this process live, with this word in its command line? A pid alone may be somebody else's by now."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and any(word in part for part in process.cmdline())
    except psutil.Error:
        return False


def ask(folder: Path, order: Order) -> Status:
    """Have an order carried out; returns the status after it. Raises NotRunning, or ClusterError if refused."""
    address = find_supervisor(folder)
    if not address:
        raise NotRunning(
            f"Expected cluster {folder.name} to run, found no supervisor in {folder}. "
            f"Start it: eslab cluster start --name {folder.name}"
        )
    order.token = address.token
    try:
        reply = msgspec.json.decode(exchange(address.port, order), type=Reply)
    except (OSError, msgspec.DecodeError) as error:
        raise NotRunning(
            f"Expected an answer of cluster {folder.name} to {order.do!r}, found its supervisor gone ({error!r}). "
            f"See {folder / 'supervisor.log'}, then start it again."
        ) from None
    if not reply.status:
        raise ClusterError(reply.error)
    return reply.status


def exchange(port: int, order: Order) -> bytes:
    """The reply to an order; nothing if the token is wrong. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as line:
        line.sendall(msgspec.json.encode(order) + b"\n")
        return b"".join(iter(lambda: line.recv(65536), b""))
