"""`eslab bench speculation` meets a slow replica, with a second request and without, and compares slow answers."""

from time import perf_counter, sleep
from typing import Any

import pytest

from eslab.bench import speculation
from eslab.bench.measure import single_row
from eslab.bench.speculation import CUSTOMERS, Side, measure_on
from eslab.bench.table import ratios, show
from eslab.cluster.cluster import Cluster
from eslab.cluster.errors import ClusterError


def test_the_ratios_compare_p99() -> None:
    """Of the same kind of request; the medians, which a slow replica hardly touches, say nothing here."""
    seconds = {"append": 0.3, "read": 0.2, "speculated append": 0.03, "speculated read": 0.05}
    rows = [single_row(name, "cassandra", [0.001, it]) for name, it in seconds.items()]
    assert ratios(rows) == [
        "The p99 of speculated append is 0.10 of that of append.",
        "The p99 of speculated read is 0.25 of that of read.",
    ]


class Standing:
    """A side whose first request stands still."""

    prefix = ""

    def __init__(self) -> None:
        self.customers: list[str] = []

    def append(self, customer: str) -> None:
        self.customers.append(customer)
        if len(self.customers) == 1:
            sleep(0.8)

    def read(self, customer: str) -> None:
        pass


def test_requests_do_not_wait_for_each_other() -> None:
    """So a pause delays all that are sent meanwhile, and no client hides it by waiting for the first one's answer."""
    side: Any = Standing()
    began = perf_counter()
    seconds = speculation._send_all([side], 3)
    assert side.customers == ["customer 0", "customer 1", "customer 2"]
    assert {name: len(times) for name, times in seconds.items()} == {"append": 3, "read": 3}
    assert seconds["append"][0] >= 0.8 > max(seconds["append"][1:])
    assert perf_counter() - began < 5


def test_a_wait_for_a_thread_is_part_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is timed from when it was due."""
    monkeypatch.setattr(speculation, "AT_ONCE", 1)
    side: Any = Standing()
    assert min(speculation._send_all([side], 2)["read"][:1]) > 0.2


class Stubborn:
    """A cluster whose node can't be frozen."""

    def freeze(self, target: str) -> None:
        raise ClusterError("no such node")

    def thaw(self, target: str) -> None:
        pass


def test_a_replica_that_never_paused_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not give the figures of a calm cluster."""
    monkeypatch.setattr(speculation, "AWAKE", 0.01)
    cluster: Any = Stubborn()
    with pytest.raises(ClusterError, match="no such node"), speculation.pauses(cluster):
        sleep(0.2)


def test_statements_with_a_second_replica_are_counted_by_kind() -> None:
    """A batch is an append, anything else a read."""
    from cassandra.query import BatchStatement, SimpleStatement

    def future(query: Any, hosts: int) -> Any:
        return type("Future", (), {"query": query, "attempted_hosts": [None] * hosts})

    read = SimpleStatement("SELECT")
    sent = [future(BatchStatement(), 2), future(read, 1), future(read, 2), future(read, 3)]
    store: Any = None
    side = Side("", store, sent)
    assert (side.asked_two("append"), side.asked_two("read")) == (1, 2)


@pytest.mark.full
@pytest.mark.cassandra
@pytest.mark.timeout(900)
def test_only_with_speculation_is_a_second_replica_asked() -> None:
    """Afterwards no link is delayed and no node frozen."""
    with Cluster.start(regions="us:3") as cluster:
        report = measure_on(cluster, requests=CUSTOMERS, speculate=20)
        status = cluster.status()
        assert not [link for link in status.links if link.cut or link.delay]
        assert {node.state for node in status.nodes} == {"up"}
    show(report)
    assert len(report.rows) == 12
    for row in report.rows:
        if row.extra["part"] == "slow link":
            assert bool(row.extra["asked_two"]) == row.measure.startswith("speculated")
