"""Chaos on three real regions: what a run must meet is forecast, and what it met is judged."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import OutcomeUnknown, Request
from eslab.cluster.cluster import Cluster
from eslab.faults.chaos.run import MUST_MEET, Chaos, Convergence, run
from eslab.faults.chaos.weather import OF_LINKS, OF_NODES, Fault, Weather, forecast
from eslab.faults.history import Operation
from eslab.faults.simulation.variants import broken
from eslab.faults.tally import Answer
from eslab.lab import chaos

REGIONS = ("us", "eu", "asia")
REQUEST = Request.at(datetime(2026, 1, 5, tzinfo=UTC), "one")
EQUAL = Convergence({"us": 0}, {"us": 0}, 1.0, None)


@given(st.integers(), st.floats(90, 3600))
def test_a_forecast_meets_every_kind_of_fault_and_mends_it_in_time(seed: int, seconds: float) -> None:
    """Also a short run, and with some time to spare at its end; the same seed is the same weather."""
    faults = forecast(seed, seconds, REGIONS)
    assert {fault.kind for fault in faults} == {*OF_LINKS, *OF_NODES}
    assert all(0 < fault.at < fault.ends < seconds for fault in faults)
    assert faults == forecast(seed, seconds, REGIONS)


@given(st.integers())
def test_links_break_one_after_the_other_and_so_do_nodes(seed: int) -> None:
    """So that mending one fault never mends another."""
    faults = forecast(seed, 600, REGIONS)
    for kinds in (OF_LINKS, OF_NODES):
        track = [fault for fault in faults if fault.kind in kinds]
        assert all(before.ends < after.at for before, after in pairwise(track))


class Recorded:
    """A cluster that only records what is done to it."""

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *targets: self.done.append((name, *targets))


class Minute:
    """A stage on which it is always the sixtieth second; `comes` says for each wait whether its moment came."""

    now = 60.0

    def __init__(self, *comes: bool) -> None:
        self._comes = iter(comes)

    def sleep_until(self, at: float) -> bool:
        return next(self._comes)


def test_what_was_broken_is_mended_even_if_the_run_is_stopped() -> None:
    """A fault that has begun is ended; those that follow never begin."""
    cluster: Any = Recorded()
    faults = [Fault(1, 5, "cut", ("asia", "us")), Fault(10, 5, "isolated", ("eu",))]
    weather = Weather(cluster, faults, Minute(True, False, False))
    weather.begin()
    weather.end()
    assert cluster.done == [("cut", "asia", "us"), ("heal", "asia", "us")]
    assert weather.faults == [faults[0]._replace(lasts=59)]


def test_an_error_while_something_breaks_ends_the_run_with_it() -> None:
    """And not with figures of a calm day."""

    class Stubborn(Recorded):
        def cut(self, *_: str) -> None:
            raise OSError("no such link")

    cluster: Any = Stubborn()
    weather = Weather(cluster, [Fault(1, 5, "cut", ("asia", "us"))], Minute(True))
    weather.begin()
    with pytest.raises(OSError, match="no such link"):
        weather.end()


def delivery(number: int, region: str, **came: Any) -> Operation:
    """A delivery of the one request."""
    return Operation(
        number,
        "client",
        "count",
        region,
        ("1",),
        number,
        REQUEST,
        3,
        number + 0.5,
        (2 * number, 2 * number + 1),
        **came,
    )


def chaos_of(*operations: Operation, faults: list[Fault] | None = None) -> Chaos:
    """A run of these operations."""
    return Chaos(1, 100, faults or [], [*operations], [], EQUAL, [])


COUNTED = Answer({"1": 1}, {})


def test_a_retry_that_is_answered_elsewhere_counts_as_such() -> None:
    """It is one request, acknowledged once."""
    unknown = delivery(1, "us", error=OutcomeUnknown("lost"))
    met = chaos_of(unknown, delivery(2, "eu", answer=COUNTED)).met
    told = "requests", "acknowledged", "answered after a retry", "answered in another region", "answered unknown"
    assert [met[what] for what in told] == [1, 1, 1, 1, 1]
    assert met["decided twice"] == 0


def test_a_request_that_two_regions_decided_is_decided_twice() -> None:
    """A repeated answer is no second decision."""
    assert chaos_of(delivery(1, "us", answer=COUNTED), delivery(2, "eu", answer=COUNTED)).met["decided twice"] == 1
    repeated = Answer({"1": 1}, {}, repeated=True)
    assert chaos_of(delivery(1, "us", answer=COUNTED), delivery(2, "eu", answer=repeated)).met["decided twice"] == 0


def test_what_was_on_its_way_when_a_link_was_cut_is_counted() -> None:
    """Neither what had been answered nor what came later."""
    cut = Fault(2.2, 5, "cut", ("eu", "us"))
    operations = [delivery(number, "us", answer=COUNTED) for number in (1, 2, 3)]
    assert chaos_of(*operations, faults=[cut]).met["in flight during a cut"] == 1


def test_a_run_that_met_nothing_proves_nothing() -> None:
    """It names all that it never met."""
    assert chaos_of().never_met == [*MUST_MEET]
    assert "Expected to meet acknowledged, cut, isolated" in chaos.summary(chaos_of())


def test_the_report_is_one_page_that_needs_no_network(tmp_path: Any) -> None:
    """With the chart and its words, the faults, and how the regions became equal."""
    result = chaos_of(delivery(1, "us", answer=COUNTED), faults=[Fault(2.2, 5, "cut", ("eu", "us"))])
    chaos.write_report(result, tmp_path / "chaos.html")
    page = (tmp_path / "chaos.html").read_text(encoding="utf-8")
    assert "eu-us cut for 5.0 s" in page and "Hints made all regions equal within 1 s." in page
    assert 'alt="Answers of each region over time' in page and "http" not in page.replace("http-equiv", "")


@pytest.mark.cassandra
@pytest.mark.timeout(400)
def test_G2_G3_G4_three_regions_that_really_part_keep_their_promises(regions: Cluster) -> None:
    """Under cuts, freezes and kills nothing that was acknowledged is lost, nothing counts twice, all regions agree."""
    result = run(regions, 40, seed=3, clients=2)
    assert result.violations == []
    assert not any((result.convergence.after or result.convergence.left).values())
    assert result.met["acknowledged"] > 0 and result.faults


@pytest.mark.full
@pytest.mark.cassandra
@pytest.mark.timeout(600)
def test_G3_chaos_catches_a_core_whose_retries_are_new_requests(regions: Cluster) -> None:
    """So a run without a broken promise says something: with random ids, what was counted twice shows in the end."""
    with broken("random ids"):
        result = run(regions, 40, seed=3, clients=2)
    assert "twice" in {violation.rule for violation in result.violations}
