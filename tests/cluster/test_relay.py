"""The network between the nodes, with sockets in place of nodes: bytes that pass, bytes that are lost, and delays."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from eslab.cluster.plan import Node
from eslab.cluster.relay import MAGIC, Relay

US = Node("us", 1, "127.98.0.1", "127.98.0.101")
ASIA = Node("asia", 1, "127.98.0.2", "127.98.0.102")
EU = Node("eu", 1, "127.98.0.3", "127.98.0.103")
SECOND = 1.0


class Line:
    """A connection of one node to another, which answers each word by the same in capitals."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, word: str, patience: float = SECOND) -> str:
        """The answer; "" if the line is closed, "silence" if none comes in time."""
        self.writer.write(word.encode())
        try:
            async with asyncio.timeout(patience):
                return (await self.reader.read(100)).decode()
        except TimeoutError:
            return "silence"
        except ConnectionError:
            return ""


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A node that takes the first bytes, then answers in capitals."""
    await reader.readexactly(15)
    while word := await reader.read(100):
        writer.write(word.upper())
    writer.close()


async def connect(sender: Node, target: Node, magic: bytes = MAGIC, address: str = "") -> Line:
    """As Cassandra connects: magic, flags, the sender's address and port."""
    line = Line(*await asyncio.open_connection(target.host, target.storage_port))
    who = socket.inet_aton(address or sender.host) + sender.storage_port.to_bytes(2)
    line.writer.write(magic + bytes(4) + bytes([len(who)]) + who)
    return line


@asynccontextmanager
async def network(*nodes: Node) -> AsyncIterator[Relay]:
    """A relay, and behind it a shouting server in place of each node."""
    servers = [await asyncio.start_server(shout, node.inside, node.storage_port) for node in nodes]
    relay = Relay(nodes)
    await relay.open()
    try:
        yield relay
    finally:
        relay.close()
        for server in servers:
            server.close()


def played(story: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """A test that is a coroutine."""

    def test() -> None:
        asyncio.run(asyncio.wait_for(story(), 20))

    test.__name__, test.__doc__ = story.__name__, story.__doc__
    return test


@played
async def test_bytes_pass_both_ways() -> None:
    """Whoever connects to a node's public address talks with the node."""
    async with network(US, ASIA):
        line = await connect(US, ASIA)
        assert await line.say("hello") == "HELLO"
        line.writer.write(b"x" * 1_000_000)
        assert len(await line.reader.readexactly(1_000_000)) == 1_000_000


@played
async def test_a_cut_link_swallows_and_closes_nothing() -> None:
    """As a broken cable: no answer, no error; a new connection is as silent; other links don't notice."""
    async with network(US, ASIA, EU) as relay:
        before, other = await connect(US, ASIA), await connect(EU, ASIA)
        assert [await before.say("a"), await other.say("b")] == ["A", "B"]
        relay.cut(US, ASIA)
        during = await connect(ASIA, US)
        assert [await line.say("c", 0.3) for line in (before, during, other)] == ["silence", "silence", "C"]


@played
async def test_what_was_lost_is_never_delivered_late() -> None:
    """Healing closes the connections that lost bytes, and new ones work."""
    async with network(US, ASIA) as relay:
        line = await connect(US, ASIA)
        assert await line.say("a") == "A"
        relay.cut(US, ASIA)
        assert await line.say("lost", 0.2) == "silence"
        relay.heal(US, ASIA)
        assert await line.say("after") == ""
        assert await (await connect(US, ASIA)).say("new") == "NEW"


@played
async def test_a_connection_that_gives_up_during_a_cut_leaves_nothing() -> None:
    """Nodes try again and again while they are cut off; that must not fill the relay."""
    async with network(US, ASIA) as relay:
        relay.cut(US, ASIA)
        for _ in range(20):
            (await connect(US, ASIA)).writer.close()
        await asyncio.sleep(0.3)
        assert not relay.link(US, ASIA).connections


@played
async def test_a_delay_counts_each_way_and_costs_no_throughput() -> None:
    """100 ms each way is 200 ms for an answer, whether it is one byte or a megabyte."""
    async with network(US, ASIA) as relay:
        relay.delay(US, ASIA, 0.1)
        line = await connect(US, ASIA)
        began = time.monotonic()
        assert await line.say("far") == "FAR"
        assert 0.2 <= time.monotonic() - began < 0.5
        line.writer.write(b"x" * 1_000_000)
        await line.reader.readexactly(1_000_000)
        assert time.monotonic() - began < 1.5
        relay.delay(US, ASIA, 0)
        began = time.monotonic()
        assert await line.say("near") == "NEAR" and time.monotonic() - began < 0.15


@played
async def test_bytes_on_the_way_are_lost_with_the_link() -> None:
    """A delayed link that is cut delivers nothing that was under way."""
    async with network(US, ASIA) as relay:
        relay.delay(US, ASIA, 0.2)
        line = await connect(US, ASIA)
        line.writer.write(b"on the way")
        await asyncio.sleep(0.05)
        relay.cut(US, ASIA)
        assert await line.say("", 0.6) == "silence"


@pytest.mark.parametrize(("magic", "address"), [(MAGIC, "127.98.0.9"), (b"GET ", ""), (b"\x00" * 4, "")])
def test_a_stranger_is_turned_away(magic: bytes, address: str) -> None:
    """An unknown sender and another protocol get a closed line."""

    async def story() -> None:
        async with network(US, ASIA):
            assert await (await connect(US, ASIA, magic, address)).say("hello") == ""

    asyncio.run(story())
