"""A lesson starts with an empty store; rows that may be somebody's own are never deleted."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from eslab import InvalidInput, StoreError, open_store
from eslab.bench.sample import commit, request
from eslab.lab.session import open_lab
from eslab.layout import Layout
from eslab.store import ReadRow

SHELF = Layout("shelf", ("color",))


def fill(url: str) -> None:
    """Write to every kind of table: a commit, a row of a read table, a checkpoint."""
    row = commit("bowl", 1, request(1))
    with closing(open_store(url)) as store:
        store.make_read_tables([SHELF])
        store.append("ann", [row])
        store.put_read_rows([ReadRow(SHELF, ("red", "ann"), row)])
        store.set_checkpoint("work", "half done")


def rows(path: Path) -> list[int]:
    """The number of rows in each of these tables."""
    with closing(sqlite3.connect(path)) as connection:
        tables = ("events", "aggregates", "shelf", "checkpoints")
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]


@pytest.fixture
def path(tmp_path) -> Path:
    """A file with a name that needs escaping."""
    return tmp_path / "50% [a] #1.db"


@pytest.fixture
def url(path) -> str:
    """Its URL."""
    return f"sqlite:///{str(path).replace('%', '%25').replace('#', '%23')}"


def test_a_file_of_lessons_is_emptied(path, url):
    """Of events, the directory, read tables and checkpoints, as often as a lesson is opened, even while one is open."""
    with closing(open_lab(url, 7).store) as earlier:
        for _ in range(2):
            fill(url)
            with closing(open_lab(url, 7).store) as store:
                assert rows(path) == [0, 0, 0, 0]
                assert list(store.customers()) == list(earlier.customers()) == []


def test_somebodys_own_file_is_refused_and_keeps_its_rows(path, url):
    """With the tables, the file and a way out; a repeat is refused too."""
    fill(url)
    for _ in range(2):
        with pytest.raises(InvalidInput) as error:
            open_lab(url, 7)
        assert str(error.value).startswith("Expected an empty file for a lesson, found rows in events, aggregates")
        assert "Name another file, or sqlite: for a temporary one" in str(error.value)
        assert rows(path) == [1, 1, 1, 1]


@pytest.mark.parametrize("table", ["checkpoints", "shelf", "aggregates"])
def test_rows_of_any_table_count(path, url, table):
    """A file without events may still hold somebody's work."""
    fill(url)
    with closing(sqlite3.connect(path)) as connection, connection:
        for other in {"events", "aggregates", "shelf", "checkpoints"} - {table}:
            connection.execute(f"DELETE FROM {other}")
    with pytest.raises(InvalidInput, match=f"found rows in {table} of"):
        open_lab(url, 7)


def test_a_file_that_is_read_only_is_never_emptied(path, url):
    """Not even one of lessons."""
    open_lab(url, 7).store.close()
    fill(url)
    with pytest.raises(InvalidInput, match="found rows in events"):
        open_lab(f"{url}?mode=ro", 7)
    assert rows(path) == [1, 1, 1, 1]


def test_tables_that_are_not_ours_are_left_alone(path, url):
    """Even in a file of lessons."""
    open_lab(url, 7).store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE mine (name TEXT)")
        connection.execute("INSERT INTO mine VALUES ('precious')")
    open_lab(url, 7).store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM mine").fetchall() == [("precious",)]


def test_a_file_of_something_else_is_refused_as_it_is(path, url):
    """By the store, before a lesson looks at it."""
    path.write_text("a letter")
    with pytest.raises(StoreError):
        open_lab(url, 7)
    assert path.read_text() == "a letter"


@pytest.mark.parametrize("url", ["memory:", "sqlite:"])
def test_a_new_store_is_empty(url):
    """Twice the same requests, on stores of their own."""
    first, second = open_lab(url, 7), open_lab(url, 7)
    assert first.request() == second.request()
    for lab in (first, second):
        lab.store.close()


@pytest.mark.cassandra
@pytest.mark.timeout(600)
def test_a_keyspace_of_lessons_is_emptied(node):
    """Of read tables and checkpoints too; another keyspace with no more than a checkpoint is refused."""
    fill(node.url("lab_session"))
    with closing(open_lab(node.url("lab_session"), 7).store) as store:
        assert store.checkpoint("work") == ""
        assert list(store.customers()) == list(store.read_rows(SHELF, [("red",)])) == []
    with closing(open_store(node.url("labour"))) as store:
        store.make_read_tables([SHELF])
        store.set_checkpoint("work", "half done")
    with pytest.raises(InvalidInput, match=r"found rows in checkpoints of labour\. Name one that begins with lab_"):
        open_lab(node.url("labour"), 7)
