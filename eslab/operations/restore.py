"""Restores a broken row from an intact copy in a read table, or skips it with a mark that every reader shows.

    restore(store, READ_TABLES, "ann", "license:phone/glow", event_time)
    skip(store, "ann", "devices:all", event_time, "no copy; ticket 17")

A copy is trusted only if it proves itself: its checksum is right for this customer and aggregate; its decision is the
one that counts, by the request's commits in other aggregates or by what is left of the broken row; and its digest
covers event time and the whole append, so that the commit of another request doesn't fit. An encrypted copy is
decrypted at its place.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from msgspec import Raw

from eslab.aggregate import check_id
from eslab.clock import Clock, system_clock
from eslab.display import quantity
from eslab.errors import InvalidInput, StoreError, Unreadable
from eslab.event import is_tag, split_tag
from eslab.late_commits import raise_mark
from eslab.layout import Layout
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import NO_CIPHER, RowCipher, is_encrypted, place_of_commit
from eslab.payload.serializer import (
    SKIPPED,
    Envelope,
    decode_envelope,
    encode_envelope,
    raw_events,
    skip_envelope,
    skip_in,
    touched_hash,
    touched_in,
)
from eslab.payload.skipped import Skip
from eslab.read_table import ReadTable
from eslab.recorded import RecordedCommit, check_digest, is_below, missing_in
from eslab.repository import Repository
from eslab.store import Commit, Consistency, EventStore, place

HEADER = b"\x96\xc4\x10"  # the three bytes before the digest of every payload
DIGEST = slice(len(HEADER), len(HEADER) + 16)
INTACT = "The row is intact: nothing was written."
ALIKE = 8  # equal bytes of 16 that tell a damaged digest from another one: by chance, once in 10^15
UNKNOWN_COLUMNS = ("?", 0)  # those of a row that the store can't even read
SKIPPED_COLUMNS = ("(skipped)", 0)  # type and version of a skipped row, in the columns for people


@dataclass(frozen=True)
class Restored:
    """The result of `restore`: the read table that the copy came from, or None if the row was intact."""

    table: str | None

    def __str__(self) -> str:
        return f"Restored from the read table {self.table}." if self.table else INTACT


class _Whole(NamedTuple):
    """An intact commit, its envelope as it is stored, and the same decrypted."""

    commit: Commit
    stored: Envelope[Raw]
    envelope: Envelope[Raw]


@dataclass(frozen=True)
class _Broken:
    """A broken row, and what the store holds of its request in the customer's other aggregates."""

    customer_id: str
    commit: Commit
    others: Sequence[_Whole]
    lost: frozenset[bytes]  # hashes of other aggregates whose commits can't be seen: broken ones, those below a floor
    cipher: RowCipher

    @property
    def payload(self) -> bytes:
        """The broken bytes; none if the column holds something else."""
        return self.commit.payload if isinstance(self.commit.payload, bytes) else b""

    @property
    def checksum(self) -> Checksum:
        """The checksum of the row's place."""
        return Checksum.of_commits(self.customer_id, self.commit.aggregate_id)

    @property
    def mark(self) -> Skip | None:
        """The mark, if the row is skipped already."""
        try:
            envelope = decode_envelope(self.payload, self.checksum)
            return skip_in(envelope) if envelope.format == SKIPPED else None
        except Unreadable:
            return None

    @property
    def where(self) -> str:
        """The row, as messages name it."""
        return f"{place(self.customer_id, self.commit.aggregate_id)}, event time {self.commit.event_time}"

    def error(self, message: str) -> Unreadable:
        """An error about this row."""
        return Unreadable(
            message,
            customer_id=self.customer_id,
            aggregate_id=self.commit.aggregate_id,
            event_time=self.commit.event_time,
        )


def restore(
    store: EventStore,
    tables: Iterable[ReadTable],
    customer_id: str,
    aggregate_id: str,
    event_time: UUID,
    *,
    cipher: RowCipher = NO_CIPHER,
    key: Sequence[str] = (),
) -> Restored:
    """Write the intact copy of a broken or skipped row over it. Idempotent; an intact row stays as it is.

    Looks in these read tables, in the customer's partition; in a table outside of it only if `key` names the partition.
    Reads and writes EVERYWHERE. Raises `Unreadable` with the reason against each copy if none proves itself, and
    `InvalidInput` if there is no such row or its history is below the floor. Nothing is written then.
    """
    row = _find(store, customer_id, aggregate_id, event_time, cipher)
    if row is None:
        return Restored(None)
    table, copy = _only_copy(row, _copies(store, tables, row, tuple(key)))
    written = store.replace(customer_id, copy, row.payload)
    if _find(store, customer_id, aggregate_id, event_time, cipher):
        raise _still_broken(row, written)
    return Restored(table if written else None)  # somebody else may have restored it meanwhile


