"""A snapshot is a cache of the state that events add up to; while its events exist, deleting it only costs time (G6).

Each reader decides which snapshots it may begin from, so that none has to be deleted in time (G5):

    - this version of the code folded it, or `fold_upcasters` lead from its fold to this one;
    - it lies neither below the floor nor after the moment asked for;
    - it lies on the floor, behind which no decision is made; or else
    - it is old enough that no first decision is made behind it any more: up_to <= now - W + 2S; and it lies before all
      late commits, or was built when these were in every region;
    - its bytes are intact; a broken one is skipped with a warning.

The fold is part of a snapshot's key, so old and new code never overwrite each other's snapshots.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from reprlib import repr as short
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from eslab.aggregate import Aggregate, type_name
from eslab.bounds import TimeBounds
from eslab.clock import Clock, from_ms, time_on
from eslab.errors import HistoryGone, InvalidInput, Unreadable
from eslab.payload.checksum import Checksum
from eslab.payload.comparison import differences
from eslab.payload.encryption import RowCipher, place_of_snapshot
from eslab.payload.serializer import (
    SnapshotEnvelope,
    decode_any,
    decode_state,
    encode_envelope,
    snapshot_envelope,
)
from eslab.payload.upcast import FoldStep
from eslab.request import is_after, time_of
from eslab.store import Head, StoredSnapshot, place

State = TypeVar("State", bound=Aggregate)
log = logging.getLogger(__name__)


class Base(NamedTuple, Generic[State]):
    """The state that a hydration begins from."""

    state: State
    up_to: UUID | None = None  # the last event time in it; None for the empty state
    commits: int = 0  # the number of commits that it adds up


@dataclass(frozen=True)
class Validity:
    """Decides which snapshots a reader may begin from, as of `up_to` if it is given."""

    bounds: TimeBounds
    clock: Clock
    up_to: UUID | None = None

    def why_not(self, head: Head, up_to: UUID) -> str:
        """Why a snapshot up to this event time is too old or too new; empty if it is neither."""
        if head.floor is not None and is_after(head.floor, up_to):
            return "below the floor"
        if self.up_to is not None and is_after(up_to, self.up_to):
            return "after the moment asked for"
        # On the floor it is used in any case: no decision is made behind a floor.
        if up_to != head.floor and time_of(up_to) > self.bounds.newest_snapshot(time_on(self.clock)):
            return "so new that a first decision may still be made behind it"
        return ""

    def holds_late(self, head: Head, up_to: UUID, built_at: datetime) -> bool:
        """Does it hold all late commits up to its event time? On the floor there is no other choice."""
        if head.late is None or up_to == head.floor or is_after(head.late.since, up_to):
            return True
        return self.bounds.holds_late(built_at, head.late.until)


def snapshot_of(
    customer_id: str, aggregate_id: str, state: Aggregate, commits: int, up_to: UUID, built_at: datetime,
    cipher: RowCipher,
) -> StoredSnapshot:  # fmt: skip
    """The row that keeps a state up to and including `up_to`, as it was read after `built_at`.

    It is read back as readers do, and proves itself: raises `InvalidInput` for a state that they would not get as it
    is, with the field in which it differs.
    """
    fold = state.fold_version
    try:
        envelope = snapshot_envelope(type_name(type(state)), commits, built_at, state)
        encrypted = cipher.encrypt(place_of_snapshot(aggregate_id, up_to, fold), envelope)
        checksum = Checksum.of_snapshot(customer_id, aggregate_id, up_to, fold)
        snapshot = StoredSnapshot(up_to, fold, encode_envelope(encrypted, checksum))
        parsed = parse_snapshot(customer_id, aggregate_id, snapshot)
        read = state_in(aggregate_id, snapshot, parsed, type(state), cipher)
    except (InvalidInput, Unreadable) as error:
        raise _does_not_survive(customer_id, aggregate_id, state, str(error)) from error
    if lost := _lost(state, read):
        raise _does_not_survive(customer_id, aggregate_id, state, lost)
    return snapshot


def parse_snapshot(customer_id: str, aggregate_id: str, snapshot: StoredSnapshot) -> SnapshotEnvelope:
    """The envelope of a snapshot, which may be encrypted; raises `Unreadable` if it can't be trusted here."""
    checksum = Checksum.of_snapshot(customer_id, aggregate_id, snapshot.up_to, snapshot.fold)
    return decode_any(snapshot.payload, SnapshotEnvelope, checksum)


def state_in(
    aggregate_id: str, snapshot: StoredSnapshot, envelope: SnapshotEnvelope, aggregate_type: type[State],
    cipher: RowCipher, steps: Iterable[FoldStep] = (),
) -> State:  # fmt: skip
    """The state in a parsed snapshot, upcast by `steps`; raises `Unreadable` if this code can't read it."""
    plain = cipher.decrypt(place_of_snapshot(aggregate_id, snapshot.up_to, snapshot.fold), envelope)
    return decode_state(plain, type_name(aggregate_type), aggregate_type, steps)


class Usable(NamedTuple, Generic[State]):
    """A snapshot that a hydration may begin from: the row, and the state in it."""

    snapshot: StoredSnapshot
    base: Base[State]


