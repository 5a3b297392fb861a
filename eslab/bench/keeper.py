"""A keeper: whoever builds the snapshots of a stream at an interval, as `eslab snapshots build` does if it runs often.

A snapshot is due when an interval of commits has settled, and the newest three are kept. So the keeper need not have
been there from the beginning: it builds the newest three and those that a measure needs, by the real builder, at the
moments at which it would have built them. Those before would have been deleted.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from time import perf_counter, time_ns
from uuid import UUID

from eslab import EventStore, ManualClock, Repository
from eslab.aggregate import SnapshotPolicy
from eslab.bench.sample import CUSTOMER
from eslab.bench.stream import END, Stream
from eslab.clock import MILLISECOND
from eslab.errors import EslabError
from eslab.operations.snapshots import build_snapshot
from eslab.store import StoredSnapshot

KEPT = 3  # as by default
SLACK = timedelta(seconds=30)  # within which a keeper builds a snapshot that is due
_moments = count(time_ns() // 1_000_000)


class Keeper:
    """Builds the snapshots of one stream at one interval; `discard` deletes them all."""

    def __init__(self, store: EventStore, stream: Stream, interval: int) -> None:
        self._stream = stream
        self._interval = interval
        self._clock = ManualClock(stream.time(0))
        self._repository = Repository(store, self._clock)
        self._policy = SnapshotPolicy(every=interval, keep=KEPT)
        self._built = 0  # intervals in the newest snapshot
        self.newest: UUID | None = None  # the event time that it reaches
        # Each keeper builds a moment of its own after the event, so that no snapshot has the key of a deleted one: on
        # Cassandra the delete would hide it.
        moments = min(SLACK, stream.gap) // MILLISECOND - 1
        self._after = (1 + next(_moments) % moments) * MILLISECOND

    @property
    def fold_after(self) -> timedelta:
        """The age at which commits have settled, as all processes on the store have it."""
        return self._repository.bounds.fold_after

    def build(self, now: datetime, builds: int = KEPT) -> list[float]:
        """Build the newest snapshots that are due up to `now`; returns the seconds of those that fold one interval."""
        due = self._stream.before(now - self.fold_after) // self._interval
        seconds = []
        for number in range(max(self._built, due - builds) + 1, due + 1):
            took = self._build(number * self._interval)
            seconds += [took] if number == self._built + 1 else []
            self._built = number
        return seconds

    def _build(self, events: int) -> float:
        """Build the snapshot of the first so many events."""
        self._clock.now = self._stream.time(events - 1) + self._after + self.fold_after
        began = perf_counter()
        built = build_snapshot(
            self._repository, CUSTOMER, self._stream.sample.aggregate_type, self._stream.key, self._policy
        )
        seconds = perf_counter() - began
        if built is None:
            raise EslabError(
                f"Expected a snapshot of the first {events:,} events of {self._stream.id!r} to be built, found it not "
                "due. Delete the snapshots of customer 'bench', or name another store."
            )
        self.newest = built.up_to
        return seconds

    def disturbed(self) -> EslabError | None:
        """The error that says so, if the newest snapshot is not the one that was built here."""
        snapshots = self._snapshots()
        if (snapshots[0].up_to if snapshots else None) == self.newest:
            return None
        return EslabError(
            f"Expected nobody else to build or delete snapshots of {self._stream.id!r} while they are measured, found "
            "that somebody did. Give each benchmark a store of its own."
        )

    def _snapshots(self) -> Sequence[StoredSnapshot]:
        return self._repository.store.heads(CUSTOMER, [self._stream.id])[self._stream.id].snapshots

    def discard(self) -> None:
        """Delete all snapshots of the stream, stamped later than any of them; an interrupted run may have left some."""
        stamp = END + self.fold_after + SLACK
        for up_to, fold, _ in self._snapshots():
            self._repository.store.delete_snapshot(CUSTOMER, self._stream.id, up_to, fold, stamp)
