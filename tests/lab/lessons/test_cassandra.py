"""Lesson 03: the node it runs on, the questions a key answers, its measurements, and kill -9."""

from contextlib import closing

import pandas
import pytest

from eslab import InvalidInput, open_store
from eslab.bench.sample import commit, request
from eslab.lab.lessons.cassandra import (
    NEWEST,
    ask_with_key,
    cost_of_width,
    fill_partitions,
    find_node,
    rows_read,
    time_levels,
    time_queries,
)
from eslab.lab.lessons.commit_log import Killed, Lost, kill_amid_appends, when_back
from eslab.lab.session import open_lab
from tests.support.cassandra import emptied

on_cassandra = [pytest.mark.cassandra, pytest.mark.timeout(600)]


@pytest.fixture
def lesson_store(node):
    """A store on a real node, with empty tables."""
    store = emptied(node.url("lab_lesson"))
    yield store
    store.close()


def test_the_readers_own_cassandra_is_used_and_left_alone() -> None:
    """A cassandra:// URL starts nothing, ends nothing, and its password is not shown."""
    node = find_node("cassandra://ann:secret@127.0.0.1:9042/lab")
    node.close()
    assert node.url == "cassandra://ann:secret@127.0.0.1:9042/lab" and node.own is None
    assert repr(node) == "Cassandra at 127.0.0.1:9042, keyspace lab: yours, and the lesson's rows stay there."


@pytest.mark.cassandra
@pytest.mark.timeout(600)
def test_a_lesson_begins_empty(node) -> None:
    """A lab_ keyspace is emptied; another keyspace that holds rows is refused and keeps them."""
    for keyspace, left in ("lab_lesson", 0), ("lab", 1):
        with closing(open_store(node.url(keyspace))) as store:
            store.append("ann", [commit("bowl", 1, request(1))])
        if left:
            with pytest.raises(InvalidInput, match=r"found rows in events, aggregates of lab\. Name one that begins"):
                open_lab(node.url(keyspace), 7)
        else:
            open_lab(node.url(keyspace), 7).store.close()
        with closing(open_store(node.url(keyspace))) as store:
            assert len(list(store.rows("ann", "frosting:bowl"))) == left


def test_the_chart_says_in_words_what_the_widest_partition_costs() -> None:
    """The alternative text gives the chart's right end."""
    timed = pandas.DataFrame({"partition": [110, 1010], "question": ["all", "all"], "ms": [1.5, 20.25], "rows": [1, 2]})
    assert cost_of_width(timed).alt.endswith("of 1,010 rows, each question costs: all 20.2 ms.")


def test_the_rows_read_are_added_up_over_the_pages_of_a_trace() -> None:
    """Other lines of a trace don't count."""
    assert rows_read(["Read 5000 live rows and 0 tombstone cells", "Parsing", "Read 1010 live rows and 2 ..."]) == 6010


def test_a_kill_shows_how_many_commits_are_missing() -> None:
    """The table says how often it took a kill, and what is gone."""
    html = Killed("periodic", 2, 1234, [Lost("frosting:2-1", 17, 30)])._repr_html_()
    assert "2 times" in html and "1,234" in html and "commitlog_sync: periodic" in html


class TestOnARealNode:
    """Measurements on a node."""

    pytestmark = on_cassandra

    def test_each_question_finds_its_rows(self, lesson_store) -> None:
        """Two queries return the newest commits, one returns all; filling twice changes nothing."""
        fill_partitions(lesson_store, [50])
        timed = time_queries(lesson_store, fill_partitions(lesson_store, [50]))
        assert timed["rows"].tolist() == [NEWEST, NEWEST, 50 + NEWEST]
        assert timed["partition"].tolist() == [60, 60, 60]
        assert timed["rows read"].tolist() == [NEWEST, 50 + NEWEST, 50 + NEWEST]

    @pytest.mark.parametrize(
        ("key", "refused"),
        [
            ("((customer_id), aggregate_id, event_time)", ["everything since a moment"]),
            (
                "((customer_id), event_time, aggregate_id)",
                ["one aggregate", "one aggregate since a moment", "all licences"],
            ),
        ],
    )
    def test_a_key_answers_some_questions_and_refuses_others(self, lesson_store, key: str, refused: list[str]) -> None:
        """The order of the clustering columns decides; a table that was there before is made anew."""
        asked = ask_with_key(lesson_store, key)
        assert asked[asked["answer"].str.startswith("refused")]["question"].tolist() == refused

    def test_levels_are_named_as_cassandra_names_them(self, lesson_store) -> None:
        """There is one line per level, with a time."""
        levels = time_levels(lesson_store)
        assert levels["level"].tolist() == ["LOCAL_QUORUM", "QUORUM", "EACH_QUORUM"]
        assert levels["ms here"].gt(0).all()

    @pytest.mark.full
    def test_G2_a_batched_commit_log_loses_nothing_acknowledged(self) -> None:
        """A kill -9 of the only replica, as in the lesson, loses no acknowledged commit."""
        killed = kill_amid_appends("batch")
        assert killed.acknowledged and not killed.lost

    @pytest.mark.full
    def test_a_periodic_commit_log_loses_commits_that_were_acknowledged(self) -> None:
        """They are named, and are the last ones that were answered."""
        killed = kill_amid_appends("periodic", kills=5)
        assert killed.lost and len(killed.lost) < killed.acknowledged
        assert all(lost.frosting.startswith(f"frosting:{killed.kills}-") for lost in killed.lost)
        assert killed.lost == sorted(killed.lost, key=lambda lost: -lost.ms_before_the_last_answer)

    @pytest.mark.full
    def test_the_lessons_own_node_is_killed_if_it_runs_with_the_setting(self) -> None:
        """Its rows are there afterwards, and an open store finds it again."""
        node = find_node("sqlite:")
        try:
            with closing(open_store(node.url)) as store:
                store.append("fay", [commit("bowl", 1, request(1))])
                killed = kill_amid_appends("batch", node=node)
                assert (killed.lost, when_back(store, "fay")) == ([], 1)
        finally:
            node.close()
