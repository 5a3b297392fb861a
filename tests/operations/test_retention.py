"""Rotation: what a snapshot holds is archived and deleted, and the state stays the same (G6)."""

from collections.abc import Callable
from typing import Any

import pytest

from eslab import EventStore, HistoryGone, ManualClock, OutcomeUnknown, OutOfTime, Repository, StoreUnavailable
from eslab.aggregate import SnapshotPolicy
from eslab.operations.retention import rotate
from eslab.operations.snapshots import build_snapshot
from eslab.payload.serializer import command_hash
from eslab.store import Commit, Consistency
from tests.conftest import REAL, alone
from tests.support.sample import (
    DAY,
    HOUR,
    START,
    Count,
    Counted,
    Counter,
    Faulty,
    append,
    at,
    commits,
    everything,
    fill,
    rows,
)

ONE = SnapshotPolicy(every=1)


@pytest.fixture
def archive() -> list[Commit]:
    """Where the commits are kept."""
    return []


@pytest.fixture
def filled(repository: Repository, store: EventStore, clock: ManualClock) -> Repository:
    """Ten commits, a snapshot of them, and two later ones."""
    fill(store, 10)
    clock.advance(30 * HOUR)
    assert build_snapshot(repository, "ann", Counter, "1", ONE)
    append(store, (29 * 60, Counted("milk")), (29 * 60 + 1, Counted("milk")))
    return repository


def turn(repository: Repository, archive: list[Commit], wait: Callable[[float], object] = lambda seconds: None) -> int:
    return rotate(repository, "ann", Counter, "1", archive.extend, wait)


@alone
def test_what_a_snapshot_holds_is_archived_and_deleted(
    filled: Repository, store: EventStore, archive: list[Commit]
) -> None:
    """In order, before it is deleted; the state and the later commits stay."""
    before, whole = filled.load("ann", Counter, "1"), rows(store)
    assert turn(filled, archive) == 10
    assert (archive, rows(store)) == (whole[:10], whole[10:])
    assert filled.load("ann", Counter, "1") == before
    assert turn(filled, archive) == 0


def test_without_a_usable_snapshot_nothing_happens(
    repository: Repository, store: EventStore, archive: list[Commit]
) -> None:
    """No floor is raised, and nothing is deleted."""
    fill(store, 3)
    before = everything(store)
    assert turn(repository, archive) == 0
    assert (everything(store), archive) == (before, [])


@alone
def test_events_are_kept_until_no_hydration_reads_by_an_older_floor(
    filled: Repository, store: EventStore, archive: list[Commit]
) -> None:
    """For longer than the grace and two skews; the floor is raised before, and announced before that."""
    waited: list[float] = []

    def wait(seconds: float) -> None:
        head = store.heads("ann", ["counter:1"])["counter:1"]
        assert head.floor == head.intended == head.snapshots[0].up_to
        assert len(rows(store)) == 12
        waited.append(seconds)

    turn(filled, archive, wait)
    bounds = filled.bounds
    assert waited and waited[0] > (bounds.grace + 2 * bounds.skew).total_seconds()


@alone
def test_all_of_it_is_read_and_written_everywhere(
    filled: Repository, store: EventStore, clock: ManualClock, archive: list[Commit]
) -> None:
    """And the events at ALL. While a replica can't be reached, nothing is deleted; a later run begins anew."""
    faulty = Faulty(store)
    cut = Repository(faulty, clock)
    for reach in (Consistency.EVERYWHERE, Consistency.ALL):
        faulty.refuse = {reach: StoreUnavailable("Asia is cut off")}
        with pytest.raises(StoreUnavailable):
            turn(cut, archive)
        assert (len(rows(store)), archive) == (12, [])
    faulty.refuse.clear()
    assert turn(cut, archive) == 10
    assert {reach for name, reach in faulty.calls if name in ("heads", "mark")} == {Consistency.EVERYWHERE}
    assert {reach for name, reach in faulty.calls if name == "rows_many"} == {Consistency.ALL}


