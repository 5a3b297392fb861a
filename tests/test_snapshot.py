"""Snapshots: which base is usable, what the policy keeps, and the error when history is gone (G6)."""

import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import pytest

from eslab import Aggregate, HistoryGone, Hydration, InvalidInput, SnapshotPolicy, TimeBounds
from eslab.aggregate import type_name
from eslab.payload.encryption import NO_CIPHER
from eslab.payload.serializer import snapshot_envelope
from eslab.snapshot import Base, Candidates, Validity, snapshot_of
from eslab.store import Head, LateCommits, StoredSnapshot
from tests.support.sample import START, Counted, Counter, at, sealed_snapshot, snapshot

PLACE = "customer 'ann', aggregate 'counter:1'"
DAYS_LATER = START + timedelta(days=3)
STATES = {minutes: Counter({"tea": minutes}) for minutes in range(1, 6)}


def head(*minutes: int, floor: int | None = None, more: Sequence[StoredSnapshot] = ()) -> Head:
    """A head with the snapshots of these minutes, newest first, and others behind them."""
    stored = [snapshot(at(each), STATES[each], each) for each in sorted(minutes, reverse=True)]
    return Head(at(0).event_time, at(floor).event_time if floor is not None else None, [*stored, *more], None)


def base(head: Head, up_to: float | None = None, now: datetime = DAYS_LATER) -> Base[Counter]:
    """The base of Ann's counter."""
    return candidates(head, Counter, up_to, now).newest()


def candidates(
    head: Head, aggregate_type: type[Aggregate], up_to: float | None = None, now: datetime = DAYS_LATER
) -> Candidates[Any]:
    """The snapshots of a counter, as a reader at `now` judges them."""
    moment = at(up_to).event_time if up_to is not None else None
    return Candidates("ann", "counter:1", aggregate_type, head, Validity(TimeBounds(), lambda: now, moment), NO_CIPHER)


def folded(minutes: int) -> Base[Counter]:
    """The base that the snapshot of this minute gives."""
    return Base(STATES[minutes], at(minutes).event_time, minutes)


def broken(minutes: int, fold: int = 1) -> StoredSnapshot:
    return StoredSnapshot(at(minutes).event_time, fold, b"broken")


def test_the_newest_snapshot_is_the_base() -> None:
    """With the number of commits that it adds up."""
    assert base(head(1, 3, 2)) == folded(3)


def test_without_a_snapshot_the_base_is_empty() -> None:
    """A full replay begins from the empty state."""
    assert base(head()) == Base(Counter(), None, 0)


@pytest.mark.parametrize(("up_to", "expected"), [(5, 3), (3, 3), (2.5, 2), (2, 2)])
def test_a_base_does_not_lie_behind_the_moment_asked_for(up_to: float, expected: int) -> None:
    """For a moment of the past the newest base up to it counts, that moment included."""
    assert base(head(1, 2, 3), up_to) == folded(expected)


def test_a_moment_before_all_snapshots_is_replayed() -> None:
    """While the events exist."""
    assert base(head(2, 3), up_to=1) == Base(Counter())


def test_G6_a_base_may_stand_on_the_floor_but_not_below() -> None:
    """History at or below the floor may be gone, so a lower base would miss some of it."""
    assert base(head(1, 2, floor=2), up_to=2) == folded(2)
    with pytest.raises(HistoryGone):
        base(head(1, 2, floor=3))


class Tally(Aggregate):
    """The third fold of a counter: its counts have another name, and a number beside them."""

    stored_as = "counter"
    fold_version = 3
    fold_upcasters = {
        1: lambda state: {"numbers": state["counts"]},
        2: lambda state: {**state, "kinds": len(state["numbers"])},
    }
    numbers: dict[str, int] = {}
    kinds: int = 0

    def apply(self, event: Counted) -> None:
        """Only snapshots are looked at."""


def tally(*snapshots: StoredSnapshot, floor: int | None = None) -> Base[Tally]:
    """The base that the third fold begins from."""
    return candidates(head(floor=floor, more=snapshots), Tally).newest()


def test_G9_an_old_fold_is_upcast_step_by_step() -> None:
    """Through all folds between; the snapshot's bytes stay what they were."""
    old = snapshot(at(2), STATES[2], 2)
    assert tally(old) == Base(Tally({"tea": 2}, 1), at(2).event_time, 2)
    assert tally(old, floor=2).state == Tally({"tea": 2}, 1)


