"""Hydration: the newest usable snapshot and the commits after it, folded into a state.

It waits on the store once, for one aggregate or for many of one customer: directory, the newest few snapshots and the
first commits are read together, from the base that the last hydration began from. A second wait is needed where that
guess was wrong, none of these snapshots is usable, or more commits follow; these come a page at a time, so memory holds
the states and a page or two.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from eslab.aggregate import Aggregate, serializer_of
from eslab.bounds import TimeBounds
from eslab.clock import Clock, Stopwatch, time_on
from eslab.display import quantity
from eslab.errors import HistoryGone, StoreUnavailable, Unreadable
from eslab.event import Event
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import NO_CIPHER, KeyProvider, RowCipher, cipher_for, place_of_commit
from eslab.payload.serializer import Envelope, decode_envelope
from eslab.payload.skipped import Skipped
from eslab.request import is_after, latest_of, sort_key, time_of
from eslab.snapshot import Base, Candidates, Validity
from eslab.store import Commit, Consistency, EventStore, Head, Log, StoredSnapshot, unreadable

State = TypeVar("State", bound=Aggregate)
log = logging.getLogger(__name__)
Page = Sequence[Sequence[Event]]  # the events of some commits, in order
NO_HEAD = Head()
NO_LOG = Log(NO_HEAD)
ATTEMPTS = 3
Timer = Callable[[], timedelta]  # how long ago it was begun
Kept = Mapping[str, StoredSnapshot]  # snapshots that a process keeps for itself, by aggregate id
NONE_KEPT: Kept = {}


@dataclass
class Hydration(Generic[State]):
    """A state and its cost: the base it began from, and the commits folded on top of it."""

    state: State
    base: UUID | None = None  # the event time that the snapshot reached; None for a full replay
    commits: int = 0  # the number of commits that the state adds up, those in the base included
    tail: int = 0  # the number of commits that were read and folded now
    head: Head = NO_HEAD  # as it was read with the first of these commits
    first_page: Log = field(default=NO_LOG, repr=False, compare=False)  # of these commits

    def apply(self, page: Page) -> None:
        """Fold a page of commits into the state."""
        apply = self.state.apply
        for events in page:
            for event in events:
                apply(event)
        # A page of plain, current commits is decoded to tuples; only one decoded commit by commit can hold marks.
        if page and type(page[0]) is not tuple:
            self._note_skipped(page)
        self.commits += len(page)
        self.tail += len(page)

    def _note_skipped(self, page: Page) -> None:
        for events in page:
            if isinstance(events, Skipped):
                self.state.note_skipped(events.mark)
                log.warning("Hydrated without a row of customer %r: %s", events.mark.customer_id, events.mark)

    def __repr__(self) -> str:
        base = f"a snapshot of {time_of(self.base):%Y-%m-%d %H:%M}" if self.base else "an empty state"
        return f"{self.state!r} from {base} and {quantity(self.tail, 'commit')}"


class Bases:
    """The base that the last hydration of each aggregate began from: there the next one is likely to begin.

    A wrong guess costs a wait and nothing else, so all are forgotten when there are too many.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._known: dict[tuple[str, str], UUID] = {}  # by customer and aggregate

    def guess(self, customer_id: str, aggregate_id: str, up_to: UUID | None) -> UUID | None:
        """Where the next hydration of an aggregate is likely to begin, as of `up_to`; None is the beginning."""
        base = self._known.get((customer_id, aggregate_id))
        return None if base and up_to and is_after(base, up_to) else base

    def note(self, customer_id: str, aggregate_id: str, base: UUID | None) -> None:
        """Note where a hydration began."""
        if base is None:
            self._known.pop((customer_id, aggregate_id), None)
            return
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[customer_id, aggregate_id] = base


class Uncached:
    """Keeps no states: every hydration begins from what is stored. `HydrationCache` takes its place."""

    def hydrate(
        self, hydrator: "Hydrator", event_time: UUID | None, up_to: UUID | None, consistency: Consistency
    ) -> dict[str, Hydration[Any]]:
        """Hydrate for a unit of work or a query; costs and errors are those of `Hydrator.hydrate`."""
        return hydrator.hydrate(event_time, up_to, consistency=consistency)

    def forget(self, customer_id: str) -> None:
        """Keep nothing of a customer."""


@dataclass(frozen=True)
class Environment:
    """What all hydrations and units of work of a repository share."""

    store: EventStore
    clock: Clock
    bounds: TimeBounds
    keys: KeyProvider | None
    stopwatch: Stopwatch
    bases: Bases = field(default_factory=Bases)
    cache: Uncached = field(default_factory=Uncached)

    def timer(self) -> Timer:
        """Begin to measure a duration: on the clock and on the stopwatch, of which the longer one counts.

        The clock may be set back meanwhile, and a stopwatch may stand still while the machine sleeps.
        """
        began, at = self.stopwatch(), time_on(self.clock)
        return lambda: max(timedelta(seconds=self.stopwatch() - began), time_on(self.clock) - at)


