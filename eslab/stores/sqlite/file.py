"""One SQLite file: a connection for each thread, transactions, and the tables of a new file."""

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import WeakSet

from eslab.errors import StoreError, StoreUnavailable
from eslab.store import closed
from eslab.stores.sqlite.errors import AGAIN, translate_errors

OPENERS = 100  # attempts to open a new file while others open it too
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
    """A connection with a lock: SQLite crashes if a thread closes it in the middle of another thread's statement."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lock = threading.RLock()


class SqliteFile:
    """The connections to one file. Makes the file and its tables if they are missing and the mode allows it."""

    def __init__(self, path: Path, mode: str, synchronous: str, timeout: float) -> None:
        self.path = path
        self._mode = mode
        self._synchronous = synchronous
        self._timeout = timeout
        # Absolute, since a thread may connect later, when the process works in another folder.
        self._uri = f"file://{quote(str(path.absolute()))}?mode={mode}"
        self._local = threading.local()
        self._connections: WeakSet[_Connection] = WeakSet()  # a connection goes when its thread ends
        self._closing = threading.Lock()
        self._writing = threading.Lock()
        self._closed = False
        with self.using() as connection:
            self._prepare(connection)

    @contextmanager
    def using(self) -> Generator[sqlite3.Connection, None, None]:
        """The connection of this thread; `close` waits until it is given back, and SQLite's errors are translated."""
        with translate_errors(self.path):
            connection = self.connection()
            with connection.lock:
                yield connection

    @contextmanager
    def write(self) -> Generator[sqlite3.Connection, None, None]:
        """One transaction, all or nothing; it holds SQLite's write lock before anything is read.

        Threads of this process queue for it here, since SQLite makes them sleep and try again, in no order.
        """
        with self._turn(), self.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # when the disk is full, SQLite has rolled back already
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _turn(self) -> Generator[None, None, None]:
        if not self._writing.acquire(timeout=self._timeout):
            raise StoreUnavailable(f"{self.path}: another thread has been writing for {self._timeout:g} s. {AGAIN}")
        try:
            yield
        finally:
            self._writing.release()

    def close(self) -> None:
        """Close the connections of all threads; closing twice is fine."""
        with self._closing:
            self._closed = True
            connections = list(self._connections)
        for connection in connections:
            with connection.lock:
                connection.close()

    def connection(self) -> _Connection:
        """The connection of this thread, made on first use."""
        with self._closing:
            if self._closed:
                raise closed(self.path)
            if not hasattr(self._local, "connection"):
                self._local.connection = self._connect()
                self._connections.add(self._local.connection)
        return self._local.connection

    def _connect(self) -> _Connection:
        # Used by one thread, but closed by whichever thread closes the store.
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
        # Count the tables before reading the version: both are written in one transaction, so a file that another
        # process is just making can't be seen with tables and without a version. That is somebody else's database.
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0 and not tables and self._mode != "ro":
            _use_wal(connection)
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
        elif version != SCHEMA_VERSION:
            raise StoreError(
                f"Expected schema version {SCHEMA_VERSION} in {self.path}, found {version} and {tables} tables: "
                "another version of eslab made it, or it is no store of eslab. Open it with that version, or name "
                "another file."
            )


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log, which several processes may do at once in a new file."""
    # SQLite does not wait its timeout here if another process switches at the same moment, but fails with "busy". It
    # does wait for the write lock: taking and releasing that lock is the wait.
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
