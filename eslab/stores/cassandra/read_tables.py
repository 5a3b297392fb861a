"""Read tables in Cassandra: the CQL that makes, writes and reads them, and the batches in which rows are written."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby

from cassandra.cluster import Session

from eslab.layout import Layout, check_columns, check_layout, quoted
from eslab.store import ReadRow, no_read_table
from eslab.stores.cassandra.connection import Options
from eslab.stores.cassandra.schema import may_make, patiently, table

BATCH_BYTES = 128_000  # of payload in a batch of rows, about: longer ones keep others waiting
TYPES = {"event_time": "timeuuid", "version": "int", "payload": "blob"}  # all others are text
CHECKPOINTS = ("name text PRIMARY KEY, text text", "", "how far long work has come, such as a rebuild of a read table")
CHECKPOINT = "SELECT text FROM checkpoints WHERE name = ?"
SET_CHECKPOINT = "INSERT INTO checkpoints (name, text) VALUES (?, ?)"
CUSTOMERS = "SELECT DISTINCT customer_id FROM aggregates WHERE token(customer_id) > token(?)"
ALL_CUSTOMERS = "SELECT DISTINCT customer_id FROM aggregates"
COLUMNS = "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = %s"


def statements(keyspace: str, layouts: Iterable[Layout]) -> list[str]:
    """The CQL that makes the read tables and the checkpoints beside them."""
    return [
        table(keyspace, "checkpoints", *CHECKPOINTS),
        *(table(keyspace, layout.name, *_definition(layout)) for layout in layouts),
    ]


def apply(session: Session, options: Options, layouts: Iterable[Layout]) -> None:
    """Make the read tables where they are missing; safe to repeat, and for several at once."""
    for cql in statements(options.keyspace, layouts):
        patiently(lambda cql=cql: session.execute(cql, timeout=60), options)


def ensure(session: Session, options: Options, layouts: Sequence[Layout]) -> None:
    """See that the tables are there, with these columns; in a lab's keyspace those that are missing are made."""
    gone = _missing(session, options, layouts)
    if gone and not may_make(options):
        raise no_read_table(gone[0], options)
    if gone:
        apply(session, options, gone)
        session.cluster.control_connection.wait_for_schema_agreement()  # type: ignore[union-attr] - there is one by now


@cache
def insert(layout: Layout) -> str:
    """Writes one row, with the write time and the lifetime of its commit."""
    columns = check_layout(layout).columns
    return (
        f"INSERT INTO {quoted(layout.name)} ({quoted(*columns)}) VALUES ({', '.join('?' * len(columns))}) "  # noqa: S608
        "USING TIMESTAMP ? AND TTL ?"
    )


@cache
def select(layout: Layout, given: int) -> str:
    """Reads the rows whose key begins with so many values."""
    conditions = " AND ".join(f"{quoted(name)} = ?" for name in check_layout(layout).key[:given])
    return f"SELECT {quoted(*layout.columns)} FROM {quoted(layout.name)} WHERE {conditions}"  # noqa: S608


def empty(layout: Layout) -> str:
    """Empties the table: a delete with a write time would hide rows that come later and are stamped earlier."""
    return f"TRUNCATE {quoted(check_layout(layout).name)}"


def batches(rows: Iterable[ReadRow]) -> Iterator[list[ReadRow]]:
    """The rows by partition, cut where a batch gets long."""
    for _, together in groupby(sorted(rows, key=_partition), key=_partition):
        batch, size = [], 0
        for row in together:
            if batch and size + len(row.commit.payload) > BATCH_BYTES:
                yield batch
                batch, size = [], 0
            batch.append(row)
            size += len(row.commit.payload)
        yield batch


def _partition(row: ReadRow) -> tuple[str, ...]:
    return (row.layout.name, *row.key[: len(row.layout.partition)])


def _definition(layout: Layout) -> tuple[str, str, str]:
    check_layout(layout)
    columns = ", ".join(f"{quoted(name)} {TYPES.get(name, 'text')}" for name in layout.columns)
    partition, rest = layout.key[: len(layout.partition)], layout.key[len(layout.partition) :]
    key = f"PRIMARY KEY (({quoted(*partition)}), {quoted(*rest)})"
    return f"{columns},\n    {key}", "", "a read table: commits once more, under the key of a query"


def _missing(session: Session, options: Options, layouts: Sequence[Layout]) -> list[Layout]:
    found: dict[str, set[str]] = {}
    for name, column in session.execute(COLUMNS, (options.keyspace,)):
        found.setdefault(name, set()).add(column)
    for layout in layouts:
        check_columns(check_layout(layout), found.get(layout.name, ()), options)
    return [layout for layout in layouts if layout.name not in found]
