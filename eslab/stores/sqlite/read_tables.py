"""Read tables in SQLite, clustered like Cassandra's: make, write and read them on a connection.

Names of tables and columns are checked before they are put into a statement; values are always bound.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from eslab.layout import Layout, check_columns, check_layout, quoted
from eslab.request import sort_key
from eslab.store import ReadRow
from eslab.stores.sqlite.rows import event_time
from eslab.stores.sqlite.statements import BYTES

TYPES = {"event_time": "BLOB", "version": "INTEGER", "payload": "BLOB NOT NULL"}  # all others are TEXT


def missing(connection: sqlite3.Connection, layouts: Iterable[Layout], store: object) -> list[Layout]:
    """The layouts that have no table yet. Raises `StoreError` for a table with other columns."""
    missing = []
    for layout in layouts:
        check_layout(layout)
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({layout.name})").fetchall()]
        check_columns(layout, columns, store)
        if not columns:
            missing.append(layout)
    return missing


def make(connection: sqlite3.Connection, layouts: Iterable[Layout]) -> None:
    """Make the tables where they are missing."""
    for layout in layouts:
        columns = ", ".join(f"{quoted(name)} {TYPES.get(name, 'TEXT')}" for name in layout.columns)
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {quoted(layout.name)} ({columns}, PRIMARY KEY ({quoted(*layout.key)})) "
            "WITHOUT ROWID"
        )


def put(connection: sqlite3.Connection, rows: Sequence[ReadRow]) -> None:
    """Write rows in the transaction of the connection."""
    for row in rows:
        connection.execute(insert(row.layout), values(row))


@cache
def insert(layout: Layout) -> str:
    """The SQL that writes one row; of two rows with one key the one with the greater payload stays."""
    columns = check_layout(layout).columns
    return (
        f"INSERT INTO {quoted(layout.name)} VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO UPDATE "  # noqa: S608
        "SET event_type = excluded.event_type, version = excluded.version, payload = excluded.payload "
        f"WHERE excluded.payload > {quoted(layout.name)}.payload"
    )


def values(row: ReadRow) -> tuple[Any, ...]:
    """The values of a row in the order of its table's columns, for `insert`."""
    id, event_time, *rest = row.commit
    return (*row.key, id, sort_key(event_time), *rest)


def page(
    connection: sqlite3.Connection, layout: Layout, key: tuple[str, ...], last: Sequence[Any], limit: int
) -> list[tuple[Any, ...]]:
    """The next rows whose key begins with `key`; `last` is the rest of the last row's key, empty for the first page."""
    return connection.execute(_page(layout, len(key), bool(last)), (*key, *last, limit)).fetchall()


def read_row(layout: Layout, values: tuple[Any, ...]) -> ReadRow:
    """The row with these values, the way back from `values`."""
    *before, key, type, version, payload = values
    row = ReadRow.of(layout, (*before, key, type, version, payload))
    when = event_time(key, layout.name, row.customer_id, row.commit.aggregate_id)
    return row._replace(commit=row.commit._replace(event_time=when))


def empty(connection: sqlite3.Connection, layout: Layout) -> None:
    """Delete all rows."""
    connection.execute(f"DELETE FROM {quoted(check_layout(layout).name)}")  # noqa: S608 - a checked name


@cache
def _page(layout: Layout, given: int, further: bool) -> str:
    key = check_layout(layout).key
    columns = f"{quoted(*layout.columns[:-1])}, {BYTES}"
    conditions = [f"{quoted(name)} = ?" for name in key[:given]]
    if further:
        conditions.append(f"({quoted(*key[given:])}) > ({', '.join('?' * len(key[given:]))})")
    return (
        f"SELECT {columns} FROM {quoted(layout.name)} WHERE {' AND '.join(conditions)} "  # noqa: S608 - checked names
        f"ORDER BY {quoted(*key)} LIMIT ?"
    )
