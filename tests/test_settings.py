"""Settings that all processes on a store share: the first one keeps them, later ones have the same or don't start."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from eslab import (
    AggregateService,
    EventStore,
    InvalidInput,
    ManualClock,
    OutcomeUnknown,
    Repository,
    TimeBounds,
    open_store,
)
from eslab.faults import Faulty, LoseReply, LoseRequest, Script
from eslab.settings import SETTINGS, Settings, kept, share_lifetime
from eslab.store import Consistency
from eslab.stores.memory import MemoryStore
from tests.conftest import alone
from tests.stores.test_contract import work
from tests.support.sample import DAY, HOUR, MINUTE, START, Counter, handle, new_url
from tests.test_read_table import BY_DAY

WEEK = TimeBounds(late=7 * DAY, fold_after=9 * DAY)
CLOCK = ManualClock(START)


class Early:
    """A store as a process sees it that looks for settings a moment before another one keeps its own."""

    def __init__(self, store: EventStore) -> None:
        self.store = store

    def checkpoint(self, name: str, consistency: Consistency = Consistency.QUORUM) -> str:
        return ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def test_G5_the_first_repository_keeps_its_bounds_and_later_ones_take_them(store: EventStore) -> None:
    """Also a catch-up, an audit or a script that names none."""
    assert kept(store) is None
    assert Repository(store, CLOCK, WEEK).bounds == WEEK
    assert Repository(store, CLOCK).bounds == Repository(store, CLOCK, WEEK).bounds == WEEK
    assert AggregateService(store, Counter, handle, CLOCK).repository.bounds == WEEK
    assert kept(store) == Settings(WEEK)


def test_G5_without_bounds_the_first_repository_keeps_the_defaults(store: EventStore) -> None:
    """They may change with a version of eslab; those of a store don't."""
    Repository(store, CLOCK)
    assert kept(store) == Settings(TimeBounds())


def test_G5_a_week_late_beside_the_default_is_refused(store: EventStore) -> None:
    """Its accepted request would lie behind the snapshot of the other one; both sets are named, and how to change."""
    Repository(store, CLOCK)
    with pytest.raises(InvalidInput, match=r"share: late 1 day, .* Got late 7 days, .*eslab schema settings --store"):
        AggregateService(store, Counter, handle, CLOCK, WEEK)
    assert kept(store) == Settings(TimeBounds())


@pytest.mark.parametrize("name", vars(TimeBounds()))
def test_G5_each_of_the_bounds_is_compared(name: str) -> None:
    """All six: each is relied on by other processes."""
    store = MemoryStore()
    Repository(store, CLOCK)
    other = replace(TimeBounds(), **{name: getattr(TimeBounds(), name) + timedelta(milliseconds=1)})
    with pytest.raises(InvalidInput, match="all processes on memory: share"):
        Repository(store, CLOCK, other)


def test_G5_a_catch_up_with_other_bounds_is_refused(store: EventStore) -> None:
    """It would miss rows for good and call the table complete; with the kept bounds it reads far enough back."""
    Repository(store, CLOCK, WEEK, read_tables=[BY_DAY])
    with pytest.raises(InvalidInput, match="Got late 1 day"):
        Repository(store, CLOCK, TimeBounds(), read_tables=[BY_DAY])
    assert Repository(store, CLOCK, read_tables=[BY_DAY]).bounds.fold_after == 9 * DAY


def test_G5_of_two_processes_that_are_first_at_once_one_keeps_its_bounds(store: EventStore) -> None:
    """The other one looked before there were any, and is refused."""
    Repository(store, CLOCK, WEEK)
    with pytest.raises(InvalidInput, match="share: late 7 days"):
        Repository(Early(store), CLOCK, TimeBounds())  # type: ignore[arg-type] - it passes all else on to one
    assert Repository(Early(store), CLOCK).bounds == WEEK  # type: ignore[arg-type] - as above
    assert kept(store) == Settings(WEEK)


@alone
def test_G5_of_many_processes_that_are_first_at_once_one_keeps_its_bounds(store: EventStore) -> None:
    """All others are refused, none begins with bounds of its own."""
    sets = [TimeBounds(late=HOUR + number * MINUTE) for number in range(6)]

    def start(number: int) -> None:
        Repository(store, CLOCK, sets[number])

    assert [type(error) for error in work(store, 6, start)] == 5 * [InvalidInput]
    assert kept(store) in [Settings(bounds) for bounds in sets]