class Hydrator:
    """Hydrates aggregates of one customer together, for one unit of work or one query."""

    def __init__(
        self,
        environment: Environment,
        customer_id: str,
        types: Mapping[str, type[Aggregate]],
        cipher: RowCipher,
    ) -> None:
        """`types` are those of the aggregates, by aggregate id; `cipher` is what `cipher_of_types` gives for them."""
        for aggregate_type in {*types.values()}:
            serializer_of(aggregate_type)  # a type that can't be read is refused before anything is
        self.environment = environment
        self.store = environment.store
        self.customer_id = customer_id
        self.types = types
        self.cipher = cipher
        self._warned: dict[str, set[tuple[UUID, int]]] = {}  # of which broken snapshots, by aggregate

    def hydrate(
        self,
        event_time: UUID | None = None,
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
        kept: Kept = NONE_KEPT,
    ) -> dict[str, Hydration[Any]]:
        """Fold the commits after the newest usable base of each aggregate, as of `up_to` if it is given.

        A base is a stored snapshot, or one that is `kept` by this process and judged like the stored ones.

        With `event_time`, heads hold the commits of that request, and none of the states is newer than this look-up.
        One wait, or two; further ones for further pages. What took longer than the bounds' `grace` starts over, since
        the events under it may have been deleted meanwhile. Raises `Unreadable` with the row that can't be trusted, and
        `HistoryGone` below the floor.
        """
        found_before = False
        for attempt in range(ATTEMPTS):
            took = self.environment.timer()
            try:
                logs, hydrations = self._begin(event_time, up_to, consistency, kept)
            except HistoryGone:
                # Perhaps the snapshots were read a moment before one was saved, and the floor after it was raised.
                if attempt:
                    raise
                continue
            self._fold(logs, hydrations, up_to, consistency)
            found = self._look_again(logs, hydrations, event_time, consistency)
            # A state that was folded before its request was found may hold a part of what that request did.
            if took() <= self.environment.bounds.grace and (found_before or not found):
                return hydrations
            found_before = found
        raise StoreUnavailable(
            f"Expected to hydrate {', '.join(self.types)} of customer {self.customer_id!r} within "
            f"{self.environment.bounds.grace}, found that it takes longer. Build snapshots, or raise grace.",
            customer_id=self.customer_id,
        )

    def decode_rows(self, aggregate_id: str, commits: Sequence[Commit]) -> Page:
        """The events of rows that were read with their keys; raises `Unreadable` with the row."""
        return self._page(aggregate_id, [commit.payload for commit in commits], lambda: commits)

    def events_of(self, commit: Commit, envelope: Envelope[Any] | None = None) -> Sequence[Event]:
        """The events of one row, parsed already if `envelope` is given; raises `Unreadable` with the row."""
        aggregate_type = self.types[commit.aggregate_id]
        try:
            checksum = Checksum.of_commits(self.customer_id, commit.aggregate_id)
            envelope = envelope or decode_envelope(commit.payload, checksum)
            if aggregate_type.encrypted:
                envelope = self.cipher.decrypt(place_of_commit(commit.aggregate_id, commit.event_time), envelope)
            return serializer_of(aggregate_type).events_of(envelope)
        except Unreadable as error:
            raise unreadable(self.customer_id, commit, error) from error

    def _begin(
        self, event_time: UUID | None, up_to: UUID | None, consistency: Consistency, kept: Kept
    ) -> tuple[dict[str, Log], dict[str, Hydration[Any]]]:
        """All logs, read from where the last hydrations began, and the bases of these hydrations."""
        bases = self.environment.bases
        after = {id: bases.guess(self.customer_id, id, up_to) for id in self.types}
        all_snapshots = False
        while True:
            logs = self.store.read(self.customer_id, after, event_time, up_to, consistency, all_snapshots)
            known = {id: self._candidates(id, _with(log.head, kept.get(id)), up_to) for id, log in logs.items()}
            usable = {id: candidates.usable() for id, candidates in known.items()}
            if not all_snapshots and any(_needs_older(logs[id].head, base) for id, base in usable.items()):
                # All is read anew, since a head that is newer than the commits beside it proves nothing about them.
                all_snapshots = True
                continue
            hydrations = {id: _from(base or known[id].beginning(), logs[id].head) for id, base in usable.items()}
            # Commits between the guess and a later base are left out; those between an earlier one and it are missing.
            if not any(_is_before(hydrations[id].base, start) for id, start in after.items()):
                break
            after = {id: hydration.base for id, hydration in hydrations.items()}
        if up_to is None:
            for id, hydration in hydrations.items():
                bases.note(self.customer_id, id, hydration.base)
        return {id: _behind(log, after[id], hydrations[id].base) for id, log in logs.items()}, hydrations

    def _page(self, aggregate_id: str, payloads: Sequence[bytes], commits: Callable[[], Sequence[Commit]]) -> Page:
        """The events of commits whose payloads are at hand; `commits` gives their rows, should their keys be needed."""
        if not self.types[aggregate_id].encrypted:
            try:
                return self._decode(aggregate_id, payloads)
            except Unreadable:
                pass  # the rows one by one tell which of them it is
        return [self.events_of(commit) for commit in commits()]

    def _decode(self, aggregate_id: str, payloads: Sequence[bytes]) -> Page:
        return serializer_of(self.types[aggregate_id]).page(
            payloads, Checksum.of_commits(self.customer_id, aggregate_id)
        )

    def _candidates(self, aggregate_id: str, head: Head, up_to: UUID | None) -> Candidates[Any]:
        aggregate_type = self.types[aggregate_id]
        cipher = self.cipher if aggregate_type.encrypted else NO_CIPHER
        validity = Validity(self.environment.bounds, self.environment.clock, up_to)
        warned = self._warned.setdefault(aggregate_id, set())
        return Candidates(self.customer_id, aggregate_id, aggregate_type, head, validity, cipher, warned)

    def _fold(
        self,
        logs: Mapping[str, Log],
        hydrations: Mapping[str, Hydration[Any]],
        up_to: UUID | None,
        consistency: Consistency,
    ) -> None:
        """Fold the commits that were read with the heads, then the pages that follow."""
        rest: dict[str, UUID | None] = {}
        for id, log in logs.items():
            hydration = hydrations[id]
            hydration.first_page = log
            if log.payloads:
                hydration.apply(self._page(id, log.payloads, log.commits))
            if log.more:
                rest[id] = latest_of(log.last, hydration.base)
        if rest:
            with closing(self._pages(rest, up_to, consistency)) as pages:
                for id, page in pages:
                    hydrations[id].apply(page)

    def _look_again(
        self,
        logs: Mapping[str, Log],
        hydrations: Mapping[str, Hydration[Any]],
        event_time: UUID | None,
        consistency: Consistency,
    ) -> bool:
        """Look for the request's commits beyond the first page, when all pages have been read. Was one found?"""
        if event_time is None:
            return False
        beyond = [id for id, log in logs.items() if log.more and not log.head.recorded and _ends(log, event_time)]
        if not beyond:
            return False
        heads = self.store.heads(self.customer_id, beyond, event_time, consistency)
        for id, head in heads.items():
            hydrations[id].head = hydrations[id].head._replace(recorded=head.recorded, safe=head.safe)
        return any(head.recorded for head in heads.values())

    def _pages(
        self, after: Mapping[str, UUID | None], up_to: UUID | None, consistency: Consistency
    ) -> Generator[tuple[str, Page], None, None]:
        """The events after each base. Rows are read with their keys only if a type is encrypted: that is slower."""
        if any(self.types[id].encrypted for id in after):
            with closing(self.store.rows_many(self.customer_id, after, up_to, consistency)) as rows:
                for id, commits in rows:
                    yield id, self.decode_rows(id, commits)
            return
        with closing(self.store.read_many(self.customer_id, after, up_to, consistency)) as payload_pages:
            for id, payloads in payload_pages:
                try:
                    yield id, self._decode(id, payloads)
                except Unreadable as error:
                    raise self._broken_row(id, after[id], up_to) or error from error

    def _broken_row(self, aggregate_id: str, after: UUID | None, up_to: UUID | None) -> Unreadable | None:
        """The error of the first row that can't be read, found by reading the rows again with their keys."""
        for commit in self.store.rows(self.customer_id, aggregate_id, after, up_to):
            try:
                self.events_of(commit)
            except Unreadable as error:
                return error
        return None


