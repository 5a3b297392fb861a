"""Builds snapshots off the caller's path."""

import logging

from eslab.aggregate import Aggregate, aggregate_id
from eslab.clock import time_on
from eslab.errors import expect
from eslab.payload.encryption import NO_CIPHER
from eslab.repository import Repository
from eslab.request import latest_at
from eslab.snapshot import SnapshotPolicy, snapshot_of
from eslab.store import Consistency, StoredSnapshot, place

log = logging.getLogger(__name__)


def build_snapshot(
    repository: Repository,
    customer_id: str,
    aggregate_type: type[Aggregate],
    key: str,
    policy: SnapshotPolicy | None = None,
) -> StoredSnapshot | None:
    """Save a snapshot if enough commits wait to be folded; only those older than `fold_after` count (G5).

    Reads EVERYWHERE, so that it contains the acknowledged commits of every region; while a region can't be reached,
    this raises `StoreUnavailable` and builds nothing. Nor is one built over a skipped row.
    """
    policy = SnapshotPolicy() if policy is None else policy
    expect(SnapshotPolicy, "policy", policy)
    id = aggregate_id((aggregate_type, key))
    hydrator = repository.hydrator(customer_id, {id: aggregate_type})
    now = time_on(repository.clock)
    up_to = latest_at(now - repository.bounds.fold_after)
    heads = hydrator.heads(consistency=Consistency.EVERYWHERE)
    hydration = hydrator.hydrate(heads, up_to, Consistency.EVERYWHERE)[id]
    if hydration.tail < policy.every:
        return None
    if hydration.state.skipped_rows:  # whoever begins from it would no longer meet the mark
        log.warning("No snapshot of %s: it lacks a skipped row", place(customer_id, id))
        return None
    cipher = hydrator.cipher if aggregate_type.encrypted else NO_CIPHER
    snapshot = snapshot_of(customer_id, id, hydration.state, hydration.commits, up_to, now, cipher)
    repository.store.save_snapshot(customer_id, id, snapshot)
    kept = (up_to, heads[id].floor)  # the snapshot on the floor is the base of last resort
    older = [s for s in heads[id].snapshots if s.fold == snapshot.fold and s.up_to not in kept]
    for old in older[policy.keep - 1 :]:
        repository.store.delete_snapshot(customer_id, id, old.up_to, old.fold)
    return snapshot
