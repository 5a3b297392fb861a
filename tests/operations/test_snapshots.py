"""Snapshots are built off the path, and hydration from one and its tail equals a full replay (G5, G6)."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    Aggregate,
    Event,
    EventStore,
    HistoryGone,
    InvalidInput,
    ManualClock,
    Repository,
    Request,
    SnapshotPolicy,
    StoreUnavailable,
)
from eslab.aggregate import serializer_of
from eslab.operations.snapshots import build_snapshot, tidy
from eslab.payload.encryption import NO_CIPHER
from eslab.payload.serializer import command_hash
from eslab.request import latest_at
from eslab.snapshot import snapshot_of
from eslab.store import Consistency
from tests.support.logs import LOG
from tests.support.sample import (
    DAY,
    HOUR,
    MINUTE,
    START,
    Count,
    Counted,
    Counter,
    Faulty,
    Voided,
    append,
    at,
    commits,
    everything,
    fill,
    replayed,
    rows,
    snapshot,
)

ONE = SnapshotPolicy(every=1)
LATER = START + 30 * HOUR  # when all that happened in the first hours may be folded


class Recounted(Aggregate):
    """The same events, folded another way."""

    stored_as = "counter"
    fold_version = 2
    kinds: set[str] = set()

    def apply(self, event: Counted | Voided) -> None:
        self.kinds.add(event.what)


def forget(store: EventStore, id: str = "counter:1") -> None:
    """Delete every snapshot."""
    for each in store.heads("ann", [id])[id].snapshots:
        store.delete_snapshot("ann", id, each.up_to, each.fold, LATER + 999 * DAY)


@given(LOG, st.integers(0, 300), st.randoms(use_true_random=False))
def test_G5_snapshot_plus_tail_equals_full_replay(
    open_new: Callable[[], EventStore], log: list[tuple[int, Event]], cut: int, random: object
) -> None:
    """Wherever the snapshot was cut, and in whatever order the tail arrived after it."""
    store, tail = open_new(), [pair for pair in log if pair[0] > cut]
    append(store, *(pair for pair in log if pair[0] <= cut))
    repository = Repository(store, ManualClock(START + 26 * HOUR + cut * MINUTE))
    built = build_snapshot(repository, "ann", Counter, "1", ONE)
    random.shuffle(tail)  # type: ignore[attr-defined]
    append(store, *tail)
    hydration = repository.hydrate("ann", Counter, "1")
    assert hydration.state == replayed(*(event for _, event in log))
    assert (hydration.tail, hydration.commits) == (len(tail) if built else len(log), len(log))


def test_G5_a_snapshot_folds_only_what_is_older_than_w(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """A commit of exactly W ago is folded, one of a millisecond later isn't."""
    append(store, (0, Counted("tea")), (1 / 60_000, Counted("milk")))
    clock.advance(26 * HOUR - timedelta(milliseconds=1))
    assert build_snapshot(repository, "ann", Counter, "1", ONE) is None
    clock.advance(timedelta(milliseconds=1))
    built = build_snapshot(repository, "ann", Counter, "1", ONE)
    assert built == snapshot_of("ann", "counter:1", Counter({"tea": 1}), 1, latest_at(START), clock.now, NO_CIPHER)
    assert list(store.heads("ann", ["counter:1"])["counter:1"].snapshots) == [built]


