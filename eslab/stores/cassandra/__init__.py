"""The store that this project exists for: Apache Cassandra, one partition per customer.

URL: `cassandra://host1,host2:9042/keyspace`, with these options behind a `?`; what is secret may come from the
environment too, as ESLAB_CASSANDRA_USER, _PASSWORD, _CA, _CERT and _KEY:

    dc           the region that is local; found out when the hosts are all of one
    timeout      seconds until a request counts as lost, 10 by default
    speculate    milliseconds until a second replica is asked too; 0, the default, is never
    lifetime     days that a commit stays; the expiry follows from its request, so a retry doesn't prolong it
    ca           file of the certificate authority; switches TLS on
    cert, key    files of the client's certificate and its key

An append is one batch in one partition, one mutation: all or nothing on each replica. Statements and batch are marked
idempotent, since a commit's key and write time follow from its request; so they are retried and speculated freely.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from cassandra import ConsistencyLevel
from cassandra.cluster import ResponseFuture, Session
from cassandra.query import BatchStatement, BatchType, PreparedStatement

from eslab.aggregate import MAX_ID_BYTES
from eslab.clock import Clock, system_clock, to_ms
from eslab.errors import StoreClosed, StoreUnavailable
from eslab.layout import Layout, check_prefix
from eslab.request import TICKS_AT_1970, time_of
from eslab.store import (
    Commit,
    Consistency,
    EventStore,
    Head,
    ReadRow,
    StoredSnapshot,
    check_append,
    check_floor,
    check_read_rows,
    place,
)
from eslab.stores.cassandra import read_tables
from eslab.stores.cassandra.connection import Options, connect
from eslab.stores.cassandra.errors import translate_errors
from eslab.stores.cassandra.schema import ensure_schema, patiently

FIRST_PAGE = 500  # rows; how large they are is known only afterwards
PAGE = 20_000  # rows in a further page, at most
PAGE_BYTES = 4_000_000  # of payload in a further page, about; see docs/benchmarks.md
IN_FLIGHT = 32  # aggregates that are read at once
EARLIEST = UUID("00000000-0000-1000-8080-808080808080")  # below and above every timeuuid, in Cassandra's order
LATEST = UUID("ffffffff-ffff-1fff-7f7f-7f7f7f7f7f7f")
GREATEST_END = "\U0010ffff" * (MAX_ID_BYTES // 4)  # no id with the same beginning sorts behind it
LEVELS = {
    Consistency.LOCAL: ConsistencyLevel.LOCAL_QUORUM,
    Consistency.QUORUM: ConsistencyLevel.QUORUM,
    Consistency.EVERYWHERE: ConsistencyLevel.EACH_QUORUM,
}
STATEMENTS = {
    "append": "INSERT INTO events (customer_id, aggregate_id, event_time, event_type, version, payload) "
    "VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    "first": "UPDATE aggregates USING TIMESTAMP ? SET first = ? WHERE customer_id = ? AND aggregate_id = ?",
    "floor": "UPDATE aggregates USING TIMESTAMP ? SET floor = ? WHERE customer_id = ? AND aggregate_id = ?",
    "entries": "SELECT aggregate_id, first, floor FROM aggregates WHERE customer_id = ? AND aggregate_id IN ?",
    "snapshots": "SELECT aggregate_id, up_to, fold, payload FROM snapshots WHERE customer_id = ? AND aggregate_id IN ?",
    "recorded": "SELECT aggregate_id, event_time, event_type, version, payload FROM events "
    "WHERE customer_id = ? AND aggregate_id IN ? AND event_time = ?",
    "entries_of_type": "SELECT aggregate_id, first, floor FROM aggregates "
    "WHERE customer_id = ? AND aggregate_id >= ? AND aggregate_id < ?",
    "snapshots_of_type": "SELECT aggregate_id, up_to, fold, payload FROM snapshots "
    "WHERE customer_id = ? AND aggregate_id >= ? AND aggregate_id < ?",
    "payloads": "SELECT payload FROM events "
    "WHERE customer_id = ? AND aggregate_id = ? AND event_time > ? AND event_time <= ?",
    "rows": "SELECT aggregate_id, event_time, event_type, version, payload FROM events "
    "WHERE customer_id = ? AND aggregate_id = ? AND event_time > ? AND event_time <= ?",
    "save_snapshot": "INSERT INTO snapshots (customer_id, aggregate_id, up_to, fold, payload) VALUES (?, ?, ?, ?, ?)",
    "delete_snapshot": "DELETE FROM snapshots WHERE customer_id = ? AND aggregate_id = ? AND up_to = ? AND fold = ?",
    "delete_snapshots": "DELETE FROM snapshots WHERE customer_id = ? AND aggregate_id = ? AND up_to >= ?",
    "delete_events": "DELETE FROM events USING TIMESTAMP ? "
    "WHERE customer_id = ? AND aggregate_id = ? AND event_time <= ?",
}
Item = TypeVar("Item")
T = TypeVar("T")


class CassandraStore(EventStore):
    """An `EventStore` in one keyspace; its session is shared by all threads."""

    def __init__(self, options: Options, clock: Clock = system_clock) -> None:
        self.options, self._clock = options, clock
        self._closed, self._layouts = False, set[Layout]()  # the read tables that are known to be there
        with translate_errors(options):
            self._cluster, self.session = connect(options)
            try:
                ensure_schema(self.session, options)
                self._prepared = {name: self._prepare(cql) for name, cql in STATEMENTS.items()}
            except BaseException:
                self._cluster.shutdown()
                raise

    @classmethod
    def open(cls, url: str) -> "CassandraStore":
        """Connect to the keyspace that the URL names; a keyspace that begins with `lab` is made if it is missing."""
        return cls(Options.parse(url))

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        check_append(customer_id, commits, read_rows)
        batch, append, first = _batch(consistency), self._prepared["append"], self._prepared["first"]
        for commit in commits:
            batch.add(append, (customer_id, *commit, *self._stamp(commit)))
        for id, time in earliest(commits).items():
            # Written with minus its time, so that the earliest wins.
            batch.add(first, (-ticks(time), time, customer_id, id))
        with self._translate_errors(writing=True):
            self._add(batch, read_rows)
            self._session().execute(batch)

    def heads(
        self,
        customer_id: str,
        aggregate_ids: Sequence[str],
        event_time: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[str, Head]:
        ids = list(aggregate_ids)
        asked: list[tuple[str, tuple[Any, ...]]] = [("entries", (customer_id, ids)), ("snapshots", (customer_id, ids))]
        if event_time:
            asked.append(("recorded", (customer_id, ids, event_time)))
        return _heads(ids, *self._ask(asked, consistency))

    def heads_of_type(
        self, customer_id: str, prefix: str, consistency: Consistency = Consistency.LOCAL
    ) -> dict[str, Head]:
        key = (customer_id, prefix, prefix + GREATEST_END)
        entries, snapshots = self._ask([("entries_of_type", key), ("snapshots_of_type", key)], consistency)
        return _heads([id for id, _, _ in entries], entries, snapshots)

    def read_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[bytes]], None, None]:
        for id, rows in self._read("payloads", customer_id, after, up_to, consistency):
            yield id, [payload for (payload,) in rows]

    def rows_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[Commit]], None, None]:
        for id, rows in self._read("rows", customer_id, after, up_to, consistency):
            yield id, [Commit(*row) for row in rows]

    def save_snapshot(self, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot) -> None:
        self._do("save_snapshot", (customer_id, aggregate_id, *snapshot))

    def delete_snapshot(self, customer_id: str, aggregate_id: str, up_to: UUID, fold: int) -> None:
        self._do("delete_snapshot", (customer_id, aggregate_id, up_to, fold))

    def delete_snapshots(
        self, customer_id: str, aggregate_id: str, since: UUID, consistency: Consistency = Consistency.LOCAL
    ) -> None:
        self._do("delete_snapshots", (customer_id, aggregate_id, since), consistency)

    def raise_floor(self, customer_id: str, aggregate_id: str, floor: UUID) -> None:
        # Written with its time, so that the highest wins.
        self._do("floor", (ticks(floor), floor, customer_id, aggregate_id))

    def delete_events(self, customer_id: str, aggregate_id: str, up_to: UUID) -> None:
        head = self.heads(customer_id, [aggregate_id])[aggregate_id]
        check_floor(head.floor, up_to, place(customer_id, aggregate_id))
        # Never "now": that would hide every later-arriving older row for ever.
        self._do("delete_events", (to_ms(time_of(up_to)) * 1000, customer_id, aggregate_id, up_to))

    def make_read_tables(self, layouts: Sequence[Layout]) -> None:
        new = [layout for layout in layouts if layout not in self._layouts]
        if new:
            with self._translate_errors():
                read_tables.ensure(self._session(), self.options, new)
            self._layouts.update(new)

    def put_read_rows(self, rows: Sequence[ReadRow], consistency: Consistency = Consistency.LOCAL) -> None:
        check_read_rows(rows)
        with self._translate_errors(writing=True):
            for future in _ahead(read_tables.batches(rows), partial(self._send_rows, consistency=consistency)):
                future.result()

    def read_rows(
        self, layout: Layout, keys: Sequence[tuple[str, ...]], consistency: Consistency = Consistency.LOCAL
    ) -> Generator[Sequence[ReadRow], None, None]:
        def start(key: tuple[str, ...]) -> ResponseFuture:
            check_prefix(layout, key)
            return self._send(read_tables.select(layout, len(key)), key, consistency)

        with self._translate_errors():
            for future in _ahead(keys, start):
                yield from ([ReadRow.of(layout, row) for row in rows] for rows in _pages(future) if rows)

    def empty_read_table(self, layout: Layout) -> None:
        with self._translate_errors(writing=True):
            self._session().execute(read_tables.empty(layout), timeout=60)

    def customers(self, after: str = "", consistency: Consistency = Consistency.LOCAL) -> Generator[str, None, None]:
        # In the order of their tokens, which is that of the ring.
        asked = (read_tables.CUSTOMERS, (after,)) if after else (read_tables.ALL_CUSTOMERS, ())
        with self._translate_errors():
            for rows in _pages(self._send(*asked, consistency)):
                yield from (customer for (customer,) in rows)

    def checkpoint(self, name: str) -> str:
        (rows,) = self._ask([(read_tables.CHECKPOINT, (name,))], Consistency.QUORUM)
        return rows[0][0] if rows else ""

    def set_checkpoint(self, name: str, text: str) -> None:
        self._do(read_tables.SET_CHECKPOINT, (name, text), Consistency.QUORUM)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._cluster.shutdown()

    def _prepare(self, cql: str) -> PreparedStatement:
        prepared = patiently(lambda: self.session.prepare(cql), self.options)
        prepared.is_idempotent = True
        return prepared

    def _statement(self, name: str) -> PreparedStatement:
        """A statement by its name; one that reads or writes a read table is its own name, and prepared when needed."""
        if name not in self._prepared:
            self._session()  # says so if the store was closed
            self._prepared[name] = self._prepare(name)
        return self._prepared[name]

    def _stamp(self, commit: Commit) -> tuple[int, int]:
        """Write time and lifetime of a commit's row, wherever it stands: functions of its request, so a retry's too.

        The write time is in microseconds, the lifetime in seconds; 0 is for ever.
        """
        ms = to_ms(time_of(commit.event_time))
        if not self.options.lifetime:
            return ms * 1000, 0
        return ms * 1000, max(1, ms // 1000 + self.options.lifetime * 86_400 - to_ms(self._clock()) // 1000)

    def _add(self, batch: BatchStatement, read_rows: Iterable[ReadRow]) -> None:
        for row in read_rows:
            batch.add(
                self._statement(read_tables.insert(row.layout)), (*row.place, *row.commit, *self._stamp(row.commit))
            )

    def _send_rows(self, rows: Iterable[ReadRow], consistency: Consistency) -> ResponseFuture:
        """Send rows of one partition of one table, as one mutation."""
        batch = _batch(consistency)
        self._add(batch, rows)
        return self._session().execute_async(batch)

    def _read(
        self,
        name: str,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None,
        consistency: Consistency,
    ) -> Generator[tuple[str, list[tuple[Any, ...]]], None, None]:
        """The pages of a query over many aggregates, several of which are asked ahead."""

        def start(id: str) -> tuple[str, ResponseFuture]:
            return id, self._send(name, (customer_id, id, after[id] or EARLIEST, up_to or LATEST), consistency)

        with self._translate_errors():
            for id, future in _ahead(after, start):
                yield from ((id, rows) for rows in _pages(future) if rows)

    def _ask(
        self, asked: Iterable[tuple[str, tuple[Any, ...]]], consistency: Consistency
    ) -> list[list[tuple[Any, ...]]]:
        """All rows of several queries, sent together: one wait."""
        with self._translate_errors():
            futures = [self._send(name, parameters, consistency) for name, parameters in asked]
            return [[row for rows in _pages(future) for row in rows] for future in futures]

    def _do(self, name: str, parameters: tuple[Any, ...], consistency: Consistency = Consistency.LOCAL) -> None:
        with self._translate_errors(writing=True):
            self._send(name, parameters, consistency).result()

    def _send(self, name: str, parameters: tuple[Any, ...], consistency: Consistency) -> ResponseFuture:
        bound = self._statement(name).bind(parameters)
        bound.consistency_level = LEVELS[consistency]
        bound.fetch_size = FIRST_PAGE
        return self._session().execute_async(bound)

    def _session(self) -> Session:
        if self._closed:
            raise StoreClosed(f"Expected an open store, but {self.options} was closed; open it anew.")
        return self.session

    @contextmanager
    def _translate_errors(self, writing: bool = False) -> Generator[None, None, None]:
        try:
            with translate_errors(self.options, writing):
                yield
        except StoreUnavailable:
            self._session()  # says so if another thread closed it meanwhile
            raise


def _pages(future: ResponseFuture) -> Generator[list[tuple[Any, ...]], None, None]:
    """The pages of an answer; the next one is fetched while this one is worked on, as large as rows like these allow.

    One future fetches them all: one for each page would hold the pages read before until the garbage collector runs.
    """
    more = True
    while more:
        rows: Any = future.result().current_rows
        more = future.has_more_pages
        if more:
            message: Any = future.message
            message.fetch_size = _rows_in_a_page(rows)
            future.start_fetching_next_page()
        yield rows


def _rows_in_a_page(rows: Sequence[tuple[Any, ...]]) -> int:
    """So many that a page of rows like these, with the payload last, takes some PAGE_BYTES."""
    size = sum(len(row[-1]) for row in rows if isinstance(row[-1], bytes))
    return max(1, min(PAGE, PAGE_BYTES * len(rows) // max(1, size)))


def _batch(consistency: Consistency) -> BatchStatement:
    batch = BatchStatement(BatchType.UNLOGGED, consistency_level=LEVELS[consistency])
    batch.is_idempotent = True  # the driver looks at the batch itself before it speculates
    return batch


def _ahead(items: Iterable[Item], start: Callable[[Item], T]) -> Generator[T, None, None]:
    """What `start` gives for each item, with some started ahead of the one that is worked on."""
    rest = iter(items)
    started = [start(item) for item in islice(rest, IN_FLIGHT)]
    while started:
        yield started.pop(0)
        started.extend(start(item) for item in islice(rest, 1))


def _heads(
    ids: Sequence[str],
    entries: Iterable[tuple[Any, ...]],
    snapshots: Iterable[tuple[Any, ...]],
    recorded: Iterable[tuple[Any, ...]] = (),
) -> dict[str, Head]:
    known = {id: (first, floor) for id, first, floor in entries}
    saved: dict[str, list[StoredSnapshot]] = {}
    for id, *snapshot in snapshots:
        saved.setdefault(id, []).append(StoredSnapshot(*snapshot))
    commits = {row[0]: Commit(*row) for row in recorded}
    return {id: Head(*known.get(id, (None, None)), saved.get(id, []), commits.get(id)) for id in ids}


def earliest(commits: Iterable[Commit]) -> dict[str, UUID]:
    earliest: dict[str, UUID] = {}
    for commit in commits:
        earliest[commit.aggregate_id] = min(
            earliest.get(commit.aggregate_id, commit.event_time), commit.event_time, key=ticks
        )
    return earliest


def ticks(event_time: UUID) -> int:
    """Units of 100 ns since 1970: finer than a write time needs, so that the earliest of a millisecond wins too."""
    return event_time.time - TICKS_AT_1970
