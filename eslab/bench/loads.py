"""Hydrations to measure: warm by a repository that has loaded the aggregate before, cold by a new one each time.

A cold one doesn't know where the newest snapshot lies, so its first guess is wrong and costs a wait. The connection,
its prepared statements and the machine's file cache are warm for both.
"""

import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast
from uuid import UUID

from eslab import Aggregate, Clock, EventStore, Repository
from eslab.bench.measure import Measure
from eslab.bench.meters import metered
from eslab.hydration import Hydration
from eslab.store import Head, Log

CALLS_IN_A_RUN = 200
EVENTS_IN_A_RUN = 10_000  # about so many are replayed in a run, so that short hydrations are called often
TEMPERATURES = ("cold", "warm")


Wrap = Callable[[EventStore], EventStore]


def itself(store: EventStore) -> EventStore:
    """The store as it is."""
    return store


class Wanted(NamedTuple):
    """The aggregate to hydrate, and the clock to do it by."""

    customer: str
    aggregate_type: type[Aggregate]
    key: str
    clock: Clock


@dataclass
class Load:
    """One way to hydrate an aggregate."""

    store: EventStore
    wanted: Wanted
    temperature: str
    wrap: Wrap = itself  # around the store, such as one that refuses to write

    def __post_init__(self) -> None:
        self._repository = self._new()
        if self.temperature == "warm":
            self.hydrate()

    def prepare(self) -> None:
        """Forget, if this is cold, what the last hydration has seen."""
        if self.temperature == "cold":
            self._repository = self._new()

    def _new(self) -> Repository:
        return Repository(self.wrap(self.store), self.wanted.clock)

    def hydrate(self) -> Hydration[Any]:
        """Hydrate the aggregate."""
        customer, aggregate_type, key, _ = self.wanted
        return self._repository.hydrate(customer, aggregate_type, key)

    def measure(self, name: str, base: UUID | None, state: Aggregate) -> Measure:
        """The measure of this way, which must begin from this base and give this state."""
        return Measure(name, self._loaded, (base, state), repeat_of(self.hydrate().tail), self.prepare)

    def _loaded(self) -> tuple[UUID | None, Aggregate]:
        hydration = self.hydrate()
        return hydration.base, hydration.state


def repeat_of(events: int) -> int:
    """The number of calls in one run that read so many events."""
    return max(1, min(CALLS_IN_A_RUN, EVENTS_IN_A_RUN // max(1, events)))


def costs_of(load: Load) -> dict[str, int]:
    """What one hydration costs beside time: waits and statements, bytes of payloads, and the peak of memory.

    Each in a run of its own, since counting takes time and memory too. The memory is what Python allocates in all
    threads from the beginning of the call; SQLite's own page cache is not in it.
    """
    load.prepare()
    with metered(load.store) as (counted, meter):
        weighed = Weighed(counted)
        twin = Load(cast(EventStore, weighed), load.wanted, load.temperature, load.wrap)
        twin.prepare()
        meter.take()
        weighed.bytes = weighed.snapshot_bytes = 0
        hydration = twin.hydrate()
        cost = meter.take()
    sizes = {"bytes": weighed.bytes, "snapshot_bytes": weighed.snapshot_bytes}
    counts = {"waits": cost.read_waits, "statements": cost.reads, **sizes}
    return {"replayed": hydration.tail, **counts, "memory": peak_of(load)}


def peak_of(load: Load) -> int:
    """The bytes that one hydration allocates at its peak, its state included."""
    load.prepare()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        load.hydrate()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class Weighed:
    """A store that adds up the bytes of the payloads which it gives, of commits and of snapshots."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.bytes = 0  # of all
        self.snapshot_bytes = 0  # of snapshots alone

    def read(self, *arguments: Any, **options: Any) -> dict[str, Log]:
        """Read heads and first commits."""
        logs = self._store.read(*arguments, **options)
        for log in logs.values():
            self._add(log.payloads)
        self._add_heads({id: log.head for id, log in logs.items()})
        return logs

    def heads(self, *arguments: Any, **options: Any) -> dict[str, Head]:
        """Read heads."""
        heads = self._store.heads(*arguments, **options)
        self._add_heads(heads)
        return heads

    def read_many(self, *arguments: Any, **options: Any) -> Any:
        """Read pages of payloads."""
        for id, payloads in self._store.read_many(*arguments, **options):
            self._add(payloads)
            yield id, payloads

    def rows_many(self, *arguments: Any, **options: Any) -> Any:
        """Read pages of rows."""
        for id, commits in self._store.rows_many(*arguments, **options):
            self._add([commit.payload for commit in commits])
            yield id, commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _add(self, payloads: Sequence[bytes]) -> int:
        added = sum(map(len, payloads))
        self.bytes += added
        return added

    def _add_heads(self, heads: Mapping[str, Head]) -> None:
        for head in heads.values():
            self.snapshot_bytes += self._add([snapshot.payload for snapshot in head.snapshots])
