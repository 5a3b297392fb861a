"""Lesson 08: the story of three regions, on the simulator and on real nodes, its desk, its prices, and the model."""

from contextlib import closing

import pytest

from eslab.bench.lock import measure
from eslab.bench.lock.measure import delayed
from eslab.faults.simulation.parted import ROUND_TRIPS
from eslab.lab import reader
from eslab.lab.lessons.lightweight import LOCAL_SERIAL, Lightweight
from eslab.lab.lessons.real_regions import RealRegions, running_cluster
from eslab.lab.lessons.region_map import over_time, region_map
from eslab.lab.lessons.region_prices import (
    a_moment_ago,
    all_ways_while_cut_off,
    appends,
    ask_again,
    lost_for_good,
    price_chart,
    prices,
    timed_out,
)
from eslab.lab.lessons.regions import (
    LINKS,
    NAMES,
    Regions,
    both_sides_sell,
    heal_and_reconcile,
    history,
    told,
)
from eslab.lab.lessons.regions_desk import AGAIN, RECONCILE, REPAIR, WAIT, RegionsDesk
from eslab.lab.lessons.simulated_regions import SimulatedRegions


@pytest.fixture
def simulated():
    """Simulated regions, with open links."""
    opened = SimulatedRegions()
    yield opened
    opened.close()


def check_story(regions: Regions, seconds: float) -> None:
    """Both sides sell the third; all agree on four; one is taken back, and all agree on three."""
    both_sides_sell(regions)
    us, eu = (step.did for step in regions.steps[-2:])
    assert us.endswith("granted") and eu.endswith("granted")
    assert regions.steps[-1].shown == {"us": 3, "eu": 3, "asia": 3}
    found = heal_and_reconcile(regions, seconds)
    assert [over.device for over in found.overshoots] == ["tv"]
    assert [set(step.shown.values()) for step in regions.steps[-2:]] == [{4}, {3}]


def test_the_benchmark_and_the_lesson_have_the_same_distances() -> None:
    """In seconds here and in milliseconds there; neither room may import the other."""
    assert {link: round(1000 * seconds) for link, seconds in ROUND_TRIPS.items()} == measure.ROUND_TRIPS


def test_both_sides_of_a_cut_sell_and_reconcile_takes_one_back(simulated) -> None:
    """The story of the lesson; another region finds nothing left to do."""
    check_story(simulated, 15)
    assert not simulated.reconcile("asia").commits


def test_three_lonely_regions_sell_three_each(simulated) -> None:
    """No more than the limit times the number of regions."""
    for link in LINKS:
        simulated.cut(*link)
    for region in NAMES:
        assert [told(simulated.sell(region, f"{region} {number}")) for number in range(4)] == [
            *["granted"] * 3,
            "rejected",
        ]
    simulated.heal_all()
    simulated.wait(15)
    assert set(simulated.shown().values()) == {9}
    simulated.reconcile("eu")
    simulated.wait(1)
    assert set(simulated.shown().values()) == {3}


def test_the_same_request_in_two_regions_is_one_row(simulated) -> None:
    """The second region has not heard of it, decides again, and writes the same key."""
    request = simulated.request()
    first, second = simulated.sell("us", "phone", request), simulated.sell("eu", "phone", request)
    simulated.wait(1)
    assert not second.repeated and first.license_id == second.license_id
    assert set(simulated.shown().values()) == {1}


def test_a_frozen_region_says_nothing_and_hints_bring_what_it_missed(simulated) -> None:
    """When it goes on, it shows the past for some seconds."""
    simulated.freeze("asia")
    simulated.sell("us", "phone")
    assert simulated.shown()["asia"] is None
    simulated.thaw("asia")
    assert simulated.shown()["asia"] == 0
    simulated.wait(15)
    assert simulated.shown()["asia"] == 1


def test_a_repair_brings_what_died_with_its_hints(simulated) -> None:
    """Nothing else would."""
    simulated.cut("us", "asia")
    simulated.sell("us", "phone")
    simulated.kill("us")
    simulated.heal_all()
    simulated.revive("us")
    simulated.wait(600)
    assert simulated.used("asia") == 0
    simulated.repair()
    assert simulated.used("asia") == 1


