"""Builds snapshots off the caller's path, and deletes those that newer ones replace."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from eslab.aggregate import Aggregate, SnapshotPolicy, aggregate_id
from eslab.clock import aware, time_on
from eslab.errors import InvalidInput, expect
from eslab.hydration import Environment, Hydration
from eslab.payload.encryption import NO_CIPHER
from eslab.repository import Repository
from eslab.request import is_after, latest_at, time_of
from eslab.snapshot import snapshot_of
from eslab.store import Consistency, Head, StoredSnapshot, place

log = logging.getLogger(__name__)


def build_snapshot(
    repository: Repository,
    customer_id: str,
    aggregate_type: type[Aggregate],
    key: str,
    policy: SnapshotPolicy | None = None,
    as_of: datetime | None = None,
) -> StoredSnapshot | None:
    """Save a snapshot if it is due by the policy, or by the aggregate type's own; None is for never.

    Only commits older than `fold_after` count (G5).

    With `as_of` it reaches to that moment, such as the end of a year; `InvalidInput` if that is not old enough yet.

    Reads EVERYWHERE, so that it contains the acknowledged commits of every region; while a region can't be reached,
    this raises `StoreUnavailable` and builds nothing. Nor is one built over a skipped row, nor one that is no newer
    than its own base. A clock that runs ahead of the store's is not believed.
    """
    id = aggregate_id((aggregate_type, key))
    expect((SnapshotPolicy, type(None)), "policy", policy)
    policy = aggregate_type.snapshot_policy if policy is None else policy
    hydrator = repository.hydrator(customer_id, {id: aggregate_type})
    if policy is None:
        return None
    now = _earliest_now(repository.environment)
    up_to = latest_at(_reach(now - repository.bounds.fold_after, as_of))
    hydration = hydrator.hydrate(up_to=up_to, consistency=Consistency.EVERYWHERE)[id]
    if not _is_due(policy, hydration, up_to):
        return None
    if hydration.state.skipped_rows:  # whoever begins from it would no longer meet the mark
        log.warning("No snapshot of %s: it lacks a skipped row", place(customer_id, id))
        return None
    cipher = hydrator.cipher if aggregate_type.encrypted else NO_CIPHER
    snapshot = snapshot_of(customer_id, id, hydration.state, hydration.commits, up_to, now, cipher)
    repository.store.save_snapshot(customer_id, id, snapshot, now)
    tidy(repository, customer_id, id, snapshot.fold, policy.keep, now)
    return snapshot


def _reach(newest: datetime, as_of: datetime | None) -> datetime:
    """The moment that a snapshot reaches to: the one asked for, unless a first decision may still be made behind it."""
    if as_of is None:
        return newest
    if aware(as_of, "as_of") > newest:
        raise InvalidInput(
            f"Expected a moment up to {newest.isoformat()} as as_of, got {as_of.isoformat()}: requests from before it "
            "may still be decided. Build that snapshot later."
        )
    return as_of


def _is_due(policy: SnapshotPolicy, hydration: Hydration[Any], up_to: UUID) -> bool:
    if hydration.base and not is_after(up_to, hydration.base):
        return False
    last = hydration.base or hydration.head.first
    return policy.is_due(hydration.tail, time_of(up_to) - time_of(last) if last else timedelta())


def tidy(repository: Repository, customer_id: str, aggregate_id: str, fold: int, keep: int, now: datetime) -> None:
    """Delete the snapshots of a fold but the newest ones, and those between the floor and the intended one.

    A snapshot there may be the base of last resort. `now` stamps the deletes: no clock that runs ahead may have told
    it, since whatever a rotation saves again must be stamped later. Gives up if it takes longer than an append may.
    """
    _delete(repository, customer_id, aggregate_id, now, lambda known: [it for it in known if it.fold == fold][keep:])


def discard(repository: Repository, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot) -> None:
    """Delete one snapshot that is not what its events add up to, unless it may be the base of last resort."""
    now = _earliest_now(repository.environment)
    _delete(repository, customer_id, aggregate_id, now, lambda known: [it for it in known if it == snapshot])


def _delete(
    repository: Repository,
    customer_id: str,
    aggregate_id: str,
    now: datetime,
    chosen: Callable[[Sequence[StoredSnapshot]], Sequence[StoredSnapshot]],
) -> None:
    """Delete the chosen ones of the snapshots that there are, as `tidy` says."""
    store = repository.store
    took = repository.environment.timer()
    head = store.heads(customer_id, [aggregate_id], consistency=Consistency.EVERYWHERE)[aggregate_id]
    for up_to, fold, _ in chosen(head.snapshots):
        if took() > repository.bounds.append:
            return
        if not _is_at_floors(up_to, head):
            store.delete_snapshot(customer_id, aggregate_id, up_to, fold, now)


def _is_at_floors(up_to: UUID, head: Head) -> bool:
    """Does it lie between the floor and the intended one, these included?"""
    if head.highest_floor is None:
        return False
    from_floor = head.floor is None or not is_after(head.floor, up_to)
    return from_floor and not is_after(up_to, head.highest_floor)


def _earliest_now(environment: Environment) -> datetime:
    """The time on the earlier of two clocks, the process's and the store's: a snapshot may only be too old."""
    now = time_on(environment.clock)
    return min(now, environment.store.time() or now)
