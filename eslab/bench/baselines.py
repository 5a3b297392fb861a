"""Baselines: the same rows through the bare driver, without eslab. A figure of eslab's is compared with its baseline.

The protocols, and the baseline on SQLite; baseline_cassandra holds the one on Cassandra, whose driver is an extra.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable
from uuid import UUID

from eslab.bench.sample import CUSTOMER
from eslab.errors import EslabError
from eslab.request import sort_key
from eslab.store import Commit
from eslab.stores.sqlite import PAGE
from eslab.stores.sqlite.file import uri_of
from eslab.stores.sqlite.statements import APPEND, BEGAN

BARE_READ = "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id = ? ORDER BY event_time"
BARE_ROW = "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id = ? AND event_time = ?"
SYNCHRONOUS = ("off", "normal", "full", "extra")  # SQLite answers with the number of the level

Step = Callable[[], object]


class Side(Protocol):
    """One side of a comparison, which can tell its durability."""

    def settings(self) -> dict[str, str]:
        """Ask the database for the durability in force."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Baseline(Side, Protocol):
    """The bare driver on the tables of a store."""

    def read(self, aggregate_id: str, customer: str = CUSTOMER) -> int:
        """Fetch the payloads of an aggregate in the store's pages, drop them, and count them."""
        ...

    def read_row(self, aggregate_id: str, event_time: UUID, customer: str = CUSTOMER) -> int:
        """Fetch the payload of one row by its key, drop it, and count it."""
        ...

    def prepare(self, commits: Sequence[Commit]) -> Step:
        """Prepare everything that need not be timed; the step writes the rows of all commits atomically."""
        ...


@runtime_checkable
class BareInserts(Protocol):
    """A baseline on which one bare insert is worth a measure of its own."""

    def prepare_insert(self, commit: Commit) -> Step:
        """Prepare an insert of the commit's row alone: no batch, no directory row."""
        ...


def check_settings(name: str, settings: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Refuse to compare sides that run at different durabilities: raises `EslabError`."""
    if settings != expected:
        raise EslabError(f"Expected {name} to run at {expected}, got {settings}; it can't be compared.")


def baseline_settings(baseline: Side, expected: Mapping[str, str]) -> dict[str, str]:
    """The settings of a baseline, which must include the expected ones."""
    settings = baseline.settings()
    check_settings("baseline", settings, {**settings, **expected})
    return settings


def sqlite_settings(database: sqlite3.Connection | sqlite3.Cursor) -> dict[str, str]:
    """The journal mode and the durability of a connection."""
    (journal,) = database.execute("PRAGMA journal_mode").fetchone()
    (level,) = database.execute("PRAGMA synchronous").fetchone()
    return {"journal_mode": journal, "synchronous": SYNCHRONOUS[level]}


class SqliteBaseline:
    """Bare sqlite3 on a store's file: the least that reading and writing the same rows can cost."""

    def __init__(self, path: Path, durability: str = "normal", read_only: bool = False) -> None:
        uri = f"{uri_of(path.absolute())}?mode={'ro' if read_only else 'rwc'}"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        self._connection.execute(f"PRAGMA synchronous = {durability}")

    def read(self, aggregate_id: str, customer: str = CUSTOMER) -> int:
        """Fetch the payloads of an aggregate in pages, drop them, and count them."""
        count = 0
        with closing(self._connection.execute(BARE_READ, (customer, aggregate_id))) as cursor:
            while rows := cursor.fetchmany(PAGE):
                count += len(rows)
        return count

    def read_row(self, aggregate_id: str, event_time: UUID, customer: str = CUSTOMER) -> int:
        """Fetch the payload of one row by its key, drop it, and count it."""
        return len(self._connection.execute(BARE_ROW, (customer, aggregate_id, sort_key(event_time))).fetchall())

    def prepare(self, commits: Sequence[Commit]) -> Step:
        """Prepare one transaction with two rows for each commit."""
        return partial(self._append, commits)

    def settings(self) -> dict[str, str]:
        """The journal mode and the durability in force."""
        return sqlite_settings(self._connection)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _append(self, commits: Sequence[Commit]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for aggregate_id, event_time, *columns in commits:
            key = (CUSTOMER, aggregate_id, sort_key(event_time))
            execute(APPEND, (*key, *columns))
            execute(BEGAN, key)
        execute("COMMIT")