def test_G6_a_fold_from_which_no_steps_lead_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """One of the future, one before the first step, one whose step fails; where history is gone, that is said."""
    future = snapshot(at(2), STATES[2], 2)._replace(fold=4)
    ancient = snapshot(at(2), STATES[2], 2)._replace(fold=0)
    failing = sealed_snapshot(at(2), 1, snapshot_envelope("counter", 2, START, Tally({"tea": 2})))
    for unusable in future, ancient, failing:
        assert tally(unusable) == Base(Tally())
        with pytest.raises(HistoryGone, match=r"(expected fold 3|unreadable)"):
            tally(unusable, floor=1)
    assert "the upcaster <lambda> failed with KeyError: 'counts'; fix it" in caplog.text


def test_G6_another_fold_is_passed_over() -> None:
    """What another version of the code folded isn't this version's state."""
    other = StoredSnapshot(at(5).event_time, 2, snapshot(at(5), STATES[5]).payload)
    assert base(head(1, more=[other])) == folded(1)
    assert base(head(more=[other])) == Base(Counter())


def test_G8_a_broken_snapshot_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The next one is the base; the log names the place and the snapshot."""
    with caplog.at_level(logging.WARNING):
        assert base(Head(None, None, [broken(5), *head(3).snapshots], None)) == folded(3)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"Skipped the snapshot {at(5).event_time} of {PLACE}: the checksum" in caplog.text


def test_G6_history_gone_names_floor_and_snapshots_tried() -> None:
    """The place, the floor and its time, every snapshot there is and what is wrong with it, and what to do."""
    tried = [broken(5), StoredSnapshot(at(4).event_time, 2, b""), *head(1).snapshots]
    with pytest.raises(HistoryGone) as error:
        base(Head(at(0).event_time, at(3).event_time, tried, None))
    assert (error.value.customer_id, error.value.aggregate_id) == ("ann", "counter:1")
    assert str(error.value) == (
        f"Expected a usable snapshot of {PLACE} at or above its floor {at(3).event_time} (2026-01-05T09:03:00+00:00); "
        f"found {at(5).event_time} of fold 1 (unreadable), {at(4).event_time} of fold 2 (expected fold 1), "
        f"{at(1).event_time} of fold 1 (below the floor). Restore the archived events, or run the code that wrote the "
        "snapshot."
    )


def test_G6_history_gone_names_the_moment_asked_for() -> None:
    """A moment below the floor can't be shown, though the present can."""
    asked = re.escape(f"of {PLACE} up to 2026-01-05T09:01:00+00:00 at or above its floor")
    with pytest.raises(HistoryGone, match=f"{asked}.*found {at(3).event_time} of fold 1"):
        base(head(3, floor=2), up_to=1)
    with pytest.raises(HistoryGone, match="found no snapshot"):
        base(head(floor=2))
    assert base(head(3, floor=2)) == folded(3)


SECOND = timedelta(seconds=1)
OLDEST_NOW = at(3).time + timedelta(hours=26) - 2 * 30 * SECOND  # up_to <= now - W + 2S
SAFE = at(9).time + 2 * 30 * SECOND  # until + 2S


@pytest.mark.parametrize(("now", "expected"), [(OLDEST_NOW, folded(3)), (OLDEST_NOW - SECOND, folded(2))])
def test_G5_a_base_is_so_old_that_no_decision_is_made_behind_it(now: datetime, expected: Base[Counter]) -> None:
    """Built by a clock that ran far ahead, it would hide what is decided later."""
    assert base(head(2, 3), now=now) == expected


def test_G5_on_the_floor_the_newest_base_counts() -> None:
    """No decision is made behind a floor, and there is no other base."""
    assert base(head(2, 3, floor=3), now=at(3).time) == folded(3)


