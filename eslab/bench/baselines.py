"""Where a benchmark happens, and the floor under it: the same rows through the bare driver, without eslab.

A store is a scheme (`sqlite`, `memory`, `cassandra`: a fresh one that goes afterwards) or a URL. The benchmarks write
as customer "bench", always the same rows. A floor's own files and a peer's stand on the same disk as the store;
Cassandra's floor is in floor_cassandra.
"""

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from eslab import EventStore, open_store
from eslab.bench.sample import CUSTOMER
from eslab.errors import EslabError
from eslab.request import sort_key
from eslab.store import Commit
from eslab.stores.sqlite import PAGE, SqliteStore
from eslab.stores.sqlite.statements import APPEND, BEGAN

BARE_READ = "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id = ? ORDER BY event_time"


DURABILITIES = {"sqlite": ("normal", "full"), "cassandra": ("periodic", "batch")}  # each by its store's own word
Step = Callable[[], object]


class Floor(Protocol):
    """The bare driver on the tables of a store."""

    def read(self, aggregate_id: str) -> int:
        """Fetch the payloads of an aggregate in the store's pages, drop them, and count them."""
        ...

    def prepare(self, commits: Sequence[Commit]) -> Step:
        """Make ready what needn't be timed; the step writes the rows of all commits as one."""
        ...

    def settings(self) -> dict[str, str]:
        """The durability in force, as the store's own side says."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True)
class Target:
    """The store to measure, and a folder beside it that goes afterwards."""

    scheme: str
    url: str
    folder: Path
    versions: Mapping[str, str] = field(default_factory=dict)  # of what takes part beside Python's packages

    def open(self) -> EventStore:
        """The store, at the durability that the URL says."""
        return open_store(self.url)

    def open_beside(self, name: str, durability: str) -> SqliteStore:
        """A fresh SQLite store in the folder, with the tables of any other."""
        return SqliteStore.open(_with_durability(f"sqlite:///{self.folder / name}.db", durability))

    def read_floor(self, store: EventStore) -> Floor | None:
        """The floor that reads what the store wrote; there is none under a store in memory."""
        return SqliteFloor(store.path) if isinstance(store, SqliteStore) else None

    def append_floor(self, durability: str) -> Floor | None:
        """The floor that writes at this durability, where it doesn't grow the store's own tables."""
        if self.scheme != "sqlite":
            return None
        with closing(self.open_beside(f"floor-{durability}", durability)) as store:
            return SqliteFloor(store.path, durability)

    def expected(self, durability: str) -> dict[str, str]:
        """What the floor must say of itself, where a durability was asked for."""
        if not durability:
            return {}
        sqlite = {"journal_mode": "wal", "synchronous": durability}
        return sqlite if self.scheme == "sqlite" else {"commitlog_sync": durability}


def check_settings(name: str, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Refuse to compare sides that run at different durabilities."""
    if found != expected:
        raise EslabError(f"Expected {name} to run at {expected}, found {found}; it can't be compared.")


def durabilities(store: str) -> Sequence[str]:
    """The durability settings to measure appends at; a node that runs already has its own."""
    scheme, _, rest = store.partition(":")
    return ("",) if scheme == "cassandra" and rest else DURABILITIES.get(scheme, ("",))


@contextmanager
def target(store: str, durability: str = "") -> Generator[Target, None, None]:
    """The target that a scheme or a URL names, at a durability or as it says; what is fresh goes in the end."""
    scheme, _, rest = store.partition(":")
    beside = _folder_of(store) if rest and scheme == "sqlite" else None
    with TemporaryDirectory(prefix="eslab-bench-", dir=beside, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if scheme == "cassandra":
            module = import_module("eslab.bench.baseline_cassandra")  # only here, since the driver is an extra
            with module.target(store if rest else "", folder, durability) as place:
                yield place
        else:
            fresh = {"sqlite": f"sqlite:///{folder}/eslab.db", "memory": "memory:"}
            yield Target(scheme, _with_durability(store if rest else fresh.get(scheme, store), durability), folder)


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

    def prepare(self, commits: Sequence[Commit]) -> Step:
        """Two rows for each commit, in one transaction."""
        return partial(self._append, commits)

    def settings(self) -> dict[str, str]:
        """The journal mode and the durability in force."""
        return sqlite_settings(self._connection)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _append(self, commits: Sequence[Commit]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for commit in commits:
            key = sort_key(commit.event_time)
            event = (CUSTOMER, commit.aggregate_id, key, commit.event_type, commit.version, commit.payload)
            execute(APPEND, event)
            execute(BEGAN, event[:3])
        execute("COMMIT")


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
