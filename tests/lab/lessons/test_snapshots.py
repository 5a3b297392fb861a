"""Lesson 06: closings, a careless snapshot beside settled ones, and snapshots that are lost, outdated or damaged."""

import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta

import pytest

from eslab import AggregateService, Repository, SnapshotPolicy
from eslab.domains.coffees import Coffees
from eslab.domains.ledger import Account, Deposit, close_year, open_bank
from eslab.lab.lessons.closings import ID, balances, begins_from, costs, fill_coffees
from eslab.lab.lessons.hydration_cost import waits
from eslab.lab.lessons.late_booking import (
    HOURS,
    StandsStill,
    careless_snapshot,
    first_over,
    hour_by_hour,
    reach_chart,
    replay,
    settled_snapshot,
)
from eslab.lab.lessons.late_booking import ID as TRAVEL
from eslab.lab.lessons.snapshot_cache import (
    CountingAccount,
    RenamedAccount,
    delete_snapshots,
    flip_a_bit,
    read_leniently,
    snapshot_table,
    snapshots_of,
    state_in,
    with_its_warnings,
)
from eslab.lab.session import Lab, open_lab
from eslab.operations.full_audit import audit_customer
from eslab.operations.snapshots import build_snapshot
from tests.support.cassandra import emptied

YEARS = range(2016, 2026)
MARCH = date(2019, 3, 3)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab in memory."""
    lab = open_lab("memory:", 7)
    yield lab
    lab.store.close()


@pytest.fixture
def bank(lab: Lab) -> AggregateService[Account]:
    """A bank with ten years of coffees."""
    fill_coffees(lab.store, Coffees(count=500, years=10, first=2016), "ann")
    return open_bank(lab.store, lab.clock)


def close_all(repository: Repository) -> None:
    """Close the books of all years."""
    for year in YEARS:
        close_year(repository, "ann", "coffees", year)


class TestClosings:
    """A balance of a past day, with closings and without."""

    def test_progress_ends_with_what_was_written(self, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
        """One line, which is updated in a notebook."""
        fill_coffees(lab.store, Coffees(count=50, years=1, first=2025), "ann")
        assert capsys.readouterr().out.splitlines()[-1].startswith("50 bookings from 2025 to 2025, seed 7, written in")

    def test_the_newest_closing_before_the_day_is_used(self, bank: AggregateService[Account]) -> None:
        """A day's balance is the same with closings, and no more than a year of bookings is read for it."""
        days = [date(2018, 12, 31), MARCH, date(2019, 12, 30)]
        before = balances(bank.repository, "ann", days)
        close_all(bank.repository)
        after = balances(bank.repository, "ann", days)
        assert list(before["EUR"]) == list(after["EUR"])
        assert set(before["begins from"]) == {"no snapshot"}
        assert list(after["begins from"]) == ["the closing of 2018"] * 3
        assert after["bookings read"][0] == 0 < after["bookings read"][1] < after["bookings read"][2] <= 50