def test_far_regions_show_a_download_half_a_round_trip_later() -> None:
    """A read at QUORUM shows it at once."""
    moments = a_moment_ago((0, 38, 40, 74))
    assert moments[["eu", "asia", "eu, at QUORUM"]].values.tolist() == [[0, 0, 1], [0, 0, 1], [1, 0, 1], [1, 1, 1]]


@pytest.mark.parametrize(("level", "gone"), [("LOCAL_QUORUM", 10), ("QUORUM", 0), ("EACH_QUORUM", 0)])
def test_a_lost_region_takes_with_it_what_it_acknowledged_alone(level: str, gone: int) -> None:
    """A level that asks others acknowledges less, and loses nothing of it."""
    assert lost_for_good(level)["gone for good"] == gone


def test_each_way_costs_its_round_trips() -> None:
    """A download is a read and an append; a conditional one has three round trips and an append near by."""
    table = prices().pivot(index="way", columns="region", values="ms")
    assert list(table.loc["LOCAL_QUORUM", list(NAMES)]) == [2, 2, 2]
    assert list(table.loc["QUORUM", list(NAMES)]) == [160, 160, 300]
    assert list(table.loc["EACH_QUORUM", list(NAMES)]) == [300, 460, 460]
    assert list(table.loc["SERIAL", list(NAMES)]) == [241, 241, 451]
    assert "SERIAL: us 241, eu 241, asia 451" in price_chart(prices()).alt


def test_only_the_near_way_answers_everybody_during_a_cut() -> None:
    """And only it has to reconcile."""
    ways = all_ways_while_cut_off().set_index("way")
    assert ways["after healing"].tolist() == ["4 of 3", "3 of 3", "2 of 3", "3 of 3"]
    assert ways["us"].str.startswith("no answer").tolist() == [False, True, True, True]
    assert ways["eu"].str.startswith("granted").tolist() == [True, True, False, True]


class TestConditionalWrites:
    """The model of lightweight transactions."""

    @pytest.mark.parametrize("pair", [("us", "us"), ("us", "eu"), ("eu", "asia"), ("us", "asia")])
    def test_of_two_at_once_one_gets_the_last(self, simulated, pair) -> None:
        """In one region or in two: both are answered, and three are counted everywhere."""
        lightweight = Lightweight(simulated)
        for device in ("phone", "tablet"):
            simulated.sell("us", device)
            simulated.wait(1)
        devices = dict(zip(("laptop", "tv"), pair, strict=True))
        calls = {device: lambda at=at, device=device: lightweight.sell(at, device) for device, at in devices.items()}
        answers = sorted(told(answer) for answer in simulated.at_once(calls).values())
        simulated.wait(1)
        assert answers in (["granted", "rejected"], ["granted before", "rejected"])
        assert set(simulated.shown().values()) == {3}

    def test_local_serial_knows_one_region_only(self, simulated) -> None:
        """Both regions grant."""
        lightweight = Lightweight(simulated)
        sells = [lightweight.sell(region, "phone", level=LOCAL_SERIAL) for region in ("us", "eu")]
        simulated.wait(1)
        assert [told(answer) for answer in sells] == ["granted", "granted"] and set(simulated.shown().values()) == {2}

    @pytest.mark.parametrize(
        ("cut_after", "is_told", "shows", "serial"),
        [
            (40, "no answer", 2, 2), (100, "no answer", 2, 2), (150, "no answer", 2, 3), (200, "no answer", 2, 3),
            (260, "granted", 3, 3),
        ],
    )  # fmt: skip
    def test_a_time_out_says_nothing_of_what_happened(self, cut_after, is_told, shows, serial) -> None:
        """It had not been sent, or it was accepted and is completed by the next reader at SERIAL."""
        found = timed_out(cut_after)
        assert (found["us is told"], found["eu shows"]) == (is_told, f"{shows} of 3")
        assert found["eu, at SERIAL"] == f"{serial} of 3"

    @pytest.mark.parametrize(("cut_after", "again"), [(100, "granted"), (200, "granted before")])
    def test_the_same_request_again_is_answered_and_counts_once(self, cut_after, again) -> None:
        """Whether or not the first attempt was applied."""
        assert ask_again(cut_after) == {"first": "no answer", "again": again, "counted": 3}