@pytest.mark.parametrize(
    ("since", "built_at", "expected"),
    [
        (3, START, folded(2)),  # it lacks a commit at its very end, perhaps
        (3.1, START, folded(3)),  # the late commit lies behind it
        (1, SAFE, Base(Counter())),  # built at the last moment at which a clock may be wrong
        (1, SAFE + SECOND, folded(3)),  # built after all of them were in every region
    ],
)
def test_G5_a_base_holds_the_commits_that_were_made_safe(
    since: float, built_at: datetime, expected: Base[Counter]
) -> None:
    """Or it lies before all of them: the reader decides, so that no delete has to win a race."""
    stored = [snapshot(at(each), STATES[each], each, built_at=built_at) for each in (3, 2)]
    late = LateCommits(at(since).event_time, at(9).time)
    assert base(Head(at(0).event_time, None, stored, late=late)) == expected


def test_G5_on_the_floor_late_commits_change_nothing() -> None:
    """Nobody makes a commit safe at or below a floor."""
    late = LateCommits(at(1).event_time, at(9).time)
    assert base(head(3, floor=3)._replace(late=late)) == folded(3)


def test_a_snapshot_keeps_state_fold_and_number() -> None:
    """The row of a hydration, up to a moment."""
    stored = snapshot_of("ann", "counter:1", STATES[2], 7, at(2).event_time, START, NO_CIPHER)
    assert (stored.up_to, stored.fold) == (at(2).event_time, 1)
    assert base(head(more=[stored])) == Base(STATES[2], at(2).event_time, 7)


def test_a_hydration_reads_as_a_sentence() -> None:
    """What it is and what it cost."""
    assert repr(Hydration(Counter(), None, 1200, 1200)).endswith("from an empty state and 1,200 commits")
    assert repr(Hydration(STATES[3], at(3).event_time, 3)).endswith("from a snapshot of 2026-01-05 09:03 and 0 commits")


# A snapshot proves itself


class Shelf(Aggregate):
    """A state with fields that a snapshot may not give back."""

    loose: Any = None
    sizes: dict[str, float] = {}
    fixed: set[int] = set()

    def apply(self, event: Counted) -> None: ...

    @cached_property
    def largest(self) -> float:
        """Kept beside the fields, and worked out again whenever it is missing."""
        return max(self.sizes.values(), default=0.0)


class SecretShelf(Shelf):
    """The same, encrypted."""

    encrypted = True


def saved(state: Aggregate) -> StoredSnapshot:
    return snapshot_of("ann", f"{type_name(type(state))}:1", state, 1, at().event_time, START, NO_CIPHER)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (Shelf((1, 2)), r"\.loose is \(1, 2\) now and \[1, 2\] when it is read"),
        (Shelf({"a": [1, {2}]}), r"\.loose\['a'\]\[1\] is \{2\} now and \[2\] when"),
        (Shelf(sizes=defaultdict(float, {"a": 1.0})), r"\.sizes is defaultdict\(.*\) now and \{'a': 1\.0\}"),
        (Shelf(fixed=frozenset({1})), r"\.fixed is frozenset\(\{1\}\) now and \{1\}"),  # type: ignore[arg-type]
        (Shelf(fixed={"one"}), r"the state can't be parsed: Expected `int`, got `str`"),  # type: ignore[arg-type]
        (Shelf(object()), "Expected fields that msgpack can hold in Shelf"),
        (SecretShelf(("a secret",)), r"would not: \.loose is another value\."),
    ],
)
def test_G5_a_state_that_its_readers_would_not_get_is_not_saved(state: Aggregate, why: str) -> None:
    """The error names the aggregate and the first field that differs, and the values unless they are secret."""
    with pytest.raises(InvalidInput, match=why) as error:
        saved(state)
    assert (error.value.customer_id, error.value.aggregate_id) == ("ann", f"{type_name(type(state))}:1")
    assert str(error.value).endswith("set only declared fields. No snapshot was saved.")


def test_G5_what_apply_sets_beside_the_fields_is_not_lost_in_silence() -> None:
    """A name without an annotation is no field, and a reader would not find it; what is only worked out may be lost."""
    state = Shelf(sizes={"a": 1.0})
    assert state.largest == 1.0
    assert saved(state)
    vars(state)["forgotten"] = 7
    with pytest.raises(InvalidInput, match=r"it lacks \.forgotten, which apply sets and which is no field"):
        saved(state)


