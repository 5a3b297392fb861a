"""Lesson 04: every way to ask gives the same rows and fields, and a process dies between two writes."""

from contextlib import closing

import pytest

from eslab import EventStore, InvalidInput, ManualClock, Request, open_store
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.read_tables import downloads_of, page_of
from eslab.domains.downloads.service import DownloadService
from eslab.lab.lessons.cassandra import LessonNode
from eslab.lab.lessons.dead_process import request_and_die
from eslab.lab.lessons.query_first import Tables, cost_of_ways, counted, page_table
from eslab.lab.lessons.relations import CUSTOMERS, Asked, by_join, by_objects, downloads, relational
from eslab.lab.session import START
from eslab.operations.rebuild import catch_up
from tests.support.cassandra import emptied

MADE = downloads(200, seed=7)
GLOW = sorted((one.customer, one.device, one.country) for one in MADE if one.title == "glow")
on_cassandra = [pytest.mark.cassandra, pytest.mark.timeout(600)]


def test_a_seed_makes_the_same_downloads() -> None:
    """Glow is the most popular title, no two requests are equal, and a customer lives in one country."""
    assert downloads(200, seed=7) == MADE != downloads(200, seed=8)
    titles = [one.title for one in MADE]
    assert max(set(titles), key=titles.count) == "glow"
    assert len({one.request for one in MADE}) == 200
    assert len({(one.customer, one.country) for one in MADE}) == len({one.customer for one in MADE}) <= CUSTOMERS


def test_a_join_waits_once_and_objects_for_each_other() -> None:
    """The rows are the same; the object mapper waits twice for each row."""
    relations = relational(MADE)
    joined, followed = by_join(relations, "glow"), by_objects(relations, "glow")
    assert joined.found == followed.found == GLOW
    assert (joined.waits, followed.waits) == (1, 2 + 2 * len(GLOW))


def test_a_cost_reads_as_a_sentence() -> None:
    """Waits in the plural, if there are more."""
    assert str(Asked("one join", 1, None, 246, 0.18, [])) == "one join: 246 rows in 1 wait, 0.18 ms"


def test_the_chart_tells_its_bars_in_words() -> None:
    """The alternative text gives each way with its costs."""
    asked = [Asked("scan", 91, 1090, 9, 20.5, []), Asked("table", 1, 9, 9, 1.5, [])]
    assert cost_of_ways(asked).alt == (
        "What the same 9 rows cost. scan: 91 waits, 1,090 rows read, 20.5 ms; table: 1 wait, 9 rows read, 1.5 ms."
    )


def page_of_ann(store: EventStore) -> int:
    """Let Ann download three titles; check them, and return the waits of `load_all`."""
    service = DownloadService(store, ManualClock(START))
    for title in ("glow", "bolt", "amadeus"):
        service.request_download("ann", "phone", title, Request.at(START, title))
    titles, waits = counted(store, lambda: service.repository.load_all("ann", Downloaded))
    assert list(titles) == ["amadeus", "bolt", "glow"]
    assert page_table(page_of(service.repository, "ann"))["title"].tolist() == ["amadeus", "bolt", "glow"]
    return waits


def test_load_all_waits_twice(tmp_path) -> None:
    """For the directory, and then for the rows of all aggregates together."""
    with closing(open_store(f"sqlite:///{tmp_path / 'lab.db'}")) as store:
        assert page_of_ann(store) == 2


def test_a_process_that_does_not_die_as_asked_is_an_error() -> None:
    """The message is that of the other process."""
    node = LessonNode("sqlite:///no/such/folder/lab.db", None, 0)
    with pytest.raises(InvalidInput, match="Expected a process that is killed, got exit code 1"):
        request_and_die(node, "hugo", "phone", "glow", Request.at(START, "hugo"))


def test_a_process_that_dies_leaves_out_the_row_of_another_partition(tmp_path) -> None:
    """The customer's page has the download, the studio's hasn't; a catch-up writes the row."""
    node = LessonNode(f"sqlite:///{tmp_path / 'lab.db'}", None, 0)
    death = request_and_die(node, "hugo", "phone", "glow", Request.at(START, "hugo"))
    assert repr(death) == "The process was ended by signal 9, SIGKILL. It gave no answer."
    with closing(open_store(node.url)) as store:
        repository = DownloadService(store, ManualClock(START)).repository
        assert [title.downloads for title in page_of(repository, "hugo")] == [1]
        assert downloads_of(repository, "Netflix", "2026-01") == {}
        catch_up(repository)
        assert downloads_of(repository, "Netflix", "2026-01") == {"glow": 1}


class TestOnARealNode:
    """The three ways, on a node."""

    pytestmark = on_cassandra

    def test_scan_index_and_table_give_the_same_rows_and_fields(self, node) -> None:
        """They differ in waits and rows read, which are counted; writing is timed for each."""
        customers = len({customer for customer, *_ in GLOW})
        with closing(emptied(node.url("lab_lesson"))) as store:
            tables = Tables(store)
            tables.fill(MADE)
            asked = tables.ask("glow")
            assert [one.found for one in asked] == [GLOW] * 3
            assert [one.waits for one in asked] == [1 + customers, 1 + customers, 1]
            assert [one.rows_read for one in asked] == [200 + customers, len(GLOW) + customers, len(GLOW)]
            assert tables.trace("glow")["single partitions"].tolist() == [0, len(GLOW), 1]
            assert len(tables.write(MADE[:20])) == 3

    def test_load_all_waits_twice(self, node) -> None:
        """As the lesson shows."""
        with closing(emptied(node.url("lab_lesson"))) as store:
            assert page_of_ann(store) == 2
