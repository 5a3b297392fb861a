"""The CQL that reads and writes a store's own tables, and the statements prepared from it.

`AND TTL 0` means for ever. Only checkpoints, of which the last must win, are stamped by the coordinator.
"""

from collections.abc import Iterable
from uuid import UUID

from cassandra.cluster import Session
from cassandra.query import PreparedStatement

from eslab.stores.cassandra.connection import Options
from eslab.stores.cassandra.schema import until_valid

APPEND = (
    "INSERT INTO events (customer_id, aggregate_id, event_time, event_type, version, payload) "
    "VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"
)
WRITTEN = "SELECT payload, WRITETIME(payload) FROM events WHERE customer_id = ? AND aggregate_id = ? AND event_time = ?"
FIRST = "UPDATE aggregates USING TIMESTAMP ? SET first = ? WHERE customer_id = ? AND aggregate_id = ?"
FLOOR = "UPDATE aggregates USING TIMESTAMP ? SET floor = ? WHERE customer_id = ? AND aggregate_id = ?"
INTENDED = "UPDATE aggregates USING TIMESTAMP ? SET intended = ? WHERE customer_id = ? AND aggregate_id = ?"
LATE_SINCE = "UPDATE aggregates USING TIMESTAMP ? SET late_since = ? WHERE customer_id = ? AND aggregate_id = ?"
LATE_UNTIL = "UPDATE aggregates USING TIMESTAMP ? SET late_until = ? WHERE customer_id = ? AND aggregate_id = ?"
SAFE = (
    "UPDATE events USING TIMESTAMP ? AND TTL ? SET safe_at = ? "
    "WHERE customer_id = ? AND aggregate_id = ? AND event_time = ?"
)
ENTRIES = (
    "SELECT aggregate_id, first, floor, intended, late_since, late_until FROM aggregates "
    "WHERE customer_id = ? AND aggregate_id IN ?"
)
SNAPSHOTS = "SELECT aggregate_id, up_to, fold, payload FROM snapshots WHERE customer_id = ? AND aggregate_id IN ?"
# Of one aggregate alone: CQL can't limit the rows of each of several.
NEWEST_SNAPSHOTS = (
    "SELECT aggregate_id, up_to, fold, payload FROM snapshots "
    "WHERE customer_id = ? AND aggregate_id = ? AND up_to <= ? LIMIT ?"
)
# The payload comes last, since the size of a page follows from it.
FIRST_ROWS = (
    "SELECT safe_at, aggregate_id, event_time, event_type, version, payload FROM events "
    "WHERE customer_id = ? AND aggregate_id IN ? AND event_time > ? AND event_time <= ?"
)
RECORDED = (
    "SELECT safe_at, aggregate_id, event_time, event_type, version, payload FROM events "
    "WHERE customer_id = ? AND aggregate_id IN ? AND event_time = ?"
)
ENTRIES_BETWEEN = (
    "SELECT aggregate_id, first, floor, intended, late_since, late_until FROM aggregates "
    "WHERE customer_id = ? AND aggregate_id >= ? AND aggregate_id < ?"
)
SNAPSHOTS_BETWEEN = (
    "SELECT aggregate_id, up_to, fold, payload FROM snapshots "
    "WHERE customer_id = ? AND aggregate_id >= ? AND aggregate_id < ?"
)
IDS_OF_COMMITS = "SELECT aggregate_id FROM events WHERE customer_id = ?"
PAYLOADS = (
    "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id = ? AND event_time > ? AND event_time <= ?"
)
ROWS = (
    "SELECT aggregate_id, event_time, event_type, version, payload FROM events "
    "WHERE customer_id = ? AND aggregate_id = ? AND event_time > ? AND event_time <= ?"
)
SAVE_SNAPSHOT = (
    "INSERT INTO snapshots (customer_id, aggregate_id, up_to, fold, payload) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
DELETE_SNAPSHOT = (
    "DELETE FROM snapshots USING TIMESTAMP ? WHERE customer_id = ? AND aggregate_id = ? AND up_to = ? AND fold = ?"
)
DELETE_EVENTS = "DELETE FROM events USING TIMESTAMP ? WHERE customer_id = ? AND aggregate_id = ? AND event_time <= ?"
CUSTOMERS = "SELECT DISTINCT customer_id FROM aggregates"
CUSTOMERS_AFTER = "SELECT DISTINCT customer_id FROM aggregates WHERE token(customer_id) > token(?)"
CHECKPOINT = "SELECT text FROM checkpoints WHERE name = ?"
SET_CHECKPOINT = "INSERT INTO checkpoints (name, text) VALUES (?, ?)"
SWAP_CHECKPOINT = "UPDATE checkpoints SET text = ? WHERE name = ? IF text = ?"  # null is no row
TIME = "SELECT toUnixTimestamp(now()) FROM system.local"

AT_OPENING = (
    APPEND, FIRST, ENTRIES, SNAPSHOTS, NEWEST_SNAPSHOTS, FIRST_ROWS, RECORDED, ENTRIES_BETWEEN, SNAPSHOTS_BETWEEN,
    PAYLOADS, ROWS, FLOOR, INTENDED, LATE_SINCE, LATE_UNTIL, SAFE, SAVE_SNAPSHOT, DELETE_SNAPSHOT, DELETE_EVENTS,
    CHECKPOINT,
)  # fmt: skip

EARLIEST = UUID("00000000-0000-1000-8080-808080808080")  # below every timeuuid in Cassandra's order
LATEST = UUID("ffffffff-ffff-1fff-7f7f-7f7f7f7f7f7f")  # above every timeuuid


class Statements:
    """Prepared statements by their CQL; safe to share between threads."""

    def __init__(self, session: Session, options: Options, cqls: Iterable[str] = ()) -> None:
        self._session = session
        self._options = options
        self._prepared: dict[str, PreparedStatement] = {}
        for cql in cqls:
            self.prepare(cql)

    def prepare(self, cql: str) -> PreparedStatement:
        """The prepared statement of this CQL: one wait on its first use, none afterwards."""
        statement = self._prepared.get(cql)
        if statement is None:
            statement = until_valid(lambda: self._session.prepare(cql), self._options)
            # Write times follow from the request, so that sending a statement a second time changes nothing, and the
            # driver may retry it and speculate on it.
            statement.is_idempotent = True
            # Without a lock: if two threads prepare the same CQL, the nodes give both the same id, and one of the two
            # statements is kept.
            statement = self._prepared.setdefault(cql, statement)
        return statement
