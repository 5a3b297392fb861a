"""What came of a wish: the answer, or the reason for having none, and every attempt."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from textwrap import shorten
from typing import Any

from eslab import display
from eslab.errors import OutcomeUnknown, StoreUnavailable
from eslab.event import Rejected
from eslab.faults.crossing import time_of_day
from eslab.request import Request

# After these the wish may have been written. `StoreUnavailable` too: a service may write, and then fail to read.
OPEN = (OutcomeUnknown, StoreUnavailable, TimeoutError, ConnectionError)


@dataclass
class Attempt:
    """One attempt: its request, when it began and ended, and the answer or the error."""

    request: Request
    began: datetime
    ended: datetime
    answer: Any = None
    error: Exception | None = None
    pause: timedelta = timedelta()  # before the next attempt

    @property
    def is_open(self) -> bool:
        """Can nobody know whether it was written?"""
        return isinstance(self.error, OPEN)

    def __repr__(self) -> str:
        came = type(self.error).__name__ if self.error else shorten(repr(self.answer), 100)
        pause = f"; then a pause of {display.duration(self.pause)}" if self.pause else ""
        return f"{time_of_day(self.began)} request {self.request.id}: {came}{pause}"


@dataclass
class Outcome:
    """What came of a wish: its answer, or an error and the reason for giving up; and all attempts."""

    attempts: list[Attempt] = field(default_factory=list)
    gave_up: str = ""  # why there was no further attempt; empty if there was an answer or an error that is one

    @property
    def answer(self) -> Any:
        """The answer; None if there is none."""
        return self.attempts[-1].answer

    @property
    def error(self) -> Exception | None:
        """The error of the last attempt; None if there was an answer."""
        return self.attempts[-1].error

    @property
    def request(self) -> Request:
        """The request of the last attempt: pass it to `Client.send` to go on with the wish later."""
        return self.attempts[-1].request

    @property
    def acknowledged(self) -> bool:
        """Was the wish accepted, as far as its client was told?"""
        return self.error is None and not isinstance(self.answer, Rejected)

    @property
    def unknown(self) -> bool:
        """May the wish have been written, though nobody said so?"""
        return self.error is not None and any(attempt.is_open for attempt in self.attempts)

    def result(self) -> Any:
        """The answer; raises the last error if there is none."""
        if self.error:
            raise self.error
        return self.answer

    def __repr__(self) -> str:
        return "\n".join([self._heading, *(f"    {attempt!r}" for attempt in self.attempts)])

    def _repr_html_(self) -> str:
        rows = {f"attempt {number}": attempt for number, attempt in enumerate(self.attempts, 1)}
        return display.table(self._heading, rows, mark="✗" if self.error else "✓")

    @property
    def _heading(self) -> str:
        number = len(self.attempts)
        took = display.duration(self.attempts[-1].ended - self.attempts[0].began)
        tried = f"{number} attempt{'s' if number > 1 else ''} in {took}"
        how = "Unknown" if self.unknown else type(self.error).__name__ if self.error else "Answered"
        return f"{how} after {tried}{f': {self.gave_up}' if self.gave_up else ''}"