class TestLateBooking:
    """A booking that arrives behind a snapshot."""

    def lived_through(self, lab: Lab) -> AggregateService[Account]:
        """Bob's story: a request on a hut, a careless snapshot, the request arrives."""
        bank = open_bank(lab.store, lab.clock)
        bank.send("bob", TRAVEL, Deposit("EUR", 20_000), lab.request())
        on_the_hut = lab.request()
        lab.clock.advance(timedelta(hours=1))
        careless_snapshot(bank.repository, "bob", "travel")
        lab.clock.advance(timedelta(hours=2))
        bank.send("bob", TRAVEL, Deposit("CHF", 5_000), on_the_hut)
        return bank

    def test_a_careless_snapshot_loses_it_two_days_later(self, lab: Lab) -> None:
        """Until then the snapshot is too new to be used; a replay still finds the booking."""
        bank = self.lived_through(lab)
        assert bank.load("bob", TRAVEL).balance("CHF") == 5_000
        lab.clock.advance(timedelta(days=2))
        assert bank.load("bob", TRAVEL).balance("CHF") == 0
        assert replay(bank.repository, "bob", "travel").balance("CHF") == 5_000

    def test_an_audit_names_it_and_brings_it_back(self, lab: Lab) -> None:
        """The finding has the event's time; after the repair readers pass over the snapshot, which stays."""
        bank = self.lived_through(lab)
        lab.clock.advance(timedelta(days=2))
        hut = next(bank.repository.store.rows("bob", TRAVEL, after=next(bank.repository.store.rows("bob", TRAVEL))[1]))
        (finding,) = audit_customer(bank.repository, [Account], "bob", repair=True)
        assert str(hut.event_time) in str(finding) and finding.repaired
        assert bank.load("bob", TRAVEL) == replay(bank.repository, "bob", "travel")
        assert len(snapshots_of(bank.repository, "bob", TRAVEL)) == 1

    def test_G5_the_real_builder_never_loses_it(self, lab: Lab) -> None:
        """Hour by hour load and replay agree; the first snapshot that reaches over the request is 26 hours younger."""
        hours = hour_by_hour(lab, open_bank(lab.store, lab.clock), "carla", settled_snapshot)
        assert list(hours["hour"]) == list(range(HOURS + 1))
        assert (hours["CHF by load"] == hours["CHF by replay"]).all()
        assert hours["CHF by load"].max() == 50 and first_over(hours) == 26

    def test_a_careless_builder_would_be_noticed(self, lab: Lab) -> None:
        """In the same story its snapshots make load and replay differ."""
        hours = hour_by_hour(lab, open_bank(lab.store, lab.clock), "carla", careless_snapshot)
        assert (hours["CHF by load"] != hours["CHF by replay"]).any() and first_over(hours) == 0

    def test_the_chart_says_when_a_snapshot_reaches_over_the_request(self, lab: Lab) -> None:
        """In words, for those who can't see it; its table has every hour."""
        bank = open_bank(lab.store, lab.clock)
        figure = reach_chart(hour_by_hour(lab, bank, "carla", settled_snapshot), bank.repository.bounds.late)
        assert figure.alt == (
            "How far the newest snapshot reaches. The request of hour 0 arrives in hour 3, and would be accepted until "
            "hour 24. The first snapshot that reaches over it is built in hour 26."
        )
        assert len(figure.table) == HOURS + 1

    def test_G5_a_server_that_stands_still_makes_its_commit_safe(self, lab: Lab) -> None:
        """A snapshot reaches over the request and lacks it, and a reader still sees it."""
        bank = open_bank(lab.store, lab.clock)
        bank.send("dora", TRAVEL, Deposit("EUR", 20_000), lab.request())
        slow = open_bank(StandsStill(lab, "dora"), lab.clock)
        slow.send("dora", TRAVEL, Deposit("CHF", 5_000), lab.request())
        (snapshot,) = snapshots_of(bank.repository, "dora", TRAVEL)
        assert state_in(snapshot)["cents"] == {"EUR": 20_000}
        assert bank.load("dora", TRAVEL).balance("CHF") == 5_000


