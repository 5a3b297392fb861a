"""A client: it sends a wish until there is an answer, and tells what it tried.

    client = Client(clock, random)
    outcome = client.send(bakery.send, "ann", "frosting:1", MakeColor("purple"))
    outcome.result()                        # the answer; raises the error if there is none

It makes the request and passes it on as the last argument. Right is to make it once (`same_request`). Two wrong ways
are here too, so that their price can be shown: `new_request` and `new_time`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from eslab import display
from eslab.bounds import TimeBounds
from eslab.clock import Clock, to_ms
from eslab.errors import EslabError, OutOfTime
from eslab.faults.outcome import Attempt, Outcome
from eslab.faults.retries import Budget, Retry, Within, measured
from eslab.faults.waiting import WaitingClock
from eslab.request import Request

Requests = Callable[[Request | None, Clock, Random], Request]  # from the request of the attempt before, if any


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


class Client:
    """Sends wishes for one user or device; safe to share between threads if its clock and random are.

    An attempt is repeated if nobody knows what came of it: after `OutcomeUnknown`, `StoreUnavailable`, a timeout or a
    broken connection; and after an answer of which `unfinished` says so, such as a licence without its token. A
    rejection is an answer. `RequestConflict` and every other error end the attempts.

    `OutOfTime` tells the service's time, and the client sets its clock by it. A request that is only a little too early
    is sent again when its time has come. A new one is made only where it can't become a second wish: if this was the
    first attempt, the request is the client's own, and no service, whose clock may differ by `bounds.skew`, can accept
    it any more, or before the deadline. (A copy that the network delivers later than that can still be a second wish.)
    After an attempt whose write may still come to light the outcome stays unknown: send the same request later, since a
    recorded one is answered at any age.
    """

    def __init__(
        self,
        clock: WaitingClock,
        random: Random,
        requests: Requests = same_request,
        retry: Retry | None = None,
        budget: Budget | None = None,
        *,
        bounds: TimeBounds | None = None,
        within: Within | None = None,
        unfinished: Callable[[Any], bool] = lambda answer: False,
    ) -> None:
        """`bounds` are those of the service.

        `within` stops waiting for an answer: by default `measured` on the clock, in real time `in_a_thread`.
        """
        self.clock, self.random = clock, random
        self.requests = requests
        self.retry = retry or Retry()
        self.budget = budget or Budget()
        self.bounds = bounds or TimeBounds()
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
            if own and len(outcome.attempts) == 1 and self._may_be_made_anew(outcome.attempts[0], deadline):
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
        if isinstance(raised, OutOfTime):
            self.offset += raised.service_time - self.time()
        return Attempt(request, began, self.clock(), answer, raised)

    def _may_be_made_anew(self, attempt: Attempt, deadline: datetime) -> bool:
        """Was the request refused, and is it too late or too early for every service until the deadline?"""
        left = deadline - self.clock()
        if not isinstance(attempt.error, OutOfTime) or self.retry.attempts == 1 or left < timedelta():
            return False
        late = attempt.error.service_time - self.bounds.late - attempt.request.time
        return max(late, self._early(attempt) - left) > self.bounds.skew

    def _early(self, attempt: Attempt) -> timedelta:
        """How much too early the request was; not positive for one that was refused for another reason."""
        if not isinstance(attempt.error, OutOfTime):
            return timedelta()
        return attempt.request.time - self.bounds.early - attempt.error.service_time

    def _is_at_an_end(self, outcome: Outcome, deadline: datetime) -> bool:
        """Is there no reason to try again, or one not to? Otherwise the pause has passed."""
        attempt = outcome.attempts[-1]
        early = self._early(attempt)
        if not (attempt.is_open or early > timedelta() or (attempt.error is None and self._unfinished(attempt.answer))):
            self.budget.answered()
            return True
        attempt.pause = max(early, self.retry.pause_after(len(outcome.attempts), self.random))
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
