"""Three real regions: writes while a region is cut off, far away, frozen or killed, and convergence afterwards."""

import time
from typing import Any

import pytest
from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import SimpleStatement

from eslab.cluster import Cluster
from tests.cluster.conftest import eventually

pytestmark = [pytest.mark.cassandra, pytest.mark.timeout(600)]

EXPIRED = 3.0  # seconds; a node drops a write that reaches it more than 2 s late
HINTS_ARE_SENT = 15  # seconds; every node looks every 10 s whether it can send some
REPLICATION = "{'class': 'NetworkTopologyStrategy', 'us': 1, 'eu': 1, 'asia': 1}"


@pytest.fixture
def table(regions: Cluster, request: pytest.FixtureRequest) -> str:
    """A table of the test's own, in every region."""
    name = f"lab.{request.node.name.lower()[:40]}"
    with regions.session("us") as us:
        us.execute(f"CREATE KEYSPACE IF NOT EXISTS lab WITH replication = {REPLICATION}")
        us.execute(f"CREATE TABLE {name} (customer text, number int, PRIMARY KEY (customer, number))")
    return name


def write(session: Session, table: str, *numbers: int, level: int = ConsistencyLevel.LOCAL_QUORUM) -> None:
    """A row of one customer for each number."""
    insert = SimpleStatement(f"INSERT INTO {table} (customer, number) VALUES ('ann', %s)", consistency_level=level)
    for number in numbers:
        session.execute(insert, (number,))


def numbers(session: Session, table: str, level: int = ConsistencyLevel.LOCAL_QUORUM) -> set[int]:
    """All rows of the customer that the session's region has."""
    select = f"SELECT number FROM {table} WHERE customer = 'ann'"
    rows: Any = session.execute(SimpleStatement(select, consistency_level=level))
    return {row.number for row in rows}


def test_each_region_is_a_data_centre(regions: Cluster) -> None:
    """And a session of a region stays in it."""
    for region in ("us", "eu", "asia"):
        with regions.session(region) as session:
            assert session.execute("SELECT data_center FROM system.local").one()[0] == region
    assert regions.url("lab", "asia").endswith(f"{regions.addresses('asia')[0]}:9042/lab?dc=asia")


@pytest.mark.full  # tests/stores/test_cassandra_regions.py parts and heals regions in every run
def test_both_sides_of_a_cut_take_writes_and_have_all_when_it_heals(regions: Cluster, table: str) -> None:
    """Asia is cut off: nobody sees the other side's rows, both are acknowledged, and none is lost."""
    with regions.session("us") as us, regions.session("eu") as eu, regions.session("asia") as asia:
        regions.cut("asia")
        write(us, table, *range(20))
        write(asia, table, *range(100, 120))
        assert eventually(lambda: numbers(eu, table) == set(range(20)), 10)
        assert numbers(asia, table) == set(range(100, 120))
        cut = {(link.a, link.b) for link in regions.status().links if link.cut}
        assert cut == {("asia/1", "eu/1"), ("asia/1", "us/1")}
        regions.heal()
        everything = set(range(20)) | set(range(100, 120))
        assert eventually(lambda: all(numbers(region, table) == everything for region in (us, eu, asia)))


@pytest.mark.full
def test_a_frozen_region_catches_up_when_it_thaws(regions: Cluster, table: str) -> None:
    """The others go on without it, and their hints bring what it missed."""
    with regions.session("us") as us, regions.session("asia") as asia:
        write(us, table, 1)
        regions.freeze("asia")
        assert [node.state for node in regions.status().nodes] == ["up", "up", "frozen"]
        write(us, table, *range(2, 50))
        time.sleep(EXPIRED)  # what waits in Asia's sockets is too old by now; only hints bring it
        regions.thaw("asia")
        assert eventually(lambda: numbers(asia, table) == set(range(1, 50)))


def test_a_far_region_costs_its_distance(regions: Cluster, table: str) -> None:
    """75 ms each way costs 150 ms if an answer from there is needed, and nothing otherwise."""
    regions.delay("us", "asia", "75ms")
    with regions.session("us") as us:
        local, everywhere = (
            least_time(lambda level=level: write(us, table, 1, level=level))
            for level in (ConsistencyLevel.LOCAL_QUORUM, ConsistencyLevel.EACH_QUORUM)
        )
    regions.delay("us", "asia", "0ms")
    assert local < 0.15 <= everywhere


def least_time(action: Any, times: int = 9) -> float:
    """Seconds of the quickest of several runs, which a busy machine disturbs least."""
    taken = []
    for _ in range(times):
        began = time.monotonic()
        action()
        taken.append(time.monotonic() - began)
    return min(taken)


@pytest.mark.full
def test_a_killed_region_comes_back_with_what_it_acknowledged(regions: Cluster, table: str) -> None:
    """Its commit log is on disk; hints bring the writes of the meantime."""
    with regions.session("us") as us:
        with regions.session("asia") as asia:
            write(asia, table, *range(10))
        regions.kill("asia")
        assert regions.status().nodes[2].state == "dead"
        assert eventually(lambda: regions.down() == {"us/1": ["asia/1"], "eu/1": ["asia/1"]})
        write(us, table, *range(10, 20))
        regions.revive("asia")
        with regions.session("asia") as asia:
            assert numbers(asia, table) >= set(range(10))
            assert eventually(lambda: numbers(asia, table) == set(range(20)))
        assert eventually(lambda: regions.down() == {})


@pytest.mark.full
def test_hints_die_with_the_node_that_keeps_them(regions: Cluster, table: str) -> None:
    """What it acknowledged just before it died never reaches the region that was away, until somebody reads at ALL."""
    with regions.session("asia") as asia, regions.session("eu") as eu:
        with regions.session("us") as us:
            regions.cut("us", "asia")
            write(us, table, *range(20))
        assert eventually(lambda: numbers(eu, table) == set(range(20)), 10)
        regions.kill("us")
        regions.revive("us")
        regions.heal()
        regions.wait()
        time.sleep(HINTS_ARE_SENT)
        assert numbers(eu, table) == set(range(20))
        assert numbers(asia, table) < set(range(20))
        assert numbers(asia, table, ConsistencyLevel.ALL) == numbers(asia, table) == set(range(20))
