"""Rotation: events that a snapshot holds are archived and deleted, and the floor says where history begins (G6).

The order of the steps is what keeps a state whole while others read, append and build snapshots (docs/architecture.md):
a floor is announced before it is raised, and events are kept until nobody can read by an older floor any more.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import chain
from time import sleep
from uuid import UUID

from eslab.aggregate import Aggregate, aggregate_id
from eslab.clock import time_on
from eslab.errors import HistoryGone
from eslab.payload.encryption import NO_CIPHER
from eslab.repository import Repository
from eslab.request import is_after, time_of
from eslab.snapshot import Candidates, Usable, Validity
from eslab.store import Commit, Consistency, Head, place

Archive = Callable[[Sequence[Commit]], object]
MOMENT = timedelta(milliseconds=1)


def rotate(
    repository: Repository,
    customer_id: str,
    aggregate_type: type[Aggregate],
    key: str,
    archive: Archive,
    wait: Callable[[float], object] = sleep,
) -> int:
    """Archive and delete the events up to the newest usable snapshot; returns how many commits were deleted.

    `archive` is given all of them, in order, before any is deleted, and must have kept them when it returns. `wait` is
    given the seconds until no hydration can still read by an older floor: the bounds' `grace` and two skews. A run that
    was interrupted is repeated from the beginning. Everything is read and written EVERYWHERE, and the events are read
    at ALL; raises `StoreUnavailable` while a replica can't be reached, and `HistoryGone` if the snapshot on the floor
    is gone: then nothing is deleted.
    """
    rotation = Rotation(repository, customer_id, aggregate_type, aggregate_id((aggregate_type, key)))
    base = rotation.base()
    if base is None or not rotation.announce(base):
        return 0
    rotation.raise_floor(base)
    wait(wait_for_readers(repository))
    commits = rotation.covered(base.snapshot.up_to)
    if commits:
        archive(commits)
        rotation.delete(commits)
    return len(commits)


def wait_for_readers(repository: Repository) -> float:
    """The seconds after which no hydration can still read by an older floor."""
    return (repository.bounds.grace + 2 * repository.bounds.skew + MOMENT).total_seconds()


class Rotation:
    """The steps of a rotation of one aggregate, in their order; it goes no further than `up_to`, if that is given."""

    def __init__(
        self,
        repository: Repository,
        customer_id: str,
        aggregate_type: type[Aggregate],
        aggregate_id: str,
        up_to: UUID | None = None,
    ) -> None:
        self.store = repository.store
        self.repository = repository
        self.customer_id = customer_id
        self.aggregate_type = aggregate_type
        self.id = aggregate_id
        self.up_to = up_to

    def base(self) -> Usable | None:
        """The newest usable snapshot; None if there is none."""
        return next(iter(self._usable(self._head(), self.up_to)), None)

    def announce(self, base: Usable) -> bool:
        """Announce a snapshot as the floor, and save it once more; False if it is not usable any more.

        It is stamped later than any builder's clock, so that no snapshot that was built before takes its place.
        """
        up_to = base.snapshot.up_to
        self.store.mark(self.customer_id, self.id, intended=up_to)
        later = time_on(self.repository.clock) + 2 * self.repository.bounds.skew
        self.store.save_snapshot(self.customer_id, self.id, base.snapshot, later)
        # Whoever makes a commit safe looks for an announced floor after they raised the mark of late commits.
        return any(again.snapshot.up_to == up_to for again in self._usable(self._head(), up_to))

    def raise_floor(self, base: Usable) -> None:
        """Raise the floor: from now on no hydration begins below it."""
        self.store.mark(self.customer_id, self.id, floor=base.snapshot.up_to)

    def covered(self, waited: UUID) -> list[Commit]:
        """The commits up to the floor, if the snapshot on it can be opened everywhere: all replicas are asked.

        Not those behind `waited`, the floor that was there when the wait began: somebody else may have raised it since,
        and hydrations still read by this one. None without a floor. Raises `HistoryGone` if the snapshot is gone, and
        `StoreUnavailable` while a replica is silent, which may hold a commit that no other one has.
        """
        head = self._head()
        floor = head.floor
        if floor is None:
            return []
        if not any(base.snapshot.up_to == floor for base in self._usable(head, floor)):
            raise HistoryGone(
                f"Expected a usable snapshot on the floor {time_of(floor).isoformat()} of "
                f"{place(self.customer_id, self.id)}, found none. No event was deleted; restore the snapshot from a "
                "backup.",
                customer_id=self.customer_id,
                aggregate_id=self.id,
                event_time=floor,
            )
        return self._commits(floor if is_after(waited, floor) else waited)

    def delete(self, commits: Sequence[Commit]) -> None:
        """Delete what `covered` gave, once it is kept elsewhere."""
        self.store.delete_events(self.customer_id, self.id, commits[-1].event_time)

    def _head(self) -> Head:
        return self.store.heads(self.customer_id, [self.id], consistency=Consistency.EVERYWHERE)[self.id]

    def _commits(self, floor: UUID) -> list[Commit]:
        pages = self.store.rows_many(self.customer_id, {self.id: None}, floor, Consistency.ALL)
        return list(chain.from_iterable(commits for _, commits in pages))

    def _usable(self, head: Head, up_to: UUID | None) -> Candidates:
        hydrator = self.repository.hydrator(self.customer_id, {self.id: self.aggregate_type})
        cipher = hydrator.cipher if self.aggregate_type.encrypted else NO_CIPHER
        validity = Validity(self.repository.bounds, self.repository.clock, up_to)
        return Candidates(self.customer_id, self.id, self.aggregate_type, head, validity, cipher)
