"""Where a benchmark happens, and the floor under it: the same rows through the bare driver, without eslab.

A store is a scheme (`sqlite`, `memory`: a fresh one that goes afterwards) or a URL. The benchmarks write as
customer "bench", always the same rows. A floor's own files and a peer's stand on the same disk as the store.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from eslab import EventStore, open_store
from eslab.bench.sample import CUSTOMER
from eslab.request import sort_key
from eslab.store import Commit
from eslab.stores.sqlite import APPEND, BEGAN, PAGE, SqliteStore

BARE_READ = "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id = ? ORDER BY event_time"


@dataclass(frozen=True)
class Target:
    """The store to measure, and a folder beside it that goes afterwards."""

    scheme: str
    url: str
    folder: Path

    @property
    def durabilities(self) -> Sequence[str]:
        """The durability settings to measure appends at."""
        return ("normal", "full") if self.scheme == "sqlite" else ("",)

    def open(self, durability: str = "") -> EventStore:
        """The store at a durability setting; without one, as its URL says."""
        return open_store(_with_durability(self.url, durability))

    def open_beside(self, name: str, durability: str) -> SqliteStore:
        """A fresh SQLite store in the folder, with the tables of any other."""
        return SqliteStore.open(_with_durability(f"sqlite:///{self.folder / name}.db", durability))


@contextmanager
def target(store: str) -> Generator[Target, None, None]:
    """The target that a scheme or a URL names; what is fresh is deleted in the end."""
    scheme, _, rest = store.partition(":")
    beside = _folder_of(store) if rest and scheme == "sqlite" else None
    with TemporaryDirectory(prefix="eslab-bench-", dir=beside, ignore_cleanup_errors=True) as folder:
        fresh = {"sqlite": f"sqlite:///{folder}/eslab.db", "memory": "memory:"}
        yield Target(scheme, store if rest else fresh.get(scheme, store), Path(folder))


class SqliteFloor:
    """Bare sqlite3 on a store's file: what reading and writing the same rows costs at least."""

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

    def append(self, commit: Commit) -> None:
        """Write the two rows of one commit in one transaction."""
        key = sort_key(commit.event_time)
        event = (CUSTOMER, commit.aggregate_id, key, commit.event_type, commit.version, commit.payload)
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute(APPEND, event)
        execute(BEGAN, event[:3])
        execute("COMMIT")

    def settings(self) -> dict[str, str]:
        """The journal mode and the durability in force."""
        return sqlite_settings(self._connection)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def sqlite_settings(connection: sqlite3.Connection) -> dict[str, str]:
    """What a connection says of its journal mode and its durability."""
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    return {"journal_mode": journal, "synchronous": ("off", "normal", "full", "extra")[level]}


def _folder_of(url: str) -> Path:
    with closing(SqliteStore.open(url)) as store:
        return store.path.parent


def _with_durability(url: str, durability: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}synchronous={durability}" if durability else url
