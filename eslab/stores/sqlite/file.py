"""One SQLite file: a connection for each thread, transactions, and the tables that it begins with."""

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import WeakSet

from eslab.errors import StoreClosed, StoreError, StoreUnavailable
from eslab.stores.sqlite.errors import AGAIN, translate_errors

OPENERS = 100  # how often to step aside for others who open the same fresh file
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    customer_id TEXT, aggregate_id TEXT, event_time BLOB, event_type TEXT, version INTEGER, payload BLOB NOT NULL,
    PRIMARY KEY (customer_id, aggregate_id, event_time)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (
    customer_id TEXT, aggregate_id TEXT, up_to BLOB, fold INTEGER, payload BLOB NOT NULL,
    PRIMARY KEY (customer_id, aggregate_id, up_to DESC, fold DESC)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aggregates (
    customer_id TEXT, aggregate_id TEXT, first BLOB, floor BLOB,
    PRIMARY KEY (customer_id, aggregate_id)) WITHOUT ROWID;
"""


class _Connection(sqlite3.Connection):
    """A connection with a lock: SQLite crashes when one thread closes it in the middle of another's statement."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lock = threading.RLock()


class SqliteFile:
    """The connections to one file; it is made, with its tables, if it is missing and the mode allows that."""

    def __init__(self, path: Path, mode: str, synchronous: str, timeout: float) -> None:
        self.path, self._mode, self._synchronous, self._timeout = path, mode, synchronous, timeout
        self._uri = f"file://{quote(str(path.absolute()))}?mode={mode}"  # threads connect later, wherever they are
        self._local = threading.local()
        self._connections: WeakSet[_Connection] = WeakSet()  # one goes when its thread ends
        self._closing, self._writing = threading.Lock(), threading.Lock()
        self._closed = False
        with self.using() as connection:
            self._prepare(connection)

    @contextmanager
    def using(self) -> Generator[sqlite3.Connection, None, None]:
        """This thread's connection, which nobody closes meanwhile; SQLite's errors become ours."""
        with translate_errors(self.path):
            connection = self.connection()
            with connection.lock:
                yield connection

    @contextmanager
    def write(self) -> Generator[sqlite3.Connection, None, None]:
        """One transaction: all or nothing, and the lock is taken before anything is read.

        Threads of this process queue for it, since SQLite itself has them sleep and try again.
        """
        with self._turn(), self.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite itself rolls back when the disk is full
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _turn(self) -> Generator[None, None, None]:
        if not self._writing.acquire(timeout=self._timeout):
            raise StoreUnavailable(f"{self.path}: another thread writes for longer than {self._timeout:g} s. {AGAIN}")
        try:
            yield
        finally:
            self._writing.release()

    def close(self) -> None:
        """Close every thread's connection; closing twice is fine."""
        with self._closing:
            self._closed = True
            connections = list(self._connections)
        for connection in connections:
            with connection.lock:
                connection.close()

    def connection(self) -> _Connection:
        with self._closing:
            if self._closed:
                raise StoreClosed(f"Expected an open store, but {self.path} was closed; open it anew.")
            if not hasattr(self._local, "connection"):
                self._local.connection = self._connect()
                self._connections.add(self._local.connection)
        return self._local.connection

    def _connect(self) -> _Connection:
        # Used by one thread, but closed by whichever closes the store.
        connection = sqlite3.connect(
            self._uri,
            uri=True,
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Tables before version: both are written at once, so tables without a version are somebody else's.
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0 and not tables and self._mode != "ro":
            _use_wal(connection)
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
        elif version != SCHEMA_VERSION:
            raise StoreError(
                f"Expected schema version {SCHEMA_VERSION} in {self.path}, found {version} and {tables} tables: "
                "it was made by another version of eslab, or is no store of eslab."
            )


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; SQLite does not wait for others who do it too, so wait for them by a lock."""
    for _ in range(OPENERS):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    connection.execute("PRAGMA journal_mode = WAL")
