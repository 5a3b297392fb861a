"""What a review once found in the core, one test each, on every store (the numbers are those of the review).

A store runs something between two calls of a process, as another process would. The tests of some findings lie where
their topic is: 1 (a retry overlaps its first delivery) in `tests/test_overlapping_retries.py`; 4 (settings that all
processes share) in `tests/test_settings.py`, and a builder's clock far ahead in `tests/operations/test_snapshots.py`;
5 (a row's key is proved) in `tests/test_copied_rows.py`; 7 (`add` is all or nothing) in `tests/test_unit_of_work.py`.
`eslab.faults` looks for all of them by search.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from eslab import (
    AggregateService,
    EventStore,
    ManualClock,
    OutcomeUnknown,
    Rejected,
    Repository,
    Request,
    SnapshotPolicy,
)
from eslab.operations.retention import rotate
from eslab.operations.snapshots import build_snapshot
from eslab.payload.serializer import command_hash
from eslab.store import Consistency
from eslab.unit_of_work import UnitOfWork
from tests.conftest import alone
from tests.support.between import Between
from tests.support.sample import (
    DAY,
    HOUR,
    START,
    Card,
    Count,
    Counted,
    Counter,
    Faulty,
    Stamped,
    append,
    at,
    commits,
    fill,
    handle,
    rows,
    snapshot,
)

pytestmark = alone
PAGES = 2500  # so many commits need several pages
ONE = SnapshotPolicy(every=1)
RUM = Count("rum")
LATE = at(5.5)  # a request among the first commits


# 2. A floor was raised between two reads


class Interrupted(Exception):
    """The rotation has raised the floor, and waits."""


def rotation(store: EventStore, clock: ManualClock, whole: bool = True) -> Callable[[], None]:
    """Archive what the snapshot of an hour ago holds; stop after the floor was raised unless the whole is asked for."""

    def wait(seconds: float) -> None:
        if not whole:
            raise Interrupted
        clock.advance(timedelta(seconds=seconds))

    def run() -> None:
        build_snapshot(Repository(store, ManualClock(clock.now - HOUR)), "ann", Counter, "1", ONE)
        with suppress(Interrupted):
            rotate(Repository(store, clock), "ann", Counter, "1", len, wait)

    return run


@pytest.fixture
def long_ago(store: EventStore, clock: ManualClock) -> EventStore:
    """Pages of commits, all of which may be archived."""
    fill(store, PAGES)
    clock.now = START + 4 * DAY
    return store


BETWEEN_READS = pytest.mark.parametrize(
    ("when", "name", "whole"),
    [(when, name, whole) for when, name in [("before", "read"), ("after", "read")] for whole in (False, True)],
)


@BETWEEN_READS
def test_G5_finding_2a_no_reader_sees_a_blank_state(
    long_ago: EventStore, clock: ManualClock, when: str, name: str, whole: bool
) -> None:
    """Whether the events are gone already or not; so a full counter accepts no more."""
    hooked = Between(long_ago, when, name, rotation(long_ago, clock, whole))
    wish = Request.at(clock.now, "one more")
    answer = AggregateService(hooked, Counter, handle, clock).send("ann", "counter:1", Count("tea"), wish)
    assert hooked.ran and (rows(long_ago) == []) is whole
    assert isinstance(answer, Rejected) and answer.count == PAGES
    assert Repository(hooked, clock).load("ann", Counter, "1").total == PAGES


@BETWEEN_READS
def test_G5_finding_2b_no_builder_saves_a_part_of_the_state(
    long_ago: EventStore, clock: ManualClock, when: str, name: str, whole: bool
) -> None:
    """Every snapshot that there is holds all that happened."""
    hooked = Between(long_ago, when, name, rotation(long_ago, clock, whole))
    build_snapshot(Repository(hooked, clock), "ann", Counter, "1", ONE)
    assert hooked.ran
    for stored in long_ago.heads("ann", ["counter:1"])["counter:1"].snapshots:
        assert Repository(long_ago, clock).load("ann", Counter, "1").total == PAGES
        long_ago.delete_snapshot("ann", "counter:1", stored.up_to, stored.fold, START + 999 * DAY)


def late_commit(store: EventStore) -> None:
    """Append Ann's late wish, of which nobody was told."""
    store.append("ann", commits(LATE, {"counter:1": [Counted("rum")]}, command_hash(RUM)))


def repeat(store: Any, clock: ManualClock) -> UnitOfWork:
    """Send the late wish again: it is found, and made safe."""
    work = Repository(store, clock).begin("ann", LATE, RUM)
    work.load((Counter, "1"))
    assert work.recorded
    return work


