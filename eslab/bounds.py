"""Time bounds: how late and how early a request may be, and which commits a snapshot may fold therefore (G5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from eslab.clock import aware
from eslab.display import duration
from eslab.errors import InvalidInput, OutOfTime, expect
from eslab.request import Request, is_after, time_of

CHECK_CLOCK = "Check the client's clock, then make a new request"
LONGEST = timedelta(days=36_500)  # beyond it, sums with the time of a clock could leave Python's calendar


@dataclass(frozen=True)
class TimeBounds:
    """Time bounds; raises `InvalidInput` for a set with which a snapshot could miss a commit.

    A request decided at the last moment (R), by a service whose clock is wrong (S), and appended slowly (P)
    must still be younger than the commits that another service's clock (S) lets a snapshot fold: W > R + 2S + P.
    """

    late: timedelta = timedelta(hours=24)  # R: how old a request may be when it is decided first
    early: timedelta = timedelta(seconds=60)  # D: how far ahead of the service's clock
    fold_after: timedelta = timedelta(hours=26)  # W: a snapshot folds only commits older than this
    skew: timedelta = timedelta(seconds=30)  # S: the largest difference between two services' clocks
    append: timedelta = timedelta(minutes=10)  # P: the longest time from the check to the end of the append
    grace: timedelta = timedelta(hours=1)  # H: the longest hydration; events are kept for longer below a new floor

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            expect(timedelta, name, value)
            if value > LONGEST:
                raise InvalidInput(f"Expected time bounds of at most {LONGEST.days:,} days, got {value} as {name}.")
        if min(vars(self).values()) < timedelta():
            raise InvalidInput(f"Expected time bounds of zero or more, got {self}.")
        needed = self.late + 2 * self.skew + self.append
        if self.fold_after <= needed:
            raise InvalidInput(
                f"Expected fold_after > late + 2 * skew + append = {duration(needed)}, got "
                f"{duration(self.fold_after)}: a snapshot could miss a commit. Raise fold_after or lower the others."
            )

    def check(self, request: Request, now: datetime, floors: Iterable[UUID | None] = ()) -> None:
        """Raise `OutOfTime` unless the request is in now - late .. now + early and above all floors."""
        expect(Request, "request", request)
        aware(now, "now")
        for floor in filter(None, floors):
            if not is_after(request.event_time, floor):
                late = time_of(floor) - request.time
                # It may have been decided before, and only the archive knows.
                advice = "If it was decided before, its record is in the archive"
                raise self._out_of_time(request, now, f"above the floor {time_of(floor).isoformat()}", late, advice)
        if request.time < now - self.late:
            raise self._out_of_time(request, now, f"at most {duration(self.late)} old", now - request.time)
        if request.time > now + self.early:
            raise self._out_of_time(request, now, f"at most {duration(self.early)} ahead", request.time - now)

    def newest_snapshot(self, now: datetime) -> datetime:
        """The latest moment up to which a snapshot may reach that a reader begins from (G5)."""
        return now - self.fold_after + 2 * self.skew

    def holds_late(self, built_at: datetime, until: datetime) -> bool:
        """Was a snapshot certainly built after that moment, whichever two clocks they were told by?"""
        return built_at > until + 2 * self.skew

    def _out_of_time(
        self, request: Request, now: datetime, rule: str, found: timedelta, advice: str = CHECK_CLOCK
    ) -> OutOfTime:
        return OutOfTime(
            f"Expected a first request {rule}, got {duration(found)} ({request}). The service's time is "
            f"{now.isoformat()}. {advice}. Nothing was written.",
            service_time=now,
            event_time=request.event_time,
        )
