"""Compares the snapshots of an aggregate with a replay of its events, and finds the first event that differs.

A replay folds all commits, from the beginning or from the base on the floor, below which they may be gone. Every
snapshot from which a reader may begin is compared with it, as of its own time: the state, and the number of commits.

A commit that a snapshot lacks was appended late by a writer that died before it made the commit safe. It was never
acknowledged, and shows in some hydrations only; once it is made safe, readers pass over the snapshot (G5).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

from eslab.clock import time_on
from eslab.display import quantity
from eslab.errors import Unreadable
from eslab.event import Event
from eslab.hydration import Hydration, Hydrator
from eslab.late_commits import make_safe
from eslab.operations.findings import Finding, contradiction, moment
from eslab.operations.snapshots import discard, disown
from eslab.payload.comparison import MISSING, Difference, Path, differences, look_up
from eslab.payload.encoding import encode
from eslab.payload.encryption import NO_CIPHER
from eslab.recorded import is_below
from eslab.repository import Repository
from eslab.request import Request, is_after, time_of
from eslab.snapshot import Candidates, Usable, Validity
from eslab.store import Commit, Consistency, Head, StoredSnapshot, place

DIFFERENCES = 20  # of one snapshot that are looked into
MOST_MADE_SAFE = 1000  # commits; of more that may be missing, the snapshot is deleted instead
BATCH = 20  # commits that are made safe together
DELETE = "`eslab audit --repair` deletes the snapshot, which is only a cache."
MAKE_SAFE = "`eslab audit --repair` makes it safe, so that readers pass over the snapshot."
LOST = (
    "The snapshot holds what the events lack: don't delete it. Run `eslab repair`; if the commits are in no region, "
    "restore them from a backup."
)
ON_FLOOR = "It lies at or below the floor, where it may be the only base: restore it from a backup."
NO_BASE = "that no usable one lies on the floor. Restore it from a backup, or the archived events."


class _OfAnyAge(Validity):
    """Judges snapshots by the floor alone: one that is too new today will be used later."""

    def why_not(self, head: Head, up_to: UUID) -> str:
        """Why no reader will ever begin from it; empty if one may."""
        return "below the floor" if head.floor is not None and is_after(head.floor, up_to) else ""


@dataclass
class _Wrong:
    """A snapshot that is not what a replay gives, and the last one before it that is."""

    usable: Usable[Any]
    agreed: StoredSnapshot | None
    found: Sequence[Difference]
    first: str  # difference in words, as it was when it was found
    commits: int  # of the replay


class Refold:
    """A replay of one aggregate, a commit at a time, which stops at each of its snapshots."""

    def __init__(self, repository: Repository, hydrator: Hydrator, aggregate_id: str, head: Head) -> None:
        self._findings: list[Finding] = []
        self._repository = repository
        self._hydrator = hydrator
        self._id = aggregate_id
        self._head = head
        self._type = hydrator.types[aggregate_id]
        cipher = hydrator.cipher if self._type.encrypted else NO_CIPHER
        judge = _OfAnyAge(repository.bounds, repository.clock)
        self._candidates = Candidates(hydrator.customer_id, aggregate_id, self._type, head, judge, cipher)
        self._wrong: list[_Wrong] = []
        self._unreadable: list[tuple[StoredSnapshot, Unreadable]] = []
        self._waiting = self._opened()  # oldest first
        # Above a floor a replay begins from the oldest base, which can't be compared with anything.
        self._agreed = self._waiting.pop(0).snapshot if head.floor and self._waiting else None
        self._replay = self._start(self._agreed)
        if head.floor and (self._agreed is None or self._agreed.up_to != head.floor):
            self._findings.append(self._contradiction(head.floor, NO_BASE))

    def fold(self, commit: Commit, events: Sequence[Event]) -> None:
        """Fold the next commit, after the snapshots that end before it were compared."""
        replay = self._replay
        if replay is None or (replay.base and not is_after(commit.event_time, replay.base)):
            return
        while self._waiting and is_after(commit.event_time, self._waiting[0].snapshot.up_to):
            self._compare(replay, self._waiting.pop(0))
        replay.apply([events])

    def stop(self) -> None:
        """End here: without the next commit, nothing is known of later snapshots."""
        self._replay = None

    def end(self) -> list[Finding]:
        """Compare what is left, and look for the first event that differs."""
        if self._replay is not None:
            for usable in self._waiting:
                self._compare(self._replay, usable)
        unreadable = [self._of_unreadable(*it) for it in self._unreadable]
        return [*self._findings, *unreadable, *map(self._finding, self._wrong)]

    def _opened(self) -> list[Usable[Any]]:
        opened: list[Usable[Any]] = []
        for snapshot in reversed(self._head.snapshots):
            try:
                found = self._candidates.opened(snapshot)
            except Unreadable as error:
                self._unreadable.append((snapshot, error))
                continue
            if isinstance(found, Usable):
                opened.append(found)
        return opened

    def _compare(self, replay: Hydration[Any], usable: Usable[Any]) -> None:
        found = list(islice(differences(usable.base.state, replay.state), DIFFERENCES))
        if not found and usable.base.commits == replay.commits:
            self._agreed = usable.snapshot
            return
        first = self._told(found[0]) if found else "their states are equal"
        self._wrong.append(_Wrong(usable, self._agreed, found, first, replay.commits))

    def _told(self, found: Difference) -> str:
        if self._type.encrypted:
            return f"{found.field} differs"
        return found.told("in the snapshot", "in the replay")

    def _finding(self, wrong: _Wrong) -> Finding:
        snapshot, base = wrong.usable
        changing = self._changing(wrong) if wrong.found else []
        first = f" The first event that differs: {_named(changing[0])}." if changing else ""
        if len(changing) > 1:
            first = f" The first event that changes this: {_named(changing[0])}, of {len(changing):,} commits that do."
        said = f"one of {quantity(base.commits, 'commit')}, and a replay of {wrong.commits:,}: {wrong.first}.{first}"
        if base.commits > wrong.commits:
            return self._contradiction(snapshot.up_to, f"{said} {LOST}")
        if base.commits < wrong.commits and self._may_be_late(changing):
            repair = partial(self._make_safe, changing)
            return self._contradiction(snapshot.up_to, f"{said} {MAKE_SAFE}", repair)
        return self._deletable(snapshot, said, disown)

    def _changing(self, wrong: _Wrong) -> list[Commit]:
        """The commits since the last snapshot that agrees which change a part that differs, in a replay."""
        start = self._start(wrong.agreed)
        assert start
        paths = [it.path for it in wrong.found]
        changing: list[Commit] = []
        for commit in self._rows(start.base, wrong.usable.snapshot.up_to):
            before = _parts(start.state, paths)
            start.apply([self._hydrator.events_of(commit)])
            if _parts(start.state, paths) != before:
                changing.append(commit)
        return changing

    def _start(self, agreed: StoredSnapshot | None) -> Hydration[Any] | None:
        """The state in a snapshot, or the empty one; None if history is gone."""
        opened = self._candidates.opened(agreed) if agreed else None
        if isinstance(opened, Usable):
            return Hydration(*opened.base)
        return None if self._head.floor else Hydration(self._type())

    def _rows(self, after: UUID | None, up_to: UUID) -> Iterator[Commit]:
        store, customer = self._repository.store, self._hydrator.customer_id
        with closing(store.rows_many(customer, {self._id: after}, up_to, Consistency.EVERYWHERE)) as pages:
            for _, commits in pages:
                yield from commits

    def _may_be_late(self, commits: Sequence[Commit]) -> bool:
        """Are these so old that nobody is still appending one of them, and few enough to be made safe?"""
        bounds = self._repository.bounds
        oldest = time_on(self._repository.clock) - bounds.late - bounds.append
        settled = all(time_of(commit.event_time) < oldest for commit in commits)
        return settled and 0 < len(commits) <= MOST_MADE_SAFE

    def _make_safe(self, commits: Sequence[Commit]) -> None:
        for begin in range(0, len(commits), BATCH):
            batch = commits[begin : begin + BATCH]
            request = Request.from_event_time(batch[0].event_time)
            make_safe(self._repository.environment, self._hydrator.customer_id, request, batch)

    def _deletable(self, snapshot: StoredSnapshot, said: str, delete: Callable[..., None]) -> Finding:
        """A finding about a snapshot that may be deleted, unless it is a base of last resort."""
        if is_below(snapshot.up_to, self._head.highest_floor):
            return self._contradiction(snapshot.up_to, f"{said} {ON_FLOOR}")
        repair = partial(delete, self._repository, self._hydrator.customer_id, self._id, snapshot)
        return self._contradiction(snapshot.up_to, f"{said} {DELETE}", repair)

    def _of_unreadable(self, snapshot: StoredSnapshot, error: Unreadable) -> Finding:
        said = f"that it can't be read: {error}."
        if self._replay is None:  # perhaps these are not the code or the keys that wrote it
            return self._contradiction(snapshot.up_to, f"{said} Nor can its events: look at these first.")
        return self._deletable(snapshot, said, discard)

    def _contradiction(self, up_to: UUID, found: str, repair: Any = None) -> Finding:
        customer = self._hydrator.customer_id
        message = (
            f"Expected a snapshot up to {moment(up_to)} of {place(customer, self._id)} that is what its events add up "
            f"to, found {found}"
        )
        return contradiction("snapshot", message, customer, self._id, up_to, repair)


def _parts(state: Any, paths: Sequence[Path]) -> list[bytes | None]:
    """The parts of a state at these paths, as they are now."""
    values = [look_up(state, path) for path in paths]
    return [None if value is MISSING else encode(value) for value in values]


def _named(commit: Commit) -> str:
    return f"{moment(commit.event_time)}, {commit.event_type}:{commit.version}"
