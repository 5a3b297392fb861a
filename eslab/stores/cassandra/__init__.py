"""The store that this project exists for: Apache Cassandra, one partition per customer.

URL: `cassandra://host1,host2:9042/keyspace`; options follow a `?`. Login and key files may come from the environment
too, as ESLAB_CASSANDRA_USER, _PASSWORD, _CA, _CERT and _KEY:

    dc           the local region; may be left out when all hosts are in one
    timeout      seconds until a request counts as lost, 10 by default
    speculate    milliseconds until a second replica is asked too; 0, the default, is never
    lifetime     days that a commit is kept, counted from its request, so that a retry doesn't prolong it; up to 7299,
                 and beyond 2038 only with Cassandra 5's storage_compatibility_mode: NONE
    ca           file of the certificate authority; switches TLS on
    cert, key    files of the client's certificate and its key

An append is one batch in one partition, which is one mutation: all or nothing on each replica. Statements and batches
are idempotent, since the key and the write time of a commit follow from its request; so the driver may retry them and
speculate on them.
"""

import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import UUID

from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster, ResponseFuture, Session
from cassandra.query import BatchStatement, BatchType

from eslab.aggregate import MAX_ID_BYTES
from eslab.clock import Clock, system_clock
from eslab.errors import StoreUnavailable
from eslab.layout import Layout, check_prefix
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
    closed,
    forked,
)
from eslab.stores.cassandra import read_tables, statements
from eslab.stores.cassandra.connection import Options, connect
from eslab.stores.cassandra.errors import translate_errors
from eslab.stores.cassandra.paging import FIRST_PAGE, Row, pages, send_ahead
from eslab.stores.cassandra.schema import check_lifetime, ensure_schema, until_valid
from eslab.stores.cassandra.statements import EARLIEST, LATEST, Statements
from eslab.stores.cassandra.write_times import (
    earliest,
    time_of_delete,
    time_of_first,
    time_of_floor,
    time_to_live,
    write_time,
)

