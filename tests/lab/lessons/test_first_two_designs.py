"""Lesson 09: statements that two regions evaluate, the price of one active site, and both on real regions."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from eslab.cluster import Cluster, ClusterError
from eslab.lab.lessons.drift import (
    DERIVED,
    DESIGNS,
    EVALUATED,
    SqliteRegion,
    derived,
    evaluated,
    execute_in_both,
    side_by_side,
    wishes,
)
from eslab.lab.lessons.one_site import EACH, ONE, Sites, distance_chart, distances, failovers, numbered, session
from eslab.lab.lessons.parted import drift_table, drifts


def test_what_each_region_evaluates_is_nowhere_the_same() -> None:
    """The counts are equal, and no row is; healing doubles each wish."""
    by_ids = {drift.ids: drift for drift in drifts(wishes(30))}
    assert by_ids[EVALUATED][2:] == (30, 30, 30, 0, 60, 60, 60, 30)
    assert by_ids[DERIVED][2:] == (30, 30, 30, 30, 30, 30, 30, 0)
    assert "run on: two SQLite files" in str(by_ids[DERIVED])
    assert len(drift_table(list(by_ids.values()))) == len(DESIGNS)


@pytest.mark.parametrize(("statement", "times"), [(evaluated, 2), (derived, 1)])
def test_a_repeat_of_a_statement_is_another_row_only_if_the_region_makes_the_id(statement: Any, times: int) -> None:
    """However often it is executed."""
    with closing(SqliteRegion("us")) as us, closing(SqliteRegion("eu")) as eu:
        made = wishes(5)
        execute_in_both(made * 2, statement, us, eu)
        assert len(us.rows()) == len(eu.rows()) == 5 * times
        assert len(side_by_side(us, eu, made[0].customer)) == 2 * times


def test_a_cluster_that_is_not_there_is_named() -> None:
    """Nothing else is run in its place."""
    with pytest.raises(ClusterError, match="no-such-cluster"):
        drifts(wishes(1), "no-such-cluster")


@pytest.mark.parametrize("round_trip", [0, 80, 150])
def test_a_session_spends_a_round_trip_for_each_call(round_trip: int) -> None:
    """And nothing else."""
    calls, seconds = session(round_trip)
    assert (calls, seconds) == (9, pytest.approx(9 * round_trip / 1000))


def test_only_one_active_site_is_far_from_anybody() -> None:
    """With a site in each region the way is the same for all; the chart says both."""
    found: Any = distances()
    by_design = {design: set(lines["on the way, s"]) for design, lines in found.groupby("design")}
    assert len(by_design[EACH]) == 1 and len(by_design[ONE]) == 3
    assert "1.35 s from Asia" in distance_chart(found).alt


def test_a_failover_loses_lag_times_writes() -> None:
    """About that many, since wishes come when they come; without a lag none."""
    lost: Any = failovers([0, 1, 4], [50], seed=7)
    assert lost["lost"].iloc[0] == 0
    assert (abs(lost["lost"] - lost["lag x writes"]) <= 0.3 * lost["lag x writes"] + 1).all()


def test_G3_wishes_that_a_failover_lost_come_back_with_their_site_and_count_once() -> None:
    """Both sites hold every wish in the end, one row for each."""
    sites = Sites(timedelta(seconds=2))
    sites.serve(20, 10, seed=7)
    lost = sites.missing(sites.standby)
    sites.fail_over()
    sites.serve(20, 5, seed=8)
    assert sites.missing(sites.standby) == lost != [] and len(sites.missing(sites.active)) > 0
    sites.come_back()
    assert sites.missing(sites.standby) == sites.missing(sites.active) == []
    for store in (sites.active, sites.standby):
        assert all(len(list(store.rows(customer, "frosting:1"))) == 1 for customer in store.customers())


@pytest.mark.parametrize(("taken_over", "collided"), [(3, 3), (10, 10), (30, 10)])
def test_numbers_are_given_away_twice(taken_over: int, collided: int) -> None:
    """As many as were lost, or as the standby gave away."""
    found = numbered(100, 90, taken_over)
    assert (found.lost, found.collided) == (10, collided)
    assert found.example == (91, "customer-090", "new customer-000")


@pytest.mark.full
@pytest.mark.cassandra
@pytest.mark.timeout(900)
class TestOnRealRegions:
    """The same on regions of a real Cassandra whose link is cut and healed."""

    def test_what_each_region_evaluates_is_doubled_when_the_link_heals(self, regions: Cluster) -> None:
        """Ids and times of the request are the same row, before and after."""
        from eslab.lab.lessons.drift_on_cassandra import drift_on_cassandra

        by_ids = {drift.ids: drift for drift in drift_on_cassandra(regions, wishes(30))}
        assert by_ids[EVALUATED][2:] == (30, 30, 30, 0, 60, 60, 60, 30)
        assert by_ids[DERIVED][2:] == (30, 30, 30, 30, 30, 30, 30, 0)

    def test_G2_what_one_region_acknowledged_alone_is_lost_with_it_and_comes_back_with_it(
        self, regions: Cluster
    ) -> None:
        """LOCAL_QUORUM reaches no further than its region."""
        from eslab.lab.lessons.drift_on_cassandra import lost_by_failover

        failover = lost_by_failover(regions, 30)
        assert (failover.acknowledged, failover.held, failover.repaired) == (30, 0, 30)
