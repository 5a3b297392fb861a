"""The network between the nodes: every byte from node to node passes the relay, so links can be cut and delayed.

A node listens on one address (`inside`) and tells its peers another (`host`). The relay listens on that one and
forwards. The first bytes of a connection name its sender, so the relay knows which link it belongs to: a pair of nodes,
in both directions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from eslab.cluster.plan import Node

MAGIC = bytes.fromhex("ca552dfa")  # the first bytes of a connection between nodes since Cassandra 4
HEADER = len(MAGIC) + 4 + 1  # magic, flags, length of the sender's address and port
IPV4_AND_PORT = 6
CHUNK = 1 << 16
CHUNKS_ON_THE_WAY = 256  # the most that a delayed connection holds before its sender must wait
HANDSHAKE_PATIENCE = 10.0  # seconds for the sender to name itself


class UnknownSender(ConnectionError):
    """The sender of a connection did not name itself as a node of this cluster."""


@dataclass(eq=False)
class Connection:
    """One connection from node to node. Once `lost`, it never carries a byte again, even after the link heals.

    A gap in the byte stream would look like a corrupt message to the receiver; a real network never makes one.
    """

    task: asyncio.Task[None]
    lost: bool = False


@dataclass
class Link:
    """The state of the link between two nodes: is it cut, and its delay in seconds each way."""

    cut: bool = False
    delay: float = 0.0
    connections: set[Connection] = field(default_factory=set)


class Relay:
    """Forward between nodes. A cut link drops all bytes and closes no connection, like a broken cable."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = {node.host: node for node in nodes}
        self.links: dict[frozenset[str], Link] = {}
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Listen on every node's public address. Raises OSError if an address is taken."""
        for node in self.nodes.values():
            self._servers.append(await asyncio.start_server(self._accept(node), node.host, node.storage_port))

    def close(self) -> None:
        """Stop listening and close all connections."""
        for server in self._servers:
            server.close()
        for link in self.links.values():
            for connection in link.connections:
                connection.task.cancel()

    def link(self, a: Node, b: Node) -> Link:
        """The link between two nodes, the same in both directions."""
        return self.links.setdefault(frozenset((a.name, b.name)), Link())

    def cut(self, a: Node, b: Node) -> None:
        """Drop all bytes between the two nodes from now on, those under way included."""
        link = self.link(a, b)
        link.cut = True
        for connection in link.connections:
            connection.lost = True

    def heal(self, a: Node, b: Node) -> None:
        """Let bytes pass again. Closes the connections that lost bytes, so that the nodes reconnect."""
        link = self.link(a, b)
        link.cut = False
        for connection in link.connections:
            if connection.lost:
                connection.task.cancel()

    def delay(self, a: Node, b: Node, seconds: float) -> None:
        """Delay every byte by this time from now on, each way."""
        self.link(a, b).delay = seconds

    def _accept(self, target: Node) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with closing(writer), suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(HANDSHAKE_PATIENCE):
                    head, sender = await read_sender(reader)
                if sender not in self.nodes:
                    raise UnknownSender(f"Expected a sender among {', '.join(self.nodes)}, got {sender}")
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
        # A connection that begins during a cut is lost too: it must look open, and carry nothing after `heal`.
        connection = Connection(current_task(), lost=link.cut)
        link.connections.add(connection)
        try:
            if connection.lost:
                await _drop_all(reader)
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
        raise UnknownSender(f"Expected a connection of Cassandra 4 or newer over IPv4, got {head.hex()}")
    address = await reader.readexactly(IPV4_AND_PORT)
    return head + address, str(IPv4Address(address[:4]))


def current_task() -> asyncio.Task[None]:
    """The running task; inside a coroutine there always is one."""
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
    # When one direction ends, end both: whoever closed the connection no longer reads the other direction.
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
    """Forward chunks in order, each when its delay is over; reading goes on meanwhile, so throughput stays."""
    clock = asyncio.get_running_loop().time
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_ON_THE_WAY)

    async def read_chunks() -> None:
        chunk = head or await reader.read(CHUNK)
        while chunk:
            await on_the_way.put((clock() + link.delay, chunk))
            chunk = await reader.read(CHUNK)
        await on_the_way.put((clock() + link.delay, b""))  # the end of the stream is delayed like its bytes

    reading = asyncio.ensure_future(read_chunks())
    try:
        while True:
            due, chunk = await on_the_way.get()
            if due > clock():
                await asyncio.sleep(due - clock())
            if not chunk:
                return
            # Looked at when the chunk arrives, not when it was sent: a cut drops what is under way.
            if not connection.lost:
                writer.write(chunk)
                await writer.drain()
    finally:
        reading.cancel()


async def _drop_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(CHUNK):
        pass
