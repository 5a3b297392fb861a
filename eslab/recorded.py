"""The decision that a request left behind, and whether all of it can be seen.

A request may have been decided twice, in two regions that were parted. Of its commits, those with the greatest
digest are the decision that counts; the others belong to the losing one. A decision is complete when as many commits
carry its digest as it announces. Nothing is decided a second time on half a truth: what is missing may still arrive.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from msgspec import Raw

from eslab.errors import OutcomeUnknown, RequestConflict, Unreadable
from eslab.payload.serializer import SKIPPED, Envelope, decode_envelope, skip_in
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


def missing(decision: Sequence[RecordedCommit], heads: Mapping[str, Head]) -> int:
    """TODO envelope"""
    event_time = decision[0].commit.event_time
    seen = {one.commit.aggregate_id for one in decision}
    below = [id for id, head in heads.items() if id not in seen and is_below(event_time, head.floor)]
    return max(0, decision[0].envelope.commits - len(decision) - len(below))


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
    customer_id: str, request: Request, decision: Sequence[RecordedCommit], heads: Mapping[str, Head]
) -> OutcomeUnknown:
    """The error raised when only a part of a decision can be seen."""
    return OutcomeUnknown(
        f"Expected {decision[0].envelope.commits} commits of {request} of customer {customer_id!r}, found "
        f"{len(decision)} that agree. It may have happened: send the same request again, it can't count twice.",
        customer_id=customer_id,
        event_time=request.event_time,
    )


def parse(customer_id: str, commit: Commit) -> RecordedCommit:
    """A commit with its envelope; raises `Unreadable` with the row if it can't be trusted."""
    try:
        return RecordedCommit(commit, decode_envelope(commit.payload))
    except Unreadable as error:
        raise unreadable(customer_id, commit, error) from error