class TestDesk:
    """The map and the buttons."""

    def test_it_opens_amid_the_story(self) -> None:
        """Us is cut off, and its toggles say so."""
        desk = RegionsDesk()
        assert [toggle.value for toggle in desk.cuts.values()] == [True, True, False]
        assert "both sides have sold the third" in desk.told.value and "the simulator" in desk.map.value

    def test_links_are_healed_time_passes_and_us_reconciles(self) -> None:
        """Each press is a step."""
        desk = RegionsDesk()
        for toggle in desk.cuts.values():
            toggle.value = False
        desk.press(WAIT)
        assert desk.map.value.count("4 of 3 ✗") == 3
        desk.press(RECONCILE)
        assert set(desk.regions.steps[-1].shown.values()) == {3} and "1 too many" in desk.told.value

    def test_a_repair_with_a_frozen_region_says_why_it_failed(self) -> None:
        """The error is shown in the desk; starting again thaws everything."""
        desk = RegionsDesk()
        desk.freezes["asia"].value = True
        desk.sells["asia"].click()
        assert "asia: Glow on the console, no answer" in desk.told.value
        desk.press(REPAIR)
        assert "StoreUnavailable" in desk.told.value and "frozen" in desk.map.value
        desk.press(AGAIN)
        assert not any(toggle.value for toggle in desk.freezes.values()) and len(desk.regions.steps) == 4


def test_the_map_and_the_grid_say_in_words_what_they_show(simulated) -> None:
    """Which regions these are, what is cut, who is frozen, and what each one says."""
    simulated.cut("us", "eu")
    simulated.freeze("asia")
    words = region_map(simulated).words
    assert words.startswith("On the simulator, after ") and "cut between us and eu. Frozen: asia." in words
    assert words.endswith("Ann's Glow: us 0 of 3, eu 0 of 3, asia no answer.")
    simulated.note("a look")
    figure = over_time(simulated.steps, simulated.where)
    assert "on the simulator; after the last: us 0 of 3" in figure.alt
    assert figure.table["step"].tolist() == [1] and history(simulated.steps)["asia"].tolist() == ["no answer"]


def test_no_cluster_is_touched_unless_somebody_reads(monkeypatch) -> None:
    """A run without a reader stays on the simulator, whatever runs on this machine."""
    monkeypatch.setattr(reader, "is_reading", lambda: False)
    assert running_cluster() is None


@pytest.mark.cassandra
@pytest.mark.full
@pytest.mark.timeout(900)
class TestOnRealRegions:
    """The same functions on three real data centres."""

    def test_the_story_is_the_same(self, regions) -> None:
        """Both sides sell, hints bring both, and one is taken back."""
        real = RealRegions(regions)
        try:
            check_story(real, 40)
            assert "real Cassandra nodes" in region_map(real).words
        finally:
            real.close()

    def test_the_same_request_in_two_parted_regions_is_one_row(self, regions) -> None:
        """Both decide, and hints bring each the other's row, under the same key."""
        real = RealRegions(regions)
        try:
            for one, other in LINKS:
                real.cut(one, other)
            request = real.request()
            first, second = real.sell("us", "phone", request), real.sell("eu", "phone", request)
            assert not second.repeated and first.license_id == second.license_id
            real.heal_all()
            real.wait(40)
            assert set(real.shown().values()) == {1}
        finally:
            real.close()

    def test_levels_cost_their_round_trips(self, regions) -> None:
        """With links delayed like the real world, a majority costs the nearest ocean."""
        with delayed(regions), closing(RealRegions(regions)) as real:
            took = appends(real).pivot(index="way", columns="region", values="ms")
        print(took)
        for region, (quorum, everywhere) in {"us": (80, 150), "eu": (80, 230), "asia": (150, 230)}.items():
            assert took.loc["LOCAL_QUORUM", region] < quorum / 2
            assert quorum <= took.loc["QUORUM", region] < 2 * quorum
            assert everywhere <= took.loc["EACH_QUORUM", region] < 2 * everywhere
