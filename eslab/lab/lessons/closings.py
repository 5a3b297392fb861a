"""Lesson 06: a lifetime of coffees, and balances of past days with what was read for them."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import pandas
from IPython.display import DisplayHandle

from eslab import EventStore, Repository
from eslab.aggregate import aggregate_id
from eslab.clock import MILLISECOND
from eslab.domains.coffees import DAY, Coffees, fill
from eslab.domains.ledger import Account
from eslab.hydration import Hydration
from eslab.lab.feedback import Note
from eslab.request import time_of

KEY = "coffees"
ID = aggregate_id((Account, KEY))
TOLD = 50_000  # bookings from one word of progress to the next


def fill_coffees(store: EventStore, coffees: Coffees, customer: str) -> None:
    """Write the bookings of these coffees to the customer's account; one line shows how far it has come."""
    began, written = time.perf_counter(), 0
    line = DisplayHandle()
    line.display(Note(f"Writing {coffees}."))

    def tell(count: int) -> None:
        nonlocal written
        written += count
        if written % TOLD == 0:
            line.update(Note(f"Writing {coffees}: {written:,} are written."))

    fill(store, coffees, customer, KEY, tell)
    line.update(Note(f"{coffees}, written in {time.perf_counter() - began:.1f} s."))


def end_of(day: date) -> datetime:
    """The last millisecond of a day in UTC."""
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC) + DAY - MILLISECOND


def balances(repository: Repository, customer: str, days: Sequence[date]) -> pandas.DataFrame:
    """The balance at the end of each day, from which snapshot it was computed, and what was read for it."""
    return pandas.DataFrame({"at the end of": day, **_cost(_as_of(repository, customer, day))} for day in days)


def costs(hydrations: Mapping[str, Hydration[Account]]) -> pandas.DataFrame:
    """What each hydration began from, what it read and what came out, side by side."""
    return pandas.DataFrame({"": name, **_cost(hydration)} for name, hydration in hydrations.items())


def begins_from(hydration: Hydration[Account]) -> str:
    """The closing that a hydration began from, in words."""
    return f"the closing of {time_of(hydration.base).year}" if hydration.base else "no snapshot"


def _as_of(repository: Repository, customer: str, day: date) -> Hydration[Account]:
    return repository.hydrate(customer, Account, KEY, as_of=end_of(day))


def _cost(hydration: Hydration[Account]) -> dict[str, str | int]:
    return {
        "begins from": begins_from(hydration),
        "bookings read": hydration.tail,
        "EUR": f"{hydration.state.balance('EUR') / 100:,.2f}",
    }
