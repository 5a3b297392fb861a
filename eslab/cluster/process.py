"""A node as an operating-system process: start, freeze, thaw, kill and end it; find it after its supervisor died."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import psutil

from eslab.cluster.folder import options_argument
from eslab.cluster.plan import Node
from eslab.cluster.runtime import ENVIRONMENT

State = Literal["starting", "up", "frozen", "dead"]

GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)
PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


class NodeProcess:
    """One node and the process that runs it now, if any."""

    def __init__(self, node: Node, command: list[str], folder: Path) -> None:
        self.node = node
        self.command = command
        self.folder = folder
        self.frozen = False
        self._process: psutil.Popen | None = None

    def start(self) -> None:
        """Start it; Java's own output goes to logs/console.log."""
        self.frozen = False
        with (self.folder / "logs" / "console.log").open("ab") as console:
            self._process = psutil.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, **ENVIRONMENT, "MALLOC_ARENA_MAX": "2"},  # glibc's default costs 100 MB a node
                preexec_fn=die_with_parent(),  # safe here: a supervisor has no threads
            )
        pid_file(self.folder).write_text(str(self._process.pid))

    @property
    def pid(self) -> int:
        """The id of the running process, or 0."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    @property
    def state(self) -> State:
        """The node's state; `up` means that it takes CQL connections."""
        if not self.pid:
            return "dead"
        if self.frozen:
            return "frozen"
        return "up" if answers(self.node) else "starting"

    @property
    def memory(self) -> int:
        """Memory in use, in bytes, or 0."""
        try:
            return self._process.memory_info().rss if self._process and self.pid else 0
        except GONE:
            return 0

    def freeze(self) -> None:
        """Pause it where it is (SIGSTOP), like a very long garbage collection; its connections stay open."""
        if self._process and self.pid:
            self._process.suspend()
            self.frozen = True

    def thaw(self) -> None:
        """Resume it (SIGCONT)."""
        if self._process and self.pid:
            self._process.resume()
        self.frozen = False

    def revive(self) -> None:
        """Start it again if it is dead."""
        if not self.pid:
            self.start()

    def kill(self) -> None:
        """End it at once (SIGKILL) and wait until it is gone."""
        if self._process and self.pid:
            self._process.kill()
            self._process.wait()
        self.frozen = False

    def end(self) -> None:
        """Ask it to flush and exit (SIGTERM); does not wait."""
        if self._process and self.pid:
            # A stopped process would not handle the signal until it is resumed.
            self.thaw()
            self._process.terminate()


def answers(node: Node, patience: float = 0.3) -> bool:
    """Does the node take CQL connections?"""
    # A frozen node would pass this test: the kernel accepts connections for it. `state` looks at `frozen` first.
    try:
        with socket.create_connection((node.host, node.cql_port), timeout=patience):
            return True
    except OSError:
        return False


def pid_file(folder: Path) -> Path:
    """The file with a node's process id, by which a later process finds a node that lost its supervisor."""
    return folder / "pid"


def kill_orphans(cluster: Path) -> list[int]:
    """Kill the nodes of a cluster that outlived their supervisor; returns their process ids."""
    orphans = [process for file in cluster.glob("*/pid") if (process := _orphan(file))]
    for process in orphans:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(orphans, timeout=10)
    return [process.pid for process in orphans]


def die_with_parent() -> Callable[[], None] | None:
    """On Linux a node dies with its supervisor, even by kill -9; elsewhere the next command finds and kills it."""
    if sys.platform != "linux":
        return None
    # Load the library here: between fork and exec the child should do as little as possible.
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def find_process(pid: int, *arguments: str) -> psutil.Process | None:
    """The process with this id if it is alive and was started with all these arguments."""
    # A pid alone proves nothing: the system may have given it to another program by now, and after a restart of the
    # machine it has. Whole arguments are compared: `tail -f` of a node's log names the folder too. The process that is
    # returned is safe to kill, since psutil refuses if the pid has changed hands.
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
        return process if process.status() != psutil.STATUS_ZOMBIE and {*arguments} <= {*words} else None
    except (psutil.Error, OverflowError):
        return None


def _orphan(file: Path) -> psutil.Process | None:
    text = file.read_text(errors="replace").strip()
    return find_process(int(text), options_argument(file.parent)) if text.isdecimal() else None
