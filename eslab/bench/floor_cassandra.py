"""The floor under the Cassandra store: the same rows through the bare driver; and a throw-away node.

The floor has connections of its own with the store's settings. Its pages are as large as the store's largest, its rows
are tuples too, and it fetches the next page ahead as well, so what is left between the two is eslab's own work.
"""

from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

from cassandra import ConsistencyLevel
from cassandra.query import BatchStatement, BatchType, PreparedStatement

from eslab import EventStore
from eslab.bench.floors import Floor, Step
from eslab.bench.floors import Target as AnyTarget
from eslab.bench.sample import CUSTOMER
from eslab.clock import to_ms
from eslab.cluster.cluster import Cluster
from eslab.request import time_of
from eslab.store import Commit
from eslab.stores.cassandra import PAGE, STATEMENTS, CassandraStore, _earliest, _ticks
from eslab.stores.cassandra.connection import Options, connect

KEYSPACE = "lab_bench"
BARE_READ = "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id = ?"
FIRST = STATEMENTS["first"]
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
        self._read, self._append, self._first = map(self._prepare, (BARE_READ, STATEMENTS["append"], FIRST))

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
        firsts = [(-_ticks(time), time, CUSTOMER, id) for id, time in _earliest(commits).items()]
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


def _values(commit: Commit) -> tuple[object, ...]:
    return (CUSTOMER, *commit, to_ms(time_of(commit.event_time)) * 1000, 0)


def _found(url: str, folder: Path) -> Target:
    with closing(CassandraStore.open(url)) as store:
        row = store.session.execute("SELECT release_version FROM system.local").one()
    versions = {"cassandra": row[0] if row else "unknown", "cassandra-driver": version("cassandra-driver")}
    return Target("cassandra", url, folder, versions)
