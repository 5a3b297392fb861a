"""A client: it sends a wish until there is an answer, and tells what it tried.

    client = Client(clock, random)
    outcome = client.send(bakery.send, "ann", "frosting:1", MakeColor("purple"))
    outcome.result()                        # the answer; raises the error if there is none

It makes the request and passes it on as the last argument. Right is to make it once (`same_request`). Two wrong ways
are here too, so that their price can be shown: `new_request` and `new_time`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from textwrap import shorten
from typing import Any
from uuid import UUID

from eslab import display
from eslab.clock import Clock, to_ms
from eslab.errors import EslabError, OutcomeUnknown, OutOfTime, StoreUnavailable
from eslab.event import Rejected
from eslab.faults.line import time_of_day
from eslab.faults.retries import Budget, Retry, Within, measured
from eslab.faults.waiting import WaitingClock
from eslab.request import Request

Requests = Callable[[Request | None, Clock, Random], Request]  # from the request of the attempt before, if any
# After these the wish may have been written. `StoreUnavailable` too: a service may write, and then fail to read.
OPEN = (OutcomeUnknown, StoreUnavailable, TimeoutError, ConnectionError)


def same_request(before: Request | None, clock: Clock, random: Random) -> Request:
    """One request for one wish, kept through every attempt: right."""
    return before or Request.new(clock, random)


def new_request(before: Request | None, clock: Clock, random: Random) -> Request:
    """A new id for every attempt: wrong. To the service each attempt is another wish."""
    return Request.new(clock, random)


def new_time(before: Request | None, clock: Clock, random: Random) -> Request:
    """The same random part, and the time of the attempt: half wrong.

    The id says that it is the same wish, but its time is a part of the key, so the row is another one. Attempts of one
    millisecond are one request.
    """
    if before is None:
        return Request.new(clock, random)
    return Request(UUID(int=to_ms(clock()) << 80 | before.id.int & (1 << 80) - 1))


STRATEGIES: dict[str, Requests] = {
    "same request": same_request,
    "new request": new_request,
    "new time, same random part": new_time,
}


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


class Client:
    """Sends wishes for one user or device; safe to share between threads if its clock and random are.

    An attempt is repeated if nobody knows what came of it: after `OutcomeUnknown`, `StoreUnavailable`, a timeout or a
    broken connection; and after an answer of which `unfinished` says so, such as a licence without its token. A
    rejection is an answer. `RequestConflict` and every other error end the attempts.

    `OutOfTime` says that the client's clock is wrong, or that the request is too old. The client sets its clock by the
    service's time; that is always safe. A new request is safe only while nothing can have been written for this wish:
    so one is made if this was the first attempt, with a request of the client's own. After an attempt whose write may
    still come to light the outcome stays unknown: send the same request later, since a recorded one is answered at any
    age. (A network that delivers a copy of a call minutes late can still count a wish twice that came too early.)
    """

    def __init__(
        self,
        clock: WaitingClock,
        random: Random,
        requests: Requests = same_request,
        retry: Retry | None = None,
        budget: Budget | None = None,
        *,
        within: Within | None = None,
        unfinished: Callable[[Any], bool] = lambda answer: False,
    ) -> None:
        """`within` stops waiting for an answer: by default `measured` on the clock, in real time `in_a_thread`."""
        self.clock, self.random = clock, random
        self.requests = requests
        self.retry = retry or Retry()
        self.budget = budget or Budget()
        self.offset = timedelta()  # what the client adds to its clock since a service told it the time
        self._within = within or measured(clock)
        self._unfinished = unfinished

    def time(self) -> datetime:
        """The time as the client believes it."""
        return self.clock() + self.offset

    def send(self, call: Callable[..., Any], *args: Any, request: Request | None = None, **options: Any) -> Outcome:
        """Call `call(*args, request, **options)` until there is an answer, or no reason to try again.

        `request` goes on with a wish that was begun before. Never raises what the call says; `Outcome.result` does.
        """
        own = request is None
        outcome = Outcome()
        deadline = self.clock() + self.retry.deadline
        while True:
            if outcome.attempts or request is None:
                request = self.requests(request, self.time, self.random)
            outcome.attempts.append(self._attempt(call, args, request, options))
            if self._is_out_of_time(outcome) and own and len(outcome.attempts) == 1:
                request = None
            elif self._is_at_an_end(outcome, deadline):
                return outcome

    def _attempt(
        self, call: Callable[..., Any], args: tuple[Any, ...], request: Request, options: dict[str, Any]
    ) -> Attempt:
        began = self.clock()
        answer: Any = None
        raised: Exception | None = None
        try:
            answer = self._within(partial(call, *args, request, **options), self.retry.timeout)
        except (EslabError, TimeoutError, ConnectionError) as error:
            raised = error
        return Attempt(request, began, self.clock(), answer, raised)

    def _is_out_of_time(self, outcome: Outcome) -> bool:
        """Did the service refuse the time of the request? Then the clock is set by the service's."""
        error = outcome.error
        if isinstance(error, OutOfTime):
            self.offset += error.service_time - self.time()
        return isinstance(error, OutOfTime)

    def _is_at_an_end(self, outcome: Outcome, deadline: datetime) -> bool:
        """Is there no reason to try again, or one not to? Otherwise the pause has passed."""
        attempt = outcome.attempts[-1]
        if not attempt.is_open and (attempt.error or not self._unfinished(attempt.answer)):
            self.budget.answered()
            return True
        attempt.pause = self.retry.pause_after(len(outcome.attempts), self.random)
        outcome.gave_up = self._why_not_again(outcome, deadline)
        if outcome.gave_up:
            attempt.pause = timedelta()
        self.clock.advance(attempt.pause)
        return bool(outcome.gave_up)

    def _why_not_again(self, outcome: Outcome, deadline: datetime) -> str:
        """The reason not to try again after a failed attempt."""
        has_tokens = self.budget.failed()
        if len(outcome.attempts) >= self.retry.attempts:
            return f"{self.retry.attempts} attempts are the limit"
        if not has_tokens:
            return f"the budget for retries is used up: {self.budget}"
        if self.clock() + outcome.attempts[-1].pause > deadline:
            return f"the deadline of {display.duration(self.retry.deadline)} is near"
        return ""
