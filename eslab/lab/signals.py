"""SIGINT (Ctrl-C) and SIGTERM during a run: they end a wait at once, and let a report be written to its end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """The first signal that asked for the end of a run, and whether it may interrupt what happens now."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._waiting = False

    @property
    def name(self) -> str:
        """The name of the signal that was received, such as SIGINT."""
        return self.received.name if self.received else "an interrupt"

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signals, except those that the process was told to ignore, as `nohup` does."""
        heeded = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._on_signal) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Raise `KeyboardInterrupt` when a signal comes while this is open, or has come before."""
        self._waiting = True
        try:
            # Asked only now: a signal between this question and the flag would be lost the other way round.
            if self.received:
                raise KeyboardInterrupt
            yield
        finally:
            self._waiting = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        repeated = self.received is not None
        if not repeated:
            self.received = signal.Signals(number)
        if self._waiting or repeated:
            raise KeyboardInterrupt
