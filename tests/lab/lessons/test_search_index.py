"""Lesson 09: the bytes of a download, and the link that the copies of an index fill."""

from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import ManualClock, open_store
from eslab.lab.lessons.search_copies import (
    COMMIT,
    HOUR,
    INDEX,
    LOAD_TEST,
    PLANS,
    TABLE,
    Files,
    Link,
    after,
    brief,
    growth,
    times_sent,
    travel,
    worst,
)
from eslab.lab.lessons.search_desk import CHOICES, link_chart, link_desk
from eslab.lab.lessons.weights import Scales, Weights, documents, index_bytes, weigh
from eslab.lab.session import START

WEIGHTS = Weights(downloads=116, payload=574, rows=864, table=1017, entry=189)  # as the lesson measures them
LINK = Link(WEIGHTS)


def test_a_download_is_weighed_as_it_is_stored() -> None:
    """The payloads on the scales are those in the store, and the same seed weighs the same."""
    with closing(open_store("memory:")) as store, closing(open_store("memory:")) as other:
        weights = weigh(store, ManualClock(START), 40, seed=7)
        stored = [
            len(commit.payload)
            for customer in store.customers()
            for id in store.heads_of_type(customer, "")
            for commit in store.rows(customer, id)
        ]
        assert weights.payload * weights.downloads == pytest.approx(sum(stored))
        assert len(stored) == 3 * weights.downloads == len(documents(store))
        assert weigh(other, ManualClock(START), 40, seed=7) == weights


def test_the_index_of_a_download_is_small_beside_its_rows() -> None:
    """About a fifth, and read tables weigh more than both; the table says where each figure comes from."""
    with closing(open_store("memory:")) as store:
        weights = weigh(store, ManualClock(START), 120, seed=7)
    assert 0.1 < weights.entry / weights.rows < 0.4 and weights.payload < weights.rows < weights.table
    assert weights.table_of_bytes()["from"].str.startswith("measured").all()


def test_more_documents_make_a_larger_index() -> None:
    """It is a real one."""
    assert 0 < index_bytes(["glow phone"]) < index_bytes([f"glow phone {number}" for number in range(500)])


def test_scales_pass_everything_on() -> None:
    """What they don't weigh is the store's own."""
    with closing(open_store("memory:")) as store:
        assert list(Scales(store).customers()) == []


@given(st.integers(2, 12), st.lists(st.integers(1, 100), max_size=200))
def test_merges_keep_every_byte_and_few_files(merge: int, sizes: list[int]) -> None:
    """No level has as many files as are merged, and no file is changed."""
    files = Files(merge)
    seen: dict[int, float] = {}
    for size in sizes:
        files.commit(size)
        assert all(seen.setdefault(one.number, one.size) == one.size for one in files.segments)
    assert sum(one.size for one in files.segments) == sum(sizes)
    assert max(Counter(one.level for one in files.segments).values(), default=0) < merge


@pytest.mark.parametrize("design", [INDEX, TABLE])
@pytest.mark.parametrize("writes", [1_000, 16_000, 64_000])
def test_the_link_carries_no_more_than_it_can_and_idles_only_when_nothing_waits(design: str, writes: int) -> None:
    """And a write waits only if the link is full."""
    link = replace(LINK, writes=writes)
    ran: Any = travel(link, design, 900)
    carried = ran["rows, MB/s"] + ran["index, MB/s"]
    assert carried.max() <= link.capacity / 1e6 + 1e-9
    assert (carried[ran["wait, s"] > 0] >= link.capacity / 1e6 - 1e-9).all()


def test_rows_are_sent_once() -> None:
    """All that came has been sent, where the link is wide enough."""
    ran: Any = travel(LINK, TABLE)
    expected = LINK.writes * HOUR * LINK.row_bytes(TABLE) / 1e6
    assert ran["rows, MB/s"].sum() == pytest.approx(expected, rel=0.01)
    assert ran["lag, s"].max() == ran["not found"].max() == ran["index, MB/s"].max() == 0


