"""The baselines of whole commands: the calls that a store got are recorded, and sent again by the bare driver.

    baseline   the very statements of these calls, in as many waits
    least      what any design needs: one SELECT of the payloads, and one batch or transaction of the commits' rows

The recorder, the protocol, and both on SQLite; replay_cassandra holds those on Cassandra.
"""

import inspect
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from eslab import EventStore
from eslab.bench.baselines import Side, Step, sqlite_settings
from eslab.clock import to_ms
from eslab.request import is_after, sort_key
from eslab.store import FEW_SNAPSHOTS, Commit, ReadRow
from eslab.stores.sqlite import FIRST_PAGE, read_tables
from eslab.stores.sqlite.statements import (
    APPEND,
    BEGAN,
    EARLIEST,
    ENTRY,
    FIRST_ROWS,
    LATEST,
    MARK,
    NEWEST_SNAPSHOTS,
    RECORDED,
    SAFE,
    SNAPSHOTS,
)

Statement = tuple[str, tuple[Any, ...]]


class Call(NamedTuple):
    """A method of a store that was called, and its arguments by name, defaults included."""

    method: str
    arguments: Mapping[str, Any]


def touched_by(calls: Sequence[Call]) -> tuple[str, list[str]]:
    """The customer of a command, and the aggregates that it read, from its calls."""
    first = next(call.arguments for call in calls if call.method == "read")
    return first["customer_id"], [*first["after"]]


def commits_of(calls: Sequence[Call]) -> list[Commit]:
    """The commits that a command appended; some commands append them twice."""
    return [*{commit: None for call in calls if call.method == "append" for commit in call.arguments["commits"]}]


class Replay(Side, Protocol):
    """The bare driver on tables like a store's, where calls are sent again."""

    url: str  # of the store that has these tables

    def prepare(self, calls: Sequence[Call]) -> Step:
        """Prepare the statements of one command's calls; the step sends them and drops the answers."""
        ...


class Recorder:
    """A store that records the calls which read and write for a command, and passes all calls on."""

    RECORDED = ("read", "heads", "append", "put_read_rows", "mark", "note_safe")

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
            bound = signature.bind(*arguments, **named)
            bound.apply_defaults()
            self._calls.append(Call(name, bound.arguments))
            return method(*arguments, **named)

        return call


class Exchange(NamedTuple):
    """The statements of one transaction, and the statement that begins it."""

    begin: str
    statements: Sequence[Statement]


def read_only(statements: Iterable[Statement]) -> Exchange:
    """A read of the file as it is at one moment."""
    return Exchange("BEGIN", [*statements])


def writing(statements: Iterable[Statement]) -> Exchange:
    """A write transaction."""
    return Exchange("BEGIN IMMEDIATE", [*statements])


class SqliteReplay:
    """Bare sqlite3 on a store's file, at one durability, with a connection for each thread."""

    def __init__(self, path: Path, durability: str, exchanges: Callable[[Sequence[Call]], list[Exchange]]) -> None:
        """`exchanges` says what is sent for the calls of one command."""
        self.url = f"sqlite:///{path}?mode=ro"
        self._path = path
        self._durability = durability
        self._exchanges = exchanges
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    def prepare(self, calls: Sequence[Call]) -> Step:
        """Prepare the transactions of one command."""
        return partial(self._send, self._exchanges(calls))

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
        execute = self._connection().execute
        for begin, statements in exchanges:
            execute(begin)
            for statement in statements:
                execute(*statement).fetchall()
            execute("COMMIT")


def least(calls: Sequence[Call]) -> list[Exchange]:
    """What any design needs for a command: its aggregates' payloads, and the rows of its commits if it has any."""
    customer, ids = touched_by(calls)
    several = ", ".join("?" * len(ids))
    select = f"SELECT payload FROM events WHERE customer_id = ? AND aggregate_id IN ({several})"  # noqa: S608
    inserts = [_insert(customer, commit) for commit in commits_of(calls)]
    return [read_only([(select, (customer, *ids))]), *([writing(inserts)] if inserts else [])]


def replayed(calls: Sequence[Call]) -> list[Exchange]:
    """What the store sent for the calls of a command: a transaction for each."""
    return [_exchange(call) for call in calls]


def _exchange(call: Call) -> Exchange:
    match call:
        case Call("read", {"up_to": None, "all_snapshots": False, **about}):
            return read_only(_read(about["customer_id"], about["after"], about["event_time"]))
        case Call("heads", {"customer_id": customer, "aggregate_ids": ids, "event_time": event_time}):
            return read_only(statement for id in ids for statement in _head(customer, id, SNAPSHOTS, event_time))
        case Call("append", {"customer_id": customer, "commits": commits, "read_rows": rows}):
            return writing([*_append(customer, commits), *_read_rows(rows)])
        case Call("put_read_rows", {"rows": rows}):
            return writing(_read_rows(rows))
        case Call("mark", {"customer_id": customer, "aggregate_id": id, "late": late}):
            return writing([(MARK, (customer, id, None, None, sort_key(late.since), to_ms(late.until)))])
        case Call("note_safe", {"customer_id": customer, "commits": commits, "safe_at": at}):
            return writing((SAFE, (to_ms(at), customer, it.aggregate_id, sort_key(it.event_time))) for it in commits)
    raise NotImplementedError(f"Expected a call that a command makes, got {call}.")


def _read(customer: str, after: Mapping[str, UUID | None], event_time: UUID | None) -> Iterator[Statement]:
    for id, base in after.items():
        yield FIRST_ROWS, (customer, id, sort_key(base) if base else EARLIEST, LATEST, FIRST_PAGE + 1)
        own = event_time if base and event_time and not is_after(event_time, base) else None
        yield from _head(customer, id, NEWEST_SNAPSHOTS, own, LATEST, FEW_SNAPSHOTS + 1)


def _head(customer: str, id: str, snapshots: str, event_time: UUID | None, *limits: bytes | int) -> Iterator[Statement]:
    yield ENTRY, (customer, id)
    yield snapshots, (customer, id, *limits)
    if event_time:
        yield RECORDED, (customer, id, sort_key(event_time))


def _append(customer: str, commits: Sequence[Commit]) -> Iterator[Statement]:
    yield from (_insert(customer, commit) for commit in commits)
    yield from ((BEGAN, (customer, it.aggregate_id, sort_key(it.event_time))) for it in commits)


def _insert(customer: str, commit: Commit) -> Statement:
    id, event_time, *columns = commit
    return APPEND, (customer, id, sort_key(event_time), *columns)


def _read_rows(rows: Iterable[ReadRow]) -> Iterator[Statement]:
    return ((read_tables.insert(row.layout), read_tables.values(row)) for row in rows)
