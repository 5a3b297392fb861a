"""The cost of hydrating an aggregate that a store holds already: `eslab bench hydrate --from`. Nothing is written.

baseline      a bare one-column SELECT of the payloads, page by page
baseline:row  one bare SELECT of a single row by its whole key
read, decode  the store's `read_many`; checksums and typed decode of the same pages
replay        `Repository.hydrate` as if there were no snapshots; left out where a floor needs one
hydrate       `Repository.hydrate` as it is now, from the snapshots that there are; cold and warm

Events are counted by commits.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from eslab import Aggregate, EventStore, Repository, open_store, system_clock
from eslab.aggregate import aggregate_id
from eslab.bench.baselines import Baseline, SqliteBaseline
from eslab.bench.loads import TEMPERATURES, Load, Wanted, Wrap, costs_of
from eslab.bench.measure import RUNS, Measure, Report, Row, single_row, time_calls, versions_of
from eslab.bench.own_sample import check_plain
from eslab.bench.read_only import ReadOnly, WithoutSnapshots
from eslab.bench.reads import read_measures, row_measure
from eslab.bench.steps import OnStep, Steps, unseen
from eslab.clock import time_on
from eslab.errors import EslabError, InvalidInput
from eslab.hydration import Hydration
from eslab.store import place
from eslab.stores import shown
from eslab.stores.sqlite import SqliteStore

WRAPS: dict[str, Wrap] = {
    "replay": lambda store: cast(EventStore, WithoutSnapshots(store)),
    "hydrate": lambda store: cast(EventStore, ReadOnly(store)),
}
NOTE = (
    "One aggregate that one process reads again and again while it is in memory: this can't show a cold disk, other "
    "load on the store, or your other aggregates. Events are counted by commits. Nothing was written."
)


def measure_existing(
    store: str, customer: str, aggregate_type: type[Aggregate], key: str, runs: int = RUNS, on_step: OnStep = unseen
) -> Report:
    """Measure the hydration of one aggregate in the store of a URL, which is only read.

    Raises `InvalidInput` if the aggregate has no events, and `EslabError` if its snapshots contradict its events or if
    it changes meanwhile.
    """
    check_plain(aggregate_type)
    wanted = Wanted(customer, aggregate_type, key, system_clock)
    with ExitStack() as stack:
        opened = stack.enter_context(closing(open_store(read_only(store))))
        before = _checked(opened, wanted)
        try:
            rows = _Existing(stack, opened, store, wanted, before).rows(runs, Steps(key, on_step))
        except EslabError as error:
            raise _changed(opened, wanted, before) or error from error
        return Report(rows, NOTE, versions_of())


def read_only(url: str) -> str:
    """The URL that opens a store only to read it; raises `InvalidInput` for one that can't exist yet."""
    path, _, options = url.partition("?")
    if path.startswith("cassandra://"):
        return url
    if not path.startswith("sqlite:///"):
        raise InvalidInput(
            "Expected the URL of a store that exists as --from, such as sqlite:///lab.db or "
            "cassandra://host/keyspace, "
            f"got {shown(url)!r}."
        )
    return f"{path}?{urlencode({**dict(parse_qsl(options)), 'mode': 'ro'})}"


class _Existing:
    """The measures of one aggregate in a store; whatever is opened is closed with the stack."""

    def __init__(
        self, stack: ExitStack, store: EventStore, url: str, wanted: Wanted, hydration: Hydration[Any]
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._hydration = hydration
        self._scheme = url.partition(":")[0]
        self._id = aggregate_id((wanted.aggregate_type, wanted.key))
        self._event_times = [commit.event_time for commit in store.rows(wanted.customer, self._id)]
        self._baseline = _baseline(store, url)
        if self._baseline:
            stack.enter_context(closing(self._baseline))

    def rows(self, runs: int, steps: Steps) -> list[Row]:
        """The rows of all measures, in turn."""
        loads = dict(self._loads())
        measures = [*self._reads(), *(self._measure(label, load) for label, load in loads.items())]
        timed = time_calls(measures, runs, steps.rounds("hydrate", runs))
        return [self._row(it.name, timed[it.name], loads.get(it.name)) for it in measures]

    def _loads(self) -> Iterator[tuple[str, Load]]:
        for name, wrap in WRAPS.items():
            if name == "hydrate" or self._hydration.head.floor is None:
                for temperature in TEMPERATURES:
                    yield f"{name} {temperature}", Load(self._store, self._wanted, temperature, wrap)

    def _reads(self) -> list[Measure]:
        if not self._event_times:
            return []
        one = row_measure(self._baseline, self._wanted.customer, self._id, self._event_times[-1])
        return [*one, *read_measures(self._store, self._baseline, self._wanted, len(self._event_times))]

    def _measure(self, label: str, load: Load) -> Measure:
        base = self._hydration.base if label.startswith("hydrate") else None
        return load.measure(label, base, self._hydration.state)

    def _row(self, label: str, seconds: Sequence[float], load: Load | None) -> Row:
        name, _, temperature = label.partition(" ")
        columns = {"temperature": temperature, **(costs_of(load) if load else {})}
        return single_row(name, self._scheme, seconds, self._hydration.commits, aggregate=self._id, **columns)


def _checked(store: EventStore, wanted: Wanted) -> Hydration[Any]:
    """The aggregate as it is now. Its snapshots must give what the replay of its settled events gives."""
    customer, aggregate_type, key, clock = wanted
    without, as_it_is = (Repository(wrap(store), clock) for wrap in WRAPS.values())
    hydration = as_it_is.hydrate(customer, aggregate_type, key)
    where = place(customer, aggregate_id((aggregate_type, key)))
    if not hydration.commits:
        raise InvalidInput(
            f"Expected events of {where} in {store}, found none; check --customer, --aggregate and --key."
        )
    if hydration.head.floor is None:
        settled = time_on(clock) - as_it_is.bounds.fold_after
        one, other = (it.load(customer, aggregate_type, key, settled) for it in (as_it_is, without))
        if one != other:
            raise EslabError(f"Expected snapshots of {where} to give what its events give; run eslab audit.")
    return hydration


def _changed(store: EventStore, wanted: Wanted, before: Hydration[Any]) -> EslabError | None:
    """The error that says that the aggregate is another one by now, if it is."""
    now = _checked(store, wanted)
    if (now.commits, now.base) == (before.commits, before.base):
        return None
    return EslabError(
        f"Expected {wanted.key!r} to stay as it is while it is measured, found {now.commits - before.commits} more "
        "commits or another snapshot. Measure it when nobody writes to it, or in a copy of the store."
    )


def _baseline(store: EventStore, url: str) -> Baseline | None:
    """The bare driver on the same store; none for a file that can only be read as it lies there."""
    if isinstance(store, SqliteStore):
        try:
            return SqliteBaseline(store.path, read_only=True)
        except sqlite3.OperationalError:
            return None
    from eslab.bench.baseline_cassandra import CassandraBaseline

    return CassandraBaseline(url)
