"""The baseline of the Cassandra store: the same rows through the bare driver.

It has connections of its own with the store's settings. Its pages are as large as the store's largest, its rows are
tuples too, and it fetches the next page ahead as well, so the difference between the two is eslab's own work.
"""

from collections.abc import Sequence
from functools import partial

from cassandra import ConsistencyLevel
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement

from eslab.bench.baselines import Step
from eslab.bench.sample import CUSTOMER
from eslab.store import Commit
from eslab.stores.cassandra.connection import Options, connect
from eslab.stores.cassandra.paging import PAGE
from eslab.stores.cassandra.statements import APPEND, FIRST
from eslab.stores.cassandra.write_times import earliest, time_of_first, write_time

BARE_READ = "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id = ?"
MODE = "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'"


class CassandraBaseline:
    """The bare driver on a store's keyspace: the least that reading and writing the same rows costs."""

    def __init__(self, url: str) -> None:
        options = Options.parse(url)
        self._cluster, self._session = connect(options)
        self._session.set_keyspace(options.keyspace)
        self._statements: dict[str, PreparedStatement] = {}

    def read(self, aggregate_id: str) -> int:
        """Fetch the payloads of an aggregate in pages, the next one ahead, drop them, and count them."""
        bound = self.bind(BARE_READ, (CUSTOMER, aggregate_id))
        bound.fetch_size = PAGE
        future = self._session.execute_async(bound)
        count = 0
        more = True
        while more:
            rows = future.result().current_rows
            more = future.has_more_pages
            if more:
                future.start_fetching_next_page()
            count += len(rows)
        return count

    def prepare(self, commits: Sequence[Commit]) -> Step:
        """One idempotent batch: a row for each commit, and the directory's row of each aggregate."""
        return partial(self.execute, append_batch(self, CUSTOMER, commits))

    def prepare_insert(self, commit: Commit) -> Step:
        """The row of one commit alone, without a batch and without the directory."""
        return partial(self.execute, self.bind(APPEND, (CUSTOMER, *commit, *stamp(commit))))

    def settings(self) -> dict[str, str]:
        """The commit log mode in force, as the node says: batch, group or periodic."""
        row = self._session.execute(MODE).one()
        return {"commitlog_sync": row[0] if row else "unknown"}

    def close(self) -> None:
        """Close the connections."""
        self._cluster.shutdown()

    def bind(self, cql: str, values: Sequence[object]) -> BoundStatement:
        """A statement with its values; prepared once."""
        return self._prepared(cql).bind(values)

    def execute(self, statement: BoundStatement | BatchStatement) -> object:
        """Send a statement and wait."""
        return self._session.execute(statement)

    def execute_together(self, statements: Sequence[BoundStatement]) -> None:
        """Send several statements, then wait for all of them."""
        for future in [self._session.execute_async(statement) for statement in statements]:
            future.result()

    def _prepared(self, cql: str) -> PreparedStatement:
        if cql not in self._statements:
            self._statements[cql] = self._session.prepare(cql)
            self._statements[cql].is_idempotent = True
        return self._statements[cql]


def append_batch(baseline: CassandraBaseline, customer: str, commits: Sequence[Commit]) -> BatchStatement:
    """One idempotent batch like the store's: a row for each commit, and the directory's row of each aggregate."""
    batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
    batch.is_idempotent = True
    for commit in commits:
        batch.add(baseline.bind(APPEND, (customer, *commit, *stamp(commit))))
    for id, time in earliest(commits).items():
        batch.add(baseline.bind(FIRST, (time_of_first(time), time, customer, id)))
    return batch


def stamp(commit: Commit) -> tuple[int, int]:
    """The write time of a commit in microseconds, and its lifetime: 0, for ever."""
    return write_time(commit.event_time), 0
