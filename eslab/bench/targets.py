"""The target of a benchmark: the store to measure, and the baselines on the same disk or node.

A target is named by a scheme (`sqlite`, `memory`, `cassandra`: a fresh store that is removed afterwards) or by a store
URL. The benchmarks write as customer "bench", always the same rows.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eslab import EventStore, open_store
from eslab.bench.baselines import Baseline, SqliteBaseline
from eslab.stores.sqlite import SqliteStore

DURABILITIES = {"sqlite": ("normal", "full"), "cassandra": ("periodic", "batch")}  # in each store's own words
KEYSPACE = "lab_bench"


@dataclass(frozen=True)
class Target:
    """The store to measure, and a folder beside it that is removed afterwards."""

    scheme: str
    url: str
    folder: Path
    versions: Mapping[str, str] = field(default_factory=dict)  # of the servers and drivers that take part

    def open(self) -> EventStore:
        """The store, at the durability in the URL."""
        return open_store(self.url)

    def open_beside(self, name: str, durability: str) -> SqliteStore:
        """A fresh SQLite store in the folder, with the tables of any other."""
        return SqliteStore.open(_with_durability(f"sqlite:///{self.folder / name}.db", durability))

    def read_baseline(self, store: EventStore) -> Baseline | None:
        """The baseline that reads the store's rows; None for a store in memory."""
        if self.scheme == "cassandra":
            return self._cassandra_baseline()
        return SqliteBaseline(store.path) if isinstance(store, SqliteStore) else None

    def append_baseline(self, durability: str) -> Baseline | None:
        """The baseline that writes at this durability; on SQLite into a file of its own, which grows apart."""
        if self.scheme == "cassandra":
            return self._cassandra_baseline()
        if self.scheme != "sqlite":
            return None
        with closing(self.open_beside(f"baseline-{durability}", durability)) as store:
            return SqliteBaseline(store.path, durability)

    def expected(self, durability: str) -> dict[str, str]:
        """The settings that the baseline must report if a durability was asked for."""
        if not durability:
            return {}
        sqlite = {"journal_mode": "wal", "synchronous": durability}
        return sqlite if self.scheme == "sqlite" else {"commitlog_sync": durability}

    def _cassandra_baseline(self) -> Baseline:
        # Imported here, since the driver is an extra.
        return import_module("eslab.bench.baseline_cassandra").CassandraBaseline(self.url)


def durabilities(store: str) -> Sequence[str]:
    """The durability settings to measure appends at; a node that is already running has only its own."""
    scheme, _, rest = store.partition(":")
    return ("",) if scheme == "cassandra" and rest else DURABILITIES.get(scheme, ("",))


@contextmanager
def target(store: str, durability: str = "") -> Generator[Target, None, None]:
    """The target that a scheme or a URL names, at a durability if one is given; a fresh one is removed afterwards."""
    scheme, _, rest = store.partition(":")
    beside = _folder_of(store) if rest and scheme == "sqlite" else None
    with TemporaryDirectory(prefix="eslab-bench-", dir=beside, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if scheme == "cassandra":
            with _cassandra_url(store if rest else "", durability) as url:
                yield Target(scheme, url, folder, _cassandra_versions(url))
        else:
            fresh = {"sqlite": f"sqlite:///{folder}/eslab.db", "memory": "memory:"}
            yield Target(scheme, _with_durability(store if rest else fresh.get(scheme, store), durability), folder)


@contextmanager
def _cassandra_url(url: str, durability: str) -> Generator[str, None, None]:
    """The URL, or that of a fresh node with this commit log mode, which is removed afterwards."""
    if url:
        yield url
        return
    from eslab.cluster.cluster import Cluster

    with Cluster.start(commitlog_sync="periodic" if durability == "periodic" else "batch") as cluster:
        yield cluster.url(KEYSPACE)


def _cassandra_versions(url: str) -> dict[str, str]:
    store: Any = open_store(url)
    with closing(store):
        row = store.session.execute("SELECT release_version FROM system.local").one()
    return {"cassandra": row[0] if row else "unknown", "cassandra-driver": version("cassandra-driver")}


def _folder_of(url: str) -> Path:
    with closing(SqliteStore.open(url)) as store:
        return store.path.parent


def _with_durability(url: str, durability: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}synchronous={durability}" if durability else url
