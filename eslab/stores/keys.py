"""The keys of customers: in memory for tests and first steps, or in one file under a master key.

    make_master("master.key")                          # once: 32 random bytes that only their owner may read
    keys = FileKeys("keys.db", "master.key")

The file is an SQLite database, so that several processes may use it at once and kill -9 leaves every key whole. Each
customer's key is wrapped: encrypted under the master key and bound to the customer. A destroyed key leaves a
tombstone. To change the master key, name the new one first and the old ones after it, and rotate:

    FileKeys("keys.db", "new.key", "master.key").rotate()
"""

import hashlib
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from eslab.aggregate import check_id
from eslab.errors import InvalidInput, StoreClosed, Unreadable
from eslab.payload.cipher import KEY_BYTES, Cipher, nonce_of
from eslab.payload.encryption import forgotten
from eslab.stores.locks import alone, new_lock
from eslab.stores.sqlite.errors import translate_errors
from eslab.stores.sqlite.file import Work, transact, uri_of

T = TypeVar("T")
Chance = Callable[[int], bytes]
CHANCE: Chance = os.urandom  # unlike all else here, a key must not be repeatable from a seed
TIMEOUT = 30  # seconds to wait for another process, which may be rotating
SCHEMA = "CREATE TABLE IF NOT EXISTS keys (customer_id TEXT PRIMARY KEY, master BLOB, wrapped BLOB) WITHOUT ROWID"
MASTER = re.compile(rb"\s*[0-9a-fA-F]{64}\s*")
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
FIND = "SELECT master, wrapped FROM keys WHERE customer_id = ?"
ALL_BUT = "SELECT customer_id, master, wrapped FROM keys WHERE wrapped IS NOT NULL AND master <> ?"
PUT = "INSERT OR REPLACE INTO keys VALUES (?, ?, ?)"


