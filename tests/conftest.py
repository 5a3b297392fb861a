"""The fixtures of the core's tests: a clock, a store of each kind, and a way to open more of them."""

import os
import signal
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from eslab import EventStore, ManualClock, Repository, open_store
from tests.support.cassandra import frozen_store, opener, pool  # noqa: F401 - fixtures
from tests.support.clusters import (  # noqa: F401 - fixtures
    JAVA_OPTIONS,
    QUICK_START,
    background,
    cluster_of,
    node,
    regions,
    sort_by_cluster,
    three_regions,
    us3,
)
from tests.support.sample import START, new_url

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background shell; processes that tests start inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

REAL = (pytest.mark.cassandra, pytest.mark.timeout(600))  # the first test that needs a cluster waits for it
KINDS = [
    "memory",
    "sqlite",
    pytest.param("cassandra", marks=REAL),
    pytest.param("us3", marks=REAL),
]  # a new store adds its kind here and its URL to `new_url`, and passes unchanged
alone = pytest.mark.parametrize(  # the kinds of which no replica is frozen
    "open_new", ["memory", "sqlite", pytest.param("cassandra", marks=REAL)], indirect=True
)

SETTINGS = "_hypothesis_internal_use_settings"  # there is no public way to change them for one parameter of a test

for name, examples in ("quick", 40), ("full", 1000):
    settings.register_profile(
        name,
        max_examples=examples,
        derandomize=name == "quick",  # the same on every run; the full suite looks further
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
FEW_EXAMPLES = 8  # on Cassandra in the quick suite: the full suite tries there as many as elsewhere
os.environ[JAVA_OPTIONS] = f"{os.environ.get(JAVA_OPTIONS, '')} {QUICK_START}".strip()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests of one cluster follow each other."""
    sort_by_cluster(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let a property try fewer examples where each costs a store on Cassandra, unless everything is to be tested."""
    property_test = getattr(getattr(item, "obj", None), "__func__", getattr(item, "obj", None))
    given = getattr(property_test, SETTINGS, None)
    if given is None or not cluster_of(item) or "not full" not in item.config.option.markexpr:
        return (yield)
    setattr(property_test, SETTINGS, settings(given, max_examples=min(FEW_EXAMPLES, given.max_examples)))
    try:
        return (yield)
    finally:
        setattr(property_test, SETTINGS, given)


@pytest.fixture(params=KINDS)
def open_new(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Callable[[], EventStore], None, None]:
    """Opens a new, empty store of the kind under test; it is closed when the test ends."""
    with ExitStack() as stack:
        if request.param in ("cassandra", "us3"):
            yield opener(request.param, request, stack)
            return
        yield lambda: stack.enter_context(closing(open_store(new_url(request.param, tmp_path))))


@pytest.fixture
def store(open_new: Callable[[], EventStore]) -> EventStore:
    """A new, empty store."""
    return open_new()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at the start until a test moves it."""
    return ManualClock(START)


@pytest.fixture
def repository(store: EventStore, clock: ManualClock) -> Repository:
    """A repository over the store under test, on the test's clock."""
    return Repository(store, clock)
