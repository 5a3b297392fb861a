"""Rows of SQLite as the core sees them; SQLite keeps a value of any type in any column, so each is checked here."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from eslab.clock import from_ms
from eslab.errors import Unreadable
from eslab.request import LATEST_MS, from_sort_key, sort_key
from eslab.store import FEW_SNAPSHOTS, Commit, Head, LateCommits, Log, StoredSnapshot, place
from eslab.stores.sqlite import statements

KEY_BYTES = 16
GREATEST_FIRST_BYTE = 0x0F  # an event time has 60 bits


def event_time(key: Any, table: str, customer_id: str, aggregate_id: str) -> UUID:
    """The event time of a stored sort key; raises `Unreadable` with the row if it is none."""
    check_key(key, table, customer_id, aggregate_id)
    return from_sort_key(key)


def check_key(key: Any, table: str, customer_id: str, aggregate_id: str) -> None:
    """Raise `Unreadable` with the row unless its key is that of an event time."""
    if not isinstance(key, bytes) or len(key) != KEY_BYTES or key[0] > GREATEST_FIRST_BYTE:
        raise Unreadable(
            f"Unreadable row in {table}: {place(customer_id, aggregate_id)}, event time {key!r}: expected the 16 "
            "bytes of an event time. Restore the row from a backup, or delete it.",
            customer_id=customer_id,
            aggregate_id=aggregate_id,
        )


def check_text(value: Any, table: str, column: str) -> str:
    """The id in a row of the directory; raises `Unreadable` if it is no text."""
    if not isinstance(value, str):
        raise Unreadable(
            f"Unreadable row in {table}: expected text as {column}, found {value!r}. Restore the row from a backup, or "
            "delete it."
        )
    return value


def commits(customer_id: str, aggregate_id: str, page: Sequence[tuple[Any, ...]]) -> list[Commit]:
    """The commits in a page of events."""
    for row in page:
        check_key(row[0], "events", customer_id, aggregate_id)
    return [
        Commit(aggregate_id, from_sort_key(key), event_type, version, payload)
        for key, event_type, version, payload, *_ in page
    ]


def log_in(
    customer_id: str, aggregate_id: str, head: Head, rows: Sequence[tuple[Any, ...]], most: int, own: bytes
) -> Log:
    """The log of one aggregate, from its head and the first rows of its events; `own` is the request's sort key."""
    page = rows[:most]
    for row in page:
        check_key(row[0], "events", customer_id, aggregate_id)
        if row[0] == own:
            (recorded,) = commits(customer_id, aggregate_id, [row])
            head = head._replace(recorded=recorded, safe=row[-1] is not None)
    last = from_sort_key(page[-1][0]) if page else None
    payloads = [row[3] for row in page]
    return Log(head, payloads, last, len(rows) > most, lambda: commits(customer_id, aggregate_id, page))


def head(
    connection: sqlite3.Connection,
    customer_id: str,
    aggregate_id: str,
    at: UUID | None = None,
    few_up_to: bytes | None = None,
) -> Head:
    """The head of one aggregate, with its commit at an event time; all its snapshots, or the newest few up to a key."""
    key = (customer_id, aggregate_id)
    *times, until = connection.execute(statements.ENTRY, key).fetchone() or (None,) * 5
    first, floor, intended, since = [it if it is None else event_time(it, "aggregates", *key) for it in times]
    late = LateCommits(since, _moment(until, *key)) if since else None
    newest = (statements.NEWEST_SNAPSHOTS, (*key, few_up_to, FEW_SNAPSHOTS + 1))
    saved = connection.execute(*((statements.SNAPSHOTS, key) if few_up_to is None else newest)).fetchall()
    snapshots = [_snapshot(row, *key) for row in saved]
    recorded, safe_at = None, None
    if at and (row := connection.execute(statements.RECORDED, (*key, sort_key(at))).fetchone()):
        *columns, safe_at = row
        recorded = Commit(aggregate_id, at, *columns)
    whole = Head(first, floor, snapshots, recorded, safe_at is not None, intended, late)
    return whole if few_up_to is None else whole.shortened()


def _moment(ms: Any, customer_id: str, aggregate_id: str) -> datetime:
    if not isinstance(ms, int) or not 0 <= ms <= LATEST_MS:
        raise Unreadable(
            f"Unreadable row in aggregates: {place(customer_id, aggregate_id)}: expected milliseconds since 1970 as "
            f"late_until, found {ms!r}. Restore the row from a backup.",
            customer_id=customer_id,
            aggregate_id=aggregate_id,
        )
    return from_ms(ms)


def _snapshot(row: tuple[Any, ...], customer_id: str, aggregate_id: str) -> StoredSnapshot:
    key, fold, payload = row
    up_to = event_time(key, "snapshots", customer_id, aggregate_id)
    if not isinstance(fold, int):
        raise Unreadable(
            f"Unreadable row in snapshots: {place(customer_id, aggregate_id)}, event time {up_to}: expected a whole "
            f"number as fold, found {fold!r}. Delete the row; while its events exist it is only a cache.",
            customer_id=customer_id,
            aggregate_id=aggregate_id,
            event_time=up_to,
        )
    return StoredSnapshot(up_to, fold, payload)