def skip(
    store: EventStore,
    customer_id: str,
    aggregate_id: str,
    event_time: UUID,
    reason: str,
    *,
    cipher: RowCipher = NO_CIPHER,
    clock: Clock = system_clock,
) -> Skip | None:
    """Put a mark in the place of a broken row: its events are missing from now on, and every reader says so.

    The mark keeps the broken bytes, and `restore` still replaces it. The row is marked as a late commit, so that no
    reader begins from a snapshot that holds its events, and a snapshot and a full replay stay equal (G5); no snapshot
    is built over a skipped row. A repeat of the row's request is refused, since its answer is lost. Idempotent; returns
    None if the row is intact.
    """
    if not reason.strip():
        raise InvalidInput("Expected a reason for skipping a row, got none: it is what readers will be shown.")
    row = _find(store, customer_id, aggregate_id, event_time, cipher)
    if row is None:
        return None
    environment = Repository(store, clock).environment
    # Before the row is replaced, since this process may die then; and after it, since a snapshot may have been built
    # meanwhile.
    raise_mark(environment, customer_id, [(aggregate_id, event_time)])
    if row.mark:
        return row.mark
    mark = Skip(customer_id, aggregate_id, event_time, reason, row.payload)
    marked = Commit(aggregate_id, event_time, *SKIPPED_COLUMNS, encode_envelope(skip_envelope(mark), row.checksum))
    written = store.replace(customer_id, marked, row.payload)
    raise_mark(environment, customer_id, [(aggregate_id, event_time)])
    now = _find(store, customer_id, aggregate_id, event_time, cipher)
    if now and now.mark is None:
        raise _still_broken(row, written)
    return now.mark if now else None  # somebody else may have restored or skipped it meanwhile


def _still_broken(row: _Broken, written: bool) -> StoreError:
    found = "the store keeps the broken bytes; look at its disk" if written else "somebody else is changing this row"
    return StoreError(f"Expected to replace {row.where}, but {found}. Then try again.")


def _find(
    store: EventStore, customer_id: str, aggregate_id: str, event_time: UUID, cipher: RowCipher
) -> _Broken | None:
    """The row with its surroundings, or None if it is intact."""
    check_id("customer id", customer_id)
    heads = store.heads_of_type(customer_id, "", Consistency.EVERYWHERE)
    recorded = _recorded(store, customer_id, list(heads), event_time)
    commit = recorded.get(aggregate_id)
    if commit is None or is_below(event_time, heads[aggregate_id].floor):
        found = "that its history is below the floor, where nobody reads" if commit else "none"
        raise InvalidInput(
            f"Expected a row of {place(customer_id, aggregate_id)} at event time {event_time}, found {found}. Look "
            "with: eslab inspect. Nothing was written.",
            customer_id=customer_id,
            aggregate_id=aggregate_id,
            event_time=event_time,
        )
    if _whole(customer_id, commit, cipher):
        return None
    others = {id: _whole(customer_id, other, cipher) for id, other in recorded.items() if id != aggregate_id}
    below = [id for id, head in heads.items() if id not in recorded and is_below(event_time, head.floor)]
    lost = frozenset(map(touched_hash, [*below, *(id for id, whole in others.items() if whole is None)]))
    return _Broken(customer_id, commit, [it for it in others.values() if it], lost, cipher)


