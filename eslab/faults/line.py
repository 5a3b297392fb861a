"""A line between two actors, such as a service and its store: every call crosses it, and may meet a fault.

    line = Line(Script(send=[LoseReply()]), clock, caller="tablet", callee="bakery")
    send = line.over(bakery.send)           # the same function, behind the line
    line.log                                # what happened: a list of `Crossing`

A line raises what a caller of a real store, or of a real service, would see. It is safe to share between threads.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial, wraps
from threading import Lock
from typing import NoReturn, ParamSpec, TypeVar

from eslab.display import duration
from eslab.errors import EslabError, InvalidInput, OutcomeUnknown, StoreUnavailable
from eslab.faults.crossing import Crossing, Log, customer_in
from eslab.faults.kinds import Crash, Crashed, Delay, Duplicate, Hold, LoseReply, LoseRequest, Refuse
from eslab.faults.plans import Plan
from eslab.faults.waiting import WaitingClock

T = TypeVar("T")
P = ParamSpec("P")
AT_ONCE = timedelta()


@dataclass(eq=False)
class _Held:
    """A call under way whose caller has stopped waiting."""

    crossing: Crossing
    function: Callable[[], object]
    behind: int | None = None  # the number of the call that it arrives behind,
    due: datetime | None = None  # or the moment at which it arrives

    def is_due(self, now: datetime) -> bool:
        """Has it arrived by now?"""
        return self.due is not None and self.due <= now

    def is_behind(self, number: int) -> bool:
        """Does it arrive right behind this call?"""
        return self.behind is not None and self.behind <= number


class Line:
    """The way of calls from one actor to another; each meets the next fault of a plan.

    A caller waits for `timeout`, then it gets `OutcomeUnknown`, or `StoreUnavailable` for a call that only reads. An
    answer that comes later is lost too. `latency` is the time that a call takes each way. Time passes on `clock` alone.

    After a `Crash` the line is dead: no further call of its process arrives, not even from a `finally`. The next
    process has a line of its own, which may continue the plan and the log.
    """

    def __init__(
        self,
        plan: Plan,
        clock: WaitingClock,
        *,
        caller: str = "client",
        callee: str = "service",
        timeout: timedelta = timedelta(seconds=10),
        latency: timedelta = AT_ONCE,
        log: Log | None = None,
        calls: Collection[str] = (),
        die: Callable[[], object] = lambda: None,
    ) -> None:
        """Several lines may share one `log`: then it tells what happened on all of them, in order.

        `calls` are the names of the calls that may cross; none means those of the one function in `over`. Raises
        `InvalidInput` for a plan that names another one: it would never be met. `die` may end the process for real, by
        kill -9; otherwise `Crashed` is raised.
        """
        self.plan, self.clock = plan, clock
        self.caller, self.callee = caller, callee
        self.timeout, self.latency = timeout, latency
        self.calls = calls
        self.log: Log = [] if log is None else log
        self.dead = False
        self._die = die
        self._lock = Lock()
        self._count = 0
        self._held: list[_Held] = []
        if min(timeout, latency) < AT_ONCE:
            raise InvalidInput(f"Expected timeout and latency of 0 or more, got {timeout} and {latency}.")
        if calls:
            self._check(calls)

    def __repr__(self) -> str:
        return f"Line({self.caller} → {self.callee}, {self.plan}, {self._count} calls)"

    def over(self, function: Callable[P, T], name: str = "", *, writes: bool = True) -> Callable[P, T]:
        """The same function, but every call of it crosses the line."""
        call = name or getattr(function, "__name__", repr(function))
        if not self.calls:
            self._check([call])

        @wraps(function)
        def crossing(*args: P.args, **options: P.kwargs) -> T:
            return self.call(call, partial(function, *args, **options), writes=writes, about=customer_in(args))

        crossing.__name__ = call
        return crossing

    def call(self, call: str, function: Callable[[], T], *, writes: bool = True, about: str = "") -> T:
        """Call a function over the line; raises what the caller sees of the fault that it meets."""
        if self.dead:
            self._crash()
        self._deliver(lambda held: held.is_due(self.clock()))
        crossing = self._begin(call, about)
        try:
            answer = self._cross(crossing, function, writes)
            crossing.got = "answer"
            return answer
        except BaseException as error:
            crossing.got = type(error).__name__
            raise
        finally:
            crossing.ended = self.clock()
            self._deliver(lambda held: held.is_behind(crossing.number))

    def deliver(self) -> None:
        """Let everything arrive that is still under way."""
        self._deliver(lambda held: True)

    def drop(self) -> None:
        """Lose everything that is still under way."""
        with self._lock:
            self._held.clear()

    def _check(self, calls: Collection[str]) -> None:
        if unknown := sorted({*self.plan.calls} - {*calls}):
            raise InvalidInput(
                f"Expected calls of the {self.callee} in {self.plan}, got {', '.join(unknown)}; it has "
                f"{', '.join(sorted(calls))}."
            )

    def _begin(self, call: str, about: str) -> Crossing:
        with self._lock:
            self._count += 1
            crossing = Crossing(self._count, self.clock(), self.caller, self.callee, call, about)
            crossing.fault = self.plan.next(call)
            self.log.append(crossing)
        return crossing

    def _cross(self, crossing: Crossing, function: Callable[[], T], writes: bool) -> T:
        match crossing.fault:
            case Refuse():
                raise StoreUnavailable(f"The {self.callee} can't be reached. Nothing was written; try again.")
            case LoseRequest():
                self._give_up(crossing, writes)
            case Hold(behind):
                self._hold(_Held(crossing, function, behind=crossing.number + behind), writes)
                self._give_up(crossing, writes)
            case Delay(by) if by > self.timeout:
                self._hold(_Held(crossing, function, due=crossing.began + by), writes)
                self._give_up(crossing, writes)
            case Delay(by):
                self.clock.advance(by)
            case Crash("before"):
                self._crash()
        answer = self._arrive(crossing, function, writes)
        match crossing.fault:
            case LoseReply():
                self._give_up(crossing, writes)
            case Duplicate(0):
                self._arrive(crossing, function, writes)
            case Duplicate(behind):
                self._hold(_Held(crossing, function, behind=crossing.number + behind), writes)
            case Crash():
                self._crash()
        self.clock.advance(self.latency)
        if self.clock() - crossing.began > self.timeout:
            self._give_up(crossing, writes)
        return answer()

    def _arrive(self, crossing: Crossing, function: Callable[[], T], writes: bool) -> Callable[[], T]:
        """Carry the call out. Returns what gives the answer, or raises the error that is one.

        If the callee's process dies of the call, its caller sees no more than that no answer comes.
        """
        self.clock.advance(self.latency)
        crossing.arrived.append(self.clock())
        try:
            answer = function()
        except EslabError as error:
            return partial(_raise, error)
        except Crashed:
            return partial(self._give_up, crossing, writes)
        return lambda: answer

    def _give_up(self, crossing: Crossing, writes: bool) -> NoReturn:
        """Wait until the timeout, and then no longer."""
        left = crossing.began + self.timeout - self.clock()
        self.clock.advance(max(left, AT_ONCE))
        waited = f"within {duration(self.timeout)}"
        if not writes:
            raise StoreUnavailable(f"The {self.callee} did not answer {waited}. Try again.")
        raise OutcomeUnknown(
            f"The {self.callee} did not confirm the {crossing.call} {waited}. It may have happened: send the same "
            "request again."
        )

    def _crash(self) -> NoReturn:
        self.dead = True
        self._die()
        raise Crashed("The process died.")

    def _hold(self, held: _Held, writes: bool) -> None:
        if writes:  # nobody waits for the answer any more, so a read that arrives late changes nothing
            with self._lock:
                self._held.append(held)

    def _deliver(self, ready: Callable[[_Held], bool]) -> None:
        """Let calls arrive that were held back; their callers have stopped waiting, so nobody hears of an error."""
        with self._lock:
            arriving = [held for held in self._held if ready(held)]
            self._held = [held for held in self._held if held not in arriving]
        for held in arriving:
            held.crossing.arrived.append(self.clock())
            try:
                held.function()
            except (Exception, Crashed) as error:
                held.crossing.got += f", and {type(error).__name__} later"


def _raise(error: Exception) -> NoReturn:
    raise error
