"""Any name of a notebook leads to a store, a report and a keyspace of its own."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import open_store
from eslab.lab.names import delete_store, fresh_store, page_name, store_file, store_of
from eslab.stores.cassandra.connection import Options

NAMES = ["a", "c#", "what?", "50%25 off", " a b ", "it's \"q\"", "über & straße", "-dash", "[a]*", "{notebook}", "a.b",
         "A", "\N{GRINNING FACE}" * 62, "x" * 249, "x" * 248 + "y", "index"]  # fmt: skip
ANY_NAME = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1, max_size=60)


def named(name: str) -> Path:
    """A notebook of this name."""
    return Path(f"nb/{name}.ipynb")


@pytest.mark.parametrize("name", NAMES)
def test_a_store_lies_where_its_url_says(tmp_path, name, monkeypatch):
    """In the folder for stores, whatever the name is."""
    (tmp_path / "nb").mkdir()
    (tmp_path / "out 50%" / "stores").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "nb")  # a kernel works in its notebook's folder
    notebook, out = tmp_path / named(name), tmp_path / "out 50%"
    open_store(fresh_store(notebook, out)).close()
    assert list((out / "stores").iterdir()) == [store_file(notebook, out)]


@given(ANY_NAME, ANY_NAME)
def test_stores_and_pages_of_two_notebooks_differ(first, second):
    """Also those with similar names, and with names that are cut."""
    out = Path("out")
    if first != second:
        assert store_file(named(first), out) != store_file(named(second), out)
        assert page_name(named(first)) != page_name(named(second))
        place = "cassandra://127.0.0.2/lab?dc=us"
        assert store_of(place, named(first)) != store_of(place, named(second))


def test_long_names_stay_apart():
    """They are cut, since a file system takes 255 bytes, and end with a hash of the whole name."""
    files = [store_file(named("x" * 248 + last), Path()).name for last in "abc"]
    assert len(set(files)) == 3 and all(len(name) < 230 for name in files)


@given(ANY_NAME)
def test_each_notebook_has_a_valid_keyspace(name):
    """Names that a keyspace can't have are replaced."""
    url = store_of("cassandra://h1,h2:9043/lab?dc=us&timeout=3", named(name))
    options = Options.parse(url, {})
    assert (options.hosts, options.port, options.dc, options.timeout) == (("h1", "h2"), 9043, "us", 3)
    assert options.keyspace.startswith("lab_")


@pytest.mark.parametrize(
    ("url", "name", "expected"),
    [("cassandra://h/lab", "00_start_here", "cassandra://h/lab_00_start_here"),
     ("cassandra://h/my_{notebook}?dc=us", "a", "cassandra://h/my_a?dc=us"),
     ("sqlite:////d/{notebook}.db?mode=rw", "c#", "sqlite:////d/c%23.db?mode=rw"),
     ("memory:", "c#", "memory:")],
)  # fmt: skip
def test_a_given_url_holds_the_name(url, name, expected):
    """Escaped where it must be, and as it is where it can be."""
    assert store_of(url, named(name)) == expected


@given(ANY_NAME)
def test_a_name_in_a_url_is_escaped(name):
    """So that the path of the URL is the name again, if it isn't too long."""
    path = store_of("sqlite:////d/{notebook}", named(name)).removeprefix("sqlite:////d/")
    assert unquote(path) == name or len(name.encode()) > 200
    assert not set(path) & set("#?/ ")


def test_only_the_notebooks_own_store_is_deleted(tmp_path):
    """With what SQLite keeps beside it; names that begin alike are other notebooks'."""
    (tmp_path / "stores").mkdir()
    own = ["a.db", "a.db-wal", "a.db-shm", "a.db-journal"]
    others = ["a.dbx.db", "a.db.db", "a.db-wal.db", "ab.db", "[a].db", "*.db"]
    for name in own + others:
        (tmp_path / "stores" / name).touch()
    delete_store(named("a"), tmp_path)
    delete_store(named("a"), tmp_path)
    assert {path.name for path in (tmp_path / "stores").iterdir()} == set(others)
    delete_store(named("*"), tmp_path)
    assert len(list((tmp_path / "stores").iterdir())) == len(others) - 1


@pytest.mark.parametrize(("name", "page"), [("index", "index.notebook.html"), ("INDEX", "INDEX.notebook.html")])
def test_the_index_page_is_nobodys_report(name, page):
    """Also on a file system that doesn't tell capitals."""
    assert page_name(named(name)) == page
