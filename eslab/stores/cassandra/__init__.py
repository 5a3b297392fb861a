"""The store that this project exists for: Apache Cassandra, one partition per customer.

URL: `cassandra://host1,host2:9042/keyspace`; options follow a `?`. Login and key files may come from the environment
too, as ESLAB_CASSANDRA_USER, _PASSWORD, _CA, _CERT and _KEY:

    dc           the local region; may be left out when all hosts are in one
    timeout      seconds until a request counts as lost, 10 by default
    speculate    milliseconds until a second replica is asked too; 0, the default, is never
    lifetime     days that a commit is kept, counted from its request, so that a retry doesn't prolong it; up to 7299,
                 and beyond 2038 only with Cassandra 5's storage_compatibility_mode: NONE; 0 is for ever. Kept in the
                 store at first use: the default is the kept one, and another one is refused
    ca           file of the certificate authority; switches TLS on
    cert, key    files of the client's certificate and its key

An append is one batch in one partition, which is one mutation: all or nothing on each replica. Statements and batches
are idempotent, since the key and the write time of a commit follow from its request; so the driver may retry them and
speculate on them.
"""

import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import chain
from uuid import UUID

from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster, ResponseFuture, Session
from cassandra.query import BatchStatement, BatchType

from eslab.aggregate import MAX_ID_BYTES
from eslab.clock import Clock, from_ms, system_clock, to_ms
from eslab.errors import StoreUnavailable
from eslab.layout import Layout, check_prefix
from eslab.request import is_after
from eslab.settings import share_lifetime
from eslab.store import FEW_SNAPSHOTS, Commit, Consistency, EventStore, Head, LateCommits, Log, ReadRow, StoredSnapshot
from eslab.stores.cassandra import read_tables, statements
from eslab.stores.cassandra.connection import Options, connect
from eslab.stores.cassandra.errors import translate_errors
from eslab.stores.cassandra.paging import FIRST_PAGE, WHOLE_ROWS, first_page, pages, send_ahead
from eslab.stores.cassandra.rows import NO_BYTES, Row, commit_in, heads_in, logs_in, read_row
from eslab.stores.cassandra.schema import check_lifetime, ensure_schema, until_valid
from eslab.stores.cassandra.statements import EARLIEST, LATEST, Statements
from eslab.stores.cassandra.write_times import (
    earliest,
    earliest_wins,
    latest_wins,
    micros,
    time_of_delete,
    time_to_live,
    write_time,
)
from eslab.stores.errors import closed, forked
from eslab.writable import check_append, check_floor, check_read_rows

