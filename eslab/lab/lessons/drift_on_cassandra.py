"""Lesson 09 on a real cluster: two parted regions execute one statement, and what a site takes with it when it is lost.

Both functions cut links and one kills a region, so give them a cluster that nobody else uses. They leave it whole.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import SimpleStatement

from eslab import ManualClock, Request, open_store
from eslab.clock import to_ms
from eslab.cluster import Cluster
from eslab.domains.bakery import AddColor, open_bakery
from eslab.lab.lessons.drift import DERIVED, EVALUATED, Drift, Row, Statement, Wish, drift
from eslab.lab.session import START
from eslab.operations.read_repair import repair

KEYSPACE = "lab_drift"
INTO = "INSERT INTO lab_drift.downloads (id, customer, title, at) VALUES"
SELECT = "SELECT id, customer, title, at FROM lab_drift.downloads"
QUIET = 45.0  # seconds without a new row, after which no hint is expected any more


class CassandraRegion:
    """A region of a real cluster, which acknowledges alone."""

    def __init__(self, name: str, session: Session) -> None:
        self.name = name
        self.session = session

    def execute(self, statement: Statement) -> object:
        """Execute a statement here."""
        here = SimpleStatement(statement.text, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
        return self.session.execute(here, statement.values, timeout=30)

    def rows(self, level: int = ConsistencyLevel.LOCAL_ONE) -> list[Row]:
        """The rows that are held here, in order."""
        found: Any = self.session.execute(SimpleStatement(SELECT, consistency_level=level), timeout=30)
        return sorted(Row(str(row.id), row.customer, row.title, f"{row.at:%Y-%m-%d %H:%M:%S.%f}") for row in found)


def evaluated(wish: Wish) -> Statement:
    """The failed design: the coordinator makes the id and reads the clock, wherever the statement is executed."""
    return Statement(f"{INTO} (uuid(), %s, %s, toTimestamp(now()))", (wish.customer, wish.title))


def derived(wish: Wish) -> Statement:
    """Id, time and write time come with the request."""
    ms = to_ms(wish.request.time)
    values = (wish.request.id, wish.customer, wish.title, wish.request.time, ms * 1000)
    return Statement(f"{INTO} (%s, %s, %s, %s) USING TIMESTAMP %s", values)


DESIGNS = {EVALUATED: evaluated, DERIVED: derived}


def drift_on_cassandra(cluster: Cluster, made: Sequence[Wish], regions: tuple[str, str] = ("us", "eu")) -> list[Drift]:
    """The drift of both designs on two regions of a cluster. Takes about half a minute for each."""
    return [_drift(cluster, ids, made, statement, regions) for ids, statement in DESIGNS.items()]


def _drift(
    cluster: Cluster, ids: str, made: Sequence[Wish], statement: Callable[[Wish], Statement], names: tuple[str, str]
) -> Drift:
    with cluster.session(names[0]) as one, cluster.session(names[1]) as other:
        _make_table(one, names)
        us, eu = CassandraRegion(names[0], one), CassandraRegion(names[1], other)
        with _parted(cluster, *names):
            heal = lambda: _heal(cluster, us, eu)  # noqa: E731
            return drift(ids, made, statement, (us, eu), heal, f"regions {names[0]} and {names[1]} of Cassandra")


def _make_table(session: Session, regions: Sequence[str]) -> None:
    """A new table, with one replica in each of the regions."""
    replicas = ", ".join(f"'{region}': 1" for region in regions)
    session.execute(f"DROP KEYSPACE IF EXISTS {KEYSPACE}", timeout=60)
    session.execute(
        f"CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'NetworkTopologyStrategy', {replicas}}}", timeout=60
    )
    columns = "id uuid PRIMARY KEY, customer text, title text, at timestamp"
    session.execute(f"CREATE TABLE {KEYSPACE}.downloads ({columns})", timeout=60)


@contextmanager
def _parted(cluster: Cluster, one: str, other: str) -> Iterator[None]:
    cluster.cut(one, other)
    try:
        yield
    finally:
        cluster.heal()


def _heal(cluster: Cluster, us: CassandraRegion, eu: CassandraRegion) -> None:
    """Heal the link, and wait until hints have brought each region the rows of the other; else repair by a read."""
    cluster.heal()
    cluster.wait()
    seen, since = -1, time.monotonic()
    while us.rows() != eu.rows() and time.monotonic() - since < QUIET:
        time.sleep(1)
        held = len(us.rows()) + len(eu.rows())
        if held != seen:
            seen, since = held, time.monotonic()
    us.rows(ConsistencyLevel.ALL)


class Failover(NamedTuple):
    """The wishes that one region acknowledged, and those of them that the standby holds."""

    acknowledged: int
    held: int  # when the active region is dead
    returned: int  # when it has come back; hints of its last seconds died with it
    repaired: int  # after `eslab repair`


def lost_by_failover(cluster: Cluster, count: int, active: str = "us", standby: str = "eu") -> Failover:
    """Acknowledge wishes in one region that nobody else hears of, kill it, and fail over. Takes about a minute."""
    clock = ManualClock(START)
    requests = [Request.at(START, f"failover {number}") for number in range(count)]
    with (
        closing(open_store(cluster.url("lab_failover", active))) as here,
        closing(open_store(cluster.url("lab_failover", standby))) as there,
    ):
        bakery = open_bakery(here, clock)
        held: Callable[[], int] = lambda: len([*there.customers()])  # noqa: E731
        cluster.cut(active)
        try:
            for number, request in enumerate(requests):
                bakery.send(f"customer-{number:03}", "frosting:1", AddColor("red"), request)
            cluster.kill(active)
            alone = held()
        finally:
            cluster.heal()
            cluster.revive(active)
        cluster.wait()
        returned = held()
        repair(there, clock)
        return Failover(count, alone, returned, held())