@dataclass
class Candidates(Generic[State]):
    """The snapshots in the head of an aggregate; iterating gives the usable ones, newest first."""

    customer_id: str
    aggregate_id: str
    aggregate_type: type[State]
    head: Head
    validity: Validity
    cipher: RowCipher
    warned: set[tuple[UUID, int]] = field(default_factory=set)  # of broken ones, by up_to and fold; shared by passes
    refused: list[str] = field(default_factory=list)  # those that came before, each with the reason

    def __iter__(self) -> Iterator[Usable[State]]:
        """Give the usable ones, newest first; a broken one is skipped with a warning."""
        for snapshot in self.head.snapshots:
            try:
                found = self.opened(snapshot)
            except Unreadable as error:
                found = "unreadable"
                self._warn(snapshot, error)
            if isinstance(found, Usable):
                yield found
            else:
                self.refused.append(f"{snapshot.up_to} of fold {snapshot.fold} ({found})")

    def _warn(self, snapshot: StoredSnapshot, error: Unreadable) -> None:
        if snapshot[:2] not in self.warned:
            self.warned.add(snapshot[:2])
            where = place(self.customer_id, self.aggregate_id)
            log.warning("Skipped the snapshot %s of %s: %s", snapshot.up_to, where, error)

    def newest(self) -> Base[State]:
        """The newest usable snapshot, decoded; the empty state if there is none and history is complete.

        Raises `HistoryGone` with the floor and the snapshots tried if history below the floor would be needed.
        """
        return self.usable() or self.beginning()

    def usable(self) -> Base[State] | None:
        """The newest usable snapshot, decoded; None if there is none."""
        return next((base for _, base in self), None)

    def beginning(self) -> Base[State]:
        """The empty state; raises `HistoryGone` if history below a floor would be needed, with the snapshots tried."""
        if self.head.floor is not None:
            raise self._history_gone(self.head.floor)
        return Base(self.aggregate_type())

    def opened(self, snapshot: StoredSnapshot) -> Usable[State] | str:
        """The state in a snapshot, or the reason why a hydration may not begin from it; raises `Unreadable`."""
        up_to, fold, _ = snapshot
        steps = _steps(self.aggregate_type, fold)
        if steps is None:
            return f"expected fold {self.aggregate_type.fold_version}"
        if reason := self.validity.why_not(self.head, up_to):
            return reason
        envelope = parse_snapshot(self.customer_id, self.aggregate_id, snapshot)
        if not self.validity.holds_late(self.head, up_to, from_ms(envelope.built_at)):
            return "built before all late commits were in every region"
        state = state_in(self.aggregate_id, snapshot, envelope, self.aggregate_type, self.cipher, steps)
        return Usable(snapshot, Base(state, up_to, envelope.commits))

    def _history_gone(self, floor: UUID) -> HistoryGone:
        up_to = self.validity.up_to
        asked = f" up to {time_of(up_to).isoformat()}" if up_to else ""
        return HistoryGone(
            f"Expected a usable snapshot of {place(self.customer_id, self.aggregate_id)}{asked} at or above its floor "
            f"{floor} ({time_of(floor).isoformat()}); found {', '.join(self.refused) or 'no snapshot'}. Restore the "
            "archived events, or run the code that wrote the snapshot.",
            customer_id=self.customer_id,
            aggregate_id=self.aggregate_id,
            event_time=floor,
        )


def _lost(state: Aggregate, read: Aggregate) -> str:
    """The first part of a state that its readers don't get as it is, in words; empty if there is none."""
    for name in vars(state):
        if lost := _lost_beside(name, state, read):
            return lost
    found = next(differences(state, read), None)
    if found is None:
        return ""
    return f"{found.field} is another value" if state.encrypted else found.told("now", "when it is read")


def _lost_beside(name: str, state: Aggregate, read: Aggregate) -> str:
    """What readers don't get of an attribute that is no field; empty for what they compute anew, and get the same."""
    if name == "skipped_rows":
        return ""
    if not isinstance(getattr(type(state), name, None), cached_property):
        return f"it lacks .{name}, which apply sets and which is no field"
    kept, anew = getattr(state, name), getattr(read, name)
    # Objects that are equal only to themselves can't be compared.
    if type(kept).__eq__ is object.__eq__ or not any(differences(kept, anew)):
        return ""
    values = "" if state.encrypted else f": {short(kept)} now, and {short(anew)} when it is read"
    return f"readers compute .{name} anew from the fields, and get another value{values}"


def _does_not_survive(customer_id: str, aggregate_id: str, state: Aggregate, why: str) -> InvalidInput:
    return InvalidInput(
        f"Expected a state of {place(customer_id, aggregate_id)} that a snapshot gives back as it is, found that it "
        f"would not: {why}. Declare the types of the fields in {type(state).__name__} as apply sets them, such as "
        "tuple[int, ...] instead of Any, and make apply set only declared fields. No snapshot was saved.",
        customer_id=customer_id,
        aggregate_id=aggregate_id,
    )


def _steps(aggregate_type: type[Aggregate], fold: int) -> list[FoldStep] | None:
    """The upcasters that lead from a fold to this one: none for this fold itself, None if a step is missing."""
    folds = range(fold, aggregate_type.fold_version)
    if fold > aggregate_type.fold_version or any(fold not in aggregate_type.fold_upcasters for fold in folds):
        return None
    return [aggregate_type.fold_upcasters[fold] for fold in folds]
