"""Real Cassandra for tests: clusters that live as long as the session, and stores on them that begin empty."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import count
from typing import Any, cast

import pytest

from eslab import EventStore, open_store
from eslab.aggregate import MAX_ID_BYTES
from eslab.cluster.cluster import Cluster
from eslab.domains.downloads.read_tables import READ_TABLES
from eslab.layout import Layout
from eslab.store import Commit, Consistency, ReadRow, closed
from eslab.stores.cassandra.schema import TABLES
from tests.support.sample import LAYOUTS

KEYSPACES = 8  # as many stores as a test has open at once
numbers = count()


@pytest.fixture(scope="session")
def node() -> Iterator[Cluster]:
    """One real node."""
    with Cluster.start() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def us3() -> Iterator[Cluster]:
    """Three replicas in one region, one of them frozen: it keeps its connections and answers nothing."""
    with Cluster.start(regions="us:3") as cluster:
        with closing(open_store(cluster.url("lab_frozen"))) as store:  # no schema is agreed on while one is frozen
            store.make_read_tables([*LAYOUTS, *(table.layout for table in READ_TABLES)])
        cluster.freeze("us/3")
        yield cluster


@pytest.fixture(scope="session")
def three_regions() -> Iterator[Cluster]:
    """Three data centres of one node each."""
    with Cluster.start(regions="us,eu,asia") as cluster:
        yield cluster


@pytest.fixture
def regions(three_regions: Cluster) -> Iterator[Cluster]:
    """The three regions, whole before the test and whole again after it."""
    yield three_regions
    three_regions.heal()
    for region in three_regions.regions:
        three_regions.thaw(region)
    three_regions.wait()


@pytest.fixture(scope="session")
def frozen_store(us3: Cluster) -> Iterator[EventStore]:
    """A store on them; opened once, since the driver tries the frozen one for a while."""
    with closing(open_store(us3.url("lab_frozen"))) as store:
        yield store


def opener(kind: str, request: pytest.FixtureRequest, stack: ExitStack) -> Callable[[], EventStore]:
    """Opens empty stores of a kind, `cassandra` or `us3`; the stack closes them."""
    if kind == "cassandra":
        node = request.getfixturevalue("node")
        return lambda: stack.enter_context(closing(emptied(node.url(f"lab_{next(numbers) % KEYSPACES}"))))
    store = request.getfixturevalue("frozen_store")
    # Nothing can be truncated while a replica is away, so a fresh store is one with customers of its own.
    return lambda: cast(EventStore, Apart(store, f"{next(numbers)}."))


def emptied(url: str) -> EventStore:
    """A store whose tables are empty."""
    store: Any = open_store(url)
    for table in TABLES:
        store.session.execute(f"TRUNCATE {table}")
    for table in store.session.cluster.metadata.keyspaces[store.options.keyspace].tables.keys() - TABLES.keys():
        if store.session.execute(f'SELECT * FROM "{table}" LIMIT 1').one():  # nothing is ever deleted from these
            store.session.execute(f'TRUNCATE "{table}"')
    return store


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

    def put_read_rows(self, rows: Sequence[ReadRow]) -> None:
        self._open().put_read_rows(list(map(self._row, rows)))

    def read_rows(self, layout: Layout, keys: Sequence[tuple[str, ...]]) -> Iterator[list[ReadRow]]:
        renamed = [(*map(self._renamed, key[:1]), *key[1:]) for key in keys]
        for page in self._open().read_rows(layout, renamed):
            yield [_under(row, lambda id: id.removeprefix(self.prefix)) for row in page]

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
