"""Lesson 06: the cost of hydration on this machine, and the interval of snapshots that follows from it."""

from dataclasses import replace
from itertools import product
from typing import Any

import pandas
import pytest

from eslab.bench.cost_model import CostModel
from eslab.lab.lessons.hydration_cost import (
    ACCOUNT,
    CASES,
    Case,
    curves,
    hydrations,
    measure,
    ms_of,
    where_it_pays,
)
from eslab.lab.lessons.interval import CHOICES, INTERVALS, Setting, interval_chart, interval_desk

MODEL = CostModel(fixed=40e-6, per_event=1e-6, build=500e-6)
SETTING = Setting(MODEL)


@pytest.fixture(scope="module")
def measured() -> pandas.DataFrame:
    """A few short accounts, with a snapshot after every ten bookings."""
    return measure("sqlite:", [5, 20, 60], interval=10)


def test_with_snapshots_no_more_than_two_intervals_are_replayed(measured: pandas.DataFrame) -> None:
    """Without them everything is; the shortest account has none."""
    found = hydrations(measured)
    assert list(found[found["snapshots"] == "none"]["replayed"]) == [5, 20, 60]
    assert list(found[found["snapshots"] == "one every 10"]["replayed"]) == [5, 10, 10]


def test_the_chart_tells_its_last_points_in_words(measured: pandas.DataFrame) -> None:
    """Its table has each measure beside the model."""
    figure = curves(measured)
    without, with_one = f"{ms_of(measured, 60):,.2g} ms", f"{ms_of(measured, 60, with_snapshots=True):,.2g} ms"
    assert figure.alt.endswith(f"At 60 events: without snapshots {without}, with one every 10 {with_one}.")
    assert len(figure.table) == 6 and (figure.table["model, ms"] > 0).all()


def test_a_state_that_keeps_every_word_is_read_more_often_than_its_events() -> None:
    """Three snapshots are kept, and a hydration reads them all; a sum is as short as ever."""
    paying = where_it_pays("sqlite:", {**CASES, "a long account": Case(ACCOUNT, 300, 100)})
    book, account = paying["a guest book"], paying["a long account"]
    assert book["kB, with snapshots"] > 2 * book["kB, replayed"]
    assert account["kB, with snapshots"] < account["kB, replayed"] / 50
    assert set(paying.columns) == set(CASES)


def test_both_costs_are_equal_where_their_sum_is_least() -> None:
    """The best interval is the square root of twice their ratio; twice or half of it costs a quarter more."""
    assert SETTING.best == 100
    assert SETTING.to_build(100) == pytest.approx(SETTING.to_read(100)) == pytest.approx(5e-6)
    quarter_more = pytest.approx(1.25 * SETTING.in_sum(100))
    assert SETTING.in_sum(200) == quarter_more == SETTING.in_sum(50)


def test_the_default_tells_the_story() -> None:
    """It opens on a snapshot that is built too often: nearly all of the cost is building."""
    assert SETTING.in_words() == (
        "A snapshot every 10 events costs 500 µs / 10 = 50 µs to build, and 0.1 × 5 × 1 µs = 500 ns to read: 50.5 µs "
        "for each write. Least is one every 100 events, √(2 × 500 µs / (0.1 × 1 µs)): 10 µs. Without snapshots it is "
        "500 µs, over a life of 10,000 events: they pay at any interval shorter than that."
    )


def test_a_rare_reader_and_a_short_life_need_none() -> None:
    """With one read for a thousand writes it pays later, and in a life of a hundred events never."""
    rare, short = replace(SETTING, reads=0.001), replace(SETTING, life=100)
    assert rare.best == 1_000
    assert rare.pays_from and rare.in_sum(rare.pays_from) == pytest.approx(rare.never)
    assert "they pay from an interval of 101 events on" in rare.in_words()
    assert short.pays_from is None and all(short.in_sum(interval) > short.never for interval in INTERVALS)
    assert short.in_words().endswith("they cost more than they save at any interval.")


def test_every_state_of_the_sliders_has_words() -> None:
    """And the sum that is said to be least is no greater than any other."""
    for reads, life, interval in product(*(values for _, values in CHOICES.values())):
        setting = Setting(MODEL, interval=interval, reads=reads, life=life)
        assert setting.in_words().startswith("A snapshot ")
        assert setting.in_sum(setting.best) <= setting.in_sum(interval) * (1 + 1e-9) or setting.best == 1


def test_the_chart_has_the_words_and_a_line_for_each_interval() -> None:
    """Its table is in microseconds."""
    figure = interval_chart(SETTING)
    assert figure.alt == SETTING.in_words()
    assert list(figure.table["interval"]) == list(INTERVALS)
    assert figure.table.set_index("interval")["in sum"][100] == pytest.approx(10)


def test_a_slider_changes_the_words() -> None:
    """The desk opens on the default; each slider has a label."""
    desk: Any = interval_desk(MODEL)
    sliders, words, picture = desk.children[:3]
    assert SETTING.in_words() in words.value and "<img" in picture.value
    reads, life, interval = sliders.children
    assert [each.description for each in sliders.children] == [label for label, _ in CHOICES.values()]
    reads.value, life.value, interval.value = 100.0, 100_000, 1
    assert "A snapshot after each event costs 500 µs / 1" in words.value
