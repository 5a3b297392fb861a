"""Log rotation of all customers: what a snapshot holds goes to an archive, and is deleted in the store then.

Three steps, and a rerun begins with the first one: whatever is done already costs it only a look.

    1. for each customer, build the snapshots of the moment, announce them as the floors, and raise the floors
    2. wait until no hydration can still read by an older floor: once for all customers, if something is to be deleted
    3. for each customer, read what lies below the floors, keep it in the archive, and delete it only then

A process that dies in between leaves events in both places or in the store alone, never in none; the archive takes
nothing twice.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from time import sleep
from typing import NamedTuple
from uuid import UUID

from eslab.aggregate import Aggregate, SnapshotPolicy, address, check_id, type_name
from eslab.clock import MILLISECOND, aware, time_on
from eslab.display import quantity
from eslab.errors import InvalidInput, Unreadable
from eslab.operations.archive import Archive, Writer
from eslab.operations.each_aggregate import each_aggregate
from eslab.operations.readable import check_types
from eslab.operations.retention import Rotation, wait_for_readers
from eslab.operations.snapshots import build_snapshot
from eslab.operations.walk import Checkpoint, Damaged, OnProgress, Problems, Walked, incomplete, silent, walk_or_visit
from eslab.repository import Repository
from eslab.request import is_after, latest_at
from eslab.store import Commit, Consistency, Head

ROWS_IN_SEGMENT = 100_000  # at about so many rows a segment is written, and its rows are deleted in the store
AT_ONCE = SnapshotPolicy(every=1, keep=1_000_000)  # one of the past is never among the newest few


class Rotated(NamedTuple):
    """What a rotation did."""

    customers: int
    floors: int  # of aggregates that were raised
    archived: int  # commits that the archive didn't have before
    deleted: int  # commits that the store had

    def __str__(self) -> str:
        return (
            f"{quantity(self.customers, 'customer')}: {quantity(self.floors, 'floor')} raised, "
            f"{quantity(self.archived, 'commit')} archived, {self.deleted:,} deleted"
        )


def rotate_all(
    repository: Repository,
    aggregate_types: Sequence[type[Aggregate]],
    before: datetime,
    archive: Archive,
    *,
    on_progress: OnProgress = silent,
    customer_id: str | None = None,
    jobs: int = 1,
    wait: Callable[[float], object] = sleep,
) -> Rotated:
    """Archive and delete the commits of requests before a moment, of all customers' aggregates of these types.

    Or of one customer's. `before` must be so old that no first decision is made behind it: raises `InvalidInput`
    otherwise. Safe beside everything else that runs. A run that died is repeated; the first pass resumes. `wait` is
    given the seconds until no hydration can read by an older floor. `on_progress` is called for each customer of each
    pass. Aggregates that can't be read are named at the end of a pass, by `Unreadable`; nothing of them is deleted.
    """
    check_types(repository, aggregate_types, aggregate_types)
    until = aware(before, "before") - MILLISECOND
    newest = time_on(repository.clock) - repository.bounds.fold_after
    if until > newest:
        raise InvalidInput(
            f"Expected a moment up to {newest.isoformat()} as before, got {before.isoformat()}: requests from before "
            "it may still be decided. Name an earlier one. Nothing was rotated."
        )
    raised, problem = Walked(0, 0), None
    with archive.writing() as writer:
        try:
            raised = _raise_floors(repository, aggregate_types, until, on_progress, customer_id, jobs)
        except Unreadable as error:  # one broken row must not keep all others from being archived
            problem = error
        last = _LastPass(repository, aggregate_types, latest_at(until), writer, wait)
        last.run(_listed(repository, customer_id), on_progress)
    if problem:
        raise problem
    return Rotated(last.customers, raised.rows, last.archived, last.deleted)


def _listed(repository: Repository, customer_id: str | None) -> Iterable[str]:
    if customer_id is not None:
        return [check_id("customer id", customer_id)]
    return repository.store.customers("", Consistency.EVERYWHERE)


def _raise_floors(
    repository: Repository,
    aggregate_types: Sequence[type[Aggregate]],
    until: datetime,
    on_progress: OnProgress,
    customer_id: str | None,
    jobs: int,
) -> Walked:
    """The first pass, which resumes."""
    name = f"floors of {', '.join(sorted(map(type_name, aggregate_types)))} up to {until.isoformat()}"
    work = partial(_raise_floors_of, repository, aggregate_types, until)
    return walk_or_visit(repository.store, repository.clock, name, work, on_progress, _summary, customer_id, jobs)


def _raise_floors_of(
    repository: Repository, aggregate_types: Sequence[type[Aggregate]], until: datetime, customer_id: str
) -> int:
    raise_floor = partial(_raise_floor, repository, customer_id, until)
    return each_aggregate(repository, customer_id, aggregate_types, raise_floor)


def _raise_floor(
    repository: Repository, customer_id: str, until: datetime, aggregate_type: type[Aggregate], id: str, head: Head
) -> int:
    """Build the snapshot of the moment, and raise the floor to the newest one up to then; was it raised?"""
    up_to = latest_at(until)
    if head.first is None or is_after(head.first, up_to) or (head.floor and not is_after(up_to, head.floor)):
        return False  # all of it is later, or it was done before
    _, key = address(aggregate_type, id)
    build_snapshot(repository, customer_id, aggregate_type, key, AT_ONCE, as_of=until)
    rotation = Rotation(repository, customer_id, aggregate_type, id, up_to)
    base = rotation.base()
    if base is None or base.snapshot.up_to == head.floor or not rotation.announce(base):
        return False
    rotation.raise_floor(base)
    return True


@dataclass
class _LastPass:
    """The last pass: what lies below the floors goes to the archive, a segment at a time, and is deleted then."""

    repository: Repository
    aggregate_types: Sequence[type[Aggregate]]
    up_to: UUID  # floors above it are another rotation's, which may not have waited yet
    writer: Writer
    wait: Callable[[float], object]
    waited: bool = False
    customers: int = 0
    archived: int = 0
    deleted: int = 0
    taken: list[tuple[Rotation, Sequence[Commit]]] = field(default_factory=list)  # that wait for their segment

    def run(self, customers: Iterable[str], on_progress: OnProgress) -> None:
        """Raise `Unreadable` at the end with the aggregates that can't be read; nothing of them is deleted."""
        problems = Problems(Checkpoint())
        for customer_id in customers:
            before = self.deleted
            try:
                each_aggregate(self.repository, customer_id, self.aggregate_types, partial(self._take, customer_id))
            except Damaged as damaged:
                for error in damaged.problems:
                    problems.add(error)
            if sum(len(commits) for _, commits in self.taken) >= ROWS_IN_SEGMENT:
                self._finish()
            self.customers += 1
            on_progress(self.deleted - before)
        self._finish()
        if problems:
            raise incomplete(_summary("rotation", len(problems), Walked(self.customers, self.deleted)), problems)

    def _take(self, customer_id: str, aggregate_type: type[Aggregate], id: str, head: Head) -> int:
        """Take what can be deleted of an aggregate into the segment; returns how many commits."""
        if head.floor is None or is_after(head.floor, self.up_to):
            return 0
        rotation = Rotation(self.repository, customer_id, aggregate_type, id)
        commits = self._covered(rotation)
        self.archived += self.writer.keep(customer_id, commits)
        if commits:
            self.taken.append((rotation, commits))
        return len(commits)

    def _covered(self, rotation: Rotation) -> Sequence[Commit]:
        """What can be deleted: the first time that there is something, wait for those who still read it."""
        commits = rotation.covered(self.up_to)
        if self.waited or not commits:
            return commits
        self.wait(wait_for_readers(self.repository))
        self.waited = True
        return rotation.covered(self.up_to)

    def _finish(self) -> None:
        """Write the segment, and delete what is in it."""
        self.writer.flush()
        for rotation, commits in self.taken:
            rotation.delete(commits)
            self.deleted += len(commits)
        self.taken = []


def _summary(name: str, problems: int, walked: Walked) -> str:
    return (
        f"Incomplete: {name}, {quantity(problems, 'aggregate')} can't be rotated, and nothing of them was deleted. "
        f"Done: {quantity(walked.customers, 'customer')}. Solve these, then run it again:"
    )
