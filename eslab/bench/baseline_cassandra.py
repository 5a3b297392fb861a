"""The floor under the Cassandra store: the same rows through the bare driver; and a throw-away node.

The floor has connections of its own with the store's settings. Its pages are as large as the store's largest, its rows
are tuples too, and it fetches the next page ahead as well, so what is left between the two is eslab's own work.
"""

from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.query import BatchStatement, BatchType, PreparedStatement

from eslab import EventStore
from eslab.bench.baselines import Floor, Step
from eslab.bench.baselines import Target as AnyTarget
from eslab.bench.replay import Call
from eslab.bench.sample import CUSTOMER
from eslab.cluster.cluster import Cluster
from eslab.store import Commit, ReadRow
from eslab.stores.cassandra import CassandraStore, read_tables
from eslab.stores.cassandra.connection import Options, connect
from eslab.stores.cassandra.paging import PAGE
from eslab.stores.cassandra.statements import (
    APPEND,
    EARLIEST,
    ENTRIES,
    FIRST,
    LATEST,
    PAYLOADS,
    RECORDED,
    SNAPSHOTS,
)
from eslab.stores.cassandra.write_times import earliest, time_of_first, write_time

KEYSPACE = "lab_bench"
BARE_READ = "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id = ?"
MODE = "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'"


class Target(AnyTarget):
    """A keyspace of a real node; store and floor write to the same tables, as other aggregates."""

    def read_floor(self, store: EventStore) -> Floor:
        return CassandraFloor(self.url)

    def append_floor(self, durability: str) -> Floor:
        return CassandraFloor(self.url)


@contextmanager
def target(url: str, folder: Path, durability: str = "") -> Generator[Target, None, None]:
    """The keyspace that a URL names, or one of a fresh node that runs with this commit log mode and goes again."""
    if url:
        yield _found(url, folder)
    else:
        with Cluster.start(commitlog_sync="periodic" if durability == "periodic" else "batch") as cluster:
            yield _found(cluster.url(KEYSPACE), folder)


class CassandraFloor:
    """The bare driver on a store's keyspace: what reading and writing the same rows costs at least."""

    def __init__(self, url: str) -> None:
        options = Options.parse(url)
        self._cluster, self._session = connect(options)
        self._session.set_keyspace(options.keyspace)
        self._read, self._append, self._first = map(self._prepare, (BARE_READ, APPEND, FIRST))

    def read(self, aggregate_id: str) -> int:
        """Fetch the payloads of an aggregate in pages, the next one ahead, drop them, and count them."""
        bound = self._read.bind((CUSTOMER, aggregate_id))
        bound.fetch_size = PAGE
        future = self._session.execute_async(bound)
        count, more = 0, True
        while more:
            rows = future.result().current_rows
            more = future.has_more_pages
            if more:
                future.start_fetching_next_page()
            count += len(rows)
        return count

    def prepare(self, commits: Sequence[Commit]) -> Step:
        """One idempotent batch: a row for each commit, and the directory's row of each aggregate."""
        firsts = [(time_of_first(time), time, CUSTOMER, id) for id, time in earliest(commits).items()]
        return partial(self._write, [*map(_values, commits)], firsts)

    def prepare_insert(self, commit: Commit) -> Step:
        """The row of one commit alone, without a batch and without the directory."""
        return partial(self._session.execute, self._append, _values(commit))

    def settings(self) -> dict[str, str]:
        """The commit log mode in force, as the node says: batch, group or periodic."""
        row = self._session.execute(MODE).one()
        return {"commitlog_sync": row[0] if row else "unknown"}

    def close(self) -> None:
        """Let go of the connections."""
        self._cluster.shutdown()

    def _prepare(self, cql: str) -> PreparedStatement:
        prepared = self._session.prepare(cql)
        prepared.is_idempotent = True
        return prepared

    def _write(self, events: Sequence[tuple[object, ...]], firsts: Sequence[tuple[object, ...]]) -> None:
        batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
        batch.is_idempotent = True
        for values in events:
            batch.add(self._append, values)
        for values in firsts:
            batch.add(self._first, values)
        self._session.execute(batch)


class CassandraReplay(CassandraFloor):
    """The bare driver on a store's tables: what each wish asked of its store, in as many waits."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url
        self._known: dict[str, PreparedStatement] = {}

    def prepare(self, calls: Sequence[Call]) -> Step:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The statements of one wish: all reads of a call together, then wait; each write as its batches."""
        return partial(self._send, [part for call in calls for part in self._parts(call)])

    def _parts(self, call: Call) -> list[Any]:
        """Lists of bound reads, and batches."""
        given = call.given
        if call.method == "heads":
            key = (given["customer_id"], list(given["aggregate_ids"]))
            asked = [(ENTRIES, key), (SNAPSHOTS, key), (RECORDED, (*key, given["event_time"]))]
            return [[self._statement(cql).bind(values) for cql, values in asked]]
        if call.method == "read_many":
            read = self._statement(PAYLOADS)
            after = given["after"].items()
            return [[read.bind((given["customer_id"], id, base or EARLIEST, LATEST)) for id, base in after]]
        if call.method == "append":
            return [self._batch(given["customer_id"], given["commits"], given.get("read_rows", ()))]
        return [self._batch("", (), rows) for rows in read_tables.batches(given["rows"])]

    def _batch(self, customer: str, commits: Sequence[Commit], rows: Sequence[ReadRow]) -> BatchStatement:
        batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
        batch.is_idempotent = True
        for commit in commits:
            batch.add(self._append, (customer, *commit, *_stamp(commit)))
        for id, time in earliest(commits).items():
            batch.add(self._first, (time_of_first(time), time, customer, id))
        for row in rows:
            values = (*row.key, *row.commit, *_stamp(row.commit))
            batch.add(self._statement(read_tables.insert(row.layout)), values)
        return batch

    def _statement(self, cql: str) -> PreparedStatement:
        if cql not in self._known:
            self._known[cql] = self._prepare(cql)
        return self._known[cql]

    def _send(self, parts: Sequence[Any]) -> None:
        for part in parts:
            if isinstance(part, list):
                for future in [self._session.execute_async(read) for read in part]:
                    future.result()
            else:
                self._session.execute(part)


def _stamp(commit: Commit) -> tuple[int, int]:
    return write_time(commit.event_time), 0


def _values(commit: Commit) -> tuple[object, ...]:
    return (CUSTOMER, *commit, *_stamp(commit))


def _found(url: str, folder: Path) -> Target:
    with closing(CassandraStore.open(url)) as store:
        row = store.session.execute("SELECT release_version FROM system.local").one()
    versions = {"cassandra": row[0] if row else "unknown", "cassandra-driver": version("cassandra-driver")}
    return Target("cassandra", url, folder, versions)
