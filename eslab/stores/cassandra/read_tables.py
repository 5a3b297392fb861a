"""Read tables in Cassandra: the CQL that makes, writes and reads them, and the batches that their rows are cut into."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby

from cassandra.cluster import Session

from eslab.layout import Layout, check_columns, check_layout, quoted
from eslab.store import ReadRow
from eslab.stores.cassandra.connection import Options
from eslab.stores.cassandra.schema import may_make, table, until_valid
from eslab.stores.errors import no_read_table

BATCH_BYTES = 128_000  # of payload in one batch, about: a longer one keeps other requests waiting
TYPES = {"event_time": "timeuuid", "version": "int", "payload": "blob"}  # all other columns are text
COLUMNS = "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = %s"


def statements(keyspace: str, layouts: Iterable[Layout]) -> list[str]:
    """The CQL that makes the read tables."""
    return [table(keyspace, layout.name, *_definition(layout)) for layout in layouts]


def apply(session: Session, options: Options, layouts: Iterable[Layout]) -> None:
    """Make the read tables that are missing. Idempotent, and several processes may do it at once."""
    for cql in statements(options.keyspace, layouts):
        until_valid(lambda cql=cql: session.execute(cql, timeout=60), options)


def ensure(session: Session, options: Options, layouts: Sequence[Layout]) -> list[Layout]:
    """Check that the read tables exist with these columns; make those that are missing, in a lab's keyspace only.

    Returns those that were missing.
    """
    absent = missing(session, options, layouts)
    if absent and not may_make(options):
        raise no_read_table(absent[0], options)
    if absent:
        apply(session, options, absent)
    # Tables that another process has just made may be missing on some nodes too.
    session.cluster.control_connection.wait_for_schema_agreement()  # type: ignore[union-attr] - there is one by now
    return absent


@cache
def insert(layout: Layout) -> str:
    """The CQL that writes one row, with the write time and the lifetime of its commit."""
    columns = check_layout(layout).columns
    return (
        f"INSERT INTO {quoted(layout.name)} ({quoted(*columns)}) VALUES ({', '.join('?' * len(columns))}) "  # noqa: S608
        "USING TIMESTAMP ? AND TTL ?"
    )


@cache
def select(layout: Layout, length: int) -> str:
    """The CQL that reads the rows under a key prefix of this length."""
    conditions = " AND ".join(f"{quoted(name)} = ?" for name in check_layout(layout).key[:length])
    return f"SELECT {quoted(*layout.columns)} FROM {quoted(layout.name)} WHERE {conditions}"  # noqa: S608


def empty(layout: Layout) -> str:
    """The CQL that empties the table, without a write time: a DELETE would hide older rows that are written later."""
    return f"TRUNCATE {quoted(check_layout(layout).name)}"


def batches(rows: Iterable[ReadRow]) -> Iterator[list[ReadRow]]:
    """The rows in batches, one partition in each, cut where a batch gets long."""
    for _, in_partition in groupby(sorted(rows, key=_partition), key=_partition):
        yield from _cut(in_partition)


def _cut(rows: Iterable[ReadRow]) -> Iterator[list[ReadRow]]:
    batch: list[ReadRow] = []
    size = 0
    for row in rows:
        if batch and size + len(row.commit.payload) > BATCH_BYTES:
            yield batch
            batch = []
            size = 0
        batch.append(row)
        size += len(row.commit.payload)
    yield batch


def _partition(row: ReadRow) -> tuple[str, ...]:
    return (row.layout.name, *row.partition)


def _definition(layout: Layout) -> tuple[str, str, str]:
    check_layout(layout)
    columns = ", ".join(f"{quoted(name)} {TYPES.get(name, 'text')}" for name in layout.columns)
    rest = layout.key[len(layout.partition) :]
    key = f"PRIMARY KEY (({quoted(*layout.partition)}), {quoted(*rest)})"
    return f"{columns},\n    {key}", "", "a read table: commits once more, under the key of a query"


def missing(session: Session, options: Options, layouts: Sequence[Layout]) -> list[Layout]:
    """The layouts that have no table yet. Raises `StoreError` for a table with other columns."""
    columns: dict[str, set[str]] = {}
    for table_name, column in session.execute(COLUMNS, (options.keyspace,)):
        columns.setdefault(table_name, set()).add(column)
    for layout in layouts:
        check_columns(check_layout(layout), columns.get(layout.name, ()), options)
    return [layout for layout in layouts if layout.name not in columns]
