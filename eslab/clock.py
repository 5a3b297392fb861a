"""Time is injected: a clock is any function that returns an aware datetime.

Nothing in the core or a domain reads the machine's clock by itself, so every run can be repeated.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from reprlib import repr as short
from time import monotonic

from eslab.errors import InvalidInput, expect

Clock = Callable[[], datetime]
Stopwatch = Callable[[], float]  # seconds since some moment, on a clock that nobody sets

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def system_clock() -> datetime:
    """The machine's time in UTC; for the edge of a program, never for its rules."""
    return datetime.now(UTC)


def system_stopwatch() -> float:
    """The seconds since some moment; unlike the machine's time it is never set."""
    return monotonic()


class ManualClock:
    """A clock that moves only when told to; for lessons, tests and simulations."""

    def __init__(self, start: datetime) -> None:
        self.now = from_ms(to_ms(start))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        """Move by `by` (backwards too, as real clocks do) and return the new time."""
        expect(timedelta, "by", by)
        try:
            self.now += by
        except OverflowError:
            raise InvalidInput(f"Expected a time from year 1 to 9999, got {self.now} moved by {by}.") from None
        return self.now

    def __repr__(self) -> str:
        return f"ManualClock({self.now:%Y-%m-%d %H:%M:%S} UTC)"


def to_ms(time: datetime, name: str = "time") -> int:
    """Whole milliseconds since 1970 in UTC; a naive time is refused, since it could mean several moments."""
    return (aware(time, name) - EPOCH) // MILLISECOND


def aware(time: datetime, name: str) -> datetime:
    """The same time; raises `InvalidInput` with the argument's name for one without a zone."""
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise InvalidInput(
            f"Expected a datetime with a time zone, got {short(time)} as {name}; write datetime(..., tzinfo=UTC)."
        )
    return time


def time_on(clock: Clock) -> datetime:
    """The time on a clock, in UTC; raises `InvalidInput` for a clock that returns a naive time or something else."""
    return aware(clock(), "the time of the clock").astimezone(UTC)


def from_ms(ms: int) -> datetime:
    """The aware UTC datetime of `ms` milliseconds since 1970."""
    return EPOCH + ms * MILLISECOND
