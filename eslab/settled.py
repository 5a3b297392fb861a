"""Folds what has settled: the commits of an aggregate behind which no first decision is made any more (G5).

Every snapshot is made here, those in the store (operations/snapshots.py) and those that a process keeps for itself
(hydration_cache.py), so both are true by the same rules.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from eslab.clock import aware, time_on
from eslab.errors import InvalidInput
from eslab.hydration import NONE_KEPT, Environment, Hydration, Hydrator, Kept
from eslab.payload.encryption import NO_CIPHER
from eslab.request import latest_at
from eslab.snapshot import snapshot_of
from eslab.store import Consistency, StoredSnapshot, place

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settled:
    """The settled commits of an aggregate, folded."""

    hydrator: Hydrator
    aggregate_id: str
    hydration: Hydration[Any]
    up_to: UUID  # the event time that it reaches to
    built_at: datetime  # told before the read began

    def snapshot(self) -> StoredSnapshot | None:
        """The snapshot of it; None if it adds nothing to its base, or lacks a skipped row.

        Raises `InvalidInput` for a state that its readers would not get as it is.
        """
        customer, id, state = self.hydrator.customer_id, self.aggregate_id, self.hydration.state
        if not self.hydration.tail:
            return None
        if state.skipped_rows:  # whoever begins from it would no longer meet the mark
            log.warning("No snapshot of %s: it lacks a skipped row", place(customer, id))
            return None
        cipher = self.hydrator.cipher if state.encrypted else NO_CIPHER
        return snapshot_of(customer, id, state, self.hydration.commits, self.up_to, self.built_at, cipher)


def fold_settled(
    hydrator: Hydrator, aggregate_id: str, as_of: datetime | None = None, kept: Kept = NONE_KEPT
) -> Settled:
    """Fold the commits of one aggregate that are older than `fold_after`, or those up to `as_of`.

    Reads EVERYWHERE, so that it holds the acknowledged commits of every region; raises `StoreUnavailable` while one
    can't be reached. A clock that runs ahead of the store's is not believed. Raises `InvalidInput` if `as_of` is not
    old enough yet. One wait for the store's clock, and those of a hydration.
    """
    now = earliest_now(hydrator.environment)
    up_to = latest_at(_reach(now - hydrator.environment.bounds.fold_after, as_of))
    hydrations = hydrator.hydrate(up_to=up_to, consistency=Consistency.EVERYWHERE, kept=kept)
    return Settled(hydrator, aggregate_id, hydrations[aggregate_id], up_to, now)


def earliest_now(environment: Environment) -> datetime:
    """The time on the earlier of two clocks, the process's and the store's: a snapshot may only be too old."""
    now = time_on(environment.clock)
    return min(now, environment.store.time() or now)


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
