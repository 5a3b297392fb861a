"""A null cell on Cassandra is `Unreadable` with its row, on every path that reads it (G8)."""

import pytest

from eslab import AggregateService, ManualClock, Repository, Unreadable
from eslab.operations import rebuild
from eslab.operations.audit import find_strays
from eslab.operations.inspection import inspect
from eslab.stores.cassandra import CassandraStore
from tests.support.cassandra import on_cassandra
from tests.support.sample import DAY, START, Count, Counter, at, handle, snapshot
from tests.test_read_table import BY_DAY, ON_SHELF, SHARDS

ROW = rf"'ann', aggregate 'counter:1', event time {at(1).event_time}.*found no bytes"
KEY = f"customer_id = 'ann' AND aggregate_id = 'counter:1' AND event_time = {at(1).event_time}"


@on_cassandra
def test_G8_a_null_payload_is_named(tables: CassandraStore) -> None:
    """By every reader; inspect shows the rows around it."""
    repository = Repository(tables, ManualClock(START + DAY / 24), read_tables=(ON_SHELF, BY_DAY))
    service = AggregateService(tables, Counter, handle, repository.clock)
    service.repository = repository
    for minutes in range(3):
        service.send("ann", "counter:1", Count("b"), at(minutes))
    tables.session.execute(f"DELETE payload FROM events WHERE {KEY}")
    for read in (
        lambda: repository.load("ann", Counter, "1"),
        lambda: repository.load_all("ann", Counter),
        lambda: service.send("ann", "counter:1", Count("b"), at(1)),
        lambda: find_strays(repository, "ann", [Counter]),
        lambda: rebuild.rebuild(repository),
        lambda: rebuild.catch_up(repository),
    ):
        with pytest.raises(Unreadable, match=ROW) as raised:
            read()
        assert raised.value.event_time == at(1).event_time
    (aggregate,) = inspect(tables, "ann")
    assert [commit.problem is not None for commit in aggregate.commits] == [False, True, False]


@on_cassandra
def test_G8_a_null_payload_of_a_read_row_is_named(tables: CassandraStore) -> None:
    """A query stops there."""
    repository = Repository(tables, ManualClock(START + DAY / 24), read_tables=(ON_SHELF, BY_DAY))
    service = AggregateService(tables, Counter, handle, repository.clock)
    service.repository = repository
    service.send("ann", "counter:1", Count("b"), at(1))
    tables.session.execute(f"DELETE payload FROM shelf WHERE what = '1' AND {KEY}")
    tables.session.execute(f"DELETE payload FROM days WHERE day = '2026-01-05' AND shard = '0' AND {KEY}")
    with pytest.raises(Unreadable, match=ROW):
        repository.read(ON_SHELF, ("ann",))
    with pytest.raises(Unreadable, match=ROW):
        repository.read(BY_DAY, *SHARDS)


@on_cassandra
def test_G6_a_snapshot_with_a_null_payload_is_skipped(tables: CassandraStore) -> None:
    """Like any broken snapshot."""
    service = AggregateService(tables, Counter, handle, ManualClock(START))
    service.send("ann", "counter:1", Count("b"), at(0))
    tables.save_snapshot("ann", "counter:1", snapshot(at(0), Counter({"b": 1}))._replace(payload=b""), START)
    tables.session.execute(
        f"DELETE payload FROM snapshots WHERE customer_id = 'ann' AND aggregate_id = 'counter:1' "
        f"AND up_to = {at(0).event_time} AND fold = 1"
    )
    assert service.load("ann", "counter:1") == Counter({"b": 1})
