"""Lesson 06: what hydration costs with snapshots and without, where they don't pay, and the waits of each way."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any, NamedTuple

import altair
import pandas
from IPython.display import DisplayHandle

from eslab import Aggregate, Clock, Event, EventStore, Repository
from eslab.bench.cost_model import CostModel
from eslab.bench.hydrate import measure_hydration
from eslab.bench.meters import metered
from eslab.bench.sample import Sample
from eslab.domains.ledger import Account, Deposited
from eslab.lab import charts
from eslab.lab.feedback import Note
from eslab.lab.lessons.closings import KEY

NONE = "none"
RUNS = 3  # of each measure; the median counts
MOST_READS = 1_000  # that are told exactly: beyond, the difference of two measures is mostly noise
PAGE = 120 * "Please come again, and bring the children, the dog, and an hour more than last time. "  # 10 kB


def account_after(bookings: int) -> Account:
    """The account after so many deposits of a euro."""
    return Account(cents={"EUR": 100 * bookings} if bookings else {})


ACCOUNT = Sample(Account, lambda number: Deposited("EUR", 100, "top-up"), account_after)


class Signed(Event):
    """A guest wrote a page into the guest book."""

    guest: str
    text: str


class GuestBook(Aggregate):
    """A state that keeps every word of its events."""

    pages: dict[str, str] = {}

    def apply(self, event: Signed) -> None:
        self.pages[event.guest] = event.text


GUEST_BOOK = Sample(
    GuestBook,
    lambda number: Signed(f"guest {number}", PAGE),
    lambda events: GuestBook({f"guest {number}": PAGE for number in range(events)}),
)


class Case(NamedTuple):
    """An aggregate to measure: its events, how many there are, and how many lie between two snapshots."""

    sample: Sample
    events: int
    interval: int


CASES = {
    "a short account": Case(ACCOUNT, 10, 10),
    "a long account": Case(ACCOUNT, 10_000, 100),
    "a guest book": Case(GUEST_BOOK, 20, 5),
}


def measure(store: str, lengths: Sequence[int], interval: int, sample: Sample = ACCOUNT) -> pandas.DataFrame:
    """Measure hydration by `eslab bench hydrate`, with snapshots and without; one line shows how far it has come."""
    with _line() as line:
        return _measured(store, lengths, interval, sample, line)


@contextmanager
def _line() -> Iterator[DisplayHandle]:
    """A line of output to be updated while something is measured, which says at last how it was."""
    line = DisplayHandle()
    line.display(Note("Measuring."))
    yield line
    line.update(Note(f"Each the median of {RUNS} rounds."))


def _measured(
    store: str, lengths: Sequence[int], interval: int, sample: Sample, line: DisplayHandle
) -> pandas.DataFrame:
    where = store if store.startswith("cassandra:") else "sqlite"  # otherwise a file of its own
    report = measure_hydration(
        where, lengths, (None, interval), runs=RUNS, sample=sample, on_step=lambda step: line.update(Note(f"{step}."))
    )
    return report.frame()


def hydrations(measured: pandas.DataFrame) -> pandas.DataFrame:
    """The hydrations that were measured, of a process that knows the aggregate, and the events that they replayed."""
    warm = measured[(measured["temperature"] == "warm") & ((measured["interval"] == 0) | (measured["name"] == "live"))]
    return pandas.DataFrame(
        {
            "events": warm["events"],
            "snapshots": [f"one every {interval}" if interval else NONE for interval in warm["interval"]],
            "replayed": warm["replayed"].astype(int),
            "ms": warm["p50"] * 1000,
        }
    ).reset_index(drop=True)


def ms_of(measured: pandas.DataFrame, events: int, with_snapshots: bool = False) -> float:
    """The median milliseconds of a hydration of so many events."""
    found = hydrations(measured)
    chosen: Any = found[(found["events"] == events) & ((found["snapshots"] != NONE) == with_snapshots)]
    return float(chosen["ms"].iloc[0])


def curves(measured: pandas.DataFrame) -> charts.Figure:
    """Chart the hydrations over the cost model that fits them, both axes in powers of ten."""
    found, model = hydrations(measured), CostModel.fit(measured)
    found["model, ms"] = [1000 * model.hydration(replayed) for replayed in found["replayed"]]
    at = altair.Chart(found).encode(
        x=altair.X("events:Q", title="events in the log").scale(type="log"), **charts.by(found["snapshots"])
    )
    points = at.mark_point().encode(y=altair.Y("ms:Q", title="milliseconds").scale(type="log"))
    lines = at.mark_line(strokeDash=[5, 4], point=False).encode(y="model, ms:Q")
    ends: Any = found[found["events"] == found["events"].max()].set_index("snapshots")["ms"]
    words = f"without snapshots {ends.iloc[0]:,.2g} ms, with {ends.index[1]} {ends.iloc[1]:,.2g} ms"
    alt = f"Milliseconds of a hydration by the events in the log. At {found['events'].max():,} events: {words}."
    return charts.show(lines + points, alt=alt, table=found)


def where_it_pays(store: str, cases: Mapping[str, Case] = CASES) -> pandas.DataFrame:
    """Measure each case with snapshots and without: bytes read, times, and the reads that pay for one build."""
    with _line() as line:
        measured = {name: _measured(store, [it.events], it.interval, it.sample, line) for name, it in cases.items()}
    return pandas.DataFrame({name: _judged(frame) for name, frame in measured.items()}, dtype=object)


def _judged(measured: pandas.DataFrame) -> dict[str, Any]:
    warm: Any = measured[(measured["temperature"] == "warm") & (measured["name"] == "hydrate")]
    replay, snapshot = warm[warm["interval"] == 0].iloc[0], warm[warm["interval"] > 0].iloc[0]
    builds: Any = measured[measured["name"] == "build"]
    build, saved = builds["p50"].iloc[0], replay["p50"] - snapshot["p50"]
    return {
        "kB, replayed": replay["bytes"] / 1000,
        "kB, with snapshots": snapshot["bytes"] / 1000,
        "ms, replayed": round(replay["p50"] * 1000, 3),
        "ms, from a snapshot": round(snapshot["p50"] * 1000, 3),
        "ms to build one": round(build * 1000, 3),
        "reads that pay for it": _reads(build, saved),
    }


def _reads(build: float, saved: float) -> str:
    """How many reads that save so much pay for a build, in words."""
    if saved * MOST_READS < build:
        return f"more than {MOST_READS:,}"
    return f"{ceil(build / saved):,}"


def waits(store: EventStore, clock: Clock, customer: str, name: str) -> pandas.DataFrame:
    """Hydrate the coffees twice, in a process that has never seen them, and count waits and statements."""
    lines = []
    with metered(store) as (counted, meter):
        repository = Repository(counted, clock)
        for again in ("", ", again"):
            meter.take()
            hydration = repository.hydrate(customer, Account, KEY)
            cost = meter.take()
            counts = {"waits": cost.read_waits, "statements": cost.reads, "bookings read": hydration.tail}
            lines.append({"": f"{name}{again}", "counted on": type(store).__name__.removesuffix("Store"), **counts})
    return pandas.DataFrame(lines)