GREATEST_END = "\U0010ffff" * (MAX_ID_BYTES // 4 + 1)  # a prefix and this are above every id with the prefix
LEVELS = {
    Consistency.LOCAL: ConsistencyLevel.LOCAL_QUORUM,
    Consistency.QUORUM: ConsistencyLevel.QUORUM,
    Consistency.EVERYWHERE: ConsistencyLevel.EACH_QUORUM,
    Consistency.ALL: ConsistencyLevel.ALL,
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
                ensure_schema(self.session, options)
                self._statements = Statements(self.session, options, statements.AT_OPENING)  # as the node prepared them
                self.lifetime = share_lifetime(self, options.lifetime)
                check_lifetime(self.session, options, self.lifetime, clock)
            except BaseException:
                self._cluster.shutdown()
                raise

    def __repr__(self) -> str:
        return str(self.options)

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
            batch.add(first, (earliest_wins(event_time), event_time, customer_id, id))
        with self._translate_errors(writing=True):
            self._add(batch, read_rows)
            self._session().execute(batch)

    def replace(self, customer_id: str, commit: Commit, damaged: bytes) -> bool:
        key = (customer_id, commit.aggregate_id, commit.event_time)
        (found,) = self._ask([(statements.WRITTEN, key)], Consistency.EVERYWHERE)
        if not found or found[0][0] not in (damaged, None):
            return False
        stamp, lifetime = self._stamp(commit)
        # Of two equal write times the greater bytes would win, and those may be the damaged ones.
        later = (found[0][1] or stamp) + 1
        self._do(statements.APPEND, (customer_id, *commit, later, lifetime), Consistency.EVERYWHERE)
        return True

    def read(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        event_time: UUID | None = None,
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
        all_snapshots: bool = False,
    ) -> dict[str, Log]:
        ids = list(after)
        together: dict[UUID, list[str]] = {}  # one statement reads all aggregates that begin at the same place
        for id, start in after.items():
            together.setdefault(start or EARLIEST, []).append(id)
        with self._translate_errors():
            sent = [
                (
                    some,
                    self._send(
                        statements.FIRST_ROWS, (customer_id, some, start, up_to or LATEST), consistency, WHOLE_ROWS
                    ),
                )
                for start, some in together.items()
            ]
            # What lies at or below its base is not among the commits.
            below = [id for id, start in after.items() if event_time and start and not is_after(event_time, start)]
            few = len(ids) == 1 and not all_snapshots
            newest = (statements.NEWEST_SNAPSHOTS, (customer_id, *ids, up_to or LATEST, FEW_SNAPSHOTS + 1))
            queries = self._head_queries(customer_id, ids, below, event_time, newest if few else None)
            entries, snapshots, *recorded = self._ask(queries, consistency)
            firsts = [(some, *first_page(future)) for some, future in sent]
        own = [row for _, found, _ in firsts for row in found if row[2] == event_time]
        heads = heads_in(ids, entries, snapshots, chain(own, *recorded))
        return logs_in({id: head.shortened() for id, head in heads.items()} if few else heads, firsts)

    def heads(
        self,
        customer_id: str,
        aggregate_ids: Sequence[str],
        event_time: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[str, Head]:
        ids = list(aggregate_ids)
        return heads_in(ids, *self._ask(self._head_queries(customer_id, ids, ids, event_time), consistency))

    def heads_of_type(
        self, customer_id: str, prefix: str, consistency: Consistency = Consistency.LOCAL
    ) -> dict[str, Head]:
        between = (customer_id, prefix, prefix + GREATEST_END)
        queries = [(statements.ENTRIES_BETWEEN, between), (statements.SNAPSHOTS_BETWEEN, between)]
        entries, snapshots = self._ask(queries, consistency)
        return heads_in([id for id, *_ in entries], entries, snapshots)

    def ids_of_commits(self, customer_id: str, consistency: Consistency = Consistency.LOCAL) -> list[str]:
        with self._translate_errors():
            found = pages(self._send(statements.IDS_OF_COMMITS, (customer_id,), consistency), self._session)
            return [*dict.fromkeys(id for page in found for (id,) in page)]

    def read_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[bytes]], None, None]:
        for id, page in self._read(statements.PAYLOADS, customer_id, after, up_to, consistency):
            yield id, [payload or NO_BYTES for (payload,) in page]

    def rows_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[Commit]], None, None]:
        for id, page in self._read(statements.ROWS, customer_id, after, up_to, consistency):
            yield id, [commit_in(*row) for row in page]

    def save_snapshot(
        self, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot, written_at: datetime
    ) -> None:
        values = (customer_id, aggregate_id, *snapshot, micros(written_at))
        self._do(statements.SAVE_SNAPSHOT, values, Consistency.EVERYWHERE)

    def delete_snapshot(
        self, customer_id: str, aggregate_id: str, up_to: UUID, fold: int, written_at: datetime
    ) -> None:
        values = (micros(written_at), customer_id, aggregate_id, up_to, fold)
        self._do(statements.DELETE_SNAPSHOT, values, Consistency.EVERYWHERE)

    def mark(
        self,
        customer_id: str,
        aggregate_id: str,
        *,
        floor: UUID | None = None,
        intended: UUID | None = None,
        late: LateCommits | None = None,
    ) -> None:
        key = (customer_id, aggregate_id)
        marks: list[tuple[str, Row]] = []
        if floor:
            marks.append((statements.FLOOR, (latest_wins(floor), floor, *key)))
        if intended:
            marks.append((statements.INTENDED, (latest_wins(intended), intended, *key)))
        if late:
            until = to_ms(late.until)
            marks.append((statements.LATE_SINCE, (earliest_wins(late.since), late.since, *key)))
            marks.append((statements.LATE_UNTIL, (until, until, *key)))
        self._do_together(marks)

    def note_safe(self, customer_id: str, commits: Sequence[Commit], safe_at: datetime) -> None:
        # Stamped like the commits, so that whatever deletes these deletes the notes too.
        self._do_together(
            (statements.SAFE, (*self._stamp(it), to_ms(safe_at), customer_id, it.aggregate_id, it.event_time))
            for it in commits
        )

    def delete_events(self, customer_id: str, aggregate_id: str, up_to: UUID) -> None:
        head = self.heads(customer_id, [aggregate_id], consistency=Consistency.EVERYWHERE)[aggregate_id]
        check_floor(head.floor, up_to, customer_id, aggregate_id)
        values = (time_of_delete(up_to), customer_id, aggregate_id, up_to)
        self._do(statements.DELETE_EVENTS, values, Consistency.EVERYWHERE)

    def time(self) -> datetime:
        with self._translate_errors():
            (ms,) = self._session().execute(statements.TIME).one() or (0,)
        return from_ms(ms)

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
                found = pages(future, self._session)
                yield from ([read_row(layout, row) for row in page] for page in found if page)

    def empty_read_table(self, layout: Layout) -> None:
        with self._translate_errors(writing=True):
            session = self._session()
            until_valid(lambda: session.execute(read_tables.empty(layout), timeout=60), self.options)

    def customers(self, after: str = "", consistency: Consistency = Consistency.LOCAL) -> Generator[str, None, None]:
        # In the order of their tokens: Cassandra can list partitions in no other.
        query = (statements.CUSTOMERS_AFTER, (after,)) if after else (statements.CUSTOMERS, ())
        with self._translate_errors():
            for page in pages(self._send(*query, consistency), self._session):
                yield from (customer for (customer,) in page)

    def checkpoint(self, name: str, consistency: Consistency = Consistency.QUORUM) -> str:
        (found,) = self._ask([(statements.CHECKPOINT, (name,))], consistency)
        return found[0][0] if found else ""

    def set_checkpoint(self, name: str, text: str) -> None:
        self._do(statements.SET_CHECKPOINT, (name, text), Consistency.QUORUM)

    def swap_checkpoint(self, name: str, before: str, after: str, consistency: Consistency = Consistency.QUORUM) -> str:
        # Sent twice by the driver, the second one is not applied and finds what the first one wrote.
        with self._translate_errors(writing=True):
            row = self._send(statements.SWAP_CHECKPOINT, (after, name, before or None), consistency).result().one()
        applied, *found = row or (False,)
        return after if applied else (found[0] or "") if found else ""

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._pid == os.getpid():
                self._cluster.shutdown()

    def _stamp(self, commit: Commit) -> tuple[int, int]:
        """The write time and the lifetime of a commit's row, in whichever table it is."""
        return write_time(commit.event_time), time_to_live(commit.event_time, self.lifetime, self._clock)

    def _add(self, batch: BatchStatement, read_rows: Iterable[ReadRow]) -> None:
        """Add rows of read tables to a batch."""
        self._session()  # raises if the store is closed, before a statement is prepared
        for row in read_rows:
            insert = self._statements.prepare(read_tables.insert(row.layout))
            batch.add(insert, (*row.key, *row.commit, *self._stamp(row.commit)))

    def _send_rows(self, read_rows: Iterable[ReadRow], consistency: Consistency) -> ResponseFuture:
        """Send the rows of one partition of one table, as one mutation."""
        batch = _batch(consistency)
        self._add(batch, read_rows)
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
                yield from ((id, page) for page in pages(future, self._session) if page)

    def _head_queries(
        self,
        customer_id: str,
        ids: Sequence[str],
        own: Sequence[str],
        event_time: UUID | None,
        snapshots: tuple[str, Row] | None = None,
    ) -> list[tuple[str, Row]]:
        """What is asked for the heads of these aggregates; by key, only the request's commits in the `own` ones.

        All their snapshots are, unless another query is given.
        """
        queries: list[tuple[str, Row]] = [
            (statements.ENTRIES, (customer_id, ids)),
            snapshots or (statements.SNAPSHOTS, (customer_id, ids)),
        ]
        if own and event_time:
            queries.append((statements.RECORDED, (customer_id, own, event_time)))
        return queries

    def _ask(self, queries: Iterable[tuple[str, Row]], consistency: Consistency) -> list[list[Row]]:
        """All rows of several queries, sent together: one wait."""
        with self._translate_errors():
            futures = [self._send(cql, values, consistency) for cql, values in queries]
            return [[row for page in pages(future, self._session) for row in page] for future in futures]

    def _do(self, cql: str, values: Row, consistency: Consistency = Consistency.LOCAL) -> None:
        with self._translate_errors(writing=True):
            self._send(cql, values, consistency).result()

    def _do_together(self, changes: Iterable[tuple[str, Row]]) -> None:
        """Several statements in one partition, EVERYWHERE, as one mutation."""
        batch = _batch(Consistency.EVERYWHERE)
        self._session()  # raises if the store is closed, before a statement is prepared
        with self._translate_errors(writing=True):
            for cql, values in changes:
                batch.add(self._statements.prepare(cql), values)
            self._session().execute(batch)

    def _send(self, cql: str, values: Row, consistency: Consistency, first_page: int = FIRST_PAGE) -> ResponseFuture:
        session = self._session()  # raises if the store is closed, before a statement is prepared
        bound = self._statements.prepare(cql).bind(values)
        bound.consistency_level = LEVELS[consistency]
        bound.fetch_size = first_page
        return session.execute_async(bound)

    def _session(self) -> Session:
        """The driver's session, if the store is open in this process."""
        if self._closed:
            raise closed(self.options)
        if self._pid != os.getpid():
            raise forked(self.options)
        return self.session

    @contextmanager
    def _translate_errors(self, writing: bool = False) -> Generator[None, None, None]:
        """Turn the driver's errors into those of eslab, such as `OutcomeUnknown`."""
        try:
            with translate_errors(self.options, writing):
                yield
        except StoreUnavailable:
            self._session()  # raises `StoreClosed` if another thread closed it meanwhile
            raise


def _batch(consistency: Consistency) -> BatchStatement:
    """An unlogged batch: statements that travel as one mutation, if they are for one partition."""
    batch = BatchStatement(BatchType.UNLOGGED, consistency_level=LEVELS[consistency])
    batch.is_idempotent = True  # before it speculates, the driver asks the batch itself, not its statements
    return batch
