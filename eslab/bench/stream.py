"""A stream: the events of one aggregate, spread evenly over a time that ends at a fixed moment in the past.

Every run, on every store, writes the same rows, so a second run adds nothing. The end is in the past because a snapshot
builder believes no clock that runs ahead of its store's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from eslab import EventStore, Request
from eslab.aggregate import aggregate_id
from eslab.bench.sample import BATCH, BEGAN, CUSTOMER, FROSTING, Sample, commit
from eslab.clock import EPOCH, MILLISECOND
from eslab.display import duration, parse_duration
from eslab.errors import InvalidInput

END = BEGAN  # of every stream
MICROSECOND = timedelta(microseconds=1)
YEAR = timedelta(days=365)
SPREAD = 10 * YEAR
LEAST_GAP = 10 * MILLISECOND  # between two events: a snapshot is built between them
YEARS = re.compile(r"\s*(\d{1,4}(?:\.\d+)?)\s*y(.*)", re.DOTALL)
OnStored = Callable[[int], object]  # is called after each append with the number of its events


def silent(events: int) -> None:
    """Report no progress."""


def parse_spread(text: str) -> timedelta:
    """The duration that a person wrote, such as 10y, 90d or 1y30d; a year has 365 days."""
    years = YEARS.fullmatch(text)
    if not years:
        return parse_duration(text)
    rest = parse_duration(years[2]) if years[2].strip() else timedelta()
    return float(years[1]) * YEAR + rest


def spread_in_words(spread: timedelta) -> str:
    """A spread as a person writes it."""
    return duration(spread) if spread % YEAR else f"{spread // YEAR}y"


@dataclass(frozen=True)
class Stream:
    """Events of a sample, the last of them at `END`; raises `InvalidInput` for a spread that can't hold them."""

    events: int
    spread: timedelta = SPREAD
    sample: Sample = FROSTING

    def __post_init__(self) -> None:
        if self.spread > END - EPOCH:
            raise InvalidInput(
                f"Expected a spread of at most {duration(END - EPOCH)}, got {spread_in_words(self.spread)}: streams "
                f"end at {END:%Y-%m-%d}, and no request is older than 1970."
            )
        if self.gap < LEAST_GAP:
            raise InvalidInput(
                f"Expected a spread of at least {duration(self.events * LEAST_GAP)} for {self.events:,} events, got "
                f"{spread_in_words(self.spread)}: each needs {duration(LEAST_GAP)} of its own. Give a longer --spread."
            )

    @property
    def gap(self) -> timedelta:
        """The time from one event to the next."""
        return self.spread / self.events

    @property
    def key(self) -> str:
        """The key of the aggregate: streams of other lengths, spreads or sizes are other aggregates."""
        padding = f", {self.sample.padding} characters more" if self.sample.padding else ""
        return f"{self.events} over {spread_in_words(self.spread)}{padding}"

    @property
    def id(self) -> str:
        """The id of the aggregate."""
        return aggregate_id((self.sample.aggregate_type, self.key))

    @property
    def _spread_us(self) -> int:
        return self.spread // MICROSECOND

    def time(self, number: int) -> datetime:
        """When the `number`th event happened, from 0 on."""
        # In whole numbers, since a timedelta can't hold a million times ten years.
        return END - self._spread_us * (self.events - 1 - number) // self.events * MICROSECOND

    def request(self, number: int) -> Request:
        """The request of the `number`th event."""
        return Request.at(self.time(number), f"event {number}")

    def before(self, moment: datetime) -> int:
        """The number of events up to a moment."""
        later = -((END - moment) // MICROSECOND * -self.events // self._spread_us)  # rounded up
        return min(self.events, max(0, self.events - later))

    def fill(self, store: EventStore, on_stored: OnStored = silent) -> None:
        """Write all events, a commit each, in batches; idempotent."""
        for start in range(0, self.events, BATCH):
            numbers = range(start, min(start + BATCH, self.events))
            rows = [commit(self.key, number, self.request(number), CUSTOMER, self.sample) for number in numbers]
            store.append(CUSTOMER, rows)
            on_stored(len(numbers))