def make_master(path: str | Path, chance: Chance = CHANCE) -> None:
    """Write a new master key: 64 hexadecimal digits that only the owner may read. Refuses a file that exists."""
    try:
        with open(path, "x", opener=_private) as file:
            file.write(chance(KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InvalidInput(f"Expected a path for a new master key, got {str(path)!r}: {error.strerror}.") from None


class MemoryKeys:
    """A `KeyProvider` in a dictionary; all keys are lost when the process ends."""

    def __init__(self, chance: Chance = CHANCE) -> None:
        self._chance = chance
        self._keys: dict[str, bytes | None] = {}  # None is the tombstone of a destroyed key
        self._lock = new_lock()

    def key(self, customer_id: str) -> bytes | None:
        if customer_id in self._keys and self._keys[customer_id] is None:
            raise forgotten(customer_id)
        return self._keys.get(customer_id)

    def make(self, customer_id: str) -> bytes:
        def make() -> bytes:
            key = self.key(customer_id)
            if key is None:
                key = self._keys[customer_id] = self._chance(KEY_BYTES)
            return key

        return alone(self._lock, make)

    def destroy(self, customer_id: str) -> None:
        def destroy() -> None:
            self._keys[customer_id] = None

        alone(self._lock, destroy)


class FileKeys:
    """A `KeyProvider` in one file. The first master key wraps and unwraps; the older ones after it only unwrap."""

    def __init__(self, path: str | Path, master: str | Path, *older: str | Path, chance: Chance = CHANCE) -> None:
        self.path = Path(path)
        self._chance = chance
        self._masters = {_id(key): Cipher(key) for key in map(_master, (master, *older))}
        self._newest = next(iter(self._masters))
        self._lock = new_lock()
        self._closed = False
        with translate_errors(self.path):
            self._database = _opened(self.path)

    def __repr__(self) -> str:
        return f"FileKeys({str(self.path)!r})"

    def key(self, customer_id: str) -> bytes | None:
        check_id("customer id", customer_id)
        return self._run(lambda database: self._find(database, customer_id))

    def make(self, customer_id: str) -> bytes:
        # Look and put in one transaction, so that of two processes one makes the key and the other takes it.
        check_id("customer id", customer_id)
        return self._write(lambda database: self._find(database, customer_id) or self._put(database, customer_id))

    def destroy(self, customer_id: str) -> None:
        check_id("customer id", customer_id)
        self._write(lambda database: database.execute(PUT, (customer_id, None, None)))

    def rotate(self) -> int:
        """Wrap every key under the first master key, all or none; returns how many were under another one before.

        The customers' keys, and so the data, stay as they are. When all processes name the new master key, destroy the
        old one: then no old backup and no freed block of the disk reveals a key.
        """
        return self._write(self._rotate)

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._closed = True
        alone(self._lock, self._database.close)

    def _rotate(self, database: sqlite3.Connection) -> int:
        rows = database.execute(ALL_BUT, (self._newest,)).fetchall()
        for customer_id, master, wrapped in rows:
            self._put(database, customer_id, self._unwrapped(customer_id, master, wrapped))
        return len(rows)

    def _find(self, database: sqlite3.Connection, customer_id: str) -> bytes | None:
        row = database.execute(FIND, (customer_id,)).fetchone()
        return self._unwrapped(customer_id, *row) if row else None

    def _put(self, database: sqlite3.Connection, customer_id: str, key: bytes = b"") -> bytes:
        """Keep a key, wrapped; a new one if none is given."""
        key = key or self._chance(KEY_BYTES)
        place = customer_id.encode()
        wrapped = self._masters[self._newest].encrypt(nonce_of(place), key, place)
        database.execute(PUT, (customer_id, self._newest, wrapped))
        return key

    def _unwrapped(self, customer_id: str, master: bytes | None, wrapped: bytes | None) -> bytes:
        if master is None or wrapped is None:
            raise forgotten(customer_id)
        if master not in self._masters:
            raise InvalidInput(
                f"Expected the master key {master.hex()} for customer {customer_id!r} in {self.path}, got only "
                f"{', '.join(known.hex() for known in self._masters)}; name its file too. Nothing was read or written.",
                customer_id=customer_id,
            )
        place = customer_id.encode()
        try:
            return self._masters[master].decrypt(nonce_of(place), wrapped, place)
        except Unreadable as error:
            raise Unreadable(
                f"Unreadable key of customer {customer_id!r} in {self.path}: {error}. Restore the file from a backup.",
                customer_id=customer_id,
            ) from None

    def _write(self, work: Work[T]) -> T:
        """One transaction, all or nothing; it waits for those of other processes."""
        return self._run(lambda database: transact(database, work))

    def _run(self, work: Work[T]) -> T:
        """What `work` gives with the open file; only one thread at a time has it."""
        with translate_errors(self.path):
            return alone(self._lock, lambda: work(self._open()))

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreClosed(f"The keys are closed: {self.path}. Open them again.")
        return self._database


def _opened(path: Path) -> sqlite3.Connection:
    try:
        path.touch(0o600)
    except OSError as error:
        raise InvalidInput(f"Expected a file for the keys of customers, got {str(path)!r}: {error.strerror}.") from None
    # By its URI, so that no name has a meaning of its own: ":memory:" would be no file at all.
    uri = uri_of(path.absolute())
    database = sqlite3.connect(uri, uri=True, timeout=TIMEOUT, isolation_level=None, check_same_thread=False)
    # A deleted key is overwritten with zeros, and there is no write-ahead log to keep a copy of it for a while.
    for pragma in ("secure_delete = ON", "journal_mode = DELETE", "synchronous = EXTRA"):
        database.execute(f"PRAGMA {pragma}")
    tables = {name for (name,) in database.execute(TABLES).fetchall()}
    if others := tables - {"keys"}:
        raise InvalidInput(
            f"Expected a file of keys, or none yet, at {str(path)!r}, found tables {sorted(others)}; keep the keys "
            "apart from the data that they decrypt."
        )
    database.execute(SCHEMA)
    return database


def _master(path: str | Path) -> bytes:
    try:
        mode, written = Path(path).stat().st_mode, Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(f"Expected a master key in {str(path)!r}: {error.strerror}; see make_master.") from None
    if not MASTER.fullmatch(written):
        raise InvalidInput(f"Expected {2 * KEY_BYTES} hexadecimal digits in {str(path)!r}, found something else.")
    if os.name == "posix" and mode & 0o077:
        raise InvalidInput(
            f"Expected a master key that only its owner may read, found mode {mode & 0o777:o}; run: chmod 600 {path}"
        )
    return bytes.fromhex(written.decode())


def _id(master: bytes) -> bytes:
    """A name for a master key, which tells it from others and reveals nothing about it."""
    return hashlib.blake2b(master, digest_size=8, person=b"eslab master").digest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
