"""A snapshot is a cache of the state that events add up to; while its events exist, deleting it only costs time (G6).

A base is usable if this version of the code folded it, or `fold_upcasters` lead from its fold to this one; if it does
not lie after the moment asked for, nor below the floor; and if its bytes are intact. A broken one is skipped with a
warning. The fold is part of a snapshot's key, so old and new code never overwrite each other's snapshots.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from eslab.aggregate import Aggregate, type_name
from eslab.errors import HistoryGone, InvalidInput, Unreadable, expect
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import RowCipher, place_of_snapshot
from eslab.payload.serializer import (
    SnapshotEnvelope,
    decode_any,
    decode_state,
    encode_envelope,
    snapshot_envelope,
)
from eslab.payload.upcast import FoldStep
from eslab.request import sort_key, time_of
from eslab.store import Head, StoredSnapshot, place

State = TypeVar("State", bound=Aggregate)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SnapshotPolicy:
    """When to build a snapshot: after `every` commits; the newest `keep` of a fold are kept."""

    every: int = 1000
    keep: int = 2

    def __post_init__(self) -> None:
        expect(int, "every", self.every)
        expect(int, "keep", self.keep)
        if self.every < 1 or self.keep < 1:
            raise InvalidInput(f"Expected a policy of 1 or more, got {self}.")


class Base(NamedTuple, Generic[State]):
    """The state that a hydration begins from."""

    state: State
    up_to: UUID | None = None  # the last event time in it; None for the empty state
    commits: int = 0  # the number of commits that it adds up


def snapshot_of(
    customer_id: str,
    aggregate_id: str,
    state: Aggregate,
    commits: int,
    up_to: UUID,
    built_at: datetime,
    cipher: RowCipher,
) -> StoredSnapshot:
    """The row that keeps a state up to and including `up_to`."""
    fold = state.fold_version
    envelope = snapshot_envelope(type_name(type(state)), commits, built_at, state)
    encrypted = cipher.encrypt(place_of_snapshot(aggregate_id, up_to, fold), envelope)
    checksum = Checksum.of_snapshot(customer_id, aggregate_id, up_to, fold)
    return StoredSnapshot(up_to, fold, encode_envelope(encrypted, checksum))


def newest_base(
    customer_id: str,
    aggregate_id: str,
    aggregate_type: type[State],
    head: Head,
    up_to: UUID | None,
    cipher: RowCipher,
) -> Base[State]:
    """The newest usable snapshot, decoded; the empty state if there is none and history is complete.

    Raises `HistoryGone` with the floor and the snapshots tried if history below the floor would be needed.
    """
    broken: list[UUID] = []
    for snapshot in usable(aggregate_type, head, up_to):
        try:
            return decode_base(customer_id, aggregate_id, aggregate_type, snapshot, cipher)
        except Unreadable as error:
            broken.append(snapshot.up_to)
            log.warning("Skipped the snapshot %s of %s: %s", snapshot.up_to, place(customer_id, aggregate_id), error)
    if head.floor is not None:
        raise _history_gone(customer_id, aggregate_id, aggregate_type, head, up_to, broken)
    return Base(aggregate_type())


def decode_base(
    customer_id: str, aggregate_id: str, aggregate_type: type[State], snapshot: StoredSnapshot, cipher: RowCipher
) -> Base[State]:
    """The state in a snapshot, decrypted, and upcast if an older fold saved it; raises `Unreadable`."""
    stored = parse_snapshot(customer_id, aggregate_id, snapshot)
    envelope = cipher.decrypt(place_of_snapshot(aggregate_id, snapshot.up_to, snapshot.fold), stored)
    steps = _steps(aggregate_type, snapshot.fold) or ()
    state = decode_state(envelope, type_name(aggregate_type), aggregate_type, steps)
    return Base(state, snapshot.up_to, envelope.commits)


def parse_snapshot(customer_id: str, aggregate_id: str, snapshot: StoredSnapshot) -> SnapshotEnvelope:
    """The envelope of a snapshot, which may be encrypted; raises `Unreadable` if it can't be trusted here."""
    checksum = Checksum.of_snapshot(customer_id, aggregate_id, snapshot.up_to, snapshot.fold)
    return decode_any(snapshot.payload, SnapshotEnvelope, checksum)


def usable(aggregate_type: type[Aggregate], head: Head, up_to: UUID | None = None) -> Iterator[StoredSnapshot]:
    """The snapshots that a hydration up to a moment may begin from, if their bytes are intact; newest first."""
    for snapshot in head.snapshots:
        too_new = up_to is not None and sort_key(snapshot.up_to) > sort_key(up_to)
        too_old = head.floor is not None and sort_key(snapshot.up_to) < sort_key(head.floor)
        if _steps(aggregate_type, snapshot.fold) is not None and not too_new and not too_old:
            yield snapshot


def _steps(aggregate_type: type[Aggregate], fold: int) -> list[FoldStep] | None:
    """The upcasters that lead from a fold to this one: none for this fold itself, None if a step is missing."""
    folds = range(fold, aggregate_type.fold_version)
    if fold > aggregate_type.fold_version or any(fold not in aggregate_type.fold_upcasters for fold in folds):
        return None
    return [aggregate_type.fold_upcasters[fold] for fold in folds]


def _history_gone(
    customer_id: str,
    aggregate_id: str,
    aggregate_type: type[Aggregate],
    head: Head,
    up_to: UUID | None,
    broken: Sequence[UUID],
) -> HistoryGone:
    assert head.floor is not None
    seen = ", ".join(
        f"{s.up_to} of fold {s.fold}{' (unreadable)' if s.up_to in broken else ''}" for s in head.snapshots
    )
    asked = f" up to {time_of(up_to).isoformat()}" if up_to else ""
    return HistoryGone(
        f"Expected a snapshot of {place(customer_id, aggregate_id)}{asked} at or above its floor {head.floor} "
        f"({time_of(head.floor).isoformat()}), folded by version {aggregate_type.fold_version}; found "
        f"{seen or 'no snapshot'}. Restore the archived events, or run the code that wrote the snapshot.",
        customer_id=customer_id,
        aggregate_id=aggregate_id,
        event_time=head.floor,
    )
