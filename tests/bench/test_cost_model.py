"""The cost model finds what made the figures, and the interval of snapshots follows from it."""

import math
from typing import Any

import pandas as pd
import pytest

from eslab import InvalidInput
from eslab.bench.cost_model import NO_BYTES, CostModel

FIXED, EVENT, BYTE, BUILD = 40e-6, 1e-6, 2e-9, 200e-6
KNOWN = CostModel(FIXED, EVENT, event_bytes=100, build=BUILD)


def hydrations(sizes: tuple[int, ...] = (100, 1000), **columns: Any) -> pd.DataFrame:
    """Warm hydrations and builds that cost exactly what the constants say."""
    rows = [
        {"name": "hydrate", "replayed": n, "bytes": n * size, "p50": FIXED + n * EVENT + n * size * BYTE}
        for size in sizes
        for n in (10, 100, 1000)
    ]
    size = sizes[0]
    built = {"name": "build", "replayed": 50, "bytes": 0, "p50": BUILD + 50 * (EVENT + size * BYTE)}
    return pd.DataFrame([*rows, built]).assign(
        store="sqlite", temperature="warm", snapshot_bytes=0, interval=0, **columns
    )


def test_the_fit_finds_what_made_the_figures() -> None:
    """Events of two sizes tell apart what an event costs and what a byte does; builds are known by themselves."""
    model = CostModel.fit(hydrations())
    assert (model.fixed, model.per_event, model.per_byte) == pytest.approx((FIXED, EVENT, BYTE))
    assert (model.event_bytes, model.build) == pytest.approx((100, BUILD))
    assert (model.residual, model.worst, model.notes) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9), ())


def test_events_of_one_size_count_their_bytes() -> None:
    """Then nothing tells what a byte costs: the model says so, and an event costs all of it."""
    model = CostModel.fit(hydrations(sizes=(100,)))
    assert (model.fixed, model.per_event, model.per_byte) == pytest.approx((FIXED, EVENT + 100 * BYTE, 0))
    assert model.notes == (NO_BYTES,)
    assert "for each byte" not in str(model)


def test_snapshots_are_no_events_of_another_size() -> None:
    """Bytes of snapshots beside few events don't make anybody believe that events differ in size."""
    rows = hydrations(sizes=(100,))
    rows["bytes"] += 500
    rows["snapshot_bytes"] = 500
    assert CostModel.fit(rows).notes == (NO_BYTES,)


def test_a_part_below_zero_is_left_out() -> None:
    """No hydration gets cheaper by its bytes: the others are fitted again, and the model says so."""
    rows = hydrations()
    rows.loc[rows["bytes"] > rows["replayed"] * 100, "p50"] *= 0.3
    model = CostModel.fit(rows)
    assert (model.per_byte, min(model.fixed, model.per_event) > 0) == (0, True)
    assert model.notes == ("No cost per byte is in it: it came out below zero.",)


def test_short_hydrations_count_as_much_as_long_ones() -> None:
    """A tenth more in the longest one doesn't make the fixed costs a hundred times as large."""
    rows = hydrations()
    rows.loc[rows["replayed"] == 1000, "p50"] *= 1.1
    assert CostModel.fit(rows).fixed == pytest.approx(FIXED, rel=0.1)


def test_cold_hydrations_and_bare_reads_are_not_fitted() -> None:
    """The model is that of a process that has seen the aggregate."""
    rows = hydrations()
    others = rows.assign(p50=1.0)
    cold, read = others.assign(temperature="cold"), others[others["name"] == "hydrate"].assign(name="read")
    kept = pd.concat([rows, cold[cold["name"] == "hydrate"], read])
    assert CostModel.fit(kept).fixed == pytest.approx(FIXED)


def test_too_few_lengths_are_refused() -> None:
    """Two lengths make a line through any two points, which says nothing of its error."""
    rows = hydrations()
    with pytest.raises(InvalidInput, match="at least 3 different numbers of events, got 2: 10, 100"):
        CostModel.fit(rows[rows["replayed"] < 1000])
    with pytest.raises(InvalidInput, match="got 0: none"):
        CostModel.fit(rows.assign(temperature="cold"))


