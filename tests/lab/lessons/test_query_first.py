"""Lesson 04: every way to ask gives the same answer, and the link follows its assumptions."""

import pandas
import pytest

from eslab import open_store
from eslab.lab.lessons.query_first import Tables, by_join, by_objects, cost_of_ways, downloads, relational
from eslab.lab.lessons.search_link import Link, link_chart, link_costs

MADE = downloads(200, seed=7)


def test_a_seed_makes_the_same_downloads() -> None:
    """Title 0 is the most popular, and no two requests are equal."""
    assert downloads(200, seed=7) == MADE != downloads(200, seed=8)
    titles = [one.title for one in MADE]
    assert max(set(titles), key=titles.count) == "title 0"
    assert len({one.request for one in MADE}) == 200


def test_a_join_waits_once_and_objects_for_each_other() -> None:
    """The rows are the same; the object mapper waits twice for each row."""
    relations = relational(MADE)
    wanted = sum(one.title == "title 0" for one in MADE)
    joined, followed = by_join(relations, "title 0"), by_objects(relations, "title 0")
    assert (joined.rows, joined.waits) == (wanted, 1)
    assert (followed.rows, followed.waits) == (wanted, 2 + 2 * wanted)


@pytest.mark.cassandra
@pytest.mark.timeout(600)
def test_scan_index_and_table_give_the_same_rows(node) -> None:
    """The three ways return the same rows, and writing is timed for each."""
    store = open_store(node.url("lab_lesson"))
    try:
        tables = Tables(store)
        tables.fill(MADE)
        asked = tables.ask("title 0")
        assert set(asked["rows"]) == {sum(one.title == "title 0" for one in MADE)}
        assert list(asked["waits"]) == [1 + min(50, asked["rows"][0]), 1, 1]
        assert len(tables.write(MADE[:20])) == 3
    finally:
        store.close()


def test_the_chart_tells_its_bars_in_words() -> None:
    """The alternative text gives each way with its time and waits."""
    asked = pandas.DataFrame({"way": ["scan", "table"], "rows": [9, 9], "waits": [10, 1], "ms": [20.5, 1.5]})
    assert cost_of_ways(asked).alt == "What the same question costs: scan 20.5 ms in 10 waits, table 1.5 ms in 1 waits."


def test_a_link_carries_what_its_assumptions_say() -> None:
    """2,000 rows of 500 bytes to three replicas are 24 Mbit/s; their index, merged four times, 144."""
    assert (Link().data, Link().files) == (24.0, 144.0)


def test_index_files_stand_in_the_way_of_rows() -> None:
    """The same seed gives the same waits; with files beside them rows wait longer at every rate."""
    costs = link_costs(Link(), seed=7)
    assert costs.equals(link_costs(Link(), seed=7))
    waits = costs.pivot(index="writes a second", columns="on the link", values="p99 ms")
    assert (waits["rows and index files"] > 10 * waits["rows alone"]).all()
    assert "rows and index files 1," in link_chart(costs).alt


def test_a_link_without_an_index_is_a_link_of_rows() -> None:
    """No bytes of index, no difference."""
    bare = Link(index=0)
    assert bare.delays(True, 7) == bare.delays(False, 7)
