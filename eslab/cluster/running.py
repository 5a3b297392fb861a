"""A cluster that runs: joining and leaving it, waiting for it, ending it, and what a crash left behind."""

import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from eslab.cluster.control import Address, Order, Owner, Status, ask, find_supervisor, is_process
from eslab.cluster.errors import NodeFailed
from eslab.cluster.folder import read_log, remembered
from eslab.cluster.plan import Node, Plan
from eslab.cluster.process import kill_orphans

PATIENCE = 240.0  # seconds for all nodes; one takes 6 to 10, on a machine that is busy far longer
END_PATIENCE = 60.0
PAUSE = 0.2

children: list[subprocess.Popen[bytes]] = []  # supervisors that this process started; when they end, it must reap them


def join(folder: Path, owner: Owner | None) -> bool:
    """Does it run, and from now on for this owner too (or for good, without one)? Waits for one that is ending."""
    supervisor = find_supervisor(folder)
    if not supervisor:
        return False
    status = ask(folder, Order("own", owner=owner) if owner else Order("keep"))
    if status.stopping:
        wait_until_ended(folder, supervisor)
    return not status.stopping


def leave(folder: Path, owner: Owner) -> None:
    """No longer run for this owner. If it was the last one, the cluster ends, and this waits for it."""
    if supervisor := find_supervisor(folder):
        status = ask(folder, Order("release", owner=owner))
        if not status.keep and not status.owners:
            wait_until_ended(folder, supervisor)


def end(folder: Path) -> None:
    """Stop a cluster for everybody, and whatever of it runs without a supervisor."""
    if supervisor := find_supervisor(folder):
        ask(folder, Order("stop"))
        wait_until_ended(folder, supervisor)
    kill_orphans(folder)


def wait_until_ended(folder: Path, supervisor: Address) -> None:
    """Until the supervisor is gone and its nodes with it; what takes too long is killed."""
    if not _wait(lambda: not is_process(supervisor.pid, str(folder)), END_PATIENCE):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(supervisor.pid).kill()
    for child in children:
        child.poll()
    kill_orphans(folder)


def wait_until_up(plan: Plan, folder: Path, patience: float = PATIENCE) -> Status:
    """Until no node is starting any more. Raises NodeFailed, with the end of its log, if one is late."""
    if _wait(lambda: not _starting(folder), patience):
        return ask(folder, Order("status"))
    raise _failure(plan, folder, _starting(folder)[0], f"it still starting after {patience:.0f} s")


def check_alive(plan: Plan, folder: Path, status: Status, target: str | None = None) -> None:
    """Raises NodeFailed, with the end of its log, for a node (of the target) that has ended."""
    names = [node.name for node in (plan.pick(target) if target else plan.nodes)]
    for node in status.nodes:
        if node.state == "dead" and node.name in names:
            raise _failure(plan, folder, node.name, "it ended")


def sweep(home: Path) -> None:
    """Remove what throw-away clusters left whose supervisor was killed before it could."""
    for plan in remembered(home):
        folder = home / plan.name
        if plan.throwaway and not find_supervisor(folder):
            kill_orphans(folder)
            shutil.rmtree(folder, ignore_errors=True)


def _starting(folder: Path) -> list[str]:
    return [node.name for node in ask(folder, Order("status")).nodes if node.state == "starting"]


def _wait(happened: Callable[[], bool], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


def _failure(plan: Plan, folder: Path, name: str, found: str) -> NodeFailed:
    node: Node = plan.pick(name)[0]
    return NodeFailed(
        f"Expected node {name} of cluster {plan.name} to answer CQL at {node.host}:{node.cql_port}, found {found}. "
        f"The end of its log, in {folder / node.folder / 'logs'}:\n{read_log(folder, node, 15)}"
    )
