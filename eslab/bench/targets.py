"""Targets: the store that a benchmark measures, the baselines below it, and a folder for further files.

A target is named by a scheme (`sqlite`, `memory`, `cassandra`: a fresh store, deleted afterwards) or by a URL. The
benchmarks write as customer "bench", always the same rows. Files of baselines and peers lie on the same disk as the
store, since the disk decides what an append costs.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from eslab import EventStore, open_store
from eslab.bench import replay
from eslab.bench.baselines import Baseline, SqliteBaseline
from eslab.bench.replay import Replay, SqliteReplay
from eslab.layout import Layout
from eslab.stores.sqlite import SqliteStore

DURABILITIES = {"sqlite": ("normal", "full"), "cassandra": ("periodic", "batch")}  # in each store's own words
KEYSPACE = "lab_bench"  # on a node that is started for the benchmark


@dataclass(frozen=True)
class Target:
    """A store with nothing below it, such as the one in memory, and a folder that is deleted afterwards."""

    scheme: str
    url: str
    folder: Path
    versions: Mapping[str, str] = field(default_factory=dict)  # of what takes part beside Python's packages

    def open(self) -> EventStore:
        """Open the store, at the durability in its URL."""
        return open_store(self.url)

    def expected(self, durability: str) -> dict[str, str]:
        """The settings that each side must have at a durability; none if no durability is asked for."""
        return {}

    def read_baseline(self, store: EventStore) -> Baseline | None:
        """The baseline that reads the rows of the store, if there is one."""
        return None

    def append_baseline(self, durability: str) -> Baseline | None:
        """The baseline that writes at this durability, if there is one."""
        return None

    def replays(self, durability: str, layouts: Sequence[Layout]) -> dict[str, Replay]:
        """The baselines of whole commands at this durability, on tables like the store's, by name."""
        return {}


class SqliteTarget(Target):
    """A SQLite file. What is written without eslab goes to files beside it, so that the store's own don't grow."""

    def expected(self, durability: str) -> dict[str, str]:
        """The journal mode, and the durability as SQLite names it."""
        return {"journal_mode": "wal", "synchronous": durability} if durability else {}

    def open_beside(self, name: str, durability: str) -> SqliteStore:
        """Open a fresh SQLite store in the folder, with the tables of any other."""
        return SqliteStore.open(_with_durability(f"sqlite:///{self.folder / name}.db", durability))

    def read_baseline(self, store: EventStore) -> Baseline | None:
        """Bare sqlite3 on the store's own file."""
        return SqliteBaseline(store.path) if isinstance(store, SqliteStore) else None

    def append_baseline(self, durability: str) -> Baseline:
        """Bare sqlite3 on a file of its own."""
        return SqliteBaseline(self._file(durability), durability)

    def replays(self, durability: str, layouts: Sequence[Layout]) -> dict[str, Replay]:
        """Bare sqlite3 on a file for each, with these read tables."""
        return {
            name: SqliteReplay(self._file(durability, layouts, name), durability, exchanges)
            for name, exchanges in {"baseline": replay.replayed, "least": replay.least}.items()
        }

    def _file(self, durability: str, layouts: Sequence[Layout] = (), name: str = "baseline") -> Path:
        with closing(self.open_beside(f"{name}-{durability}", durability)) as store:
            store.make_read_tables(layouts)
            return store.path


class CassandraTarget(Target):
    """A keyspace of a real node. Store and baselines write to the same tables, as other aggregates or customers.

    The driver is an extra, so it is imported only here.
    """

    def expected(self, durability: str) -> dict[str, str]:
        """The commit log mode, which is a setting of the whole node."""
        return {"commitlog_sync": durability} if durability else {}

    def read_baseline(self, store: EventStore) -> Baseline:
        """The bare driver on the same keyspace."""
        from eslab.bench.baseline_cassandra import CassandraBaseline

        return CassandraBaseline(self.url)

    def append_baseline(self, durability: str) -> Baseline:
        """The bare driver on the same keyspace."""
        from eslab.bench.baseline_cassandra import CassandraBaseline

        return CassandraBaseline(self.url)

    def replays(self, durability: str, layouts: Sequence[Layout]) -> dict[str, Replay]:
        """The bare driver on the same keyspace, whose read tables the service has made."""
        from eslab.bench.replay_cassandra import CassandraReplay, least, replayed

        return {
            name: CassandraReplay(self.url, waits) for name, waits in {"baseline": replayed, "least": least}.items()
        }


def durabilities(store: str) -> Sequence[str]:
    """The durabilities to measure appends at; a node that runs already has its own."""
    scheme, _, rest = store.partition(":")
    return ("",) if scheme == "cassandra" and rest else DURABILITIES.get(scheme, ("",))


@contextmanager
def target(store: str, durability: str = "") -> Generator[Target, None, None]:
    """The target that a scheme or a URL names, at this durability if one is given; a fresh store is deleted."""
    scheme, _, rest = store.partition(":")
    beside = _folder_of(store) if rest and scheme == "sqlite" else None
    with TemporaryDirectory(prefix="eslab-bench-", dir=beside, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if scheme == "cassandra":
            with _keyspace(store if rest else "", durability) as url:
                yield _cassandra(url, folder)
        elif scheme == "sqlite":
            file = store if rest else f"sqlite:///{folder}/eslab.db"
            yield SqliteTarget(scheme, _with_durability(file, durability), folder)
        else:
            yield Target(scheme, "memory:" if store == "memory" else store, folder)


@contextmanager
def _keyspace(url: str, durability: str) -> Generator[str, None, None]:
    """The URL that is given, or that of a keyspace on a fresh node with this commit log mode."""
    if url:
        yield url
        return
    from eslab.cluster.cluster import Cluster

    with Cluster.start(commitlog_sync="periodic" if durability == "periodic" else "batch") as cluster:
        yield cluster.url(KEYSPACE)


def _cassandra(url: str, folder: Path) -> CassandraTarget:
    from eslab.bench.baseline_cassandra import versions_at

    return CassandraTarget("cassandra", url, folder, versions_at(url))


def _folder_of(url: str) -> Path:
    with closing(SqliteStore.open(url)) as store:
        return store.path.parent


def _with_durability(url: str, durability: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}synchronous={durability}" if durability else url
