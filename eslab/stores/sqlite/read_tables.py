"""Read tables in SQLite, clustered like Cassandra's: making, writing and reading them on a connection.

Names of tables and columns are checked when a layout is used first; values are always bound.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from eslab.layout import Layout, check_columns, check_layout, quoted
from eslab.request import from_sort_key, sort_key
from eslab.store import ReadRow

CHECKPOINTS = "CREATE TABLE IF NOT EXISTS checkpoints (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID"
CHECKPOINT = "SELECT text FROM checkpoints WHERE name = ?"
SET_CHECKPOINT = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?)"
CUSTOMERS = "SELECT DISTINCT customer_id FROM aggregates WHERE customer_id > ? ORDER BY customer_id LIMIT ?"
TYPES = {"event_time": "BLOB", "version": "INTEGER", "payload": "BLOB NOT NULL"}  # all others are TEXT


def missing(connection: sqlite3.Connection, layouts: Iterable[Layout], store: object) -> list[Layout]:
    """Those of the layouts that have no table yet; `StoreError` for a table of other columns."""
    gone = []
    for layout in layouts:
        check_layout(layout)
        found = [row[1] for row in connection.execute(f"PRAGMA table_info({layout.name})")]
        check_columns(layout, found, store)
        gone += [] if found else [layout]
    return gone


def make(connection: sqlite3.Connection, layouts: Iterable[Layout]) -> None:
    """Make the tables, and that of the checkpoints, where they are missing."""
    connection.execute(CHECKPOINTS)
    for layout in layouts:
        columns = ", ".join(f"{quoted(name)} {TYPES.get(name, 'TEXT')}" for name in layout.columns)
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {quoted(layout.name)} ({columns}, PRIMARY KEY ({quoted(*layout.key)})) "
            "WITHOUT ROWID"
        )


def put(connection: sqlite3.Connection, rows: Sequence[ReadRow]) -> None:
    """Write rows; of two payloads of one key the greater stays."""
    for row in rows:
        connection.execute(insert(row.layout), values(row))


@cache
def insert(layout: Layout) -> str:
    """Writes one row; of two payloads of one key the greater stays."""
    columns = check_layout(layout).columns
    return (
        f"INSERT INTO {quoted(layout.name)} VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO UPDATE "  # noqa: S608
        "SET event_type = excluded.event_type, version = excluded.version, payload = excluded.payload "
        f"WHERE excluded.payload > {quoted(layout.name)}.payload"
    )


def values(row: ReadRow) -> tuple[Any, ...]:
    """A row as it stands."""
    id, event_time, *rest = row.commit
    return (*row.place, id, sort_key(event_time), *rest)


def page(
    connection: sqlite3.Connection, layout: Layout, key: tuple[str, ...], last: Sequence[Any], limit: int
) -> list[tuple[Any, ...]]:
    """Rows as they stand whose key begins with `key`, behind the whole key `last`."""
    return connection.execute(_page(layout, len(key), bool(last)), (*key, *last, limit)).fetchall()


def read_row(layout: Layout, values: tuple[Any, ...]) -> ReadRow:
    """A row as the core knows it."""
    *before, key, type, version, payload = values
    return ReadRow.of(layout, (*before, from_sort_key(key), type, version, payload))


def empty(connection: sqlite3.Connection, layout: Layout) -> None:
    """Delete all rows."""
    connection.execute(f"DELETE FROM {quoted(check_layout(layout).name)}")  # noqa: S608 - a checked name


@cache
def _page(layout: Layout, given: int, further: bool) -> str:
    key = check_layout(layout).key
    conditions = [f"{quoted(name)} = ?" for name in key[:given]]
    if further:
        conditions.append(f"({quoted(*key[given:])}) > ({', '.join('?' * len(key[given:]))})")
    return f"SELECT * FROM {quoted(layout.name)} WHERE {' AND '.join(conditions)} ORDER BY {quoted(*key)} LIMIT ?"  # noqa: S608