@alone
def test_G6_a_floor_that_somebody_raised_meanwhile_is_not_waited_for(
    filled: Repository, store: EventStore, clock: ManualClock, archive: list[Commit]
) -> None:
    """Only what lay below the floor when the wait began is deleted: hydrations may still read by that one."""

    def wait(seconds: float) -> None:
        clock.advance(30 * HOUR)
        later = build_snapshot(filled, "ann", Counter, "1", ONE)
        assert later
        store.mark("ann", "counter:1", floor=later.up_to)

    assert turn(filled, archive, wait) == 10
    assert len(rows(store)) == 2


@alone
def test_a_base_that_is_gone_stops_it(filled: Repository, store: EventStore, archive: list[Commit]) -> None:
    """Whatever deleted the snapshot on the floor meanwhile: the events are the last that is left, and stay."""

    def wait(seconds: float) -> None:
        for each in store.heads("ann", ["counter:1"])["counter:1"].snapshots:
            store.delete_snapshot("ann", "counter:1", each.up_to, each.fold, START + 999 * DAY)

    with pytest.raises(HistoryGone, match="No event was deleted; restore the snapshot"):
        turn(filled, archive, wait)
    assert (len(rows(store)), archive) == (12, [])


@alone
def test_an_archive_that_fails_stops_it(filled: Repository, store: EventStore) -> None:
    """Nothing is deleted that was not kept elsewhere."""

    def full(commits: Any) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        rotate(filled, "ann", Counter, "1", full, lambda seconds: None)
    assert len(rows(store)) == 12


@alone
def test_a_commit_that_was_made_safe_meanwhile_stops_it(
    filled: Repository, store: EventStore, clock: ManualClock, archive: list[Commit]
) -> None:
    """It is marked between the choice and the second look: the snapshot may lack it, so no floor is raised."""
    store.append("ann", commits(at(5.5), {"counter:1": [Counted("rum")]}, command_hash(Count("rum"))))
    faulty = Faulty(store)
    repeat = filled.begin("ann", at(5.5), Count("rum"))

    class Hooked(Faulty):
        def mark(self, customer_id: str, id: str, **marks: Any) -> None:
            if "intended" in marks:
                repeat.load((Counter, "1"))
            super().mark(customer_id, id, **marks)

    assert turn(Repository(Hooked(faulty), clock), archive) == 0
    assert repeat.recorded and len(rows(store)) == 13
    assert filled.load("ann", Counter, "1").counts["rum"] == 1


@alone
def test_a_snapshot_that_was_built_before_does_not_replace_the_base(
    filled: Repository, store: EventStore, clock: ManualClock, archive: list[Commit]
) -> None:
    """A slow builder's row of the same key is stamped earlier, whatever its clock says within the skew."""
    (base,) = store.heads("ann", ["counter:1"])["counter:1"].snapshots

    def wait(seconds: float) -> None:
        store.save_snapshot("ann", "counter:1", base._replace(payload=b"stale"), clock() + filled.bounds.skew)

    assert turn(filled, archive, wait) == 10


@alone
def test_behind_a_floor_nothing_is_decided_or_answered(
    filled: Repository, store: EventStore, clock: ManualClock, archive: list[Commit]
) -> None:
    """A repeat whose rows are still there is unknown; once they are archived, it is told where its record is."""

    def wait(seconds: float) -> None:
        clock.advance(25 * HOUR)
        with pytest.raises(OutcomeUnknown, match="archived"):
            filled.begin("ann", at(0), Count("thing 0")).load((Counter, "1"))

    store.append("ann", commits(at(0), {"counter:1": [Counted("thing 0")]}, command_hash(Count("thing 0"))))
    turn(filled, archive, wait)
    with pytest.raises(OutOfTime, match="its record is in the archive"):
        filled.begin("ann", at(0), Count("thing 0")).load((Counter, "1"))


@pytest.mark.parametrize("open_new", [pytest.param("us3", marks=REAL)], indirect=True)
def test_a_silent_replica_stops_it(filled: Repository, store: EventStore, archive: list[Commit]) -> None:
    """It may hold a commit that no other one has; nothing is deleted."""
    with pytest.raises(StoreUnavailable):
        turn(filled, archive)
    assert (len(rows(store)), archive) == (12, [])
