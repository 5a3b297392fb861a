"""Lesson 04: a process that dies by kill -9 between its append and the rows of read tables in other partitions.

It runs this file as a program of its own, so the death is real.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass

from eslab import EventStore, InvalidInput, ManualClock, Request, open_store
from eslab.domains.downloads.service import DownloadService
from eslab.faults import Crash, Faulty, Script
from eslab.lab.lessons.cassandra import LessonNode


def dying_before_read_rows(store: EventStore, clock: ManualClock) -> Faulty:
    """A store whose process is killed instead of writing rows of a read table; the rest is the real store's."""
    return Faulty(store, Script(put_read_rows=[Crash("before")]), clock, die=kill_this_process)


def kill_this_process() -> None:
    """Die as a process dies when its machine loses power: nothing after this line runs."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Death:
    """The end of a process."""

    signal: int

    def __repr__(self) -> str:
        return f"The process was ended by signal {self.signal}, {signal.Signals(self.signal).name}. It gave no answer."


def request_and_die(node: LessonNode, customer: str, device: str, title: str, request: Request) -> Death:
    """Request a download in another process, which dies right after its append. Takes about 3 s.

    Raises `InvalidInput` if that process ended in another way.
    """
    wish = json.dumps([node.url, customer, device, title, str(request.id)])
    # The URL may hold a password, so it isn't an argument, which everybody on the machine can read.
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", __name__], input=wish, capture_output=True, text=True, check=False
    )
    if done.returncode >= 0:
        raise InvalidInput(f"Expected a process that is killed, got exit code {done.returncode}: {done.stderr[-500:]}")
    return Death(-done.returncode)


def _request(url: str, customer: str, device: str, title: str, request_id: str) -> None:
    request = Request.parse(request_id)
    clock = ManualClock(request.time)
    store = dying_before_read_rows(open_store(url), clock)
    DownloadService(store, clock).request_download(customer, device, title, request)


if __name__ == "__main__":
    _request(*json.load(sys.stdin))
