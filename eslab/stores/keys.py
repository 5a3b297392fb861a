"""Where customers' keys are kept: in memory for tests and first steps, or in one file under a master key.

    make_master("master.key")                          # once: 32 random bytes, readable by their owner only
    keys = FileKeys("keys.db", "master.key")

The file is an SQLite database, so that several processes may use it at once and kill -9 leaves every key whole. Each
customer's key is wrapped: encrypted under the master key and bound to the customer. A destroyed key leaves a
tombstone. To change the master key, name the new one first and the old ones behind it, and rotate:

    FileKeys("keys.db", "new.key", "master.key").rotate()
"""

import hashlib
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from eslab.aggregate import check_id
from eslab.errors import InvalidInput, StoreClosed, Unreadable
from eslab.payload.cipher import KEY_BYTES, Cipher, nonce_of
from eslab.payload.encryption import forgotten
from eslab.stores.sqlite.errors import translate_errors

Chance = Callable[[int], bytes]
CHANCE: Chance = os.urandom  # a key is the one thing that must not be repeatable
TIMEOUT = 30  # seconds to wait for another process, which may be rotating
SCHEMA = "CREATE TABLE IF NOT EXISTS keys (customer_id TEXT PRIMARY KEY, master BLOB, wrapped BLOB) WITHOUT ROWID"
MASTER = re.compile(rb"\s*[0-9a-fA-F]{64}\s*")
FIND = "SELECT master, wrapped FROM keys WHERE customer_id = ?"
ALL_BUT = "SELECT customer_id, master, wrapped FROM keys WHERE wrapped IS NOT NULL AND master <> ?"
PUT = "INSERT OR REPLACE INTO keys VALUES (?, ?, ?)"


def make_master(path: str | Path, chance: Chance = CHANCE) -> None:
    """Write a new master key, 64 hexadecimal digits that only the owner may read; a file that exists is refused."""
    try:
        with open(path, "x", opener=_private) as file:
            file.write(chance(KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InvalidInput(f"Expected a path for a new master key, got {str(path)!r}: {error.strerror}.") from None


class MemoryKeys:
    """A `KeyProvider` in a dictionary; all is forgotten when it goes."""

    def __init__(self, chance: Chance = CHANCE) -> None:
        self._chance, self._keys, self._lock = chance, dict[str, bytes | None](), threading.Lock()

    def key(self, customer_id: str) -> bytes | None:
        if customer_id in self._keys and self._keys[customer_id] is None:
            raise forgotten(customer_id)
        return self._keys.get(customer_id)

    def make(self, customer_id: str) -> bytes:
        with self._lock:
            found = self.key(customer_id)
            if found is None:
                found = self._keys[customer_id] = self._chance(KEY_BYTES)
            return found

    def destroy(self, customer_id: str) -> None:
        with self._lock:
            self._keys[customer_id] = None


class FileKeys:
    """A `KeyProvider` in one file; the first master key wraps, the older ones behind it may still unwrap."""

    def __init__(self, path: str | Path, master: str | Path, *older: str | Path, chance: Chance = CHANCE) -> None:
        self.path, self._chance = Path(path), chance
        self._masters = {_id(key): Cipher(key) for key in map(_master, (master, *older))}
        self._newest = next(iter(self._masters))
        self._lock = threading.RLock()
        self._closed = False
        with translate_errors(self.path):
            self._database = _opened(self.path)

    def __repr__(self) -> str:
        return f"FileKeys({str(self.path)!r})"

    def key(self, customer_id: str) -> bytes | None:
        check_id("customer id", customer_id)
        with self._using() as database:
            row = database.execute(FIND, (customer_id,)).fetchone()
        return self._unwrapped(customer_id, *row) if row else None

    def make(self, customer_id: str) -> bytes:
        with self._write() as database:
            found = self.key(customer_id)
            if found is None:
                found = self._chance(KEY_BYTES)
                self._put(database, customer_id, found)
            return found

    def destroy(self, customer_id: str) -> None:
        check_id("customer id", customer_id)
        with self._write() as database:
            database.execute(PUT, (customer_id, None, None))

    def rotate(self) -> int:
        """Wrap every key by the first master key, all or none; how many were wrapped by another before.

        The data stays as it is. When all processes name the new master key, destroy the old one: then what an old
        backup or a freed block of the disk still holds is of no use to anybody.
        """
        with self._write() as database:
            rows = database.execute(ALL_BUT, (self._newest,)).fetchall()
            for customer_id, master, wrapped in rows:
                self._put(database, customer_id, self._unwrapped(customer_id, master, wrapped))
            return len(rows)

    def close(self) -> None:
        """Let go of the file; closing twice is fine."""
        with self._lock:
            self._closed = True
            self._database.close()

    def _put(self, database: sqlite3.Connection, customer_id: str, key: bytes) -> None:
        place = customer_id.encode()
        wrapped = self._masters[self._newest].encrypt(nonce_of(place), key, place)
        database.execute(PUT, (customer_id, self._newest, wrapped))

    def _unwrapped(self, customer_id: str, master: bytes | None, wrapped: bytes | None) -> bytes:
        if master is None or wrapped is None:
            raise forgotten(customer_id)
        if master not in self._masters:
            raise InvalidInput(
                f"Expected the master key {master.hex()} for customer {customer_id!r} in {self.path}, got only "
                f"{', '.join(each.hex() for each in self._masters)}; name its file too. Nothing was read or written."
            )
        place = customer_id.encode()
        try:
            return self._masters[master].decrypt(nonce_of(place), wrapped, place)
        except Unreadable as error:
            raise Unreadable(
                f"Unreadable key of customer {customer_id!r} in {self.path}: {error}. Restore the file from a backup."
            ) from None

    @contextmanager
    def _using(self) -> Generator[sqlite3.Connection, None, None]:
        with self._lock, translate_errors(self.path):
            if self._closed:
                raise StoreClosed(f"Expected open keys, but {self.path} was closed; open it anew.")
            yield self._database

    @contextmanager
    def _write(self) -> Generator[sqlite3.Connection, None, None]:
        """One transaction, which waits for those of other processes."""
        with self._using() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise


def _opened(path: Path) -> sqlite3.Connection:
    try:
        path.touch(0o600)
    except OSError as error:
        raise InvalidInput(f"Expected a file for the keys of customers, got {str(path)!r}: {error.strerror}.") from None
    database = sqlite3.connect(path, timeout=TIMEOUT, isolation_level=None, check_same_thread=False)
    # No write-ahead log, which would keep a destroyed key for a while, and zeros over what is deleted.
    for pragma in ("secure_delete = ON", "journal_mode = DELETE", "synchronous = EXTRA"):
        database.execute(f"PRAGMA {pragma}")
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if others := tables - {"keys"}:
        raise InvalidInput(
            f"Expected a file of keys, or none yet, at {str(path)!r}, found tables {sorted(others)}; keep the keys "
            "apart from what they unlock."
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
    """Tells master keys apart, and says nothing about them."""
    return hashlib.blake2b(master, digest_size=8, person=b"eslab master").digest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
