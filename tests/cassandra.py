"""Real Cassandra for tests: clusters that live as long as the session, and stores on them that begin empty."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from typing import Any, cast

import pytest

from eslab import EventStore, StoreClosed, open_store
from eslab.cluster.cluster import Cluster
from eslab.store import MAX_ID_BYTES
from eslab.stores.cassandra.schema import TABLES

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
        open_store(cluster.url("lab_frozen")).close()  # a schema is not agreed on while one is frozen
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
    return store


class Apart:
    """A store seen through customers of its own, so that no other test's rows are in it; the store stays open."""

    def __init__(self, store: EventStore, prefix: str) -> None:
        self.store, self.prefix, self.closed = store, prefix, False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(customer_id: str, *args: Any, **options: Any) -> Any:
            if self.closed:
                raise StoreClosed("Expected an open store, but this one was closed; open it anew.")
            renamed = self.prefix + customer_id if _keepable(customer_id, len(self.prefix)) else customer_id
            return getattr(self.store, name)(renamed, *args, **options)

        return call

    def close(self) -> None:
        self.closed = True


def _keepable(customer_id: str, room: int) -> bool:
    """An id that must be refused stays as it is, and so does one that a prefix would make too long."""
    try:
        return 0 < len(customer_id.encode()) <= MAX_ID_BYTES - room
    except UnicodeEncodeError:
        return False