GREATEST_END = "\U0010ffff" * (MAX_ID_BYTES // 4 + 1)  # a prefix and this are above every id with the prefix
NO_BYTES = b""  # stands for a null payload: it fails its checksum like any other damage, and the row is named (G8)
LEVELS = {
    Consistency.LOCAL: ConsistencyLevel.LOCAL_QUORUM,
    Consistency.QUORUM: ConsistencyLevel.QUORUM,
    Consistency.EVERYWHERE: ConsistencyLevel.EACH_QUORUM,
}


class CassandraStore(EventStore):
    """An `EventStore` in one keyspace; all threads share its session."""

    def __init__(
        self,
        options: Options,
        clock: Clock = system_clock,
        connect: Callable[[Options], tuple[Cluster, Session]] = connect,
    ) -> None:
        """`connect` opens the driver's cluster and a session; the simulator brings its own."""
        self.options = options
        self._clock = clock
        self._closed = False
        self._pid = os.getpid()
        self._layouts: set[Layout] = set()  # the read tables that are known to exist
        with translate_errors(options):
            self._cluster, self.session = connect(options)
            try:
                check_lifetime(self.session, options, clock)
                ensure_schema(self.session, options)
                self._statements = Statements(self.session, options, statements.AT_OPENING)
            except BaseException:
                self._cluster.shutdown()
                raise

    @classmethod
    def open(cls, url: str) -> "CassandraStore":
        """Connect to the keyspace that the URL names; make a missing keyspace only if its name begins with `lab`."""
        return cls(Options.parse(url))

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        check_append(customer_id, commits, read_rows)
        append = self._statements.prepare(statements.APPEND)
        first = self._statements.prepare(statements.FIRST)
        batch = _batch(consistency)
        for commit in commits:
            batch.add(append, (customer_id, *commit, *self._stamp(commit)))
        for id, event_time in earliest(commits).items():
            batch.add(first, (time_of_first(event_time), event_time, customer_id, id))
        with self._translate_errors(writing=True):
            self._add(batch, read_rows)
            self._session().execute(batch)

    def replace(self, customer_id: str, commit: Commit, damaged: bytes) -> bool:
        key = (customer_id, commit.aggregate_id, commit.event_time)
        (rows,) = self._ask([(statements.WRITTEN, key)], Consistency.EVERYWHERE)
        if not rows or rows[0][0] not in (damaged, None):
            return False
        stamp, lifetime = self._stamp(commit)
        # Of two equal write times the greater bytes would win, and those may be the damaged ones.
        later = (rows[0][1] or stamp) + 1
        self._do(statements.APPEND, (customer_id, *commit, later, lifetime), Consistency.EVERYWHERE)
        return True

    def heads(
        self,
        customer_id: str,
        aggregate_ids: Sequence[str],
        event_time: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[str, Head]:
        ids = list(aggregate_ids)
        queries: list[tuple[str, Row]] = [
            (statements.ENTRIES, (customer_id, ids)),
            (statements.SNAPSHOTS, (customer_id, ids)),
        ]
        if event_time:
            queries.append((statements.RECORDED, (customer_id, ids, event_time)))
        return _heads(ids, *self._ask(queries, consistency))

    def heads_of_type(
        self, customer_id: str, prefix: str, consistency: Consistency = Consistency.LOCAL
    ) -> dict[str, Head]:
        between = (customer_id, prefix, prefix + GREATEST_END)
        queries = [(statements.ENTRIES_BETWEEN, between), (statements.SNAPSHOTS_BETWEEN, between)]
        entries, snapshots = self._ask(queries, consistency)
        return _heads([id for id, _, _ in entries], entries, snapshots)

    def read_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[bytes]], None, None]:
        for id, rows in self._read(statements.PAYLOADS, customer_id, after, up_to, consistency):
            yield id, [payload or NO_BYTES for (payload,) in rows]

    def rows_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[Commit]], None, None]:
        for id, rows in self._read(statements.ROWS, customer_id, after, up_to, consistency):
            yield id, [_commit(*row) for row in rows]

    def save_snapshot(self, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot) -> None:
        self._do(statements.SAVE_SNAPSHOT, (customer_id, aggregate_id, *snapshot))

    def delete_snapshot(self, customer_id: str, aggregate_id: str, up_to: UUID, fold: int) -> None:
        self._do(statements.DELETE_SNAPSHOT, (customer_id, aggregate_id, up_to, fold))

    def delete_snapshots(
        self, customer_id: str, aggregate_id: str, since: UUID, consistency: Consistency = Consistency.LOCAL
    ) -> None:
        self._do(statements.DELETE_SNAPSHOTS, (customer_id, aggregate_id, since), consistency)

    def raise_floor(self, customer_id: str, aggregate_id: str, floor: UUID) -> None:
        self._do(statements.FLOOR, (time_of_floor(floor), floor, customer_id, aggregate_id))

    def delete_events(self, customer_id: str, aggregate_id: str, up_to: UUID) -> None:
        head = self.heads(customer_id, [aggregate_id])[aggregate_id]
        check_floor(head.floor, up_to, customer_id, aggregate_id)
        self._do(statements.DELETE_EVENTS, (time_of_delete(up_to), customer_id, aggregate_id, up_to))

    def missing_read_tables(self, layouts: Sequence[Layout]) -> list[Layout]:
        with self._translate_errors():
            return read_tables.missing(self._session(), self.options, layouts)

    def make_read_tables(self, layouts: Sequence[Layout]) -> list[Layout]:
        new = [layout for layout in layouts if layout not in self._layouts]
        made: list[Layout] = []
        if new:
            with self._translate_errors():
                made = read_tables.ensure(self._session(), self.options, new)
            self._layouts.update(new)
        return made

    def put_read_rows(self, rows: Sequence[ReadRow], consistency: Consistency = Consistency.LOCAL) -> None:
        check_read_rows(rows)
        with self._translate_errors(writing=True):
            for future in send_ahead(read_tables.batches(rows), partial(self._send_rows, consistency=consistency)):
                future.result()

    def read_rows(
        self, layout: Layout, keys: Sequence[tuple[str, ...]], consistency: Consistency = Consistency.LOCAL
    ) -> Generator[Sequence[ReadRow], None, None]:
        def send(key: tuple[str, ...]) -> ResponseFuture:
            check_prefix(layout, key)
            return self._send(read_tables.select(layout, len(key)), key, consistency)

        with self._translate_errors():
            for future in send_ahead(keys, send):
                yield from ([_read_row(layout, row) for row in rows] for rows in pages(future, self._session) if rows)

    def empty_read_table(self, layout: Layout) -> None:
        with self._translate_errors(writing=True):
            session = self._session()
            until_valid(lambda: session.execute(read_tables.empty(layout), timeout=60), self.options)

    def customers(self, after: str = "", consistency: Consistency = Consistency.LOCAL) -> Generator[str, None, None]:
        # In the order of their tokens: Cassandra can list partitions in no other.
        query = (statements.CUSTOMERS_AFTER, (after,)) if after else (statements.CUSTOMERS, ())
        with self._translate_errors():
            for rows in pages(self._send(*query, consistency), self._session):
                yield from (customer for (customer,) in rows)

    def checkpoint(self, name: str) -> str:
        (rows,) = self._ask([(statements.CHECKPOINT, (name,))], Consistency.QUORUM)
        return rows[0][0] if rows else ""

    def set_checkpoint(self, name: str, text: str) -> None:
        self._do(statements.SET_CHECKPOINT, (name, text), Consistency.QUORUM)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._pid == os.getpid():
                self._cluster.shutdown()

    def _stamp(self, commit: Commit) -> tuple[int, int]:
        """The write time and the lifetime of a commit's row, in whichever table it is."""
        return write_time(commit.event_time), time_to_live(commit.event_time, self.options.lifetime, self._clock)

    def _add(self, batch: BatchStatement, read_rows: Iterable[ReadRow]) -> None:
        self._session()  # raises if the store is closed, before a statement is prepared
        for row in read_rows:
            insert = self._statements.prepare(read_tables.insert(row.layout))
            batch.add(insert, (*row.key, *row.commit, *self._stamp(row.commit)))

    def _send_rows(self, rows: Iterable[ReadRow], consistency: Consistency) -> ResponseFuture:
        """Send the rows of one partition of one table, as one mutation."""
        batch = _batch(consistency)
        self._add(batch, rows)
        return self._session().execute_async(batch)

    def _read(
        self,
        cql: str,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None,
        consistency: Consistency,
    ) -> Generator[tuple[str, list[Row]], None, None]:
        """The pages of one query over many aggregates, several of which are asked for ahead."""

        def send(id: str) -> tuple[str, ResponseFuture]:
            return id, self._send(cql, (customer_id, id, after[id] or EARLIEST, up_to or LATEST), consistency)

        with self._translate_errors():
            for id, future in send_ahead(after, send):
                yield from ((id, rows) for rows in pages(future, self._session) if rows)

    def _ask(self, queries: Iterable[tuple[str, Row]], consistency: Consistency) -> list[list[Row]]:
        """All rows of several queries, sent together: one wait."""
        with self._translate_errors():
            futures = [self._send(cql, values, consistency) for cql, values in queries]
            return [[row for rows in pages(future, self._session) for row in rows] for future in futures]

    def _do(self, cql: str, values: Row, consistency: Consistency = Consistency.LOCAL) -> None:
        with self._translate_errors(writing=True):
            self._send(cql, values, consistency).result()

    def _send(self, cql: str, values: Row, consistency: Consistency) -> ResponseFuture:
        session = self._session()  # raises if the store is closed, before a statement is prepared
        bound = self._statements.prepare(cql).bind(values)
        bound.consistency_level = LEVELS[consistency]
        bound.fetch_size = FIRST_PAGE
        return session.execute_async(bound)

    def _session(self) -> Session:
        if self._closed:
            raise closed(self.options)
        if self._pid != os.getpid():
            raise forked(self.options)
        return self.session

    @contextmanager
    def _translate_errors(self, writing: bool = False) -> Generator[None, None, None]:
        try:
            with translate_errors(self.options, writing):
                yield
        except StoreUnavailable:
            self._session()  # raises `StoreClosed` if another thread closed it meanwhile
            raise