def _needs_older(head: Head, usable: Base[Any] | None) -> bool:
    """Are further snapshots needed: to begin from, or to be named where history is gone?"""
    return usable is None and (head.older or head.floor is not None)


def _from(base: Base[Any], head: Head) -> Hydration[Any]:
    return Hydration(base.state, base.up_to, base.commits, head=head)


def _with(head: Head, kept: StoredSnapshot | None) -> Head:
    """The head with a snapshot that this process keeps among the stored ones; not without an entry in the directory.

    Nor at or below a floor: on it only the snapshot counts that a rotation has proved.
    """
    if kept is None or head.first is None or (head.floor and not is_after(kept.up_to, head.floor)):
        return head
    newest_first = sorted([*head.snapshots, kept], key=lambda it: (sort_key(it.up_to), it.fold), reverse=True)
    return head._replace(snapshots=newest_first)


def _is_before(base: UUID | None, start: UUID | None) -> bool:
    return start is not None and (base is None or is_after(start, base))


def _behind(log: Log, start: UUID | None, base: UUID | None) -> Log:
    """The log without the commits up to a base, which is not earlier than `start`, where the log was read from."""
    if base is None or base == start:
        return log
    commits = [commit for commit in log.commits() if is_after(commit.event_time, base)]
    return log._replace(payloads=[commit.payload for commit in commits], commits=lambda: commits)


def _ends(log: Log, event_time: UUID) -> bool:
    """Do the commits that were read end before an event time?"""
    return log.last is None or is_after(event_time, log.last)


def cipher_of_types(keys: KeyProvider | None, customer_id: str, types: Iterable[type[Aggregate]]) -> RowCipher:
    """The customer's cipher if one of the types is encrypted; raises `Forgotten` if their key was destroyed."""
    return cipher_for(keys, customer_id) if any(type.encrypted for type in types) else NO_CIPHER
