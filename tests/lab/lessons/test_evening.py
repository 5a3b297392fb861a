"""Lesson 04: the model of an evening follows from its assumptions."""

from dataclasses import fields, replace

import pytest

from eslab.lab.lessons.evening import (
    INDEX,
    TABLE,
    Evening,
    busiest,
    crowd,
    evening_chart,
    in_words,
    loads,
    questions_by_nodes,
)

EVENING = Evening()


def test_the_evening_begins_and_ends_quietly() -> None:
    """A steep rise at eight, a plateau, a slow fall."""
    assert [crowd(minute) for minute in (0, 60, 75, 135, 195, 299)] == [0.1, 0.1, 1.0, 1.0, pytest.approx(0.1), 0.1]


def test_the_default_tells_the_story() -> None:
    """The index fills all nodes and falls behind; the second table leaves room and is never behind."""
    peaks = busiest(EVENING)
    assert peaks.loc[INDEX].tolist() == [100.0, 100.0, 45]
    assert peaks.loc[TABLE].tolist() == [80.0, 42.5, 0]
    assert in_words(EVENING).endswith("A download is 5 units of work with the index and 2 with the table.")


def test_all_deferred_work_is_done_in_the_end() -> None:
    """The index has caught up at midnight, and what it did is what came."""
    found = loads(EVENING)
    node = found[(found["design"] == INDEX) & (found["node"] == 1)]
    work = EVENING.at_once(INDEX)[0] + EVENING.behind_rows()
    came = sum(crowd(minute) for minute in range(len(node))) * work / EVENING.capacity * 100
    assert node["load"].sum() == pytest.approx(came, rel=1e-3)
    assert node["behind"].iloc[-1] == 0


def test_more_nodes_take_no_index_question_off_a_node() -> None:
    """Twice the nodes: as many questions to the index at each, half as many to the table."""
    asked = questions_by_nodes(EVENING, [6, 12, 24])
    assert asked[f"{INDEX}, mean"].tolist() == asked[f"{INDEX}, busiest"].tolist() == [500, 500, 500]
    assert asked[f"{TABLE}, mean"].tolist() == [250, 125, 62.5]


def test_the_busiest_node_of_the_table_profits_least_from_more_nodes() -> None:
    """Three replicas answer for Glow, however many nodes there are: a fifth of all questions each."""
    busiest_node = questions_by_nodes(EVENING, [6, 12, 24])[f"{TABLE}, busiest"].tolist()
    assert busiest_node == pytest.approx([400, 350, 325])


def test_shards_spread_the_writes_and_not_the_questions() -> None:
    """A question reads every shard, so the node that holds three of four is asked three times as often."""
    asked = questions_by_nodes(replace(EVENING, shards=4), [12])
    assert asked[f"{TABLE}, busiest"].tolist() == pytest.approx([3 * 300 + 50])


def test_every_assumption_is_shown_with_its_unit() -> None:
    """All fields are there, in order, in words."""
    assert list(EVENING.assumptions) == [field.name for field in fields(EVENING)]
    assert "downloads: 12,000 a second; premiere: 60% of downloads and questions" in repr(EVENING)
    assert "20,000 units of work a second at each node" in EVENING._repr_html_()


def test_shards_spread_a_title_that_more_nodes_would_not() -> None:
    """The busiest node profits from shards, once there are enough nodes."""
    one = replace(EVENING, nodes=12)
    assert max(replace(one, shards=8).at_once(TABLE)) < max(one.at_once(TABLE)) < max(EVENING.at_once(TABLE))


@pytest.mark.parametrize("shards", [1, 3, 8])
@pytest.mark.parametrize("design", [INDEX, TABLE])
def test_no_work_is_lost_between_the_nodes(design: str, shards: int) -> None:
    """The nodes' work adds up to that of all rows and questions."""
    evening = replace(EVENING, shards=shards)
    rows = evening.downloads * evening.replicas * (2 if design == TABLE else 1)
    assert sum(evening.at_once(design)) == pytest.approx(rows + sum(evening.questions_at_nodes(design)))


def test_the_chart_says_in_words_what_it_shows() -> None:
    """And its table has a line for each design."""
    figure = evening_chart(EVENING)
    assert figure.alt == in_words(EVENING)
    assert figure.table["design"].tolist() == [INDEX, TABLE]
