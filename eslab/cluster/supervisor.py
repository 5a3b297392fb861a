"""The process that runs a cluster: it starts the nodes, relays their bytes, obeys orders, ends with its last owner.

`Cluster.start` runs it as `python -m eslab.cluster.supervisor FOLDER PID HANDLE`. With PID 0 the cluster has no owner
and runs until it is stopped.
"""

import asyncio
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

from eslab.cluster.control import (
    Address,
    LinkStatus,
    NodeStatus,
    Order,
    Owner,
    Reply,
    Status,
    address_file,
    write_address,
)
from eslab.cluster.errors import ClusterError
from eslab.cluster.folder import read_commands, read_plan
from eslab.cluster.plan import Node, Plan
from eslab.cluster.process import NodeProcess
from eslab.cluster.relay import Relay

TICK = 0.25  # seconds between two checks of the owners
GRACE = 30.0  # seconds for nodes to flush and exit


class Supervisor:
    """One running cluster. Everything happens in one thread, one order at a time."""

    def __init__(self, folder: Path, plan: Plan, commands: dict[str, list[str]]) -> None:
        self.folder = folder
        self.plan = plan
        self.token = secrets.token_hex(16)
        self.relay = Relay(plan.nodes)
        self.nodes = {node.name: NodeProcess(node, commands[node.name], folder / node.folder) for node in plan.nodes}
        self.owners: dict[Owner, psutil.Process] = {}
        self.keep = False
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Run the cluster until it is stopped or its last owner is gone."""
        if self.plan.relayed:
            await self.relay.open()
        server = await asyncio.start_server(self.take_order, "127.0.0.1", 0)
        try:
            for node in self.nodes.values():
                node.start()
            # Published last: whoever finds the address finds the nodes started.
            write_address(self.folder, Address(psutil.Process().pid, server.sockets[0].getsockname()[1], self.token))
            while not self.stopping.is_set() and self.is_wanted():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), TICK)
        finally:
            await self.end()

    def is_wanted(self) -> bool:
        """Is the cluster kept, or is one of its owners alive?"""
        for owner in [owner for owner, process in self.owners.items() if not _is_alive(process)]:
            del self.owners[owner]
        return self.keep or bool(self.owners)

    async def take_order(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one order and send one reply; without the token, none."""
        try:
            order = msgspec.json.decode(await reader.readline(), type=Order)
            if secrets.compare_digest(order.token, self.token):
                writer.write(msgspec.json.encode(self.reply(order)))
                await writer.drain()
        except (OSError, msgspec.DecodeError) as error:
            print(f"Could not read or answer an order: {error!r}", flush=True)
        finally:
            writer.close()

    def reply(self, order: Order) -> Reply:
        """Carry out an order; an error becomes part of the reply."""
        try:
            self.obey(order)
            return Reply(self.status())
        except (ClusterError, OSError, psutil.Error) as error:
            return Reply(error=f"Cluster {self.plan.name} could not carry out {order.do!r}: {error}")

    def obey(self, order: Order) -> None:
        """Carry out an order. Orders about nodes and links are named after the methods of NodeProcess and Relay."""
        match order.do:
            case "own" if order.owner:
                self.own(order.owner)
            case "release" if order.owner:
                self.owners.pop(order.owner, None)
            case "keep":
                self.keep = True
            case "freeze" | "thaw" | "kill" | "revive":
                for name in order.nodes:
                    getattr(self.nodes[name], order.do)()
            case "cut" | "heal":
                for a, b in self.pairs(order):
                    getattr(self.relay, order.do)(a, b)
            case "delay":
                for a, b in self.pairs(order):
                    self.relay.delay(a, b, order.seconds)
            case "stop":
                self.stopping.set()

    def own(self, owner: Owner) -> None:
        """Run for this owner too from now on."""
        # psutil remembers when the process began, so a reused pid doesn't count as the owner. One that has ended
        # already is no owner at all.
        with suppress(psutil.NoSuchProcess):
            self.owners[owner] = psutil.Process(owner.pid)

    def pairs(self, order: Order) -> Iterator[tuple[Node, Node]]:
        """The pairs of nodes whose links an order names."""
        return ((self.nodes[a].node, self.nodes[b].node) for a, b in order.pairs)

    def status(self) -> Status:
        """The state of nodes and links now; costs one connection to every live node."""
        nodes = (
            NodeStatus(name, run.node.region, run.state, run.pid, run.memory, f"{run.node.host}:{run.node.cql_port}")
            for name, run in self.nodes.items()
        )
        links = (
            LinkStatus(*sorted(pair), cut=link.cut, delay=link.delay)
            for pair, link in self.relay.links.items()
            if link.cut or link.delay
        )
        stopping = self.stopping.is_set()
        return Status(self.plan.name, self.keep, stopping, tuple(self.owners), tuple(nodes), tuple(links))

    async def end(self) -> None:
        """End all nodes, cleanly if their data stays; remove the folder of a throw-away cluster."""
        # Orders are still obeyed meanwhile: `join` sees `stopping` and waits instead of joining.
        self.stopping.set()
        if not self.plan.throwaway:
            for node in self.nodes.values():
                node.end()
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    while any(node.pid for node in self.nodes.values()):
                        await asyncio.sleep(TICK)
        for node in self.nodes.values():
            node.kill()
        self.relay.close()
        address_file(self.folder).unlink(missing_ok=True)
        if self.plan.throwaway:
            shutil.rmtree(self.folder, ignore_errors=True)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def supervise(folder: Path, pid: int, handle: str) -> None:
    """Run the cluster in this folder for its first owner, or until it is stopped if `pid` is 0."""
    supervisor = Supervisor(folder, read_plan(folder), read_commands(folder))
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows has neither
            asyncio.get_running_loop().add_signal_handler(number, supervisor.stopping.set)
    if pid:
        supervisor.own(Owner(pid, handle))
    supervisor.keep = not pid
    await supervisor.run()


if __name__ == "__main__":
    asyncio.run(supervise(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