def _recorded(store: EventStore, customer_id: str, ids: Sequence[str], event_time: UUID) -> dict[str, Commit]:
    """The request's commits, by aggregate id; one that the store can't even read has no payload."""
    try:
        found = store.heads(customer_id, ids, event_time, Consistency.EVERYWHERE)
        return {id: head.recorded for id, head in found.items() if head.recorded}
    except Unreadable:
        if len(ids) == 1:
            return {id: Commit(id, event_time, *UNKNOWN_COLUMNS, b"") for id in ids}
        # Ask for one half of them, and then for the other.
        parts = ids[: len(ids) // 2], ids[len(ids) // 2 :]
        return {id: it for part in parts for id, it in _recorded(store, customer_id, part, event_time).items()}


def _whole(customer_id: str, commit: Commit, cipher: RowCipher) -> _Whole | None:
    try:
        return _checked(customer_id, commit, cipher)
    except Unreadable:
        return None


def _checked(customer_id: str, commit: Commit, cipher: RowCipher) -> _Whole:
    """The commit with its envelope; raises `Unreadable` if it was skipped or can't be trusted."""
    if not isinstance(commit.payload, bytes):
        raise Unreadable(f"found {type(commit.payload).__name__} in the column of the payload, expected bytes")
    stored = decode_envelope(commit.payload, Checksum.of_commits(customer_id, commit.aggregate_id))
    envelope = cipher.decrypt(place_of_commit(commit.aggregate_id, commit.event_time), stored)
    if not is_encrypted(envelope):  # encrypted and without a cipher, only the checksum is known
        raw_events(envelope)
    return _Whole(commit, stored, envelope)


def _copies(
    store: EventStore, tables: Iterable[ReadTable], row: _Broken, key: tuple[str, ...]
) -> Iterable[tuple[str, Commit]]:
    """The row's copies in the tables, each with the table's name."""
    for table in tables:
        prefix = (row.customer_id,) if table.layout.with_customer else key
        for commit in _in_table(store, table.layout, prefix, row) if prefix else ():
            yield table.layout.name, commit


def _in_table(store: EventStore, layout: Layout, key: tuple[str, ...], row: _Broken) -> list[Commit]:
    with closing(store.read_rows(layout, [key], Consistency.EVERYWHERE)) as pages:
        rows = chain.from_iterable(pages)
        of_row = (row.commit.aggregate_id, row.commit.event_time)
        return [it.commit for it in rows if (it.customer_id, *it.commit[:2]) == (row.customer_id, *of_row)]


def _only_copy(row: _Broken, copies: Iterable[tuple[str, Commit]]) -> tuple[str, Commit]:
    """The copy that proves itself; raises `Unreadable` if there is none, or if two that do belong to two decisions."""
    proven: list[tuple[str, _Whole]] = []
    against: list[str] = []
    for table, copy in copies:
        try:
            proven.append((table, _proved(row, copy)))
        except Unreadable as error:
            against.append(f"{table}: {error}")
    if len({whole.envelope.digest for _, whole in proven}) > 1:
        proven, against = [], ["copies of two decisions, in " + " and ".join(table for table, _ in proven)]
    if not proven:
        raise row.error(
            f"Expected an intact copy of {row.where} in a read table, found {'; '.join(against) or 'none'}. Nothing "
            "was written. Name other tables with --module (and --key), or go on without the row: eslab row skip"
        )
    table, whole = max(proven, key=lambda it: it[1].commit.payload)
    return table, whole.commit


def _proved(row: _Broken, copy: Commit) -> _Whole:
    """The copy, if it is the row that was there; raises `Unreadable` with what speaks against it."""
    whole = _checked(row.customer_id, copy, row.cipher)
    if is_encrypted(whole.envelope):
        raise Unreadable("it is encrypted; name the keys that it was written with, to see whether it belongs here")
    envelope = whole.envelope
    same = [other for other in row.others if other.envelope.digest == envelope.digest]
    if any(other.envelope.digest > envelope.digest for other in row.others):
        raise Unreadable("it belongs to a decision of the request that lost against another one")
    decision = [RecordedCommit(one.commit, one.stored) for one in (whole, *same)]
    missing = missing_in(decision, {})
    if missing - row.lost:
        commits = quantity(len(touched_in(envelope)), "commit")
        raise Unreadable(f"its decision has {commits}, of which only {len(decision)} can be seen")
    if not same:
        _compare(row.mark.payload if row.mark else row.payload, envelope)
    if any(is_encrypted(other.envelope) for other in same):
        raise Unreadable("a commit of its decision is encrypted; name the keys, to see whether it belongs here")
    if missing and not _fits_columns(row.commit, whole):
        raise Unreadable("it is the commit of another request")
    check_digest(row.customer_id, decision, row.cipher)
    return whole


def _compare(damaged: bytes, envelope: Envelope[Raw]) -> None:
    """Refuse a copy whose digest is not what is left of the row's own."""
    digest = damaged[DIGEST]
    if damaged.startswith(HEADER) and len(digest) == len(envelope.digest):
        equal = sum(a == b for a, b in zip(digest, envelope.digest, strict=True))
        if equal < ALIKE:
            raise Unreadable(f"its digest is {envelope.digest.hex()}, and the broken row's is {digest.hex()}")


def _fits_columns(damaged: Commit, copy: _Whole) -> bool:
    """Do the row's columns for people name the type of the copy's first event?"""
    stored = (damaged.event_type, damaged.version)
    tags = [str(event.get("type")) for event in raw_events(copy.envelope)]
    named = [split_tag(tag) for tag in tags if is_tag(tag)]
    return is_encrypted(copy.stored) or stored in (*named, SKIPPED_COLUMNS, UNKNOWN_COLUMNS)
