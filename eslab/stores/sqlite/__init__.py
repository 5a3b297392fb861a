"""The embedded store: one SQLite file, nothing to install; several threads and processes may use it at once.

The tables are clustered exactly like Cassandra's, and event times are kept as sort keys, so that plain byte
order is Cassandra's order. What was acknowledged survives kill -9; with `?synchronous=full` a power cut too (G2).

URL: `sqlite:///relative.db`, `sqlite:////absolute.db`, or `sqlite:` for a new file that is deleted when the store is
closed; options follow a `?`:

    synchronous   normal (default) or full
    timeout       seconds to wait for another writer, 5 by default
    mode          rwc (default: the file is made if it is missing), rw, or ro

With `?mode=ro` a file is also read in a folder that can't be written, while nobody writes it (frozen.py).
"""

import os
import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID
from weakref import finalize

from eslab.clock import to_ms
from eslab.errors import InvalidInput
from eslab.layout import Layout, check_prefix
from eslab.request import sort_key
from eslab.store import Commit, Consistency, EventStore, Head, LateCommits, Log, ReadRow, StoredSnapshot
from eslab.stores import url_options
from eslab.stores.errors import no_read_table
from eslab.stores.sqlite import read_tables, statements
from eslab.stores.sqlite.file import SqliteFile
from eslab.stores.sqlite.rows import check_key, check_text, head, log_in
from eslab.stores.sqlite.rows import commits as commits_in
from eslab.writable import check_append, check_floor, check_read_rows

PAGE = 1000  # rows in a page
FIRST_PAGE = 32  # rows that are read with their keys, beside the head: a row costs more so; see docs/benchmarks.md


