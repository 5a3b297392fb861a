"""A keeper leaves what a builder would have left who had been there from the first event on."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from eslab import EslabError, EventStore, ManualClock, Repository, open_store
from eslab.bench.keeper import SLACK, Keeper
from eslab.bench.sample import CUSTOMER, Frosting, state_after
from eslab.bench.stream import END, Stream
from eslab.snapshot import parse_snapshot
from tests.support.sample import new_url

HOUR = timedelta(hours=1)
STREAM = Stream(60, 60 * HOUR)  # an event each hour, so that 26 of them are younger than `fold_after`
SETTLED = END + 26 * HOUR


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    with closing(open_store(new_url(request.param, tmp_path))) as store:
        STREAM.fill(store)
        yield store


def folded(store: EventStore) -> list[int]:
    """The number of commits in each snapshot, newest first."""
    snapshots = store.heads(CUSTOMER, [STREAM.id])[STREAM.id].snapshots
    return [parse_snapshot(CUSTOMER, STREAM.id, it).commits for it in snapshots]


def replayed(store: EventStore, now: datetime) -> tuple[int, dict[str, int]]:
    """The number of commits that a reader replays, and the state that it gets."""
    repository = Repository(store, ManualClock(now + SLACK))
    hydration = repository.hydrate(CUSTOMER, Frosting, STREAM.key)
    return hydration.tail, hydration.state.colors


@pytest.mark.parametrize("interval", [1, 4, 10, 34])
def test_it_leaves_what_one_that_was_always_there_leaves(store: EventStore, interval: int) -> None:
    """The newest three, each at a whole number of intervals: those before would have been deleted."""
    always = Keeper(store, STREAM, interval)
    always.build(END, builds=60)
    left = folded(store)
    always.discard()
    Keeper(store, STREAM, interval).build(END)
    assert folded(store) == left == [34 // interval * interval - n * interval for n in range(min(3, 34 // interval))]


def test_events_younger_than_the_settle_window_are_in_no_snapshot(store: EventStore) -> None:
    """A day and two hours later they are; the keeper builds what has become due meanwhile."""
    keeper = Keeper(store, STREAM, 10)
    keeper.build(END)
    assert (folded(store), replayed(store, END)) == ([30, 20, 10], (30, state_after(60)))
    keeper.build(SETTLED)
    assert (folded(store), replayed(store, SETTLED)) == ([60, 50, 40], (0, state_after(60)))


def test_the_time_of_a_build_counts_only_if_it_folds_one_interval(store: EventStore) -> None:
    """The first one folds all that lies before it, unless it is the first of all."""
    late, early = Keeper(store, STREAM, 10), Keeper(store, STREAM, 10)
    assert len(late.build(END, builds=2)) == 1
    late.discard()
    assert len(early.build(END, builds=3)) == 3


def test_a_stream_shorter_than_the_interval_gets_none(store: EventStore) -> None:
    """Nor does one of which too few events have settled."""
    assert (Keeper(store, STREAM, 35).build(END), folded(store)) == ([], [])


def test_discarded_snapshots_are_gone_and_may_be_built_again(store: EventStore) -> None:
    """By another keeper, at other keys: on Cassandra a delete hides what is written to the same key later."""
    first, second = Keeper(store, STREAM, 10), Keeper(store, STREAM, 10)
    first.build(END)
    newest = first.newest
    first.discard()
    assert folded(store) == []
    second.build(END)
    assert second.newest != newest


def test_snapshots_of_somebody_else_are_noticed(store: EventStore) -> None:
    """They would be measured in place of the keeper's own."""
    Keeper(store, STREAM, 5).build(SETTLED)
    with pytest.raises(EslabError, match=r"Expected a snapshot of the first 50 events .* found it not due"):
        Keeper(store, STREAM, 10).build(SETTLED)
