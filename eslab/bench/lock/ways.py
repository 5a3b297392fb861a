"""The two logs behind one interface: eslab's append at three levels, and the strict log at two.

    append LOCAL_QUORUM, QUORUM, EACH_QUORUM    `EventStore.append` of one commit
    strict LOCAL_SERIAL, SERIAL                 the conditional write of one event

A *write* is that alone, with all that it needs at hand. A *wish* is what a service does with a request: read the
aggregate, decide, write, until it is settled. Both logs store the same payload.
"""

from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import partial
from random import SystemRandom
from typing import Protocol
from uuid import UUID

from eslab.aggregate import aggregate_id
from eslab.bench.baseline_cassandra import BareDriver
from eslab.bench.baselines import Step
from eslab.bench.lock.strict import Place, Settled, StrictEvent, StrictLog
from eslab.bench.lock.strict_cassandra import LEVELS as STRICT_LEVELS
from eslab.bench.lock.strict_cassandra import StrictTable, make_table
from eslab.bench.sample import Frosting, commit
from eslab.clock import system_clock
from eslab.errors import EslabError
from eslab.request import Request
from eslab.store import Commit, Consistency
from eslab.stores.cassandra import CassandraStore

KEY = "1"  # each stream is a customer of its own, so that both logs spread them over the cluster
LEVELS = {
    "LOCAL_QUORUM": Consistency.LOCAL,
    "QUORUM": Consistency.QUORUM,
    "EACH_QUORUM": Consistency.EVERYWHERE,
}
_random = SystemRandom()


class Way(Protocol):
    """One log at one level, from the region of its client."""

    name: str

    def prepare(self, customer: str, request: Request, version: int) -> Step:
        """Prepare the write of a customer's event of this version; the step raises `EslabError` if it lost a race."""
        ...

    def wish(self, customer: str, request: Request, again: bool = False) -> Settled:
        """Settle a request; `again` if it was sent before and not answered."""
        ...

    def send(self, customer: str, request: Request, timeout: float | None = None) -> None:
        """Write a new stream's first event without a second try. Raises `OutcomeUnknown` if it isn't answered."""
        ...

    def held(self, customer: str) -> list[UUID]:
        """The ids of the requests whose events a read in the client's region shows."""
        ...


def new_request() -> Request:
    """A new wish, made now."""
    return Request.new(system_clock, _random)


class Idempotent:
    """eslab's own append: a request's row has a key of its own, so there is nothing to lose a race for."""

    def __init__(self, store: CassandraStore, level: str) -> None:
        self.name = f"append {level}"
        self._store = store
        self._consistency = LEVELS[level]

    def prepare(self, customer: str, request: Request, version: int) -> Step:
        """Prepare an append."""
        return partial(self._store.append, customer, [_commit(customer, request)], self._consistency)

    def wish(self, customer: str, request: Request, again: bool = False) -> Settled:
        """Read the commits and append one: a repeat writes the same row, and needs no other care."""
        made = _commit(customer, request)
        log = self._store.read(customer, {made.aggregate_id: None}, request.event_time)[made.aggregate_id]
        self._store.append(customer, [made], self._consistency)
        return Settled(repeated=bool(log.head.recorded))

    def send(self, customer: str, request: Request, timeout: float | None = None) -> None:
        """Append; the driver retries by itself."""
        self._store.append(customer, [_commit(customer, request)], self._consistency)

    def held(self, customer: str) -> list[UUID]:
        """Read by the keys of the rows."""
        pages = self._store.rows_many(customer, {_id(): None})
        return [Request.from_event_time(row.event_time).id for _, page in pages for row in page]


class Strict:
    """The strict log: of all who saw the same version, one writes."""

    def __init__(self, table: StrictTable) -> None:
        self.name = f"strict {table.level}"
        self._log = StrictLog(table)
        self._table = table

    def prepare(self, customer: str, request: Request, version: int) -> Step:
        """Prepare a conditional write."""
        event = _event(customer, request, version)

        def write() -> None:
            if not self._table.write(_place(customer), event):
                raise EslabError(
                    f"Expected no other writer on the stream of {customer}, found version {version} taken."
                )

        return write

    def wish(self, customer: str, request: Request, again: bool = False) -> Settled:
        """Read, decide and write until the event stands."""
        payload = _commit(customer, request).payload
        return self._log.append(_place(customer), request.id, lambda stream: payload, again)

    def send(self, customer: str, request: Request, timeout: float | None = None) -> None:
        """Send one conditional write."""
        self._table.write(_place(customer), _event(customer, request, 1), timeout)

    def held(self, customer: str) -> list[UUID]:
        """Read at the level of the region: what it shows to readers who don't settle anything."""
        return [event.request_id for event in self._table.shown(_place(customer)).events]


@contextmanager
def open_ways(url: str) -> Generator[list[Way], None, None]:
    """All ways of a client with this URL, on tables that are made if they are missing."""
    with closing(CassandraStore.open(url)) as store:
        make_table(store)
        with closing(BareDriver(url)) as driver:
            yield [
                *(Idempotent(store, level) for level in LEVELS),
                *(Strict(StrictTable(driver, level)) for level in STRICT_LEVELS),
            ]


def _id() -> str:
    return aggregate_id((Frosting, KEY))


def _place(customer: str) -> Place:
    return Place(customer, _id())


def _commit(customer: str, request: Request) -> Commit:
    return commit(KEY, 0, request, customer)


def _event(customer: str, request: Request, version: int) -> StrictEvent:
    return StrictEvent(version, request.id, _commit(customer, request).payload)