def _commit(aggregate_id: str, event_time: UUID, event_type: str, version: int, payload: bytes | None) -> Commit:
    return Commit(aggregate_id, event_time, event_type, version, payload or NO_BYTES)


def _read_row(layout: Layout, values: Row) -> ReadRow:
    *others, payload = values
    return ReadRow.of(layout, (*others, payload or NO_BYTES))


def _batch(consistency: Consistency) -> BatchStatement:
    batch = BatchStatement(BatchType.UNLOGGED, consistency_level=LEVELS[consistency])
    batch.is_idempotent = True  # before it speculates, the driver asks the batch itself, not its statements
    return batch


def _heads(
    ids: Sequence[str],
    entries: Iterable[Row],
    snapshots: Iterable[Row],
    recorded: Iterable[Row] = (),
) -> dict[str, Head]:
    known = {id: (first, floor) for id, first, floor in entries}
    saved: dict[str, list[StoredSnapshot]] = {}
    for id, *snapshot in snapshots:
        up_to, fold, payload = snapshot
        saved.setdefault(id, []).append(StoredSnapshot(up_to, fold, payload or NO_BYTES))
    commits = {row[0]: _commit(*row) for row in recorded}
    return {id: Head(*known.get(id, (None, None)), saved.get(id, []), commits.get(id)) for id in ids}
