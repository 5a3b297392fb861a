"""Builds snapshots off the caller's path, and deletes those that newer ones replace."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from eslab.aggregate import Aggregate, SnapshotPolicy, aggregate_id
from eslab.errors import expect
from eslab.late_commits import raise_mark
from eslab.repository import Repository
from eslab.request import is_after, time_of
from eslab.settled import Settled, earliest_now, fold_settled
from eslab.store import Consistency, Head, StoredSnapshot


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
    settled = fold_settled(hydrator, id, as_of)
    snapshot = settled.snapshot() if _is_due(policy, settled) else None
    if snapshot:
        repository.store.save_snapshot(customer_id, id, snapshot, settled.built_at)
        tidy(repository, customer_id, id, snapshot.fold, policy.keep, settled.built_at)
    return snapshot


def _is_due(policy: SnapshotPolicy, settled: Settled) -> bool:
    hydration, up_to = settled.hydration, settled.up_to
    last = hydration.base or hydration.head.first
    return policy.is_due(hydration.tail, time_of(up_to) - time_of(last) if last else timedelta())


def tidy(repository: Repository, customer_id: str, aggregate_id: str, fold: int, keep: int, now: datetime) -> None:
    """Delete the snapshots of a fold but the newest ones, and those between the floor and the intended one.

    A snapshot there may be the base of last resort. `now` stamps the deletes: no clock that runs ahead may have told
    it, since whatever a rotation saves again must be stamped later. Gives up if it takes longer than an append may.
    """
    _delete(repository, customer_id, aggregate_id, now, lambda known: [it for it in known if it.fold == fold][keep:])


def discard(repository: Repository, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot) -> None:
    """Delete one snapshot, unless it may be the base of last resort."""
    now = earliest_now(repository.environment)
    _delete(repository, customer_id, aggregate_id, now, lambda known: [it for it in known if it == snapshot])


def disown(repository: Repository, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot) -> None:
    """Delete one snapshot that is not what its events add up to, and make readers pass over all that came of it.

    Others may have been folded from it, in a process that keeps them for itself too: what reaches so far counts only
    if it was built later. Spares what may be the base of last resort.
    """
    raise_mark(repository.environment, customer_id, [(aggregate_id, snapshot.up_to)])
    discard(repository, customer_id, aggregate_id, snapshot)


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
