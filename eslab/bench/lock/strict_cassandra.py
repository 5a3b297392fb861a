"""The strict log's table in Cassandra: a partition for each stream, whose newest version is a static column.

Every write is one conditional batch in that partition: it moves the version on, if it is the one that was read, and
adds the event, if there is none of this version. No row is ever written without a condition or with a write time of our
own, and no other table is in the batch: Cassandra orders conditional writes only among themselves, by its own clock.
"""

from functools import partial
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.policies import FallthroughRetryPolicy
from cassandra.query import BatchStatement, BatchType

from eslab.bench.baseline_cassandra import BareDriver
from eslab.bench.lock.strict import Place, Stream, StrictEvent
from eslab.stores.cassandra import CassandraStore
from eslab.stores.cassandra.errors import translate_errors
from eslab.stores.cassandra.schema import table, until_valid

COLUMNS = """customer_id text, aggregate_id text, version int, request_id uuid, payload blob,
    stream_version int STATIC, PRIMARY KEY ((customer_id, aggregate_id), version)"""
COMMENT = "a log that locks, which benchmarks compare with: no part of the store"
MOVE_ON = "UPDATE events_strict SET stream_version = ? WHERE customer_id = ? AND aggregate_id = ? IF stream_version = ?"
ADD = (
    "INSERT INTO events_strict (customer_id, aggregate_id, version, request_id, payload) VALUES (?, ?, ?, ?, ?) "
    "IF NOT EXISTS"
)
READ = (
    "SELECT stream_version, version, request_id, payload FROM events_strict WHERE customer_id = ? AND aggregate_id = ?"
)
LEVELS = {  # of the lock, and of all else: the commit, and a read that needn't settle anything
    "LOCAL_SERIAL": (ConsistencyLevel.LOCAL_SERIAL, ConsistencyLevel.LOCAL_QUORUM),
    "SERIAL": (ConsistencyLevel.SERIAL, ConsistencyLevel.QUORUM),
}


class SendOnce(FallthroughRetryPolicy):
    """Never send a conditional write again: a second try would be refused by the success of the first one."""

    def on_request_error(self, *_: Any, **__: Any) -> tuple[Any, Any]:
        return self.RETHROW, None


def make_table(store: CassandraStore) -> None:
    """Make the strict log's table in the keyspace of a store, if it is missing."""
    cql = table(store.options.keyspace, "events_strict", COLUMNS, "", COMMENT)
    until_valid(lambda: store.session.execute(cql, timeout=60), store.options)


class StrictTable:
    """The table at one level: `LOCAL_SERIAL` locks among the replicas of one region, `SERIAL` among all."""

    def __init__(self, driver: BareDriver, level: str) -> None:
        self.level = level
        self._driver = driver
        self._serial, self._plain = LEVELS[level]

    def read(self, place: Place, settled: bool = False) -> Stream:
        """Read a stream: one round, and two or more if it is to be settled."""
        return self._read(place, self._serial if settled else self._plain)

    def shown(self, place: Place) -> Stream:
        """Read what the replicas of the client's own region show."""
        return self._read(place, ConsistencyLevel.LOCAL_QUORUM)

    def write(self, place: Place, event: StrictEvent, timeout: float | None = None) -> bool:
        """Write an event on the condition: four rounds. `timeout` in seconds is the driver's own by default."""
        batch = BatchStatement(BatchType.UNLOGGED, SendOnce(), self._plain, serial_consistency_level=self._serial)
        # The condition of a stream without events is that it has no version: null, not 0.
        batch.add(self._driver.statement(MOVE_ON), (event.version, *place, event.version - 1 or None))
        batch.add(self._driver.statement(ADD), (*place, *event))
        execute = self._driver.session.execute
        send = partial(execute, batch, timeout=timeout) if timeout else partial(execute, batch)
        # Even if too few replicas are up: that may be noticed after they have agreed.
        with translate_errors(self._driver.options, writing=True):
            row = send().one()
        return bool(row and row[0])

    def _read(self, place: Place, level: int) -> Stream:
        with translate_errors(self._driver.options):
            rows = list(self._driver.session.execute(self._driver.bound(READ, place, level)))
        # A stream without events may have one row in the answer, of nulls beside the static column.
        events = [StrictEvent(*row[1:]) for row in rows if row[1] is not None]
        return Stream(next((row[0] or 0 for row in rows), 0), events)
