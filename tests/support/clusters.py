"""Real Cassandra for tests: clusters that live as long as the session and start in the background, ahead of use."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import pytest
from cassandra import ConsistencyLevel, OperationTimedOut, ReadTimeout, Unavailable
from cassandra.query import SimpleStatement

from eslab import open_store
from eslab.cluster.cluster import Cluster
from eslab.domains.downloads.read_tables import READ_TABLES
from eslab.stores.cassandra import CassandraStore
from tests.support.sample import LAYOUTS

JAVA_OPTIONS = "JDK_JAVA_OPTIONS"
# A node that lives for minutes spends half of its processor time in Java's second compiler, and never earns it back.
QUICK_START = "-XX:TieredStopAtLevel=1"
# The system's own tables needn't reach the disk before a table is made or emptied; only for clusters that nobody kills.
UNSAFE_SYSTEM = "-Dcassandra.unsafesystem=true"


@contextmanager
def java_options(*options: str) -> Iterator[None]:
    """Nodes started inside get these options, beside those that Java gets anyway."""
    before = os.environ.get(JAVA_OPTIONS, "")
    os.environ[JAVA_OPTIONS] = " ".join([before, *options]).strip()
    try:
        yield
    finally:
        os.environ[JAVA_OPTIONS] = before


def start_node() -> Cluster:
    """One node."""
    with java_options(UNSAFE_SYSTEM):
        return Cluster.start()


def start_us3() -> Cluster:
    """Three replicas in one region, with all read tables, one replica frozen."""
    with java_options(UNSAFE_SYSTEM):
        cluster = Cluster.start(regions="us:3")
    try:
        with closing(open_store(cluster.url("lab_frozen"))) as store:  # no schema is agreed on while one is frozen
            store.make_read_tables([*LAYOUTS, *(table.layout for table in READ_TABLES)])
        cluster.freeze("us/3")
        wait_until_given_up(cluster)
    except BaseException:
        cluster.close()
        raise
    return cluster


def awake_url(us3: Cluster) -> str:
    """The URL of the replicas that are awake."""
    return us3.url("lab_frozen").replace(",".join(us3.addresses()), ",".join(us3.addresses()[:2]))


def wait_until_given_up(us3: Cluster, seconds: float = 60) -> None:
    """Wait until the others take the frozen replica for dead: then a read at ALL is refused instead of timing out.

    Until then a read EVERYWHERE may wait for that replica and fail, since Cassandra asks no spare one at EACH_QUORUM.
    """
    end = monotonic() + seconds
    with closing(CassandraStore.open(awake_url(us3))) as store:
        driver: Any = store.session.cluster
        for address in us3.addresses()[:2]:
            while not _is_refused(store, driver.metadata.get_host(address)) and monotonic() < end:
                sleep(0.2)


def _is_refused(store: CassandraStore, host: Any) -> bool:
    """Does a coordinator refuse a read at ALL?"""
    select = "SELECT * FROM aggregates WHERE customer_id = 'nobody'"
    try:
        store.session.execute(SimpleStatement(select, consistency_level=ConsistencyLevel.ALL), timeout=1, host=host)
    except Unavailable:
        return True
    except (ReadTimeout, OperationTimedOut):
        pass
    return False


def start_three_regions() -> Cluster:
    """Three data centres of one node each."""
    return Cluster.start(regions="us,eu,asia", config={"hints_flush_period": "1s"})  # 10 s would be waited for


CLUSTERS: Mapping[str, Callable[[], Cluster]] = {
    "node": start_node,
    "us3": start_us3,
    "three_regions": start_three_regions,
}
CLUSTER_OF_KIND = {"cassandra": "node", "us3": "us3"}  # the kinds of store in tests/conftest.py


def cluster_of(item: pytest.Item) -> str:
    """Return the name of the session's cluster that a test runs on, or "" if it needs none."""
    if not isinstance(item, pytest.Function):
        return ""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    named = [CLUSTER_OF_KIND[kind] for kind in parameters if isinstance(kind, str) and kind in CLUSTER_OF_KIND]
    return next((name for name in reversed(CLUSTERS) if name in (*named, *item.fixturenames)), "")


def sort_by_cluster(items: list[pytest.Item]) -> None:
    """Put tests without a cluster first, then those of each cluster together, so that the next one can start."""
    order = ["", *CLUSTERS]
    items.sort(key=lambda item: order.index(cluster_of(item)))


class Background:
    """Clusters that start in a thread, one after the other, so that a test seldom waits for one."""

    def __init__(self, names: Iterable[str]) -> None:
        self._clusters: dict[str, Future[Cluster]] = {name: Future() for name in names}
        self._ending = Event()
        # A daemon: a process that is interrupted doesn't wait, and its clusters end with it.
        self._thread = Thread(target=self._start_all, daemon=True)
        self._thread.start()

    def cluster(self, name: str) -> Cluster:
        """Wait for a cluster. Raises what its start raised."""
        return self._clusters[name].result()

    def wait(self) -> None:
        """Wait until no cluster is starting any more."""
        self._thread.join()

    def close(self) -> None:
        """End all clusters, and start no more."""
        self._ending.set()
        self._thread.join()
        for future in self._clusters.values():
            if future.done() and not future.exception():
                future.result().close()

    def _start_all(self) -> None:
        for name, future in self._clusters.items():
            if self._ending.is_set():
                return
            try:
                future.set_result(CLUSTERS[name]())
            except BaseException as error:
                future.set_exception(error)


@pytest.fixture(scope="session")
def background(request: pytest.FixtureRequest) -> Iterator[Background]:
    """The clusters that the session's tests need, in this order."""
    needed = {cluster_of(item) for item in request.session.items}
    with closing(Background(name for name in CLUSTERS if name in needed)) as clusters:
        yield clusters


@pytest.fixture(scope="session")
def node(background: Background) -> Cluster:
    """One real node."""
    return background.cluster("node")


@pytest.fixture(scope="session")
def us3(background: Background) -> Cluster:
    """Three replicas in one region, one of them frozen: it keeps its connections and answers nothing."""
    return background.cluster("us3")


@pytest.fixture(scope="session")
def three_regions(background: Background) -> Cluster:
    """Three data centres of one node each."""
    return background.cluster("three_regions")


@pytest.fixture
def regions(three_regions: Cluster) -> Iterator[Cluster]:
    """The three regions, whole before the test and whole again after it."""
    yield three_regions
    three_regions.heal()
    for region in three_regions.regions:
        three_regions.thaw(region)
    three_regions.wait()