def test_one_store_at_a_time() -> None:
    """A wait costs another time on each."""
    both = pd.concat([hydrations(), hydrations().assign(store="cassandra")])
    with pytest.raises(InvalidInput, match="Expected hydrations on one store, got cassandra, sqlite"):
        CostModel.fit(both)


def test_a_frame_of_another_command_is_refused() -> None:
    """By the columns that it lacks."""
    with pytest.raises(InvalidInput, match="found no column snapshot_bytes"):
        CostModel.fit(hydrations().drop(columns="snapshot_bytes"))


@pytest.mark.parametrize(("reads", "best"), [(1, 20), (4, 10), (100, 2), (10_000, 1), (0.01, 200)])
def test_the_best_interval(reads: float, best: int) -> None:
    """sqrt(2 x build / (reads x event)): 200 µs for a snapshot and 1 µs for an event at these reads for each write."""
    choice = KNOWN.best_interval(reads)
    assert choice.interval == best
    assert choice.cost == min(KNOWN.cost(interval, reads) for interval in range(1, 1000))


def test_events_that_no_snapshot_holds_yet_change_no_best_interval() -> None:
    """Whoever reads pays for them in any case."""
    assert KNOWN.best_interval(1, unsettled=300).interval == KNOWN.best_interval(1).interval
    assert KNOWN.cost(20, 1, unsettled=300) == pytest.approx(KNOWN.cost(20, 1) + 300 * EVENT)


@pytest.mark.parametrize("reads", [0.1, 1, 10])
def test_at_break_even_a_snapshot_saves_what_it_costs(reads: float) -> None:
    """Until the next one: so many readers are spared so many events, and the builder folds them once."""
    interval = KNOWN.break_even(reads)
    assert reads * interval * interval * EVENT == pytest.approx(BUILD + interval * EVENT)


def test_a_stream_from_which_on_snapshots_pay() -> None:
    """There a replay for each read costs what builder and readers cost together."""
    choice = KNOWN.best_interval(2)
    assert 2 * KNOWN.hydration(choice.pays_from) == pytest.approx(choice.cost)


def test_what_a_hydration_costs() -> None:
    """By its events, of average size or of so many bytes."""
    model = CostModel(FIXED, EVENT, BYTE, event_bytes=100)
    assert model.hydration(1000) == pytest.approx(FIXED + 1000 * (EVENT + 100 * BYTE))
    assert model.hydration(1000, bytes=5000) == pytest.approx(FIXED + 1000 * EVENT + 5000 * BYTE)


def test_the_arithmetic_is_printed() -> None:
    """With the figures that made it."""
    assert str(KNOWN.best_interval(4)) == (
        "With 4 hydrations for each write, a snapshot every 10 events costs least: for each write 21 µs to build "
        "(200 µs / 10 + 1 µs) and 178 µs to hydrate (4 x 44.5 µs).\n"
        "Best is sqrt(2 x 200 µs / (4 x 1 µs)). Below an interval of 7 a snapshot costs more than it saves until the "
        "next one. A stream of less than 10 events is cheaper without."
    )


@pytest.mark.parametrize("reads", [0, -1, math.inf, math.nan])
def test_a_stream_that_nobody_reads_needs_no_snapshot(reads: float) -> None:
    """Nor is there a best interval for endless reads."""
    with pytest.raises(InvalidInput, match="Expected reads for each write above 0"):
        KNOWN.best_interval(reads)


def test_without_a_build_there_is_no_best_interval() -> None:
    """The message says what to measure."""
    with pytest.raises(InvalidInput, match="Measure at least one interval that is shorter than the stream"):
        CostModel(FIXED, EVENT).best_interval(1)


def test_no_interval_below_one() -> None:
    """There is none."""
    with pytest.raises(InvalidInput, match="Expected an interval of 1 event or more, got 0"):
        KNOWN.cost(0, 1)
