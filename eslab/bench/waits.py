"""Waits and statements of wishes and hydrations, counted and not timed: the figures don't depend on the machine.

Each scenario has a customer of its own, and a service or repository that has seen nothing before.

    first wish          `request_download`, over three aggregates of a few commits each, without read tables
    with read tables    the same, with the download service's read tables
    repeat              the request of a first wish, sent again
    rejection           a wish that the rules forbid
    hydration           `Repository.load` of one aggregate of a few commits
    snapshot, new       the same of a long aggregate with a snapshot, by a process that has not seen it
    snapshot, seen      once more
    cache, folding      the same without a snapshot, by a process with a hydration cache that has loaded it once
    cache, kept         once more
    all of a type       `Repository.load_all` of three aggregates
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from eslab import EventStore, HydrationCache, ManualClock, Rejected, Repository, Request
from eslab.aggregate import SnapshotPolicy
from eslab.bench.measure import this_machine, versions_of
from eslab.bench.meters import Cost, metered
from eslab.bench.sample import BEGAN, Frosting, fill
from eslab.bench.targets import target
from eslab.display import quantity
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.read_tables import READ_TABLES
from eslab.domains.downloads.service import DownloadService
from eslab.errors import EslabError
from eslab.operations.snapshots import build_snapshot
from eslab.read_table import ReadTable
from eslab.store import StoredSnapshot

LATER = timedelta(days=3)  # when everything from the beginning is old enough for a snapshot
MINUTE = timedelta(minutes=1)
TITLE = "glow"
SHORT = 3  # commits
LONG = 600  # more than a first page holds on Cassandra and SQLite
Act = Callable[[], None]  # what is counted


@dataclass(frozen=True)
class Counted:
    """The cost of one scenario on one store; prints as a sentence."""

    scenario: str
    store: str
    cost: Cost

    def __str__(self) -> str:
        cost = self.cost
        return (
            f"{self.scenario} on {self.store}: {quantity(cost.reads, 'statement')} in "
            f"{quantity(cost.read_waits, 'wait')} for reads, "
            f"{cost.writes} in {cost.write_waits} for writes"
        )

    def as_json(self) -> dict[str, Any]:
        """The row as a flat mapping."""
        return {"scenario": self.scenario, "store": self.store, **asdict(self.cost)}


@dataclass(frozen=True)
class Waits:
    """All scenarios on one store, and the versions that they belong to."""

    rows: Sequence[Counted]
    versions: Mapping[str, str]
    machine: Mapping[str, Any] = field(default_factory=this_machine)

    def __str__(self) -> str:
        return "\n".join(map(str, self.rows))

    def as_json(self) -> str:
        """As every report of `eslab bench`: machine, versions and rows."""
        rows = [row.as_json() for row in self.rows]
        return json.dumps({"machine": self.machine, "versions": self.versions, "rows": rows}, indent=2)


def measure_waits(store: str = "sqlite") -> Waits:
    """Count the scenarios on the store of a scheme or a URL; with a URL it writes as customers of its own."""
    with target(store) as place, closing(place.open()) as opened:
        rows = [Counted(name, place.scheme, cost) for name, cost in count_waits(opened).items()]
        return Waits(rows, {**versions_of(), **place.versions})


def count_waits(store: EventStore) -> dict[str, Cost]:
    """The cost of each scenario on this store. Raises `EslabError` if one isn't answered as it should be."""
    prefix = uuid4().hex[:8]
    costs = {}
    with metered(store) as (counted, meter):
        for name, prepare in SCENARIOS.items():
            act = prepare(counted, f"{prefix} {name}")
            meter.take()
            act()
            costs[name] = meter.take()
    return costs


def _first_wish(store: EventStore, customer: str, read_tables: Sequence[ReadTable] = ()) -> Act:
    _download(_service(store, read_tables), customer)
    service = _service(store, read_tables)
    request = Request.at(BEGAN + MINUTE, "the wish")
    return lambda: _expect(Granted, service.request_download(customer, "phone", TITLE, request))


def _with_read_tables(store: EventStore, customer: str) -> Act:
    return _first_wish(store, customer, READ_TABLES)


def _repeat(store: EventStore, customer: str) -> Act:
    act = _first_wish(store, customer)
    act()
    return act


def _rejection(store: EventStore, customer: str) -> Act:
    _download(_service(store), customer)
    service = _service(store)
    request = Request.at(BEGAN + MINUTE, "the wish")
    return lambda: _expect(Rejected, service.request_download(customer, "phone", "no-such-title", request))


def _hydration(store: EventStore, customer: str) -> Act:
    fill(store, "1", SHORT, customer=customer)
    repository = _later(store)
    return lambda: _expect(Frosting, repository.load(customer, Frosting, "1"))


def _snapshot_new(store: EventStore, customer: str) -> Act:
    fill(store, "1", LONG, customer=customer)
    _expect(StoredSnapshot, build_snapshot(_later(store), customer, Frosting, "1", SnapshotPolicy(every=1)))
    fill(store, "1", SHORT, LATER // timedelta(seconds=1), customer)  # a tail after the snapshot
    repository = _later(store)
    return lambda: _expect(UUID, repository.hydrate(customer, Frosting, "1").base)


def _snapshot_seen(store: EventStore, customer: str) -> Act:
    act = _snapshot_new(store, customer)
    act()
    return act


def _cache_folding(store: EventStore, customer: str) -> Act:
    fill(store, "1", LONG, customer=customer)
    repository = _later(store, HydrationCache())
    repository.load(customer, Frosting, "1")
    return lambda: _expect(UUID, repository.hydrate(customer, Frosting, "1").base)


def _cache_kept(store: EventStore, customer: str) -> Act:
    act = _cache_folding(store, customer)
    act()
    return act


def _all_of_a_type(store: EventStore, customer: str) -> Act:
    for key in "123":
        fill(store, key, SHORT, customer=customer)
    repository = _later(store)
    return lambda: _expect(dict, repository.load_all(customer, Frosting))


SCENARIOS = {
    "first wish": _first_wish,
    "with read tables": _with_read_tables,
    "repeat": _repeat,
    "rejection": _rejection,
    "hydration": _hydration,
    "snapshot, new": _snapshot_new,
    "snapshot, seen": _snapshot_seen,
    "cache, folding": _cache_folding,
    "cache, kept": _cache_kept,
    "all of a type": _all_of_a_type,
}


def _service(store: EventStore, read_tables: Sequence[ReadTable] = ()) -> DownloadService:
    return DownloadService(store, ManualClock(BEGAN + MINUTE), read_tables=read_tables)


def _later(store: EventStore, cache: HydrationCache | None = None) -> Repository:
    return Repository(store, ManualClock(BEGAN + LATER), cache=cache)


def _download(service: DownloadService, customer: str) -> None:
    _expect(Granted, service.request_download(customer, "phone", TITLE, Request.at(BEGAN, "an earlier wish")))


def _expect(kind: type, answer: object) -> None:
    if not isinstance(answer, kind):
        raise EslabError(f"Expected {kind.__name__} as answer, got {answer!r}: this is not the scenario.")
