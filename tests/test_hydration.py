"""A hydration reads the newest few snapshots with the first commits, and older ones only where it needs them (G6)."""

from datetime import timedelta
from typing import Any

import pytest

from eslab import EventStore, HistoryGone, ManualClock, Repository
from eslab.payload.serializer import command_hash
from eslab.store import FEW_SNAPSHOTS, Consistency, LateCommits
from tests.support.sample import (
    DAY,
    START,
    Count,
    Counted,
    Counter,
    Faulty,
    append,
    at,
    commits,
    fill,
    replayed,
    snapshot,
)

READ = ("read", Consistency.LOCAL)
MANY = 2 * FEW_SNAPSHOTS + 1  # a snapshot for each of the first commits


@pytest.fixture
def faulty(store: EventStore, clock: ManualClock) -> Faulty:
    """A store with a snapshot behind each of its first commits, all of them old enough to begin from."""
    fill(store, MANY + 2)
    for number in range(MANY):
        keep(store, number)
    clock.now = START + 2 * DAY
    return Faulty(store)


def keep(store: EventStore, number: int, fold: int = 1) -> None:
    """Save the snapshot behind a commit."""
    state = replayed(*(Counted(f"thing {each % 7}") for each in range(number + 1)))
    stored = snapshot(at(number), state, number + 1)._replace(fold=fold)
    store.save_snapshot("ann", "counter:1", stored, START + DAY)


def test_only_the_newest_few_snapshots_are_read(faulty: Faulty, clock: ManualClock) -> None:
    """However many there are: in one read, and the newest of them is the base."""
    hydration = Repository(faulty, clock).hydrate("ann", Counter, "1")
    assert faulty.calls == [READ]
    assert (hydration.base, hydration.tail) == (at(MANY - 1).event_time, 2)
    assert [it.up_to for it in hydration.head.snapshots] == [at(MANY - back).event_time for back in (1, 2, 3)]
    assert hydration.head.older


def test_of_a_moment_the_newest_few_before_it_are_read(faulty: Faulty, clock: ManualClock) -> None:
    """Those after it are no base."""
    hydration = Repository(faulty, clock).hydrate("ann", Counter, "1", as_of=at(4).time + timedelta(seconds=1))
    assert faulty.calls == [READ]
    assert (hydration.base, hydration.tail, hydration.state.total) == (at(4).event_time, 0, 5)


def test_G6_where_none_of_the_newest_is_usable_the_older_ones_are_asked_for(faulty: Faulty, clock: ManualClock) -> None:
    """A second read, with everything that belongs to it; the state is the same."""
    for number in range(MANY - FEW_SNAPSHOTS, MANY):
        faulty.delete_snapshot("ann", "counter:1", at(number).event_time, 1, START + 2 * DAY)
        keep(faulty.store, number, fold=7)
    hydration = Repository(faulty, clock).hydrate("ann", Counter, "1")
    assert faulty.calls == [READ, READ]
    assert (hydration.base, hydration.commits) == (at(MANY - FEW_SNAPSHOTS - 1).event_time, MANY + 2)
    assert hydration.state == Repository(faulty, clock).load("ann", Counter, "1")


def test_G5_a_late_commit_leads_to_the_snapshot_before_it(faulty: Faulty, clock: ManualClock) -> None:
    """However many lie behind it: they may lack it."""
    append(faulty.store, (0.5, Counted("late")))
    faulty.store.mark("ann", "counter:1", late=LateCommits(at(0.5).event_time, clock.now))
    hydration = Repository(faulty, clock).hydrate("ann", Counter, "1")
    assert (hydration.base, hydration.tail) == (at(0).event_time, MANY + 2)
    assert hydration.state.counts["late"] == 1


@pytest.mark.parametrize("as_of", [None, at(2).time])
def test_G6_history_that_is_gone_names_all_snapshots(faulty: Faulty, clock: ManualClock, as_of: Any) -> None:
    """Not only the newest few, and those after the moment too."""
    for number in range(MANY):
        faulty.store.delete_snapshot("ann", "counter:1", at(number).event_time, 1, START + 2 * DAY)
        keep(faulty.store, number, fold=7)
    faulty.store.mark("ann", "counter:1", floor=at(1).event_time)
    with pytest.raises(HistoryGone) as error:
        Repository(faulty, clock).load("ann", Counter, "1", as_of)
    assert all(f"{at(number).event_time} of fold 7" in str(error.value) for number in range(MANY))


def test_G3_the_look_up_is_as_new_as_the_snapshots_that_were_asked_for_again(
    faulty: Faulty, clock: ManualClock
) -> None:
    """A commit of the request that arrives between the two reads is its answer, and in its state."""
    request = at(2 * DAY / timedelta(minutes=1))
    mine = commits(request, {"counter:1": [Counted("mine")]}, command_hash(Count("mine")))
    for number in range(MANY - FEW_SNAPSHOTS, MANY):
        faulty.store.delete_snapshot("ann", "counter:1", at(number).event_time, 1, START + 2 * DAY)
        keep(faulty.store, number, fold=7)

    class Between(Faulty):
        """The first delivery appends between the two reads."""

        def read(self, *arguments: Any, **options: Any) -> Any:
            found = super().read(*arguments, **options)
            self.store.append("ann", mine)
            return found

    between = Between(faulty.store)
    work = Repository(between, clock).begin("ann", request, Count("mine"))
    (counter,) = work.load((Counter, "1"))
    assert between.calls == [READ, READ]
    assert work.recorded and counter.counts["mine"] == 1
