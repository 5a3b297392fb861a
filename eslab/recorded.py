"""The decision that a request left behind, and whether all of it can be seen.

A request may have been decided twice, in two regions that were parted. Of its commits, those with the greatest
digest are the decision that counts; the others belong to the losing one. A decision is complete when each aggregate
that it touched has a commit with its digest, or lies at or below its own floor. Nothing is decided a second time on
half a truth: what is missing may still arrive.

The digest covers customer and event time too. So where a whole decision is at hand, it proves that its rows were
written for this request, and not copied from another time.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from msgspec import Raw

from eslab.display import quantity
from eslab.errors import OutcomeUnknown, RequestConflict, Unreadable
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import NO_CIPHER, RowCipher, is_encrypted, place_of_commit
from eslab.payload.serializer import (
    SKIPPED,
    TOUCHED_BYTES,
    Envelope,
    decode_envelope,
    digest_of,
    plain_body,
    skip_in,
    touched_hash,
    touched_in,
)
from eslab.request import Request, sort_key
from eslab.store import Commit, Head, unreadable


class RecordedCommit(NamedTuple):
    """A commit that the request left behind, and its payload, parsed once."""

    commit: Commit
    envelope: Envelope[Raw]


def decision_in(customer_id: str, heads: Mapping[str, Head]) -> list[RecordedCommit]:
    """The commits of the decision that counts; empty if the request was never decided.

    Raises `Unreadable` with the row that can't be trusted, and for a skipped row: its decision is lost.
    """
    recorded = [parse(customer_id, head.recorded) for head in heads.values() if head.recorded]
    for commit, envelope in recorded:
        if envelope.format == SKIPPED:
            raise unreadable(customer_id, commit, Unreadable(f"{skip_in(envelope)}; make a new request for a new wish"))
    greatest = max((one.envelope.digest for one in recorded), default=b"")
    return [one for one in recorded if one.envelope.digest == greatest]


def missing_in(decision: Sequence[RecordedCommit], heads: Mapping[str, Head]) -> set[bytes]:
    """The hashes of the touched aggregates whose commit can't be seen; empty when the decision is complete.

    The commit of an aggregate at or below its own floor is not missing: it may be gone. Floors of aggregates that the
    request never touched don't count.
    """
    commit, envelope = decision[0]
    seen = {one.commit.aggregate_id for one in decision}
    below = {id for id, head in heads.items() if is_below(commit.event_time, head.floor)}
    return touched_in(envelope) - {*map(touched_hash, seen | below)}


def prove(customer_id: str, decision: Sequence[RecordedCommit], cipher: RowCipher = NO_CIPHER) -> None:
    """Refuse a decision of which all commits are at hand, and whose digest is not over customer, time and commits.

    Nothing is proved where a commit is missing, was skipped, or is encrypted and there is no cipher. Raises
    `Unreadable` with the first of its rows.
    """
    try:
        check_digest(customer_id, decision, cipher)
    except Unreadable as error:
        raise unreadable(customer_id, decision[0].commit, error) from error


def check_digest(customer_id: str, decision: Sequence[RecordedCommit], cipher: RowCipher = NO_CIPHER) -> None:
    """Like `prove`; raises `Unreadable` without the row."""
    encrypted = any(is_encrypted(envelope) for _, envelope in decision)
    skipped = any(envelope.format == SKIPPED for _, envelope in decision)
    if skipped or (encrypted and cipher is NO_CIPHER) or missing_in(decision, {}):
        return
    (_, event_time, *_), envelope = decision[0]
    bodies = {one.commit.aggregate_id: plain_body(_decrypted(one, cipher)) for one in decision}
    if digest_of(customer_id, event_time, bodies, cipher.hash_key() if encrypted else b"") != envelope.digest:
        raise Unreadable(
            f"the digest does not fit the request's {quantity(len(bodies), 'commit')}: the row was copied from another "
            "time or customer, or is damaged"
        )


def _decrypted(recorded: RecordedCommit, cipher: RowCipher) -> Envelope[Raw]:
    commit, envelope = recorded
    return cipher.decrypt(place_of_commit(commit.aggregate_id, commit.event_time), envelope)


def is_below(event_time: UUID, floor: UUID | None) -> bool:
    """Is an event time at or below the floor?"""
    return floor is not None and sort_key(event_time) <= sort_key(floor)


def conflict(customer_id: str, request: Request, commit: Commit) -> RequestConflict:
    """The error raised when a request id was used for another command."""
    return RequestConflict(
        f"{request} of customer {customer_id!r} was used before for another command (see {commit.aggregate_id!r}). "
        "Nothing was written; make a new request for a new command.",
        customer_id=customer_id,
        aggregate_id=commit.aggregate_id,
        event_time=commit.event_time,
    )


def outcome_unknown(
    customer_id: str, request: Request, decision: Sequence[RecordedCommit], missing: Collection[bytes]
) -> OutcomeUnknown:
    """The error raised when only a part of a decision can be seen."""
    touched = len(decision[0].envelope.touched) // TOUCHED_BYTES
    return OutcomeUnknown(
        f"Expected {quantity(touched, 'commit')} of {request} of customer {customer_id!r}, found "
        f"{touched - len(missing)}. It may have happened: send the same request again, it can't count twice.",
        customer_id=customer_id,
        event_time=request.event_time,
    )


def parse(customer_id: str, commit: Commit) -> RecordedCommit:
    """A commit with its envelope; raises `Unreadable` with the row if it can't be trusted."""
    try:
        checksum = Checksum.of_commits(customer_id, commit.aggregate_id)
        return RecordedCommit(commit, decode_envelope(commit.payload, checksum))
    except Unreadable as error:
        raise unreadable(customer_id, commit, error) from error