def test_a_byte_of_the_index_is_sent_once_for_each_level() -> None:
    """Nearly three times in an hour of ten to one, and less often if more are merged; copies don't matter."""
    assert 2.6 < times_sent(LINK) < 3
    assert times_sent(replace(LINK, merge=40)) < 2.2 < times_sent(LINK) < times_sent(replace(LINK, merge=4))
    assert times_sent(replace(LINK, copies=6)) == pytest.approx(times_sent(LINK), rel=0.01)


def test_a_search_is_never_ahead_of_the_last_commit() -> None:
    """On an idle link it is behind by a commit and the way to the copies."""
    ran: Any = travel(replace(LINK, writes=10), seconds=LOAD_TEST)
    assert ran["lag, s"].max() <= 2 * COMMIT


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_story_does_not_depend_on_the_seed(seed: int) -> None:
    """The load test passes and the hour doesn't; one plan lasts, and a faster link fails at the growth after next."""
    link = replace(LINK, seed=seed)
    assert worst(travel(link, seconds=LOAD_TEST), link).passes
    hour = worst(travel(link), link)
    assert not hour.passes and hour.wait == 0 and hour.not_found > 100_000
    lasting = [plan for plan in PLANS if after(link, plan, 8).passes]
    assert lasting == ["read tables, on nodes that grow"]
    assert [after(link, "a link ten times as fast", times).passes for times in (1, 4, 8)] == [True, True, False]
    assert [after(link, "merges of 40 segments", times).passes for times in (1, 2)] == [True, False]


def test_a_run_can_be_repeated_from_its_seed() -> None:
    """Another seed is another load."""
    assert travel(LINK, seconds=60).equals(travel(LINK, seconds=60))
    assert not travel(LINK, seconds=60).equals(travel(replace(LINK, seed=8), seconds=60))


def test_more_load_is_never_better() -> None:
    """Neither for searches nor for writes."""
    found = [after(LINK, "the index as it is", times) for times in (1, 2, 4, 8)]
    assert all(one.lag <= more.lag and one.wait <= more.wait for one, more in pairwise(found))


def test_growth_has_a_line_for_each_plan() -> None:
    """In words, with a mark."""
    grown = growth(LINK).set_index("plan")
    assert list(grown.index) == list(PLANS)
    assert grown.loc["read tables, on nodes that grow"].tolist() == ["✓ nothing waits"] * 3
    assert "writes wait" in grown.loc["the index as it is", "load x 8"]


@pytest.mark.parametrize(("seconds", "words"), [(0.5, "0.5 s"), (40, "40 s"), (120, "120 s"), (1_778, "30 min")])
def test_times_are_brief(seconds: float, words: str) -> None:
    """In minutes, if there are more than two."""
    assert brief(seconds) == words


def test_every_assumption_is_marked() -> None:
    """As measured, or as assumed."""
    assert all(words.endswith(("measured", "assumed")) for words in LINK.assumptions.values())
    assert "864 bytes, measured" in repr(LINK) and "864 bytes, measured" in LINK._repr_html_()


def test_a_chart_tells_the_hour_in_words() -> None:
    """With the worst of it, and a table of its points."""
    figure = link_chart(LINK)
    assert figure.alt.startswith("In 60 minutes the link is 4") and "No write waits." in figure.alt
    assert len(figure.table) == 180 and list(figure.table["minute"])[-1] == 60
    assert "search" not in link_chart(LINK, LOAD_TEST, TABLE).alt


def test_the_desk_follows_its_sliders() -> None:
    """Twice the copies break what one of them keeps."""
    desk = link_desk(replace(LINK, copies=1))
    controls, words, picture, _ = desk.children
    before = picture.value
    assert words.value.count("✗") == 0
    controls.children[1].value = 4
    assert words.value.count("✗") == 1 and picture.value != before


@pytest.mark.parametrize("end", [0, -1])
def test_the_desk_has_no_state_that_fails(end: int) -> None:
    """At either end of all its sliders it shows three lines."""
    link = replace(LINK, **{name: values[end] for name, (_, values) in CHOICES.items()})
    assert link_desk(link).children[1].value.count("<tr>") == 4
