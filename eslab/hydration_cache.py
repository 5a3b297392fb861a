"""A hydration cache: a process keeps snapshots of its hot aggregates for itself, so that hydrating them stays short.

    repository = Repository(store, clock, cache=HydrationCache())

What it keeps is a snapshot like a stored one: folded from a read EVERYWHERE up to `fold_after`, encoded, encrypted if
its type is, and judged by every reader against the floor and the late commits that are read with the directory (G5).
So nothing has to be told to it: a late commit that is made safe, a row that is skipped and a wrong snapshot that an
audit deletes all raise the mark that makes readers pass over it.

Only what no mark tells of is left to time: a commit of a writer that died before it was acknowledged, and that
surfaces behind a snapshot, is found by an audit, which can't see into processes. So each begins anew from what is
stored when it is `age` old.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable
from datetime import timedelta
from threading import Lock
from typing import Any, NamedTuple
from uuid import UUID

from eslab.clock import time_on
from eslab.errors import EslabError, InvalidInput, StoreError, expect
from eslab.hydration import Environment, Hydration, Hydrator, Timer, Uncached
from eslab.request import time_of
from eslab.settled import fold_settled
from eslab.store import Consistency, StoredSnapshot, place

log = logging.getLogger(__name__)
Key = tuple[str, str]  # customer and aggregate


class _Entry(NamedTuple):
    """What is known of an aggregate; replaced as a whole, so a thread that comes too late changes nothing."""

    snapshot: StoredSnapshot | None = None
    age: Timer | None = None  # since the first of its commits was read from the store
    tried: Timer | None = None  # since the last attempt to fold more into it
    due: bool = False  # do enough settled commits lie behind it?


class HydrationCache(Uncached):
    """Snapshots of the aggregates that one repository hydrates again and again; safe to share between threads.

    An aggregate behind whose base a hydration found `after` settled commits or more is folded before its next
    hydration: one more read EVERYWHERE, at most one in a call, and of each aggregate at most one in a `pause`. While a
    region can't be reached, one call in a `pause` finds that out, and hydrations cost what they did without a cache.

    Holds the states of the `most` aggregates used last, as bytes: most * (size of an encoded state + about 1 KB).
    """

    def __init__(
        self,
        most: int = 1000,
        after: int = 100,
        pause: timedelta = timedelta(minutes=1),
        age: timedelta = timedelta(hours=1),
    ) -> None:
        _check(most, after, pause, age)
        self.hits = 0  # hydrations of an aggregate that began from what is kept here
        self.misses = 0  # and those that did not
        self.advances = 0  # how often a snapshot was folded
        self._most = most
        self._after = after
        self._pause = pause
        self._age = age
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()  # the one used last comes last
        self._lock = Lock()  # never held while a clock or a store is asked
        self._cut_off: Timer | None = None  # since a region could not be reached
        self._taken = False

    def __repr__(self) -> str:
        sizes = [len(entry.snapshot.payload) for entry in self._copy().values() if entry.snapshot]
        return (
            f"HydrationCache of {len(sizes):,} aggregates in {sum(sizes):,} bytes: {self.hits:,} hits, "
            f"{self.misses:,} misses, {self.advances:,} advances"
        )

    @property
    def aggregates(self) -> int:
        """The number of aggregates of which a snapshot is kept."""
        return sum(entry.snapshot is not None for entry in self._copy().values())

    def take(self) -> None:
        """Belong to a repository; raises `InvalidInput` if it belongs to another one, whose states it would give."""
        if self._taken:
            raise InvalidInput("Expected a hydration cache of its own for each repository, got one that is in use.")
        self._taken = True

    def hydrate(
        self, hydrator: Hydrator, event_time: UUID | None, up_to: UUID | None, consistency: Consistency
    ) -> dict[str, Hydration[Any]]:
        """Hydrate from what is kept where it reaches further than what is stored; first fold one that is due."""
        if up_to is None:
            self._advance_one(hydrator)
        kept = self._kept(hydrator.customer_id, hydrator.types)
        hydrations = hydrator.hydrate(event_time, up_to, consistency=consistency, kept=kept)
        began = sum(id in kept and kept[id].up_to == hydration.base for id, hydration in hydrations.items())
        with self._lock:
            self.hits += began
            self.misses += len(hydrations) - began
        if up_to is None:
            self._note_due(hydrator, hydrations)
        return hydrations

    def forget(self, customer_id: str) -> None:
        """Keep nothing of a customer; what is encrypted can't be read any more in any case."""
        for key in self._copy():
            if key[0] == customer_id:
                with self._lock:
                    self._entries.pop(key, None)

    def _copy(self) -> dict[Key, _Entry]:
        with self._lock:
            return dict(self._entries)

    def _swap(self, key: Key, before: _Entry | None, after: _Entry) -> bool:
        """Put an entry in the place of the one that was seen; False if another thread did so first."""
        with self._lock:
            if self._entries.get(key) is not before:
                return False
            self._entries[key] = after
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
            return True

    def _kept(self, customer_id: str, ids: Iterable[str]) -> dict[str, StoredSnapshot]:
        """The snapshots of these aggregates that are not too old; they are used now, so they are dropped last."""
        kept: dict[str, StoredSnapshot] = {}
        for id in ids:
            entry = self._entries.get((customer_id, id))
            if entry and entry.snapshot and not self._is_old(entry):
                self._swap((customer_id, id), entry, entry)
                kept[id] = entry.snapshot
        return kept

    def _note_due(self, hydrator: Hydrator, hydrations: dict[str, Hydration[Any]]) -> None:
        for id, hydration in hydrations.items():
            if self._has_settled(hydrator.environment, hydration):
                key = hydrator.customer_id, id
                entry = self._entries.get(key)
                known = _Entry() if entry is None or self._is_old(entry) else entry
                if not known.due:
                    self._swap(key, entry, known._replace(due=True))

    def _has_settled(self, environment: Environment, hydration: Hydration[Any]) -> bool:
        """Are `after` of the commits that were read settled, or the whole first page where that holds fewer?"""
        first = hydration.first_page
        if hydration.tail < self._after or not first.payloads or hydration.state.skipped_rows:
            return False
        now, bounds = time_on(environment.clock), environment.bounds
        late = hydration.head.late
        if late and not bounds.holds_late(now, late.until):  # readers would pass over what is built now
            return False
        number = min(self._after, len(first.payloads))
        last = first.last if number == len(first.payloads) else first.commits()[number - 1].event_time
        return last is not None and time_of(last) <= now - bounds.fold_after

    def _is_old(self, entry: _Entry) -> bool:
        return entry.age is not None and entry.age() > self._age

    def _advance_one(self, hydrator: Hydrator) -> None:
        """Fold the first of these aggregates that is due and was not tried lately."""
        if self._cut_off and self._cut_off() <= self._pause:
            return
        for id in hydrator.types:
            entry = self._entries.get((hydrator.customer_id, id))
            if entry and entry.due and not (entry.tried and entry.tried() <= self._pause):
                self._advance(hydrator, id, entry)
                return

    def _advance(self, hydrator: Hydrator, id: str, entry: _Entry) -> None:
        key = hydrator.customer_id, id
        environment = hydrator.environment
        began = environment.timer()
        claimed = entry._replace(tried=began)
        if not self._swap(key, entry, claimed):
            return  # another thread does it
        one = Hydrator(environment, hydrator.customer_id, {id: hydrator.types[id]}, hydrator.cipher)
        kept = self._kept(hydrator.customer_id, [id])
        try:
            settled = fold_settled(one, id, kept=kept)
            snapshot = settled.snapshot()
        except EslabError as error:
            # A region may be away for long; a state that no snapshot can keep is a mistake in its class.
            level = logging.WARNING if isinstance(error, InvalidInput) else logging.INFO
            log.log(level, "No snapshot of %s in the hydration cache: %s", place(*key), error)
            self._cut_off = environment.timer() if isinstance(error, StoreError) else self._cut_off
            return
        follows = id in kept and kept[id].up_to == settled.hydration.base
        made = _Entry(snapshot, entry.age if follows else began, began) if snapshot else claimed._replace(due=False)
        if self._swap(key, claimed, made) and snapshot:
            environment.bases.note(*key, snapshot.up_to)  # there the next hydration begins
            with self._lock:
                self.advances += 1


def _check(most: int, after: int, pause: timedelta, age: timedelta) -> None:
    """Refuse settings with which nothing would be kept, or everything be folded again and again."""
    for name, number in {"most": most, "after": after}.items():
        expect(int, name, number)
        if number < 1:
            raise InvalidInput(f"Expected 1 or more as {name} of a hydration cache, got {number}.")
    for name, duration in {"pause": pause, "age": age}.items():
        expect(timedelta, name, duration)
    if not timedelta() <= pause < age:
        raise InvalidInput(
            f"Expected an age that is longer than pause, and a pause of 0 or more, got {age} and {pause}."
        )
