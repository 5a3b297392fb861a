"""A running cluster: join, leave, wait for and end it; clean up after a crash."""

import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from eslab.cluster.control import Address, Order, Owner, Status, ask, find_supervisor, supervisor_process
from eslab.cluster.errors import NodeFailed
from eslab.cluster.folder import read_log, remembered
from eslab.cluster.plan import Plan
from eslab.cluster.process import kill_orphans

PATIENCE = 240.0  # seconds for all nodes to start; one takes 6 to 10, and far longer on a busy machine
END_PATIENCE = 60.0  # seconds for a supervisor to end; it gives its nodes 30
PAUSE = 0.2  # seconds between two looks

# Supervisors that this process started. It must reap them (`poll`), or they stay zombies after their end.
children: list[subprocess.Popen[bytes]] = []


def join(folder: Path, owner: Owner | None) -> bool:
    """Join a running cluster: it runs for this owner too from now on, or until `stop` if there is no owner.

    Returns False if it isn't running; waits for its end if it is stopping.
    """
    supervisor = find_supervisor(folder)
    if not supervisor:
        return False
    status = ask(folder, Order("own", owner=owner) if owner else Order("keep"))
    if status.stopping:
        wait_until_ended(folder, supervisor)
    return not status.stopping


def leave(folder: Path, owner: Owner) -> None:
    """Give up this owner's hold. If it was the last one, the cluster ends; waits for that."""
    if supervisor := find_supervisor(folder):
        status = ask(folder, Order("release", owner=owner))
        if not status.keep and not status.owners:
            wait_until_ended(folder, supervisor)


def end(folder: Path) -> None:
    """Stop a cluster for every owner, and kill nodes that run without a supervisor."""
    if supervisor := find_supervisor(folder):
        ask(folder, Order("stop"))
        wait_until_ended(folder, supervisor)
    kill_orphans(folder)


def wait_until_ended(folder: Path, supervisor: Address) -> None:
    """Wait until supervisor and nodes have ended; kill them if they take too long."""
    if not wait_until(lambda: not supervisor_process(folder, supervisor), END_PATIENCE):
        with suppress(psutil.NoSuchProcess):
            if process := supervisor_process(folder, supervisor):
                process.kill()
    for child in children:
        child.poll()
    kill_orphans(folder)


def wait_until_up(plan: Plan, folder: Path, patience: float = PATIENCE) -> Status:
    """Wait until no node is starting any more. Raises NodeFailed, with the end of its log, if one is late."""
    if wait_until(lambda: not _starting(folder), patience):
        return ask(folder, Order("status"))
    raise _failure(plan, folder, _starting(folder)[0], f"is still starting after {patience:.0f} s")


def check_alive(plan: Plan, folder: Path, status: Status, target: str | None = None) -> None:
    """Check that all nodes, or those of the target, are alive. Raises NodeFailed with the end of a dead node's log."""
    names = [node.name for node in (plan.pick(target) if target else plan.nodes)]
    for node in status.nodes:
        if node.state == "dead" and node.name in names:
            raise _failure(plan, folder, node.name, "has ended")


def sweep(home: Path) -> None:
    """Remove the nodes and folders of throw-away clusters whose supervisor was killed."""
    for plan in remembered(home):
        folder = home / plan.name
        if plan.throwaway and not find_supervisor(folder):
            kill_orphans(folder)
            shutil.rmtree(folder, ignore_errors=True)


def wait_until(happened: Callable[[], bool], patience: float, pause: float = PAUSE) -> bool:
    """Wait until it happened, for at most `patience` seconds; returns whether it did."""
    deadline = time.monotonic() + patience
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def _starting(folder: Path) -> list[str]:
    return [node.name for node in ask(folder, Order("status")).nodes if node.state == "starting"]


def _failure(plan: Plan, folder: Path, name: str, state: str) -> NodeFailed:
    node = plan.pick(name)[0]
    return NodeFailed(
        f"Node {name} of cluster {plan.name} {state} and doesn't answer CQL at {node.host}:{node.cql_port}. "
        f"The end of its log, in {folder / node.folder / 'logs'}:\n{read_log(folder, node, 15)}"
    )