@pytest.mark.parametrize("name", ["heads", "append", "mark"])
def test_G6_finding_2c_an_old_repeat_spares_the_snapshot_on_the_floor(
    store: EventStore, clock: ManualClock, name: str
) -> None:
    """Whenever a rotation comes between, the repeat is not answered, and the state stays whole."""
    fill(store, 10)
    late_commit(store)
    clock.advance(30 * HOUR)
    hooked = Between(store, "before", name, rotation(store, clock))
    with pytest.raises(OutcomeUnknown, match="below which history is archived"):
        repeat(hooked, clock)
    assert hooked.ran
    assert Repository(store, clock).load("ann", Counter, "1").total == 11


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=30), 400 * DAY])
def test_G6_finding_2d_a_builder_that_tidies_spares_the_snapshot_on_the_floor(
    store: EventStore, clock: ManualClock, ahead: timedelta
) -> None:
    """It looked before the floor was announced, and its delete arrives after that: what a rotation saved is newer.

    Even if the builder's clock is far ahead of the store's.
    """
    fill(store, 10)
    clock.advance(30 * HOUR)
    build_snapshot(Repository(store, clock), "ann", Counter, "1", ONE)
    on_their_way: list[Callable[[], None]] = []

    class Slow(Faulty):
        def delete_snapshot(self, *args: Any) -> None:
            on_their_way.append(partial(store.delete_snapshot, *args))

        def time(self) -> datetime:
            return clock.now

    def build() -> None:
        append(store, (250, Counted("milk")))
        clock.advance(HOUR)
        builder = Repository(Slow(store), ManualClock(clock.now + ahead))
        build_snapshot(builder, "ann", Counter, "1", SnapshotPolicy(every=1, keep=1))

    def wait(seconds: float) -> None:
        assert len(on_their_way) == 1
        on_their_way.pop()()

    hooked = Between(store, "before", "mark", build)
    assert rotate(Repository(hooked, clock), "ann", Counter, "1", len, wait) == 10
    assert Repository(store, clock).load("ann", Counter, "1").total == 11


# 3. A snapshot outlived its deletion


@pytest.mark.parametrize("ahead", [0, 20, 30])
def test_G5_finding_3a_3c_a_snapshot_without_a_late_commit_is_not_believed(
    store: EventStore, clock: ManualClock, ahead: int
) -> None:
    """Read before the append, saved after it was made safe, by a builder whose clock is ahead or not."""
    fill(store, 10)
    clock.advance(30 * HOUR)

    def arrive() -> None:
        late_commit(store)
        repeat(store, clock)

    hooked = Between(store, "before", "save_snapshot", arrive)
    built = build_snapshot(
        Repository(hooked, ManualClock(clock.now + timedelta(seconds=ahead))), "ann", Counter, "1", ONE
    )
    assert hooked.ran
    assert built in store.heads("ann", ["counter:1"])["counter:1"].snapshots
    assert Repository(store, clock).load("ann", Counter, "1").counts["rum"] == 1


def test_G5_finding_3b_nor_is_one_that_was_built_on_it(store: EventStore, clock: ManualClock) -> None:
    """Its base became unusable after it was read: the new snapshot lacks the commit as well."""
    fill(store, 10)
    clock.advance(30 * HOUR)
    base = build_snapshot(Repository(store, clock), "ann", Counter, "1", ONE)
    append(store, (250, Counted("milk")))
    clock.advance(HOUR)

    def arrive() -> None:
        late_commit(store)
        repeat(store, clock)

    hooked = Between(store, "after", "read", arrive)
    built = build_snapshot(Repository(hooked, clock), "ann", Counter, "1", ONE)
    assert hooked.ran
    assert [*store.heads("ann", ["counter:1"])["counter:1"].snapshots] == [built, base]
    hydration = Repository(store, clock).hydrate("ann", Counter, "1")
    assert (hydration.base, hydration.state.counts["rum"], hydration.state.total) == (None, 1, 12)


# 6. The outcome was unknown for ever, or half a truth passed as whole


def test_G3_finding_6_code_that_loads_fewer_aggregates_finds_the_decision(
    repository: Repository, store: EventStore
) -> None:
    """What the decision touched besides is looked for in the directory."""
    store.append("ann", commits(at(), {"counter:1": [Counted("rum")], "card:1": [Stamped(1)]}, command_hash(RUM)))
    work = repository.begin("ann", at(), RUM)
    (counter,) = work.load((Counter, "1"))
    assert (work.recorded, work.events(counter)) == (True, [Counted("rum")])


def test_G3_finding_6_the_floor_of_an_untouched_aggregate_makes_nothing_whole(
    repository: Repository, store: EventStore
) -> None:
    """A commit is missing that only its own floor could explain."""
    both = commits(at(), {"counter:1": [Counted("rum")], "card:1": [Stamped(1)]}, command_hash(RUM))
    store.append("ann", [it for it in both if it.aggregate_id == "counter:1"])
    store.mark("ann", "card:2", floor=at(1).event_time)
    store.save_snapshot("ann", "card:2", snapshot(at(1), Card()), START)
    with pytest.raises(OutcomeUnknown, match=r"Expected 2 commits of Request .* found 1\."):
        repository.begin("ann", at(), RUM).load((Counter, "1"), (Card, "1"))


# 7. A month-old repeat deleted all snapshots every time


def test_G5_finding_7_an_old_repeat_is_made_safe_once_and_deletes_nothing(
    store: EventStore, clock: ManualClock
) -> None:
    """The snapshots stay, those built since are used again, and a second repeat is one read of this region."""
    fill(store, 10)
    late_commit(store)
    clock.advance(30 * DAY)
    build_snapshot(Repository(store, clock), "ann", Counter, "1", ONE)
    before = store.heads("ann", ["counter:1"])["counter:1"].snapshots
    repeat(store, clock)
    assert store.heads("ann", ["counter:1"])["counter:1"].snapshots == before
    faulty = Faulty(store)
    repeat(faulty, clock)
    assert faulty.calls == [("read", Consistency.LOCAL)]
    clock.advance(DAY)
    built = build_snapshot(Repository(store, clock), "ann", Counter, "1", ONE)
    assert built and Repository(store, clock).hydrate("ann", Counter, "1").base == built.up_to
