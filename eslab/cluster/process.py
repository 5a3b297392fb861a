"""A node as a process: started, frozen, thawed, killed, ended; and found again after its supervisor died."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from eslab.cluster.control import State, is_process
from eslab.cluster.plan import Node

GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)


class NodeProcess:
    """One node and the process that runs it now, if any."""

    def __init__(self, node: Node, command: list[str], folder: Path) -> None:
        self.node = node
        self.command = command
        self.folder = folder
        self.frozen = False
        self._process: psutil.Popen | None = None

    def start(self) -> None:
        """Start it; what Java itself says goes to logs/console.log."""
        self.frozen = False
        with (self.folder / "logs" / "console.log").open("ab") as console:
            self._process = psutil.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},  # glibc's default costs 100 MB a node
                preexec_fn=die_with_parent(),
            )
        pid_file(self.folder).write_text(str(self._process.pid))

    @property
    def pid(self) -> int:
        """Of the process that runs, or 0."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    @property
    def state(self) -> State:
        """dead, frozen, starting, or up: it answers CQL connections."""
        if not self.pid:
            return "dead"
        if self.frozen:
            return "frozen"
        return "up" if answers(self.node) else "starting"

    @property
    def memory(self) -> int:
        """Bytes of memory in use, or 0."""
        try:
            return self._process.memory_info().rss if self._process and self.pid else 0
        except GONE:
            return 0

    def freeze(self) -> None:
        """Stop it in mid-step, as a long pause would; it keeps its connections and knows nothing of it."""
        if self._process and self.pid:
            self._process.suspend()
            self.frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        if self._process and self.pid:
            self._process.resume()
        self.frozen = False

    def revive(self) -> None:
        """Start it again, if it is dead."""
        if not self.pid:
            self.start()

    def kill(self) -> None:
        """End it with no chance to tidy up, and wait until it is gone."""
        if self._process and self.pid:
            self._process.kill()
            self._process.wait()
        self.frozen = False

    def end(self) -> None:
        """Ask it to flush and leave; does not wait."""
        if self._process and self.pid:
            self.thaw()
            self._process.terminate()


def answers(node: Node, patience: float = 0.3) -> bool:
    """Does the node take CQL connections?"""
    try:
        with socket.create_connection((node.host, node.cql_port), timeout=patience):
            return True
    except OSError:
        return False


def pid_file(folder: Path) -> Path:
    """Where a node's process id is kept, so that a later process finds one that lost its supervisor."""
    return folder / "pid"


def kill_orphans(cluster: Path) -> list[int]:
    """End the nodes of a cluster whose supervisor died without them; returns their process ids."""
    orphans = [pid for file in cluster.glob("*/pid") if (pid := _orphan(file))]
    for pid in orphans:
        psutil.Process(pid).kill()
    psutil.wait_procs([psutil.Process(pid) for pid in orphans if psutil.pid_exists(pid)], timeout=10)
    return orphans


def die_with_parent() -> Callable[[], None] | None:
    """On Linux a node dies with its supervisor, even by kill -9; elsewhere the next start finds and ends it."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    set_parent_death_signal = 1
    return lambda: libc.prctl(set_parent_death_signal, signal.SIGKILL)


def _orphan(file: Path) -> int | None:
    text = file.read_text()
    return int(text) if text.isdigit() and is_process(int(text), str(file.parent)) else None