class SqliteStore(EventStore):
    """An `EventStore` in one SQLite file; each thread has a connection of its own."""

    def __init__(self, path: Path, mode: str = "rwc", synchronous: str = "normal", timeout: float = 5) -> None:
        self.path = path
        self._mode = mode
        self._file = SqliteFile(path, mode, synchronous, timeout)
        self._remove: Callable[[], object] = lambda: None  # of a file that is deleted with the store

    def __repr__(self) -> str:
        return str(self.path)

    @classmethod
    def open(cls, url: str) -> "SqliteStore":
        """Open the file that the URL names, and make its tables if they are missing."""
        options = url_options(url, {"synchronous": "normal", "timeout": "5", "mode": "rwc"})
        path = _path(url)
        if options["synchronous"] not in ("normal", "full") or options["mode"] not in ("rwc", "rw", "ro"):
            raise InvalidInput(f"Expected synchronous=normal|full and mode=rwc|rw|ro, got {options}.")
        timeout = _seconds(options["timeout"])
        if path:
            return cls(Path(path), options["mode"], options["synchronous"], timeout)
        folder = mkdtemp(prefix="eslab-")
        try:
            store = cls(Path(folder, "fresh.db"), "rwc", options["synchronous"], timeout)
        except BaseException:
            _remove(folder, os.getpid())
            raise
        store._remove = finalize(store, _remove, folder, os.getpid())
        return store

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        check_append(customer_id, commits, read_rows)
        rows = [(customer_id, id, sort_key(event_time), *rest) for id, event_time, *rest in commits]
        first: dict[str, bytes] = {}  # the earliest commit of each aggregate
        for _, id, key, *_ in rows:
            first[id] = min(first.get(id, key), key)

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(statements.APPEND, rows)
            connection.executemany(statements.BEGAN, [(customer_id, id, key) for id, key in first.items()])
            read_tables.put(connection, read_rows)

        self._file.write(write)

    def replace(self, customer_id: str, commit: Commit, damaged: bytes) -> bool:
        id, event_time, *rest = commit
        values = (*rest, customer_id, id, sort_key(event_time), damaged)
        return self._file.write(lambda connection: connection.execute(statements.REPLACE, values).rowcount == 1)

    def read(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        event_time: UUID | None = None,
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
        all_snapshots: bool = False,
    ) -> dict[str, Log]:
        own = sort_key(event_time) if event_time else b""

        def log(connection: sqlite3.Connection, id: str) -> Log:
            low, high = _between(after[id], up_to)
            rows = connection.execute(statements.FIRST_ROWS, (customer_id, id, low, high, FIRST_PAGE + 1)).fetchall()
            # The request's commit is among the rows, unless it lies at or below the base.
            below = event_time if isinstance(low, bytes) and own <= low else None
            found = head(connection, customer_id, id, below, None if all_snapshots else high)
            return log_in(customer_id, id, found, rows, FIRST_PAGE, own)

        return self._file.read_at_once(lambda connection: {id: log(connection, id) for id in after})

    def heads(
        self,
        customer_id: str,
        aggregate_ids: Sequence[str],
        event_time: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[str, Head]:
        return self._file.read_at_once(
            lambda connection: {id: head(connection, customer_id, id, event_time) for id in aggregate_ids}
        )

    def heads_of_type(
        self, customer_id: str, prefix: str, consistency: Consistency = Consistency.LOCAL
    ) -> dict[str, Head]:
        last = prefix + statements.GREATEST_END if prefix else statements.GREATEST_ID

        def heads(connection: sqlite3.Connection) -> dict[str, Head]:
            rows = connection.execute(statements.IDS, (customer_id, prefix, last)).fetchall()
            ids = [check_text(id, "aggregates", "aggregate_id") for (id,) in rows]
            return {id: head(connection, customer_id, id) for id in ids}

        return self._file.read_at_once(heads)

    def ids_of_commits(self, customer_id: str, consistency: Consistency = Consistency.LOCAL) -> list[str]:
        return [
            check_text(id, "events", "aggregate_id") for (id,) in self._rows(statements.IDS_OF_COMMITS, customer_id)
        ]

    def read_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[bytes]], None, None]:
        for id, page in self._pages(statements.PAYLOADS, customer_id, after, up_to):
            for key, _ in page:
                check_key(key, "events", customer_id, id)
            yield id, [payload for _, payload in page]

    def rows_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[Commit]], None, None]:
        for id, page in self._pages(statements.ROWS, customer_id, after, up_to):
            yield id, commits_in(customer_id, id, page)

    def save_snapshot(
        self, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot, written_at: datetime
    ) -> None:
        key = (customer_id, aggregate_id, sort_key(snapshot.up_to), snapshot.fold)
        self._do(statements.SAVE_SNAPSHOT, *key, snapshot.payload, to_ms(written_at))

    def delete_snapshot(
        self, customer_id: str, aggregate_id: str, up_to: UUID, fold: int, written_at: datetime
    ) -> None:
        key = (customer_id, aggregate_id, sort_key(up_to), fold)
        self._do(statements.DELETE_SNAPSHOT, *key, to_ms(written_at))

    def mark(
        self,
        customer_id: str,
        aggregate_id: str,
        *,
        floor: UUID | None = None,
        intended: UUID | None = None,
        late: LateCommits | None = None,
    ) -> None:
        times = (floor, intended, late and late.since)
        keys = (it and sort_key(it) for it in times)
        self._do(statements.MARK, customer_id, aggregate_id, *keys, late and to_ms(late.until))

    def note_safe(self, customer_id: str, commits: Sequence[Commit], safe_at: datetime) -> None:
        rows = [(to_ms(safe_at), customer_id, it.aggregate_id, sort_key(it.event_time)) for it in commits]
        self._file.write(lambda connection: connection.executemany(statements.SAFE, rows))

    def delete_events(self, customer_id: str, aggregate_id: str, up_to: UUID) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            floor = head(connection, customer_id, aggregate_id).floor
            check_floor(floor, up_to, customer_id, aggregate_id)
            connection.execute(statements.DELETE_EVENTS, (customer_id, aggregate_id, sort_key(up_to)))

        self._file.write(delete)

    def time(self) -> None:
        return None

    def missing_read_tables(self, layouts: Sequence[Layout]) -> list[Layout]:
        return self._file.read(lambda connection: read_tables.missing(connection, layouts, self.path))

    def make_read_tables(self, layouts: Sequence[Layout]) -> list[Layout]:
        missing = self.missing_read_tables(layouts)
        if missing and self._mode == "ro":
            raise no_read_table(missing[0], self.path)
        if missing:
            self._file.write(lambda connection: read_tables.make(connection, missing))
        return missing

    def put_read_rows(self, rows: Sequence[ReadRow], consistency: Consistency = Consistency.LOCAL) -> None:
        check_read_rows(rows)
        self._file.write(lambda connection: read_tables.put(connection, rows))

    def read_rows(
        self, layout: Layout, keys: Sequence[tuple[str, ...]], consistency: Consistency = Consistency.LOCAL
    ) -> Generator[Sequence[ReadRow], None, None]:
        for key in keys:
            check_prefix(layout, key)
            last: Sequence[Any] = ()
            while page := self._read_page(layout, key, last):
                last = page[-1][len(key) : len(layout.key)]
                yield [read_tables.read_row(layout, row) for row in page]

    def empty_read_table(self, layout: Layout) -> None:
        self._file.write(lambda connection: read_tables.empty(connection, layout))

    def customers(self, after: str = "", consistency: Consistency = Consistency.LOCAL) -> Generator[str, None, None]:
        while page := self._rows(statements.CUSTOMERS, after, PAGE):
            for (customer,) in page:
                after = check_text(customer, "aggregates", "customer_id")
                yield after

    def checkpoint(self, name: str, consistency: Consistency = Consistency.QUORUM) -> str:
        rows = self._rows(statements.CHECKPOINT, name)
        return rows[0][0] if rows else ""

    def set_checkpoint(self, name: str, text: str) -> None:
        self._do(statements.SET_CHECKPOINT, name, text)

    def swap_checkpoint(self, name: str, before: str, after: str, consistency: Consistency = Consistency.QUORUM) -> str:
        def swap(connection: sqlite3.Connection) -> str:
            found = connection.execute(statements.CHECKPOINT, (name,)).fetchone()
            if (found[0] if found else "") != before:
                return found[0] if found else ""
            connection.execute(statements.SET_CHECKPOINT, (name, after))
            return after

        return self._file.write(swap)

    def close(self) -> None:
        self._file.close()
        self._remove()

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of one statement."""
        return self._file.read(lambda connection: connection.execute(sql, values).fetchall())

    def _do(self, sql: str, *values: Any) -> None:
        """One statement, in a transaction of its own."""
        self._file.write(lambda connection: connection.execute(sql, values))

    def _pages(
        self, sql: str, customer_id: str, after: Mapping[str, UUID | None], up_to: UUID | None
    ) -> Generator[tuple[str, list[tuple[Any, ...]]], None, None]:
        """The pages of one query over many aggregates; its rows begin with their keys."""
        for id, start in after.items():
            low, high = _between(start, up_to)
            # One statement per page: an open cursor is an open read transaction, which holds up the reader's own
            # appends in between and the checkpoints of the write-ahead log, even if nobody reads on.
            more = True
            while more:
                page = self._rows(sql, customer_id, id, low, high, PAGE)
                more = len(page) == PAGE
                if page:
                    low = page[-1][0]
                    yield id, page

    def _read_page(self, layout: Layout, key: tuple[str, ...], last: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._file.read(lambda connection: read_tables.page(connection, layout, key, last, PAGE))


def _remove(folder: str, process: int) -> None:
    """Remove the folder of a store, but not at the end of a fork, whose parent still uses it."""
    if os.getpid() == process:
        rmtree(folder, ignore_errors=True)


def _path(url: str) -> str:
    """The path of the file that a store URL names; empty for a new one."""
    parts = urlsplit(url)
    path = unquote(parts.path)[1:]
    named = url.startswith("sqlite:///") and path and "\0" not in path
    if parts.netloc or parts.fragment or (parts.path and not named):
        raise InvalidInput(f"Expected sqlite:///relative.db or sqlite:////absolute.db or sqlite:, got {url!r}.")
    return path


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 86_400:  # so nan is refused too
        raise InvalidInput(f"Expected timeout in seconds, 0 to 86400, got {text!r}.")
    return seconds


def _between(after: UUID | None, up_to: UUID | None) -> tuple[bytes | float, bytes]:
    low = sort_key(after) if after else statements.EARLIEST
    high = sort_key(up_to) if up_to else statements.LATEST
    return low, high
