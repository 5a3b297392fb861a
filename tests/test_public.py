"""What `import eslab` offers: all of it named, sorted, explained, and quick to come."""

import inspect
import subprocess
import sys

import pytest

import eslab
from eslab import errors
from eslab.store import EventStore
from eslab.stores.memory import MemoryStore
from eslab.stores.sqlite import SqliteStore
from tests.support.sample import ROOT

PUBLIC = {name for name, thing in vars(eslab).items() if not (name.startswith("_") or inspect.ismodule(thing))}
STORES = [MemoryStore, SqliteStore]


def test_all_is_sorted_and_complete() -> None:
    """`__all__` is what the package imports for others: no more, no less, no submodule."""
    assert eslab.__all__ == sorted(eslab.__all__)
    assert set(eslab.__all__) == PUBLIC


@pytest.mark.parametrize("name", eslab.__all__)
def test_every_public_name_is_explained(name: str) -> None:
    """A docstring of its own for every name, and for every public method of a class."""
    thing = getattr(eslab, name)
    if name == "Clock":  # a type alias
        return
    methods = {key: each for key, each in vars(thing).items() if not key.startswith("_") and callable(each)}
    missing = [key for key, each in {name: thing, **methods}.items() if not (each.__doc__ or "").strip()]
    assert missing == []


def test_every_error_is_public_and_in_the_tree() -> None:
    """The picture in `errors` names each of them, indented under its base."""
    kinds = [each for each in vars(errors).values() if inspect.isclass(each) and each.__module__ == "eslab.errors"]
    assert {each.__name__ for each in kinds} <= set(eslab.__all__)
    assert all(issubclass(each, eslab.EslabError) and f" {each.__name__}" in errors.__doc__ for each in kinds)


@pytest.mark.parametrize("store", STORES)
def test_a_store_has_every_method_of_the_protocol(store: type) -> None:
    """With the names, defaults and order of `EventStore`."""
    for name, method in vars(EventStore).items():
        if not name.startswith("_") and callable(method):
            expected = inspect.signature(method).parameters
            assert list(inspect.signature(getattr(store, name)).parameters.values()) == list(expected.values()), name


def test_importing_brings_nothing_heavy() -> None:
    """No store, no data frames, no lab: only what the core needs."""
    code = "import sys, eslab; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    heavy = {"pandas", "numpy", "sqlite3", "cassandra", "altair", "IPython", "typer", "eslab.lab"}
    assert heavy & set(loaded.split()) == set()
