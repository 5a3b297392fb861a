"""The strict log on a real node: its table refuses what is stale, and a time-out is settled by reading again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import UUID, uuid4

import pytest

from eslab import OutcomeUnknown
from eslab.bench.baseline_cassandra import BareDriver
from eslab.bench.lock.strict import Place, Settled, Stream, StrictEvent, StrictLog
from eslab.bench.lock.strict_cassandra import LEVELS, StrictTable, make_table
from eslab.cluster.cluster import Cluster
from tests.support.cassandra import on_cassandra, opened

KEYSPACE = "lab_strict"


@pytest.fixture(scope="module")
def driver(node: Cluster) -> Iterator[BareDriver]:
    """The bare driver in a keyspace with the strict log's table."""
    url = node.url(KEYSPACE)
    with opened(url) as store:
        make_table(store)
    with closing(BareDriver(url)) as driver:
        yield driver


@pytest.fixture(params=[*LEVELS])
def table(driver: BareDriver, request: pytest.FixtureRequest) -> StrictTable:
    """The table at each level of the lock."""
    return StrictTable(driver, request.param)


@pytest.fixture
def place() -> Place:
    """A stream of its own."""
    return Place(f"customer {uuid4().hex}", "frosting:1")


def seen(stream: Stream) -> bytes:
    """What an event says: how many its decision saw."""
    return str(stream.version).encode()


def requests(table: StrictTable, place: Place) -> list[UUID]:
    return [event.request_id for event in table.read(place, settled=True).events]


@on_cassandra
def test_a_stale_or_premature_version_is_refused(table: StrictTable, place: Place) -> None:
    """Only the next version is written, whatever the others are; what stands stays as it is."""
    first, second = StrictEvent(1, uuid4(), b"1"), StrictEvent(2, uuid4(), b"2")
    assert table.read(place) == Stream(0, [])
    assert not table.write(place, second)
    assert table.write(place, first)
    assert not table.write(place, StrictEvent(1, uuid4(), b"other"))
    assert not table.write(place, StrictEvent(3, uuid4(), b"3"))
    assert table.write(place, second)
    assert table.read(place, settled=True) == Stream(2, [first, second])


@on_cassandra
def test_a_lost_race_is_counted_once_and_decided_again(table: StrictTable, place: Place) -> None:
    """The rival writes between the read and the write."""
    log = StrictLog(table)
    own, rival = uuid4(), uuid4()
    rivals = [rival]

    def decide(stream: Stream) -> bytes:
        if rivals:
            log.append(place, rivals.pop(), seen)
        return seen(stream)

    assert log.append(place, own, decide) == Settled(version=2, conflicts=1)
    assert table.read(place, settled=True).events == [StrictEvent(1, rival, b"0"), StrictEvent(2, own, b"1")]


@on_cassandra
def test_a_repeat_is_not_written_twice(table: StrictTable, place: Place) -> None:
    """It is answered with the version that the request has."""
    log = StrictLog(table)
    first, other = uuid4(), uuid4()
    for request in first, other:
        log.append(place, request, seen)
    assert log.append(place, first, seen) == Settled(version=1, repeated=True)
    assert requests(table, place) == [first, other]


@on_cassandra
def test_a_time_out_is_settled_by_reading_again(table: StrictTable, place: Place) -> None:
    """Whether the write had happened or not, its request is there once in the end."""
    request = uuid4()
    with pytest.raises(OutcomeUnknown, match="It may have happened"):
        table.write(place, StrictEvent(1, request, b"0"), timeout=1e-6)
    settled = StrictLog(table).append(place, request, seen, again=True)
    assert settled.version == 1
    assert requests(table, place) == [request]


@on_cassandra
def test_writers_who_race_leave_every_request_once(table: StrictTable, place: Place) -> None:
    """In one order of versions; each event was decided on all those before it."""
    log = StrictLog(table)
    made = [uuid4() for _ in range(12)]
    with ThreadPoolExecutor(4) as pool:
        settled = list(pool.map(lambda request: log.append(place, request, seen), made))
    events = table.read(place, settled=True).events
    assert [event.version for event in events] == [*range(1, 13)]
    assert {event.request_id: event.version for event in events} == {
        request: it.version for request, it in zip(made, settled, strict=True)
    }
    assert [event.payload for event in events] == [str(number).encode() for number in range(12)]
