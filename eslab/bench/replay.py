"""The baseline of whole commands: the calls that a store got are recorded, and sent again by the bare driver.

The recorder, the protocol, and the replay on SQLite; replay_cassandra holds the one on Cassandra.
"""

import inspect
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from eslab import EventStore
from eslab.bench.baselines import Side, Step, sqlite_settings
from eslab.request import sort_key
from eslab.store import Commit, ReadRow
from eslab.stores.sqlite import PAGE, read_tables
from eslab.stores.sqlite.statements import APPEND, BEGAN, EARLIEST, ENTRY, LATEST, PAYLOADS, RECORDED, SNAPSHOTS

Statement = tuple[str, tuple[Any, ...]]


class Call(NamedTuple):
    """A method of a store that was called, and its arguments by name."""

    method: str
    arguments: Mapping[str, Any]


class Replay(Side, Protocol):
    """The bare driver on tables like a store's, where calls are sent again."""

    url: str  # of the store that has these tables

    def prepare(self, calls: Sequence[Call]) -> Step:
        """Prepare the statements of one command's calls; the step sends them and drops the answers."""
        ...


class Recorder:
    """A store that records the calls which read and write for a command, and passes all calls on."""

    RECORDED = ("heads", "read_many", "append", "put_read_rows")

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._calls: list[Call] = []

    def take(self) -> list[Call]:
        """The calls since the last `take`."""
        calls = self._calls
        self._calls = []
        return calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in self.RECORDED:
            return method
        signature = inspect.signature(method)

        def call(*arguments: Any, **named: Any) -> Any:
            self._calls.append(Call(name, signature.bind(*arguments, **named).arguments))
            return method(*arguments, **named)

        return call


class Exchange(NamedTuple):
    """The statements of one call, and whether they are one write transaction."""

    statements: Sequence[Statement]
    writes: bool


class SqliteReplay:
    """Bare sqlite3 on a store's file, at one durability, with a connection for each thread."""

    def __init__(self, path: Path, durability: str = "normal") -> None:
        self.url = f"sqlite:///{path}?mode=ro"
        self._path = path
        self._durability = durability
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    def prepare(self, calls: Sequence[Call]) -> Step:
        """Prepare the statements of one command: reads one by one, each write as a transaction."""
        return partial(self._send, [_exchange(call) for call in calls])

    def settings(self) -> dict[str, str]:
        """The journal mode and the durability in force."""
        return sqlite_settings(self._connection())

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._connections:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            # Not checked, since `close` is called by another thread than the one that uses the connection.
            connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
            connection.execute(f"PRAGMA synchronous = {self._durability}")
            self._local.connection = connection
            self._connections.append(connection)
        return self._local.connection

    def _send(self, exchanges: Iterable[Exchange]) -> None:
        connection = self._connection()
        for statements, writes in exchanges:
            if writes:
                _write(connection, statements)
            else:
                _read(connection, statements)


def _read(connection: sqlite3.Connection, statements: Iterable[Statement]) -> None:
    for statement in statements:
        connection.execute(*statement).fetchall()


def _write(connection: sqlite3.Connection, statements: Iterable[Statement]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements:
        connection.execute(*statement)
    connection.execute("COMMIT")


def _exchange(call: Call) -> Exchange:
    match call:
        case Call("heads", {"customer_id": customer, "aggregate_ids": ids, "event_time": event_time}):
            return Exchange([*_look_up(customer, ids, sort_key(event_time))], writes=False)
        case Call("read_many", {"customer_id": customer, "after": after}):
            bounds = {id: sort_key(base) if base else EARLIEST for id, base in after.items()}
            return Exchange([(PAYLOADS, (customer, id, low, LATEST, PAGE)) for id, low in bounds.items()], writes=False)
        case Call("append", {"customer_id": customer, "commits": commits, **options}):
            return Exchange([*_append(customer, commits), *_read_rows(options.get("read_rows", ()))], writes=True)
        case Call("put_read_rows", {"rows": rows}):
            return Exchange([*_read_rows(rows)], writes=True)
    raise NotImplementedError(f"Expected a call that a command makes, got {call}.")


def _look_up(customer: str, aggregate_ids: Iterable[str], event_time: bytes) -> Iterator[Statement]:
    for id in aggregate_ids:
        yield ENTRY, (customer, id)
        yield SNAPSHOTS, (customer, id)
        yield RECORDED, (customer, id, event_time)


def _append(customer: str, commits: Iterable[Commit]) -> Iterator[Statement]:
    for id, event_time, *columns in commits:
        key = (customer, id, sort_key(event_time))
        yield APPEND, (*key, *columns)
        yield BEGAN, key


def _read_rows(rows: Iterable[ReadRow]) -> Iterator[Statement]:
    return ((read_tables.insert(row.layout), read_tables.values(row)) for row in rows)
