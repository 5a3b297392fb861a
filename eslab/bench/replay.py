"""The baseline of whole commands: the calls of a store are recorded, and sent again by the bare driver.

Here on SQLite; on Cassandra in replay_cassandra.
"""

import inspect
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from eslab import EventStore
from eslab.bench.baselines import Step, sqlite_settings
from eslab.request import sort_key
from eslab.stores.sqlite import read_tables
from eslab.stores.sqlite.statements import APPEND, BEGAN, EARLIEST, ENTRY, LATEST, PAYLOADS, RECORDED, SNAPSHOTS

Statement = tuple[str, tuple[Any, ...]]


class Call(NamedTuple):
    """What a store was asked: a method and its arguments by name."""

    method: str
    given: Mapping[str, Any]


class Replay(Protocol):
    """The bare driver on tables like a store's, where calls are sent again."""

    url: str  # of the store whose tables these are

    def prepare(self, calls: Sequence[Call]) -> Step:
        """Make statements of the calls of one command; the step sends them and drops the answers."""
        ...

    def settings(self) -> dict[str, str]:
        """The durability in force, as the store's own side says."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Recorder:
    """A store that notes what it is asked to read and write."""

    NOTED = ("heads", "read_many", "append", "put_read_rows")

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._calls: list[Call] = []

    def taken(self) -> list[Call]:
        """The calls since the last time."""
        calls, self._calls = self._calls, []
        return calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in self.NOTED:
            return method

        def call(*arguments: Any, **named: Any) -> Any:
            self._calls.append(Call(name, inspect.signature(method).bind(*arguments, **named).arguments))
            return method(*arguments, **named)

        return call


class SqliteReplay:
    """Bare sqlite3 on a store's file, a connection for each thread, at a durability."""

    def __init__(self, path: Path, durability: str = "normal") -> None:
        self.url = f"sqlite:///{path}?mode=ro"
        self._path, self._durability, self._local = path, durability, threading.local()
        self._opened: list[sqlite3.Connection] = []

    def prepare(self, calls: Sequence[Call]) -> Step:
        """The statements of one command: reads as they come, each write a transaction."""
        return partial(self._send, [(call.method, _statements(call)) for call in calls])

    def settings(self) -> dict[str, str]:
        """The journal mode and the durability in force."""
        return sqlite_settings(self._connection())

    def close(self) -> None:
        """Close every thread's connection."""
        for connection in self._opened:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
            connection.execute(f"PRAGMA synchronous = {self._durability}")
            self._local.connection = connection
            self._opened.append(connection)
        return self._local.connection

    def _send(self, calls: Sequence[tuple[str, Sequence[Statement]]]) -> None:
        execute = self._connection().execute
        for method, statements in calls:
            if method in ("heads", "read_many"):
                for statement in statements:
                    execute(*statement).fetchall()
            else:
                execute("BEGIN IMMEDIATE")
                for statement in statements:
                    execute(*statement)
                execute("COMMIT")


def _statements(call: Call) -> list[Statement]:
    given, found = call.given, list[Statement]()
    customer = given.get("customer_id")
    if call.method == "heads":
        for id in given["aggregate_ids"]:
            found += [(ENTRY, (customer, id)), (SNAPSHOTS, (customer, id))]
            found.append((RECORDED, (customer, id, sort_key(given["event_time"]))))
    elif call.method == "read_many":
        after = given["after"].items()
        found += [(PAYLOADS, (customer, id, sort_key(base) if base else EARLIEST, LATEST)) for id, base in after]
    elif call.method == "append":
        for commit in given["commits"]:
            id, event_time, *rest = commit
            key = (customer, id, sort_key(event_time))
            found += [(APPEND, (*key, *rest)), (BEGAN, key)]
    for row in given.get("read_rows") or given.get("rows") or ():
        found.append((read_tables.insert(row.layout), read_tables.values(row)))
    return found
