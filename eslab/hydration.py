"""Hydration: the newest usable snapshot and the commits after it, folded into a state.

It waits on the store twice, for one aggregate or for many of one customer: for the heads (directory, snapshots and the
request's own rows), then for the commits after each base, a page at a time. Memory holds the states and a page or two.
"""

import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from eslab.aggregate import Aggregate, serializer_of
from eslab.errors import Unreadable
from eslab.event import Event
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import NO_CIPHER, KeyProvider, RowCipher, cipher_for, place_of_commit
from eslab.payload.serializer import Envelope, decode_envelope
from eslab.payload.skipped import Skipped
from eslab.request import time_of
from eslab.snapshot import newest_base
from eslab.store import Commit, Consistency, EventStore, Head, unreadable

State = TypeVar("State", bound=Aggregate)
log = logging.getLogger(__name__)
Page = Sequence[Sequence[Event]]  # the events of some commits, in order


@dataclass
class Hydration(Generic[State]):
    """A state and its cost: the base it began from, and the commits folded on top of it."""

    state: State
    base: UUID | None = None  # the event time that the snapshot reached; None for a full replay
    commits: int = 0  # the number of commits that the state adds up, those in the base included
    tail: int = 0  # the number of commits that were read and folded now

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
        return f"{self.state!r} from {base} and {self.tail:,} commits"


class Hydrator:
    """Hydrates aggregates of one customer together, for one unit of work or one query."""

    def __init__(
        self,
        store: EventStore,
        customer_id: str,
        types: Mapping[str, type[Aggregate]],
        cipher: RowCipher,
    ) -> None:
        """`types` are those of the aggregates, by aggregate id; `cipher` is what `cipher_of_types` gives for them."""
        for aggregate_type in {*types.values()}:
            serializer_of(aggregate_type)  # a type that can't be read is refused before anything is
        self.store = store
        self.customer_id = customer_id
        self.types = types
        self.cipher = cipher

    def heads(self, event_time: UUID | None = None, consistency: Consistency = Consistency.LOCAL) -> dict[str, Head]:
        """Directory entry, snapshots, and the commit at `event_time` of each aggregate: the first wait."""
        return self.store.heads(self.customer_id, list(self.types), event_time, consistency)

    def hydrate(
        self,
        heads: Mapping[str, Head],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[str, Hydration[Any]]:
        """Fold the commits after the newest usable base of each aggregate: the second wait.

        Raises `Unreadable` with the row that can't be trusted, and `HistoryGone` below the floor.
        """
        hydrations = {id: self._base(id, head, up_to) for id, head in heads.items()}
        after = {id: hydration.base for id, hydration in hydrations.items()}
        with closing(self._pages(after, up_to, consistency)) as pages:
            for id, page in pages:
                hydrations[id].apply(page)
        return hydrations

    def decode_rows(self, aggregate_id: str, commits: Sequence[Commit]) -> Page:
        """The events of rows that were read with their keys; raises `Unreadable` with the row."""
        if not self.types[aggregate_id].encrypted:
            try:
                return self._decode(aggregate_id, [commit.payload for commit in commits])
            except Unreadable:
                pass  # the rows one by one tell which of them it is
        return [self.events_of(commit) for commit in commits]

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

    def _decode(self, aggregate_id: str, payloads: Sequence[bytes]) -> Page:
        return serializer_of(self.types[aggregate_id]).page(
            payloads, Checksum.of_commits(self.customer_id, aggregate_id)
        )

    def _base(self, aggregate_id: str, head: Head, up_to: UUID | None) -> Hydration[Any]:
        aggregate_type = self.types[aggregate_id]
        cipher = self.cipher if aggregate_type.encrypted else NO_CIPHER
        base = newest_base(self.customer_id, aggregate_id, aggregate_type, head, up_to, cipher)
        return Hydration(base.state, base.up_to, base.commits)

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


def cipher_of_types(keys: KeyProvider | None, customer_id: str, types: Iterable[type[Aggregate]]) -> RowCipher:
    """The customer's cipher if one of the types is encrypted; raises `Forgotten` if their key was destroyed."""
    return cipher_for(keys, customer_id) if any(type.encrypted for type in types) else NO_CIPHER