class Seen(Shelf):
    """A wrong aggregate: apply changes what only lies in a cache, and the base class has it."""

    def apply(self, event: Counted) -> None:
        self.requests.add(event.what)

    @cached_property
    def requests(self) -> set[str]:
        """Those seen so far."""
        return set()


class SeenAgain(Seen):
    """The same by inheritance."""


@pytest.mark.parametrize("aggregate_type", [Seen, SeenAgain])
def test_G5_what_apply_changes_in_a_cached_property_is_not_lost_in_silence(aggregate_type: type[Seen]) -> None:
    """Readers would compute it anew, and find nothing of it."""
    state = aggregate_type()
    assert saved(state)
    state.apply(Counted("tea"))
    with pytest.raises(InvalidInput, match=r"\.requests anew .* another value: \{'tea'\} now, and set\(\) when"):
        saved(state)


def test_G5_a_cached_property_that_is_out_of_date_is_not_saved_either() -> None:
    """Fold and readers would not agree on it; a reader who begins from the snapshot gets the right one."""
    state = Shelf(sizes={"a": 1.0})
    assert state.largest == 1.0
    state.sizes["b"] = 2.0
    with pytest.raises(
        InvalidInput, match=r"\.largest anew from the fields, and get another value: 1\.0 now, and 2\.0"
    ):
        saved(state)


def test_the_values_of_an_encrypted_state_are_not_told() -> None:
    """Only the name of what differs is."""
    state = SecretShelf(sizes={"a": 1.0})
    assert state.largest == 1.0
    state.sizes["b"] = 2.0
    with pytest.raises(InvalidInput, match=r"\.largest anew from the fields, and get another value\. Declare"):
        saved(state)


@pytest.mark.parametrize("number", [float("nan"), 1, -0.0, float("inf")])
def test_a_number_that_is_read_as_an_equal_one_survives(number: float) -> None:
    """A whole number in a field of floats, and no number, which equals nothing in Python."""
    assert saved(Shelf(number, {"a": number}))


@dataclass
class Measured:
    """A part of a state, in a class that ignores what it doesn't know."""

    width: int = 0
    height: int = 0


class Box(Aggregate):
    """As it was saved."""

    size: Measured = Measured()
    sides: list[Measured] = []

    def apply(self, event: Counted) -> None: ...


@dataclass
class Renamed:
    """The same part in newer code, in which somebody renamed a field."""

    width: int = 0
    depth: int = 0


class NewerBox(Aggregate):
    """A state with a renamed part, without another fold."""

    stored_as = "box"
    size: Renamed = Renamed()
    sides: list[Renamed] = []

    def apply(self, event: Counted) -> None: ...


class RenamedBox(Aggregate):
    """A state with a renamed field, without another fold."""

    stored_as = "box"
    measure: Measured = Measured()
    sides: list[Measured] = []

    def apply(self, event: Counted) -> None: ...


@pytest.mark.parametrize(
    ("box", "newer", "why"),
    [
        (Box(), RenamedBox, "Object contains unknown field `size`"),
        (Box(), NewerBox, r"the state has \['size'\]\['height'\], which NewerBox would lose"),
        (Box(sides=[Measured(1, 2)]), NewerBox, r"the state has \['size'\]\['height'\], which NewerBox would lose"),
    ],
)
def test_G6_a_state_with_fields_that_the_code_does_not_know_is_passed_over(
    box: Box, newer: type[Aggregate], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It was loaded as an empty state, which a replay never gives; now replay answers, and the log says why."""
    stored = saved(box)
    for read in (Box, newer):
        validity = Validity(TimeBounds(), lambda: DAYS_LATER)
        found = Candidates("ann", "box:1", read, Head(None, None, [stored]), validity, NO_CIPHER).newest()
        assert found == (Base(box, stored.up_to, 1) if read is Box else Base(newer()))
    assert re.search(why, caplog.text)


@pytest.mark.parametrize(
    "numbers", [{"every": 0}, {"keep": 0}, {"every": -1}, {"after": timedelta()}, {"after": timedelta(-1)}]
)
def test_a_policy_below_one_is_refused(numbers: dict[str, Any]) -> None:
    """A snapshot after no commit or no time, or none kept, means nothing."""
    with pytest.raises(InvalidInput, match="a policy of 1 or more, and of an age above zero, got SnapshotPolicy"):
        SnapshotPolicy(**numbers)
