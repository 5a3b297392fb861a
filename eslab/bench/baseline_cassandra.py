"""The baseline of the Cassandra store: the same rows through the bare driver.

It has connections of its own with the store's settings. Its pages are as large as the store's largest, its rows are
tuples too, and it also fetches the next page ahead: the difference between the two is eslab's own work.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from importlib.metadata import version
from uuid import UUID

from cassandra import ConsistencyLevel
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement

from eslab.bench.baselines import Step
from eslab.bench.sample import CUSTOMER
from eslab.store import Commit
from eslab.stores.cassandra import CassandraStore
from eslab.stores.cassandra.connection import Options, connect
from eslab.stores.cassandra.paging import PAGE
from eslab.stores.cassandra.statements import APPEND, FIRST
from eslab.stores.cassandra.write_times import earliest, earliest_wins, write_time

BARE_READ = "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id = ?"
BARE_ROW = f"{BARE_READ} AND event_time = ?"
MODE = "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'"
RELEASE = "SELECT release_version FROM system.local"

Values = tuple[object, ...]
Write = tuple[str, Values]  # CQL and what is bound to it, of reads too


class BareDriver:
    """The bare driver in a store's keyspace, connected with the store's own settings."""

    def __init__(self, url: str) -> None:
        self.options = Options.parse(url)
        self._cluster, self.session = connect(self.options)
        self.session.set_keyspace(self.options.keyspace)
        self._prepared: dict[str, PreparedStatement] = {}

    def statement(self, cql: str) -> PreparedStatement:
        """A prepared statement, idempotent as all of the store's are."""
        if cql not in self._prepared:
            self._prepared[cql] = self.session.prepare(cql)
            self._prepared[cql].is_idempotent = True
        return self._prepared[cql]

    def bound(self, cql: str, values: Values, level: int = ConsistencyLevel.LOCAL_QUORUM) -> BoundStatement:
        """A prepared statement with its values."""
        bound = self.statement(cql).bind(values)
        bound.consistency_level = level
        return bound

    def batch(self, writes: Iterable[Write], level: int = ConsistencyLevel.LOCAL_QUORUM) -> BatchStatement:
        """All writes as one mutation."""
        batch = BatchStatement(BatchType.UNLOGGED, consistency_level=level)
        batch.is_idempotent = True  # the driver looks at the batch itself before it speculates
        for cql, values in writes:
            batch.add(self.statement(cql), values)
        return batch

    def settings(self) -> dict[str, str]:
        """Ask the node for the commit log mode in force: batch, group or periodic."""
        row = self.session.execute(MODE).one()
        return {"commitlog_sync": row[0] if row else "unknown"}

    def close(self) -> None:
        """Close all connections."""
        self._cluster.shutdown()


class CassandraBaseline:
    """The bare driver on a store's keyspace: the least that reading and writing the same rows can cost."""

    def __init__(self, url: str) -> None:
        self._driver = BareDriver(url)

    def read(self, aggregate_id: str, customer: str = CUSTOMER) -> int:
        """Fetch the payloads of an aggregate in pages, the next one ahead, drop them, and count them."""
        bound = self._driver.statement(BARE_READ).bind((customer, aggregate_id))
        bound.fetch_size = PAGE
        future = self._driver.session.execute_async(bound)
        count = 0
        more = True
        while more:
            rows = future.result().current_rows
            more = future.has_more_pages
            if more:
                future.start_fetching_next_page()
            count += len(rows)
        return count

    def read_row(self, aggregate_id: str, event_time: UUID, customer: str = CUSTOMER) -> int:
        """Fetch the payload of one row by its key, drop it, and count it."""
        found = self._driver.session.execute(self._driver.bound(BARE_ROW, (customer, aggregate_id, event_time)))
        return len(found.all())

    def prepare(self, commits: Sequence[Commit]) -> Step:
        """Prepare one idempotent batch: a row for each commit, and the directory row of each aggregate."""
        return partial(self._write, [*writes_of(CUSTOMER, commits)])

    def prepare_insert(self, commit: Commit) -> Step:
        """Prepare an insert of the commit's row alone: no batch, no directory row."""
        cql, values = _row(CUSTOMER, commit)
        return partial(self._driver.session.execute, self._driver.statement(cql), values)

    def settings(self) -> dict[str, str]:
        """The commit log mode in force."""
        return self._driver.settings()

    def close(self) -> None:
        """Close all connections."""
        self._driver.close()

    def _write(self, writes: Sequence[Write]) -> None:
        self._driver.session.execute(self._driver.batch(writes))


def writes_of(customer: str, commits: Sequence[Commit]) -> Iterator[Write]:
    """The writes of one append: a row for each commit, and the directory row of each aggregate."""
    yield from (_row(customer, commit) for commit in commits)
    for aggregate_id, first in earliest(commits).items():
        yield FIRST, (earliest_wins(first), first, customer, aggregate_id)


def stamp_of(commit: Commit) -> tuple[int, int]:
    """Write time in microseconds and lifetime of a commit's row: a benchmark keeps its rows for ever."""
    return write_time(commit.event_time), 0


def versions_at(url: str) -> dict[str, str]:
    """The versions of node and driver; creates the store's tables, which the bare driver needs."""
    with closing(CassandraStore.open(url)) as store:
        row = store.session.execute(RELEASE).one()
    return {"cassandra": row[0] if row else "unknown", "cassandra-driver": version("cassandra-driver")}


def _row(customer: str, commit: Commit) -> Write:
    return APPEND, (customer, *commit, *stamp_of(commit))
