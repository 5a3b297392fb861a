"""One request's wish on its way: look, decide, append; over one aggregate or several.

    work = repository.begin(customer, request, command)
    seen, licence = work.load((Downloaded, title), (License, f"{device}/{title}"))
    if not work.recorded:
        allow(rules.at(request.time), seen, licence)        # raises Rejected
        work.add(seen, DownloadCounted(...))
        work.add(licence, LicenseIssued(...))
        work.append()                                       # one batch, one digest

The request's own rows are looked up in the same wait as the hydration. If they exist they are the answer,
however old the request; it is never decided a second time, least of all on half a truth.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Raw

from eslab.aggregate import Address, Aggregate, aggregate_id, event_types
from eslab.errors import InvalidInput, OutcomeUnknown, RequestConflict, StoreError, TooLarge, Unreadable
from eslab.event import Command, Event, as_stored, command_hash, split_tag, tag_of
from eslab.payload.encryption import CustomerCipher
from eslab.payload.serializer import Envelope, compress, decode_envelope, encode_append
from eslab.request import Request, sort_key
from eslab.store import Commit, Consistency, Head, ReadRow, unreadable

if TYPE_CHECKING:
    from eslab.repository import Repository

log = logging.getLogger(__name__)
MAX_APPEND_BYTES = 1 << 20  # a Cassandra message holds 16 MiB; a wish that needs 1 MiB is a mistake


class UnitOfWork:
    """A wish in progress, made by `Repository.begin`; not shared between threads."""

    def __init__(self, repository: "Repository", customer_id: str, request: Request, command: Command) -> None:
        self.repository, self.customer_id, self.request = repository, customer_id, request
        self.recorded = False  # has the request been decided before?
        self._command, self._command_hash = command, command_hash(command)
        self._cipher: CustomerCipher | None = None  # where a loaded type is encrypted
        self._loaded: list[tuple[Address, Any]] = []
        self._events: dict[str, list[Event]] = {}
        self._decided = False  # has append been tried?

    def load(self, *addresses: Address) -> tuple[Any, ...]:
        """The states of all aggregates that the wish touches, in one call: two waits on the store.

        Raises `OutOfTime` for a first request outside the time bounds, `RequestConflict` if its id was used
        for another wish, `OutcomeUnknown` if only a part of what it wrote can be seen, `Forgotten` if a type is
        encrypted and the customer was forgotten.
        """
        if self._loaded:
            raise InvalidInput("Expected one load for a wish, got a second; load all its aggregates in one call.")
        self._cipher = self.repository.cipher(self.customer_id, [where[0] for where in addresses])
        self._checked_at = self.repository.clock()
        consistency, heads = Consistency.LOCAL, self._heads(addresses, Consistency.LOCAL)
        found = self._decision(heads)
        if found and not _complete(found, heads):
            partly, consistency, heads = found, Consistency.QUORUM, self._heads(addresses, Consistency.QUORUM)
            found = self._decision(heads)
            if not _complete(found, heads):
                raise self._unknown(found or partly)
        if found:
            heads = self._recall(found, heads, consistency)
        else:
            self.repository.bounds.check(self.request, self._checked_at, [head.floor for head in heads.values()])
        folded = self.repository.fold(self.customer_id, heads, consistency=consistency, cipher=self._cipher)
        self._loaded = [(where, folded[where].state) for where in addresses]
        return tuple(state for _, state in self._loaded)

    def events(self, state: Aggregate) -> list[Event]:
        """What the request did to a loaded aggregate: as recorded, or as added so far."""
        return self._events.get(aggregate_id(self._address(state)), [])

    def add(self, state: Aggregate, *events: Event) -> None:
        """Add events to a loaded aggregate and apply them to its state; stored by `append`."""
        where = self._address(state)
        if self.recorded or self._decided:
            raise InvalidInput(
                f"Expected events before the one decision of {self.request}, which is made; check work.recorded, "
                "and make a new request for a new wish."
            )
        for event in events:
            if type(event) not in event_types(where[0]):
                known = ", ".join(t.__name__ for t in event_types(where[0]))
                raise InvalidInput(f"Expected an event that {where[0].__name__}.apply knows ({known}), got {event!r}.")
        for event in map(as_stored, events):
            self._events.setdefault(aggregate_id(where), []).append(event)
            state.apply(event)

    def append(self) -> None:
        """Write all added events as one atomic append; nothing added, nothing written.

        Raises `TooLarge` above 1 MiB. A `StoreUnavailable` leaves the outcome unknown: send the request again.
        """
        if self.recorded:
            raise InvalidInput(
                f"Expected a first decision, but {self.request} was decided before; check work.recorded."
            )
        if not self._events:
            return
        types = {aggregate_id(where): where[0] for where, _ in self._loaded}
        commits = self._commits(types)
        rows = self.repository.read_rows_of(self.customer_id, types, commits, self._events)
        self._decided = True
        inside = [row for row in rows if row.layout.with_customer]
        self.repository.store.append(self.customer_id, commits, read_rows=inside)
        if self.repository.clock() - self._checked_at > self.repository.bounds.append:
            self._make_safe(commits, self._heads([where for where, _ in self._loaded], Consistency.EVERYWHERE))
        self._put_elsewhere(rows)

    def _heads(self, addresses: Iterable[Address], consistency: Consistency) -> dict[Address, Head]:
        return self.repository.heads(self.customer_id, addresses, self.request.event_time, consistency)

    def _decision(self, heads: dict[Address, Head]) -> list[Commit]:
        """The commits that carry the greatest digest; others are a losing decision's."""
        recorded = [head.recorded for head in heads.values() if head.recorded]
        digests = [self._envelope(commit).digest for commit in recorded]
        found = [commit for commit, digest in zip(recorded, digests, strict=True) if digest == max(digests)]
        if not all(self._is_mine(self._envelope(commit).command) for commit in found):
            raise self._conflict(found[0])
        return found

    def _is_mine(self, command: bytes) -> bool:
        """Is it the hash of this wish, or the one under the customer's key, where an append encrypted something?"""
        keys = self.repository.keys
        if command == self._command_hash or keys is None:
            return command == self._command_hash
        cipher = self._cipher or CustomerCipher(keys, self.customer_id)
        return command == command_hash(self._command, cipher.hash_key())

    def _envelope(self, commit: Commit) -> Envelope[Raw]:
        try:
            return decode_envelope(commit.payload)
        except Unreadable as error:
            raise unreadable(self.customer_id, commit, error) from error

    def _recall(
        self, found: Sequence[Commit], heads: dict[Address, Head], consistency: Consistency
    ) -> dict[Address, Head]:
        """Take the recorded decision as the answer; commits that a snapshot may have missed are made safe first."""
        self.recorded = True
        types = {aggregate_id(where): where[0] for where in heads}
        for commit in found:
            aggregate_type = types[commit.aggregate_id]
            stored = self.repository.events_of(self.customer_id, aggregate_type, commit, self._cipher)
            self._events[commit.aggregate_id] = list(stored)
        self._put_elsewhere(self.repository.read_rows_of(self.customer_id, types, found, self._events))
        if self.request.time >= self._checked_at - self.repository.bounds.late:
            return heads
        self._make_safe(found, heads)
        return self._heads(heads, consistency)

    def _make_safe(self, commits: Sequence[Commit], heads: dict[Address, Head]) -> None:
        """Write commits again everywhere and delete the snapshots that may have missed them (G5).

        Not those at or below their floor: the snapshots that stand on it can't be built again (G6).
        """
        store, floors = self.repository.store, {aggregate_id(where): head.floor for where, head in heads.items()}
        unsafe = [commit for commit in commits if not _below(commit.event_time, floors[commit.aggregate_id])]
        store.append(self.customer_id, unsafe, Consistency.EVERYWHERE)
        for commit in unsafe:
            store.delete_snapshots(self.customer_id, commit.aggregate_id, commit.event_time, Consistency.EVERYWHERE)

    def _put_elsewhere(self, rows: Sequence[ReadRow]) -> None:
        """Write rows of other partitions. The wish is decided by now: what can't be written waits for a catch-up."""
        elsewhere = [row for row in rows if not row.layout.with_customer]
        try:
            if elsewhere:
                self.repository.store.put_read_rows(elsewhere)
        except (StoreError, OutcomeUnknown) as error:
            log.warning("Some read rows of %s wait for `eslab read-tables catch-up`: %s", self.request, error)

    def _commits(self, types: Mapping[str, type[Aggregate]]) -> list[Commit]:
        encrypted = {id for id in self._events if types[id].encrypted}
        cipher = self._cipher if encrypted else None
        key = cipher.hash_key(make=True) if cipher else b""
        payloads = encode_append(self._events, command_hash(self._command, key) if key else self._command_hash, key)
        size = sum(map(len, payloads.values()))
        if size > MAX_APPEND_BYTES:
            raise TooLarge(
                f"Expected an append of at most {MAX_APPEND_BYTES:,} bytes, got {size:,} for {self.request} of "
                f"customer {self.customer_id!r}. Nothing was written; make the wish smaller or its events leaner."
            )
        commits = [
            Commit(id, self.request.event_time, *split_tag(tag_of(type(self._events[id][0]))), _fitting(types[id], it))
            for id, it in payloads.items()
        ]
        return [cipher.encrypt(each) if cipher and each.aggregate_id in encrypted else each for each in commits]

    def _address(self, state: Aggregate) -> Address:
        for where, loaded in self._loaded:
            if loaded is state:
                return where
        raise InvalidInput(
            f"Expected a state that this unit of work loaded, got {state!r}; use what work.load returned."
        )

    def _conflict(self, commit: Commit) -> RequestConflict:
        return RequestConflict(
            f"Expected a new request id for a new wish, but {self.request} of customer {self.customer_id!r} "
            f"was used before for another wish (see {commit.aggregate_id!r}). Nothing was written."
        )

    def _unknown(self, found: Sequence[Commit]) -> OutcomeUnknown:
        announced = decode_envelope(found[0].payload).commits
        return OutcomeUnknown(
            f"Expected {announced} commits of {self.request} of customer {self.customer_id!r}, found {len(found)} "
            "that agree. It may have happened: send the same request again, it can't count twice."
        )


def _complete(found: Sequence[Commit], heads: dict[Address, Head]) -> bool:
    """Are there as many commits as they announce? One at or below its aggregate's floor counts as found."""
    if not found:
        return False
    envelope, event_time = decode_envelope(found[0].payload), found[0].event_time
    seen = {commit.aggregate_id for commit in found}
    below = [
        where for where, head in heads.items()
        if aggregate_id(where) not in seen and _below(event_time, head.floor)
    ]  # fmt: skip
    return len(found) + len(below) >= envelope.commits


def _below(event_time: UUID, floor: UUID | None) -> bool:
    return floor is not None and sort_key(event_time) <= sort_key(floor)


def _fitting(aggregate_type: type[Aggregate], payload: bytes) -> bytes:
    """The payload as its type wants it: compressed if it is long."""
    return compress(payload) if 0 < aggregate_type.compress_over < len(payload) else payload