class TestCache:
    """Whatever happens to snapshots, the state is the same."""

    def test_G6_all_of_them_can_be_deleted(self, bank: AggregateService[Account]) -> None:
        """The state stays, and everything is read."""
        close_all(bank.repository)
        before = bank.repository.hydrate("ann", Account, "coffees")
        assert delete_snapshots(bank.repository, "ann", ID) == len(YEARS)
        after = bank.repository.hydrate("ann", Account, "coffees")
        assert (after.state, after.base, after.tail) == (before.state, None, 500)
        assert list(costs({"before": before, "after": after})["begins from"]) == ["the closing of 2025", "no snapshot"]

    def test_G6_another_fold_passes_over_them(self, bank: AggregateService[Account]) -> None:
        """The new code replays, and its snapshot lies beside the old ones, which the old code goes on to use."""
        close_all(bank.repository)
        counted = bank.repository.hydrate("ann", CountingAccount, "coffees")
        assert (counted.base, counted.state.bookings) == (None, 500)
        build_snapshot(bank.repository, "ann", CountingAccount, "coffees", SnapshotPolicy(every=1))
        assert set(snapshot_table(bank.repository, "ann", ID)["fold"]) == {1, 2}
        assert bank.repository.hydrate("ann", CountingAccount, "coffees").tail == 0
        assert begins_from(bank.repository.hydrate("ann", Account, "coffees")) == "the closing of 2025"

    def test_G6_a_renamed_field_is_refused_and_not_read_as_empty(self, bank: AggregateService[Account]) -> None:
        """Each snapshot is passed over with a warning; a lenient decoder would have given an empty account."""
        close_all(bank.repository)
        act = lambda: bank.repository.hydrate("ann", RenamedAccount, "coffees")  # noqa: E731
        renamed, warnings = with_its_warnings(act)
        assert len({*warnings}) == len(YEARS) and all("unknown field `cents`" in warning for warning in warnings)
        assert renamed.base is None
        assert renamed.state.balance("EUR") == bank.load("ann", ID).balance("EUR") != 0
        assert read_leniently(snapshots_of(bank.repository, "ann", ID)[0]).amounts == {}

    def test_G8_a_flipped_bit_sends_a_reader_to_the_one_before(self, bank: AggregateService[Account]) -> None:
        """The damaged one takes the place of the whole one, and is passed over with a warning."""
        close_all(bank.repository)
        whole = flip_a_bit(bank.repository, "ann", ID)
        damaged = snapshots_of(bank.repository, "ann", ID)[0]
        assert sum((a ^ b).bit_count() for a, b in zip(whole.payload, damaged.payload, strict=True)) == 1
        hydration, warnings = with_its_warnings(lambda: bank.repository.hydrate("ann", Account, "coffees"))
        assert begins_from(hydration) == "the closing of 2024"
        assert len(warnings) == 1 and "the checksum" in warnings[0]

    def test_warnings_that_are_shown_go_nowhere_else(self, bank: AggregateService[Account]) -> None:
        """Afterwards the log is as it was."""
        log = logging.getLogger("eslab.snapshot")
        before = (log.handlers[:], log.propagate)
        with_its_warnings(lambda: bank.load("ann", ID))
        assert (log.handlers, log.propagate) == before


def waits_of(lab: Lab, count: int) -> tuple[list[int], list[int]]:
    """The waits of a replay, first and again, and of a hydration from a closing."""
    fill_coffees(lab.store, Coffees(count=count, years=10, first=2016), "ann")
    by_replay = waits(lab.store, lab.clock, "ann", "a replay")
    close_year(Repository(lab.store, lab.clock), "ann", "coffees", 2025)
    return list(by_replay["waits"]), list(waits(lab.store, lab.clock, "ann", "from a closing")["waits"])


def test_a_closing_saves_waits(tmp_path) -> None:
    """A page of rows is a wait; from a closing it is two, and one when the process knows where the closing ends."""
    lab = open_lab(f"sqlite:///{tmp_path / 'lab.db'}", 7)
    with closing(lab.store):
        by_replay, from_closing = waits_of(lab, 3_000)
    assert by_replay[0] == by_replay[1] > 2
    assert from_closing == [2, 1]


@pytest.mark.cassandra
@pytest.mark.timeout(600)
def test_a_closing_saves_waits_on_a_real_node(node) -> None:
    """The same on Cassandra, where snapshots that were deleted can be built again an hour later."""
    url = node.url("lab_lesson")
    emptied(url).close()
    lab = open_lab(url, 7)
    with closing(lab.store):
        by_replay, from_closing = waits_of(lab, 12_000)
        repository = Repository(lab.store, lab.clock)
        assert delete_snapshots(repository, "ann", ID) == 1
        lab.clock.advance(timedelta(hours=1))
        close_year(repository, "ann", "coffees", 2025)
        assert begins_from(repository.hydrate("ann", Account, "coffees")) == "the closing of 2025"
        flip_a_bit(repository, "ann", ID)
        assert begins_from(repository.hydrate("ann", Account, "coffees")) == "no snapshot"
    assert by_replay[0] == by_replay[1] > 2
    assert from_closing == [2, 1]