def test_G5_a_snapshot_as_of_a_moment_reaches_to_it_alone(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """Such as the end of a year: W must have passed since, and what came later is in the tail."""
    fill(store, 3)
    clock.advance(26 * HOUR + MINUTE - timedelta(milliseconds=1))
    with pytest.raises(InvalidInput, match=r"Expected a moment up to .* as as_of, got .*09:01:00"):
        build_snapshot(repository, "ann", Counter, "1", ONE, as_of=at(1).time)
    assert not store.heads("ann", ["counter:1"])["counter:1"].snapshots
    clock.advance(DAY)
    built = build_snapshot(repository, "ann", Counter, "1", ONE, as_of=at(1).time)
    assert built and built.up_to == latest_at(at(1).time)
    hydration = repository.hydrate("ann", Counter, "1")
    assert (hydration.base, hydration.tail, hydration.commits) == (built.up_to, 1, 3)
    assert build_snapshot(repository, "ann", Counter, "1", ONE, as_of=at(1).time) is None


def test_G5_a_snapshot_is_built_from_a_read_of_every_region(store: EventStore, clock: ManualClock) -> None:
    """Heads and commits are read EVERYWHERE, so the acknowledged commits of each region are in it."""
    fill(store, 3)
    faulty = Faulty(store)
    clock.advance(30 * HOUR)
    assert build_snapshot(Repository(faulty, clock), "ann", Counter, "1", ONE)
    assert faulty.calls == [("read", Consistency.EVERYWHERE), ("heads", Consistency.EVERYWHERE)]


def test_G5_a_builders_clock_that_runs_ahead_is_not_believed(store: EventStore, clock: ManualClock) -> None:
    """The store's own clock counts if it is earlier: a snapshot may only be too old."""
    fill(store, 3)

    class Behind(Faulty):
        def time(self) -> datetime:
            return START + 26 * HOUR + MINUTE

    clock.advance(400 * DAY)
    built = build_snapshot(Repository(Behind(store), clock), "ann", Counter, "1", ONE)
    assert built and built.up_to == latest_at(START + MINUTE)


@pytest.mark.parametrize("mark", [{"floor": 3}, {"intended": 3}, {"floor": 1, "intended": 3}])
def test_G6_tidying_spares_what_may_be_the_base_of_last_resort(
    repository: Repository, store: EventStore, mark: dict[str, int]
) -> None:
    """Every snapshot from the floor to the intended one, whatever the policy keeps."""
    for minutes in (1, 3, 5):
        store.save_snapshot("ann", "counter:1", snapshot(at(minutes), Counter()), START)
    store.mark("ann", "counter:1", **{name: at(minutes).event_time for name, minutes in mark.items()})
    tidy(repository, "ann", "counter:1", 1, keep=1, now=LATER)
    kept = [each.up_to for each in store.heads("ann", ["counter:1"])["counter:1"].snapshots]
    expected = [5, 3, 1] if "floor" in mark and "intended" in mark else [5, 3] if "floor" in mark else [5, 3, 1]
    assert kept == [at(minutes).event_time for minutes in expected]


def test_G5_no_snapshot_is_built_while_a_region_is_cut_off(store: EventStore, clock: ManualClock) -> None:
    """It only makes hydration longer; nothing is written."""
    fill(store, 3)
    before, faulty = everything(store), Faulty(store)
    faulty.refuse[Consistency.EVERYWHERE] = StoreUnavailable("Asia is cut off")
    clock.advance(30 * HOUR)
    with pytest.raises(StoreUnavailable, match="Asia"):
        build_snapshot(Repository(faulty, clock), "ann", Counter, "1", ONE)
    assert everything(store) == before
    assert Repository(faulty, clock).load("ann", Counter, "1").total == 3


@pytest.mark.parametrize(("every", "built"), [(3, True), (4, False)])
def test_a_snapshot_waits_for_enough_commits(
    repository: Repository, store: EventStore, clock: ManualClock, every: int, built: bool
) -> None:
    """The policy counts the commits that wait to be folded, not those in the last snapshot."""
    policy = SnapshotPolicy(every)
    fill(store, 3)
    clock.advance(30 * HOUR)
    assert (build_snapshot(repository, "ann", Counter, "1", policy) is not None) == built
    assert build_snapshot(repository, "ann", Counter, "1", policy) is None or not built


class Seldom(Counter):
    """A counter of which a snapshot is built after two commits, or after a day if one waits."""

    stored_as = "counter"
    snapshot_policy = SnapshotPolicy(every=2, after=DAY)


class Never(Counter):
    """A counter of which no snapshot is built unless somebody asks for it."""

    stored_as = "counter"
    snapshot_policy = None


@pytest.mark.parametrize(
    ("minutes", "day", "built"),
    [
        ([0], 0, False),  # the first commit waits, and is not that old
        ([0, 1], 0, True),  # two of them
        ([0], 1, True),  # a day after the first commit
        ([], 7, False),  # nothing waits, however long
    ],
)
def test_an_aggregate_type_has_a_policy_by_count_and_by_age(
    repository: Repository, store: EventStore, clock: ManualClock, minutes: list[int], day: int, built: bool
) -> None:
    """An age counts from the first commit to the moment that a snapshot would reach."""
    append(store, *((minute, Counted("tea")) for minute in minutes))
    clock.now = START + day * DAY + 26 * HOUR + MINUTE
    assert (build_snapshot(repository, "ann", Seldom, "1") is not None) == built


def test_G6_by_its_policy_nothing_is_due_while_nothing_waits() -> None:
    """However old the last snapshot is: whoever asks the policy may have no second look."""
    policy = SnapshotPolicy(every=2, after=DAY)
    due = [policy.is_due(waiting, age) for waiting, age in ((0, 99 * DAY), (1, DAY), (1, 23 * HOUR), (2, 0 * DAY))]
    assert due == [False, True, False, True]


@pytest.mark.parametrize(("hours", "waits", "built"), [(23, True, False), (24, True, True), (99, False, False)])
def test_an_age_counts_from_the_last_snapshot(
    repository: Repository, store: EventStore, clock: ManualClock, hours: int, waits: bool, built: bool
) -> None:
    """However old the first commit is; while nothing waits, none is built."""
    append(store, (0, Counted("tea")), (1, Counted("tea")))
    clock.now = START + 9 * DAY
    assert build_snapshot(repository, "ann", Seldom, "1")
    if waits:
        append(store, (8 * 1440, Counted("tea")))
    clock.advance(hours * HOUR)
    assert (build_snapshot(repository, "ann", Seldom, "1") is not None) == built


def test_of_a_type_without_a_policy_no_snapshot_is_built(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """Nothing is read for it, unless the caller brings a policy."""
    fill(store, 1001)
    clock.now = LATER
    faulty = Faulty(store)
    assert build_snapshot(Repository(faulty, clock), "ann", Never, "1") is None
    assert faulty.calls == []
    assert build_snapshot(repository, "ann", Never, "1", ONE)


def test_a_policy_that_is_none_is_refused() -> None:
    """With its class, and with what to write."""

    class Wrong(Counter):
        snapshot_policy = 100  # type: ignore[assignment]

    with pytest.raises(InvalidInput, match=r"SnapshotPolicy or None as snapshot_policy of Wrong, got 100; such as"):
        serializer_of(Wrong)


def test_a_new_snapshot_begins_from_the_last(repository: Repository, store: EventStore, clock: ManualClock) -> None:
    """Only the commits since are read, and all are counted; the policy keeps the newest."""
    for day in range(4):
        append(store, (day * 1440, Counted("tea")), (day * 1440 + 1, Counted("tea")))
        clock.now = START + day * DAY + 30 * HOUR
        build_snapshot(repository, "ann", Counter, "1", SnapshotPolicy(every=1, keep=2))
    standing = store.heads("ann", ["counter:1"])["counter:1"].snapshots
    assert [each.up_to for each in standing] == [latest_at(START + day * DAY + 4 * HOUR) for day in (3, 2)]
    hydration = repository.hydrate("ann", Counter, "1")
    assert (hydration.state.total, hydration.commits, hydration.tail) == (8, 8, 0)


def test_G6_the_policy_spares_what_stands_on_the_floor(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """Later snapshots may be deleted by a late commit; the one on the floor is then the only base there is."""
    append(store, (0, Counted("tea")))
    clock.now = LATER
    base = build_snapshot(repository, "ann", Counter, "1", ONE)
    assert base
    store.mark("ann", "counter:1", floor=base.up_to)
    store.delete_events("ann", "counter:1", base.up_to)
    for day in (1, 2):
        append(store, (day * 1440, Counted("tea")))
        clock.now = LATER + day * DAY
        build_snapshot(repository, "ann", Counter, "1", SnapshotPolicy(every=1, keep=1))
    late = Request.at(START + 6 * HOUR, "from another region")
    store.append("ann", commits(late, {"counter:1": [Counted("tea")]}, command_hash(Count("tea"))))
    work = repository.begin("ann", late, Count("tea"))
    assert work.load((Counter, "1")) == (Counter({"tea": 4}),)


def test_G6_without_its_snapshots_only_the_cost_changes(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """Deleted, broken, or folded by other code: the state is the same, read from further back."""
    fill(store, 10)
    clock.now = LATER
    built = build_snapshot(repository, "ann", Counter, "1", ONE)
    assert built
    expected = repository.hydrate("ann", Counter, "1")
    for spoil in (
        lambda: store.save_snapshot("ann", "counter:1", built._replace(payload=built.payload[:-1]), LATER + DAY),
        lambda: forget(store),
        lambda: store.save_snapshot("ann", "counter:1", built._replace(fold=7), START),
    ):
        spoil()
        found = repository.hydrate("ann", Counter, "1")
        assert (found.state, found.commits) == (expected.state, expected.commits)
        assert (expected.tail, found.tail) == (0, 10)


def test_G6_another_fold_reads_the_events_anew(repository: Repository, store: EventStore, clock: ManualClock) -> None:
    """Two versions of the code keep snapshots beside each other, and neither reads the other's."""
    fill(store, 10)
    clock.now = LATER
    for aggregate_type in (Counter, Recounted):
        build_snapshot(repository, "ann", aggregate_type, "1", SnapshotPolicy(every=1, keep=1))
    standing = store.heads("ann", ["counter:1"])["counter:1"].snapshots
    assert [each.fold for each in standing] == [2, 1]
    assert repository.load("ann", Recounted, "1") == Recounted({f"thing {i}" for i in range(7)})
    assert repository.load("ann", Counter, "1").total == 10


def test_G6_below_the_floor_only_a_snapshot_helps(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """With the events gone, the base carries their part; without it, `HistoryGone` says what is missing."""
    made = fill(store, 10)
    clock.now = LATER
    built = build_snapshot(repository, "ann", Counter, "1", ONE)
    assert built
    store.mark("ann", "counter:1", floor=built.up_to)
    store.delete_events("ann", "counter:1", built.up_to)
    assert rows(store) == []
    assert repository.load("ann", Counter, "1").total == 10
    with pytest.raises(HistoryGone, match="customer 'ann', aggregate 'counter:1' up to 2026-01-05T09:02:00"):
        repository.load("ann", Counter, "1", as_of=at(2).time)
    forget(store)
    with pytest.raises(HistoryGone, match=r"customer 'ann', aggregate 'counter:1' at or above .*found no snapshot"):
        repository.load("ann", Counter, "1")
    store.append("ann", made)
    with pytest.raises(HistoryGone):
        repository.load("ann", Counter, "1")


@given(LOG, st.integers(0, 300), st.integers(0, 300))
def test_a_snapshot_does_not_change_the_past(
    open_new: Callable[[], EventStore], log: list[tuple[int, Event]], cut: int, moment: int
) -> None:
    """Before, at or after a snapshot, a moment shows what a replay up to it shows."""
    store = open_new()
    append(store, *log)
    repository = Repository(store, ManualClock(START + 26 * HOUR + cut * MINUTE))
    build_snapshot(repository, "ann", Counter, "1", ONE)
    expected = replayed(*(event for minutes, event in log if minutes <= moment))
    assert repository.load("ann", Counter, "1", as_of=at(moment).time) == expected
