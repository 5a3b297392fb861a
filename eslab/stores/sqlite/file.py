"""One SQLite file: a connection for each thread, transactions, and the tables of a new file.

No lock and no transaction outlives an interrupt, whatever it interrupts: see `eslab.stores.locks`.
"""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, TypeVar
from weakref import WeakSet

from eslab.display import quantity
from eslab.errors import StoreError, StoreUnavailable
from eslab.stores.errors import closed, forked
from eslab.stores.locks import alone, give_back, new_lock
from eslab.stores.sqlite.errors import AGAIN, translate_errors
from eslab.stores.sqlite.frozen import Frozen, may_freeze

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

OPENERS = 100  # attempts to open a new file while others open it too
SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    customer_id TEXT, aggregate_id TEXT, event_time BLOB, event_type TEXT, version INTEGER, payload BLOB NOT NULL,
    safe_at INTEGER, PRIMARY KEY (customer_id, aggregate_id, event_time)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (
    customer_id TEXT, aggregate_id TEXT, up_to BLOB, fold INTEGER, payload BLOB NOT NULL, written_at INTEGER,
    PRIMARY KEY (customer_id, aggregate_id, up_to DESC, fold DESC)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aggregates (
    customer_id TEXT, aggregate_id TEXT, first BLOB, floor BLOB, intended BLOB, late_since BLOB, late_until INTEGER,
    PRIMARY KEY (customer_id, aggregate_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
"""


class _Connection(sqlite3.Connection):
    """A connection with a lock: SQLite crashes if a thread closes it in the middle of another thread's statement."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lock = new_lock()


class SqliteFile:
    """The connections to one file. Makes the file and its tables if they are missing and the mode allows it."""

    def __init__(self, path: Path, mode: str, synchronous: str, timeout: float) -> None:
        self.path = path
        self._mode = mode
        self._synchronous = synchronous
        self._timeout = timeout
        # Absolute, since a thread may connect later, when the process works in another folder.
        self._uri = f"{uri_of(path.absolute())}?mode={mode}"
        self._frozen: Frozen | None = None
        self._local = threading.local()
        self._connections: WeakSet[_Connection] = WeakSet()  # a connection goes when its thread ends
        self._closing = new_lock()
        self._writing = new_lock()
        self._closed = False
        self._process = os.getpid()
        _check_path(path, mode)
        try:
            self._open()
        except BaseException:
            self.close()  # the traceback keeps this object, and a connection in it may hold a lock
            raise

    def read(self, work: Work[T]) -> T:
        """What `work` gives with the connection of this thread; SQLite's errors are translated.

        `close` waits until it is done, so it must not keep the connection, nor a cursor: an open cursor is an open
        read transaction, which makes this thread's next write fail.
        """
        with translate_errors(self.path):
            connection = self.connection()
            found = alone(connection.lock, lambda: work(connection))
        if self._frozen:
            self._frozen.check()
        return found

    def read_at_once(self, work: Work[T]) -> T:
        """Like `read`, but all statements of `work` see the file as it is at one moment."""
        return self.read(lambda connection: transact(connection, work, "BEGIN"))

    def write(self, work: Work[T]) -> T:
        """Run `work` in one transaction, all or nothing; it holds SQLite's write lock before anything is read.

        Threads of this process queue for it here, since SQLite makes them sleep and try again, in no order.
        """
        with translate_errors(self.path):
            connection = self.connection()
            try:
                return self._write_in_turn(connection, work)
            finally:
                give_back(self._writing)

    def _write_in_turn(self, connection: _Connection, work: Work[T]) -> T:
        try:
            if not self._writing.acquire(timeout=self._timeout):
                raise StoreUnavailable(f"{self.path}: another thread has been writing for {self._timeout:g} s. {AGAIN}")
            return alone(connection.lock, lambda: transact(connection, work))
        finally:
            give_back(self._writing)

    def close(self) -> None:
        """Close the connections of all threads; closing twice is fine. In a fork it leaves the parent's alone."""
        if self._process != os.getpid():
            return
        for connection in alone(self._closing, self._close):
            alone(connection.lock, connection.close)

    def _close(self) -> list[_Connection]:
        self._closed = True
        return list(self._connections)

    def connection(self) -> _Connection:
        """The connection of this thread, made on first use."""
        if self._closed:
            raise closed(self.path)
        if self._process != os.getpid():  # SQLite forbids a connection that crossed a fork
            raise forked(self.path)
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
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
        alone(self._closing, lambda: self._keep(connection))
        return connection

    def _keep(self, connection: _Connection) -> None:
        if self._closed:  # by another thread, meanwhile
            connection.close()
            raise closed(self.path)
        self._connections.add(connection)

    def _open(self) -> None:
        try:
            self.read(self._prepare)
        except StoreError as error:
            if self._mode != "ro" or not may_freeze(self.path, error):
                raise
            self._frozen = Frozen(self.path)
            self._uri += "&immutable=1"
            self._local = threading.local()
            self.read(self._prepare)

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
                f"Expected schema version {SCHEMA_VERSION} in {self.path}, found {version} and "
                f"{quantity(tables, 'table')}: another version of eslab made it, or it is no store of eslab. Open it "
                "with that version, or name another file."
            )


def uri_of(path: PurePath) -> str:
    """The URI by which SQLite opens the file with this absolute path.

    >>> from pathlib import PurePosixPath, PureWindowsPath
    >>> uri_of(PurePosixPath("/50% off?.db"))
    'file:///50%25%20off%3F.db'
    >>> uri_of(PureWindowsPath("C:/a#1.db"))
    'file:///C:/a%231.db'
    >>> uri_of(PureWindowsPath("//server/share/lab.db"))
    'file:////server/share/lab.db'
    """
    uri = path.as_uri()
    # SQLite takes no host, so the server of a network path is a part of the path.
    return uri if uri.startswith("file:///") else uri.replace("file://", "file:////", 1)


def transact(connection: sqlite3.Connection, work: Work[T], begin: str = "BEGIN IMMEDIATE") -> T:
    """Run `work` in one transaction, which is committed, or rolled back whatever ends it."""
    try:
        with connection:  # commits or rolls back, in one step that no interrupt can split
            connection.execute(begin)
            return work(connection)
    finally:
        connection.rollback()  # does nothing if no transaction is open


def _check_path(path: Path, mode: str) -> None:
    """Refuse a path that SQLite would refuse without saying why."""
    # os.path asks no questions that may fail, as pathlib does where a folder can't be searched.
    if os.path.isdir(path):  # noqa: PTH112
        raise StoreUnavailable(f"{path}: unable to open database file, since this is a folder. Name a file in it.")
    if mode != "rwc" and os.path.isdir(path.parent) and not os.path.exists(path):  # noqa: PTH110, PTH112
        raise StoreUnavailable(
            f"{path}: unable to open database file, since there is none. Check the name; without mode={mode} a new "
            "file is made."
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
            transact(connection, lambda _: None)
    connection.execute("PRAGMA journal_mode = WAL")
