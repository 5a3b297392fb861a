"""A hundred years of coffees: the bookings of one ledger account, from a seed, written in bulk.

A company pays its people's coffees. Each booking is a request of its own, named by its day, card, till and number on
that day, so the same seed writes the same rows, wherever and however often. The account is topped up before it could
be overdrawn. EVERY FIGURE HERE IS INVENTED.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from random import Random
from typing import NamedTuple

from eslab import Event, EventStore, Request
from eslab.aggregate import aggregate_id
from eslab.display import quantity
from eslab.domains.ledger import Account, Deposit, Deposited, Withdraw, Withdrawn
from eslab.errors import InvalidInput
from eslab.event import split_tag, tag_of
from eslab.operations.walk import OnProgress, silent
from eslab.payload.serializer import command_hash, encode_append
from eslab.store import Commit

CURRENCY = "EUR"
PRICES = (250, 280, 320, 350)
DEAREST = max(PRICES)
CARDS, TILLS = 40, 5
OPENS, OPEN = time(7, tzinfo=UTC), timedelta(hours=12)
DAY = timedelta(days=1)
BATCH = 400  # commits in one append: less than 128 KB, to keep the latency low on Cassandra


class Booking(NamedTuple):
    """One request, the command that it carries, and the event that fulfils it."""

    request: Request
    command: Deposit | Withdraw
    event: Event


@dataclass(frozen=True)
class Coffees:
    """The bookings of one account, in order: `count` of them, spread evenly over `years` from the year `first` on.

    A hundred years reach into the future, where an injected clock can go and the clock of a real Cassandra can't: there
    no year is closed before its time.
    """

    count: int = 1_000_000
    years: int = 100
    first: int = 1970  # no request is older
    seed: int = 7

    def __post_init__(self) -> None:
        if self.count < 0 or self.years < 1:
            raise InvalidInput(f"Expected a count of 0 or more over 1 year or more, got {self}.")

    def __len__(self) -> int:
        return self.count

    def __str__(self) -> str:
        return f"{quantity(self.count, 'booking')} from {self.first} to {self.first + self.years - 1}, seed {self.seed}"

    def __iter__(self) -> Iterator[Booking]:
        random = Random(self.seed)  # noqa: S311 - repeatable on purpose
        full = -(-self.count // (365 * self.years)) * 30 * DEAREST  # pays for thirty days, rounded up
        held = 0
        for at, number in self._times(random):
            if held < DEAREST:
                yield _top_up(at, number, full - held)
                held = full
            else:
                booking = _coffee(at, number, random)
                held -= booking.command.cents
                yield booking

    def _times(self, random: Random) -> Iterator[tuple[datetime, int]]:
        """The time of each booking in order, within opening hours, and its number on that day."""
        begin = date(self.first, 1, 1)
        days = (date(self.first + self.years, 1, 1) - begin).days
        for day in range(days):
            opening = datetime.combine(begin + day * DAY, OPENS)
            today = self.count * (day + 1) // days - self.count * day // days
            for number in range(today):
                yield opening + (number + random.random()) * OPEN / today, number


def fill(
    store: EventStore, coffees: Coffees, customer: str = "ann", key: str = "coffees", on_progress: OnProgress = silent
) -> int:
    """Write the bookings to an account that nothing else is booked on; returns how many. Idempotent.

    `on_progress` is called after each batch with the number of bookings in it. They are appended without rules or time
    bounds, so a snapshot that was built before would miss them: build snapshots afterwards.
    """
    id = aggregate_id((Account, key))
    bookings, written = iter(coffees), 0
    while commits := [_commit(customer, id, booking) for booking in islice(bookings, BATCH)]:
        store.append(customer, commits)
        on_progress(len(commits))
        written += len(commits)
    return written


def _top_up(at: datetime, number: int, cents: int) -> Booking:
    request = Request.at(at, f"{at:%Y-%m-%d}/top-up/{number}")
    return Booking(request, Deposit(CURRENCY, cents, "top-up"), Deposited(CURRENCY, cents, "top-up"))


def _coffee(at: datetime, number: int, random: Random) -> Booking:
    card, till, cents = random.randrange(CARDS), random.randrange(TILLS), random.choice(PRICES)
    request = Request.at(at, f"{at:%Y-%m-%d}/card {card}/till {till}/{number}")
    text = f"coffee, till {till}"
    return Booking(request, Withdraw(CURRENCY, cents, text), Withdrawn(CURRENCY, cents, text))


def _commit(customer: str, id: str, booking: Booking) -> Commit:
    request, command, event = booking
    payload = encode_append(
        customer, request.event_time, {id: [event]}, _hash(type(command), command.cents, command.text)
    )[id]
    return Commit(id, request.event_time, *split_tag(tag_of(type(event))), payload)


@lru_cache(1024)  # few coffees differ
def _hash(kind: type[Deposit | Withdraw], cents: int, text: str) -> bytes:
    return command_hash(kind(CURRENCY, cents, text))
