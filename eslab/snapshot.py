"""A snapshot is a cache of what events add up to; while its events exist, deleting it only costs time (G6).

A base is usable when this version of the code folded it, or `fold_upcasters` lead from its fold to this one; when it
does not lie behind the moment asked for, nor below the floor; and when its bytes are whole. A broken one is passed
over with a warning. The fold is part of a snapshot's key, so old and new code never overwrite each other's.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from eslab.aggregate import Aggregate, type_name
from eslab.errors import HistoryGone, InvalidInput, Unreadable
from eslab.payload.serializer import decode_snapshot, encode_snapshot
from eslab.payload.upcast import FoldStep
from eslab.request import sort_key, time_of
from eslab.store import Head, StoredSnapshot

State = TypeVar("State", bound=Aggregate)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SnapshotPolicy:
    """When a snapshot is worth its place: after `every` commits; the newest `keep` of a fold stay."""

    every: int = 1000
    keep: int = 2

    def __post_init__(self) -> None:
        if self.every < 1 or self.keep < 1:
            raise InvalidInput(f"Expected a policy of 1 or more, got {self}.")


@dataclass
class Hydration(Generic[State]):
    """A state, and what it cost: the base it began from and how many commits were folded on top of it."""

    state: State
    base: UUID | None = None  # up to where the snapshot reached; None for a full replay
    commits: int = 0  # how many commits the state adds up, those in the base included
    tail: int = 0  # how many of them were read and folded now

    def __repr__(self) -> str:
        base = f"a snapshot of {time_of(self.base):%Y-%m-%d %H:%M}" if self.base else "an empty state"
        return f"{self.state!r} from {base} and {self.tail:,} commits"


def snapshot_of(hydration: Hydration, up_to: UUID) -> StoredSnapshot:
    """The row that keeps a hydration up to and including `up_to`."""
    state = hydration.state
    payload = encode_snapshot(type_name(type(state)), hydration.commits, state)
    return StoredSnapshot(up_to, state.fold_version, payload)


def newest_base(
    aggregate_type: type[State],
    head: Head,
    up_to: UUID | None,
    place: str,
    unlock: Callable[[StoredSnapshot], StoredSnapshot] | None = None,
) -> Hydration[State]:
    """The newest usable snapshot, opened; an empty state if there is none and history is whole.

    `unlock` decrypts a snapshot whose type is encrypted. Raises `HistoryGone` with the floor and the snapshots tried
    where history below the floor would be needed.
    """
    tried = []
    for snapshot in usable(aggregate_type, head, up_to):
        try:
            state, commits = decode_base(aggregate_type, unlock(snapshot) if unlock else snapshot)
            return Hydration(state, snapshot.up_to, commits)
        except Unreadable as error:
            tried.append(snapshot.up_to)
            log.warning("Passed over the snapshot %s of %s: %s", snapshot.up_to, place, error)
    if head.floor is not None:
        raise HistoryGone(_gone(aggregate_type, head, up_to, place, tried))
    return Hydration(aggregate_type())


def decode_base(aggregate_type: type[State], snapshot: StoredSnapshot) -> tuple[State, int]:
    """The state of a snapshot, upcast if an older fold saved it, and how many commits it adds up."""
    steps = _steps(aggregate_type, snapshot.fold) or ()
    return decode_snapshot(snapshot.payload, type_name(aggregate_type), aggregate_type, steps)


def usable(aggregate_type: type[Aggregate], head: Head, up_to: UUID | None = None) -> Iterator[StoredSnapshot]:
    """The snapshots that a hydration up to a moment may begin from, if their bytes are whole; newest first."""
    for snapshot in head.snapshots:
        too_new = up_to is not None and sort_key(snapshot.up_to) > sort_key(up_to)
        too_old = head.floor is not None and sort_key(snapshot.up_to) < sort_key(head.floor)
        if _steps(aggregate_type, snapshot.fold) is not None and not too_new and not too_old:
            yield snapshot


def _steps(aggregate_type: type[Aggregate], fold: int) -> list[FoldStep] | None:
    """What leads from a fold to this one; nothing for this one itself, None where a step is missing."""
    folds = range(fold, aggregate_type.fold_version)
    if fold > aggregate_type.fold_version or any(fold not in aggregate_type.fold_upcasters for fold in folds):
        return None
    return [aggregate_type.fold_upcasters[fold] for fold in folds]


def _gone(aggregate_type: type[Aggregate], head: Head, up_to: UUID | None, place: str, broken: list[UUID]) -> str:
    assert head.floor is not None
    seen = ", ".join(
        f"{s.up_to} of fold {s.fold}{' (unreadable)' if s.up_to in broken else ''}" for s in head.snapshots
    )
    asked = f" up to {time_of(up_to).isoformat()}" if up_to else ""
    return (
        f"Expected a snapshot of {place}{asked} at or above its floor {head.floor} "
        f"({time_of(head.floor).isoformat()}), folded by version {aggregate_type.fold_version}; found "
        f"{seen or 'no snapshot'}. Restore the archived events, or run the code whose snapshot stands."
    )
