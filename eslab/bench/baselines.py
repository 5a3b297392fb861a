"""The baseline of a store: the same rows through the bare driver, without eslab; here on SQLite.

Cassandra's is in baseline_cassandra, since its driver is an extra.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol

from eslab.bench.sample import CUSTOMER
from eslab.errors import EslabError
from eslab.request import sort_key
from eslab.store import Commit
from eslab.stores.sqlite import PAGE
from eslab.stores.sqlite.statements import APPEND, BEGAN

BARE_READ = "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id = ? ORDER BY event_time"

Step = Callable[[], object]


class Baseline(Protocol):
    """The bare driver on the tables of a store."""

    def read(self, aggregate_id: str) -> int:
        """Fetch the payloads of an aggregate in the store's pages, drop them, and count them."""
        ...

    def prepare(self, commits: Sequence[Commit]) -> Step:
        """Prepare a write without timing it; the step writes the rows of all commits as one."""
        ...

    def settings(self) -> dict[str, str]:
        """The durability in force, as the store reports it."""
        ...

    def close(self) -> None:
        """Release all connections."""
        ...


def check_settings(name: str, actual: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Refuse to compare sides that run at different durabilities."""
    if actual != expected:
        raise EslabError(f"Expected {name} to run at {expected}, found {actual}; they can't be compared.")


class SqliteBaseline:
    """Bare sqlite3 on a store's file: the least that reading and writing the same rows costs."""

    def __init__(self, path: Path, durability: str = "normal") -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute(f"PRAGMA synchronous = {durability}")

    def read(self, aggregate_id: str) -> int:
        """Fetch the payloads of an aggregate in pages, drop them, and count them."""
        count = 0
        with closing(self._connection.execute(BARE_READ, (CUSTOMER, aggregate_id))) as cursor:
            while rows := cursor.fetchmany(PAGE):
                count += len(rows)
        return count

    def prepare(self, commits: Sequence[Commit]) -> Step:
        """Two rows for each commit, in one transaction."""
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
        for commit in commits:
            key = sort_key(commit.event_time)
            event = (CUSTOMER, commit.aggregate_id, key, commit.event_type, commit.version, commit.payload)
            execute(APPEND, event)
            execute(BEGAN, event[:3])
        execute("COMMIT")


def sqlite_settings(connection: sqlite3.Connection) -> dict[str, str]:
    """The journal mode and the durability of a connection."""
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    return {"journal_mode": journal, "synchronous": ("off", "normal", "full", "extra")[level]}