def test_G5_a_first_use_whose_outcome_is_unknown_is_tried_again() -> None:
    """Whether its write arrived or not: the swap is idempotent. After five times the caller decides."""
    lost = [LoseReply(), LoseRequest(), LoseReply(), LoseRequest()]
    store = Faulty(MemoryStore(), Script(swap_checkpoint=lost), ManualClock(START))
    assert Repository(store, CLOCK, WEEK).bounds == WEEK
    never = Faulty(MemoryStore(), Script(swap_checkpoint=[LoseRequest()] * 5), ManualClock(START))
    with pytest.raises(OutcomeUnknown):
        Repository(never, CLOCK, WEEK)


def test_G5_a_store_that_may_only_be_read_keeps_nothing(tmp_path: Path) -> None:
    """Whoever reads it takes what is kept, or its own bounds if nothing is."""
    url = new_url("sqlite", tmp_path)
    open_store(url).close()
    with closing(open_store(f"{url}?mode=ro")) as store:
        assert Repository(store, CLOCK, WEEK).bounds == WEEK
        assert Repository(store, CLOCK).bounds == TimeBounds()
    with closing(open_store(url)) as store:
        assert kept(store) is None
        Repository(store, CLOCK, WEEK)
    with closing(open_store(f"{url}?mode=ro")) as store:
        assert Repository(store, CLOCK).bounds == WEEK
        with pytest.raises(InvalidInput, match="share: late 7 days"):
            Repository(store, CLOCK, TimeBounds())


def living(days: int) -> MemoryStore:
    """A store whose commits expire after so many days."""
    store = MemoryStore()
    store.lifetime = days
    return store


def test_G5_a_lifetime_of_a_day_is_refused() -> None:
    """A commit would expire before a snapshot may hold it: what was accepted would be gone from the state."""
    store = living(1)
    with pytest.raises(InvalidInput, match=r"longer than fold_after \+ grace = 1 day 3 h, got 1 day"):
        Repository(store, CLOCK)
    assert kept(store) is None
    assert Repository(living(2), CLOCK).bounds == TimeBounds()


@pytest.mark.parametrize(("days", "right"), [(10, False), (11, True)])
def test_G5_a_lifetime_must_exceed_fold_after_and_grace(days: int, right: bool) -> None:
    """To the second: ten days are too short for nine and one."""
    bounds = replace(WEEK, grace=DAY)
    if right:
        assert Settings(bounds, days).lifetime == days
    else:
        with pytest.raises(InvalidInput, match="Raise lifetime, or lower fold_after"):
            Settings(bounds, days)


def test_G5_a_lifetime_is_kept_and_compared_too() -> None:
    """A URL without one takes it; one with another is refused, and so is a store that was opened before it was kept."""
    store = living(30)
    Repository(store, CLOCK)
    assert share_lifetime(store, None) == share_lifetime(store, 30) == 30
    for other in (0, 60):
        with pytest.raises(InvalidInput, match=r"lifetime 30 days\. Got .*lifetime"):
            share_lifetime(store, other)
        store.lifetime = other
        with pytest.raises(InvalidInput, match=r"lifetime 30 days\. Got .*lifetime"):
            Repository(store, CLOCK)


def test_G5_the_settings_outlive_the_process(tmp_path: Path) -> None:
    """They are in the file."""
    url = new_url("sqlite", tmp_path)
    with closing(open_store(url)) as store:
        Repository(store, CLOCK, WEEK)
    with closing(open_store(url)) as store:
        assert Repository(store, CLOCK).bounds == WEEK


def test_the_text_of_the_settings_keeps_its_form(open_new: Callable[[], EventStore]) -> None:
    """Processes of several versions read it."""
    store = open_new()
    Repository(store, CLOCK)
    assert store.checkpoint(SETTINGS) == (
        '{"bounds":{"late":"P1D","early":"PT60S","fold_after":"P1DT7200S","skew":"PT30S","append":"PT600S",'
        '"grace":"PT3600S"},"lifetime":0,"folded":null}'
    )
