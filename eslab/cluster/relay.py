"""The network between the nodes: every byte from node to node passes here, so links can be cut and delayed.

A node listens on one address and tells its peers another, which the relay owns and forwards. The first bytes of a
connection name its sender, so the relay knows the link: a pair of nodes, in both directions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from eslab.cluster.plan import Node

MAGIC = bytes.fromhex("ca552dfa")  # begins each connection between nodes since Cassandra 4
HEADER = len(MAGIC) + 4 + 1  # magic, flags, length of the sender's address and port
IPV4_AND_PORT = 6
CHUNK = 1 << 16
CHUNKS_ON_THE_WAY = 256  # what a delayed link holds at most before its sender must wait
HANDSHAKE_PATIENCE = 10.0


class UnknownSender(ConnectionError):
    """Who connects must name itself as a node of this cluster; anyone else is turned away."""


@dataclass(eq=False)
class Connection:
    """One connection from node to node. Once `lost`, it carries nothing for ever, even after the link heals."""

    task: asyncio.Task[None]
    lost: bool = False


@dataclass
class Link:
    """Two nodes and the state of the line between them: cut or not, and how long a byte takes each way."""

    cut: bool = False
    delay: float = 0.0
    connections: set[Connection] = field(default_factory=set)


class Relay:
    """Forwards between nodes; a cut link swallows all bytes and closes nothing, as a broken cable would."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = {node.host: node for node in nodes}
        self.links: dict[frozenset[str], Link] = {}
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Listen on every node's public address. Raises OSError if one is taken."""
        for node in self.nodes.values():
            self._servers.append(await asyncio.start_server(self._guide(node), node.host, node.storage_port))

    def close(self) -> None:
        """Stop listening, and end all connections."""
        for server in self._servers:
            server.close()
        for link in self.links.values():
            for connection in link.connections:
                connection.task.cancel()

    def link(self, a: Node, b: Node) -> Link:
        """The link between two nodes, the same in both directions."""
        return self.links.setdefault(frozenset((a.name, b.name)), Link())

    def cut(self, a: Node, b: Node) -> None:
        """From now on nothing passes between the two, and what is under way is lost."""
        link = self.link(a, b)
        link.cut = True
        for connection in link.connections:
            connection.lost = True

    def heal(self, a: Node, b: Node) -> None:
        """Bytes pass again. Connections that lost bytes are closed, so the nodes connect anew."""
        link = self.link(a, b)
        link.cut = False
        for connection in link.connections:
            if connection.lost:
                connection.task.cancel()

    def delay(self, a: Node, b: Node, seconds: float) -> None:
        """Every byte takes this long from now on, each way."""
        self.link(a, b).delay = seconds

    def _guide(self, target: Node) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with closing(writer), suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(HANDSHAKE_PATIENCE):
                    head, sender = await read_sender(reader)
                if sender not in self.nodes:
                    raise UnknownSender(f"Expected one of {', '.join(self.nodes)}, found {sender}")
                await self._carry(self.link(self.nodes[sender], target), target, head, reader, writer)

        return accept

    async def _carry(
        self,
        link: Link,
        target: Node,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        connection = Connection(current_task(), lost=link.cut)
        link.connections.add(connection)
        try:
            if connection.lost:
                await _swallow(reader)
                return
            far_reader, far_writer = await asyncio.open_connection(target.inside, target.storage_port)
            with closing(far_writer):
                await _both_ways(link, connection, (reader, far_writer), (far_reader, writer), head)
        finally:
            link.connections.discard(connection)


async def read_sender(reader: asyncio.StreamReader) -> tuple[bytes, str]:
    """The first bytes of a connection, and the address of the node that sent them. Raises UnknownSender."""
    head = await reader.readexactly(HEADER)
    if not head.startswith(MAGIC) or head[-1] != IPV4_AND_PORT:
        raise UnknownSender(f"Expected a connection of Cassandra 4 or newer over IPv4, found {head.hex()}")
    address = await reader.readexactly(IPV4_AND_PORT)
    return head + address, str(IPv4Address(address[:4]))


def current_task() -> asyncio.Task[None]:
    """The task that runs this; there always is one inside a coroutine."""
    task = asyncio.current_task()
    assert task
    return task


async def _both_ways(
    link: Link,
    connection: Connection,
    there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    back: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    head: bytes,
) -> None:
    lanes = [
        asyncio.ensure_future(_pass_on(link, connection, *there, head)),
        asyncio.ensure_future(_pass_on(link, connection, *back)),
    ]
    try:
        await asyncio.wait(lanes, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)


async def _pass_on(
    link: Link,
    connection: Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    head: bytes = b"",
) -> None:
    """Carry chunks in order, each due its delay after it was read, so a delay costs time but no throughput."""
    clock = asyncio.get_running_loop().time
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_ON_THE_WAY)

    async def take() -> None:
        chunk = head or await reader.read(CHUNK)
        while chunk:
            await on_the_way.put((clock() + link.delay, chunk))
            chunk = await reader.read(CHUNK)
        await on_the_way.put((clock() + link.delay, b""))

    taking = asyncio.ensure_future(take())
    try:
        while True:
            due, chunk = await on_the_way.get()
            if due > clock():
                await asyncio.sleep(due - clock())
            if not chunk:
                return
            if not connection.lost:
                writer.write(chunk)
                await writer.drain()
    finally:
        taking.cancel()


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(CHUNK):
        pass
