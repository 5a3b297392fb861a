"""Stores on real Cassandra for tests: connected once, and empty for each test that uses them."""

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from typing import Any, TypeVar, cast

import pytest

from eslab import AggregateService, EventStore, ManualClock, OutcomeUnknown, StoreUnavailable, open_store
from eslab.aggregate import MAX_ID_BYTES
from eslab.cluster.cluster import Cluster
from eslab.layout import Layout
from eslab.store import Commit, Consistency, ReadRow
from eslab.stores.cassandra import CassandraStore
from eslab.stores.errors import closed
from tests.support.clusters import awake_url
from tests.support.sample import ROOT, START, Counter, handle

T = TypeVar("T")

KEYSPACES = 4  # as many stores as a test uses at once
DELETED_FROM = {"events", "snapshots"}  # deletes there hide rows that are written later and stamped earlier
numbers = count()


def on_cassandra(test: T) -> T:
    """Marks a test that needs a real node, and may be the one that waits for its start."""
    return pytest.mark.cassandra(pytest.mark.timeout(600)(test))


@contextmanager
def opened(url: str) -> Generator[CassandraStore, None, None]:
    """The store of a URL, closed at the end."""
    with closing(CassandraStore.open(url)) as store:
        yield store


def counting(store: CassandraStore) -> AggregateService[Counter]:
    """The service of the tests' domain over a store, on a clock that stands."""
    return AggregateService(store, Counter, handle, ManualClock(START))


def eventually(ask: Callable[[], T], seconds: float = 60) -> T:
    """What `ask` answers, asked again while it says that the store is away."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (StoreUnavailable, OutcomeUnknown):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


class Pool:
    """Connected stores on one node, each in a keyspace of its own, lent to one test after the other.

    A test that takes more than there are gets its oldest one again, emptied.
    """

    def __init__(self, node: Cluster) -> None:
        self._node = node
        self._free = [f"lab_{number}" for number in reversed(range(KEYSPACES))]
        self._lent: list[str] = []
        self._stores: dict[str, CassandraStore] = {}

    def lend(self) -> CassandraStore:
        """Return an empty store, connected before if the last test left it open."""
        keyspace = self._free.pop() if self._free else self._lent.pop(0)
        self._lent.append(keyspace)
        store = self._stores.get(keyspace)
        if not store or store.session.is_shutdown:
            store = self._stores[keyspace] = emptied(self._node.url(keyspace))
        else:
            empty(store)
        return store

    def take_back(self) -> None:
        """Take back what was lent; those used most are lent first."""
        self._free += reversed(self._lent)
        self._lent.clear()

    def close(self) -> None:
        """Close all stores."""
        for store in self._stores.values():
            store.close()


@pytest.fixture(scope="session")
def pool(node: Cluster) -> Iterator[Pool]:
    """Stores on the one node."""
    with closing(Pool(node)) as stores:
        yield stores


@pytest.fixture(scope="session")
def frozen_store(us3: Cluster) -> Iterator[EventStore]:
    """A store on three replicas of which one is frozen; opened once, since the driver tries that one for a while."""
    with closing(open_store(awake_url(us3))) as store:
        yield store


def opener(kind: str, request: pytest.FixtureRequest, stack: ExitStack) -> Callable[[], EventStore]:
    """Return a function that opens empty stores of a kind, `cassandra` or `us3`; they last as long as the stack."""
    if kind == "cassandra":
        pool: Pool = request.getfixturevalue("pool")
        stack.callback(pool.take_back)
        return pool.lend
    store = request.getfixturevalue("frozen_store")
    # Nothing can be truncated while a replica is away, so a fresh store is one with customers of its own.
    return lambda: cast(EventStore, Apart(store, f"{next(numbers)}."))


def emptied(url: str) -> CassandraStore:
    """Open a store, in a keyspace that needn't survive the node, and empty its tables."""
    store = CassandraStore.open(url)
    keyspace = store.options.keyspace
    # Without a commit log a table is emptied in memory; otherwise it is written to disk first.
    store.session.execute(f"ALTER KEYSPACE {keyspace} WITH durable_writes = false")
    empty(store)
    return store


def empty(store: CassandraStore) -> None:
    """Empty the tables that hold rows, and those whose deletes would outlive their rows."""
    driver: Any = store.session.cluster
    tables = driver.metadata.keyspaces[store.options.keyspace].tables
    first_rows = {name: store.session.execute_async(f'SELECT * FROM "{name}" LIMIT 1') for name in tables}
    full = [name for name, rows in first_rows.items() if rows.result().one() or name in DELETED_FROM]
    for emptying in [store.session.execute_async(f'TRUNCATE "{name}"') for name in full]:
        emptying.result()


class Apart:
    """A store seen through customers of its own, so that no other test's rows are in it; the store stays open."""

    def __init__(self, store: EventStore, prefix: str) -> None:
        self.store, self.prefix, self.closed = store, prefix, False

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        self._open().append(self._renamed(customer_id), commits, consistency, list(map(self._row, read_rows)))

    def make_read_tables(self, layouts: Sequence[Layout]) -> None:
        self._open().make_read_tables(layouts)

    def put_read_rows(self, rows: Sequence[ReadRow], consistency: Consistency = Consistency.LOCAL) -> None:
        self._open().put_read_rows(list(map(self._row, rows)), consistency)

    def read_rows(
        self, layout: Layout, keys: Sequence[tuple[str, ...]], consistency: Consistency = Consistency.LOCAL
    ) -> Iterator[list[ReadRow]]:
        renamed = [(*map(self._renamed, key[:1]), *key[1:]) for key in keys]
        for page in self._open().read_rows(layout, renamed, consistency):
            yield [_under(row, lambda id: id.removeprefix(self.prefix)) for row in page]

    lifetime = 0

    def time(self) -> Any:
        return self._open().time()

    @property
    def session(self) -> Any:
        """The driver's session, for a test that changes rows behind the store's back; its customers have the prefix."""
        return cast(CassandraStore, self._open()).session

    def empty_read_table(self, layout: Layout) -> None:
        pytest.skip("no table can be emptied while a replica is away")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(customer_id: str, *args: Any, **options: Any) -> Any:
            return getattr(self._open(), name)(self._renamed(customer_id), *args, **options)

        return call

    def _open(self) -> EventStore:
        if self.closed:
            raise closed(self.prefix)
        return self.store

    def _renamed(self, id: str) -> str:
        return self.prefix + id if _keepable(id, len(self.prefix)) else id

    def _row(self, row: ReadRow) -> ReadRow:
        """The row in a partition of its own."""
        return _under(row, self._renamed)

    def close(self) -> None:
        self.closed = True


def _under(row: ReadRow, rename: Callable[[str], str]) -> ReadRow:
    """The row with its partition and its customer, which may be one, renamed."""
    first, *rest = row.key
    if not row.layout.with_customer:
        rest[-1] = rename(rest[-1])
    return row._replace(key=(rename(first), *rest))


def _keepable(customer_id: str, room: int) -> bool:
    """An id that must be refused stays as it is, and so does one that a prefix would make too long."""
    try:
        return 0 < len(customer_id.encode()) <= MAX_ID_BYTES - room
    except UnicodeEncodeError:
        return False


def process(code: str, *arguments: Any) -> "subprocess.Popen[str]":
    """Another Python process that runs `code`, which may print to us and read from us."""
    head = "import sys\nfrom eslab import *\nfrom tests.support.sample import *\n"
    command = [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
