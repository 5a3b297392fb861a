"""Clocks on which one can wait: faults, clients and experiments take time from nowhere else (G10)."""

from datetime import datetime, timedelta
from time import sleep
from typing import Protocol

from eslab.clock import system_clock


class WaitingClock(Protocol):
    """A clock whose `advance` lets time pass: `ManualClock` at once, `RealTime` by sleeping."""

    def __call__(self) -> datetime:
        """The time on the clock."""
        ...

    def advance(self, by: timedelta, /) -> object:
        """Let time pass."""
        ...


class RealTime:
    """The machine's time, for the edge of a program; to wait is to sleep."""

    def __call__(self) -> datetime:
        """The time on the machine's clock."""
        return system_clock()

    def advance(self, by: timedelta, /) -> None:
        """Sleep."""
        sleep(max(by, timedelta()).total_seconds())
