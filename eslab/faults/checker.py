"""Judges a history: is every promise kept that its operations could show?

Each rule is a function that yields its violations. A verdict is false with the operations that contradict each other,
true if there are none, or unknown if nothing was acknowledged that could have been broken.

    lost        what was acknowledged shows in every state of the end, those from a cache too (G2)
    twice       no request has two places in one tally (G3)
    torn        the state in an answer holds the request at the places that the answer tells
    changed     every answer to a request tells the same places (G1)
    forgotten   what an answer said, the next hydration in its region shows (read your own writes)
    apart       in the end all regions show the same state (G4)
    unfounded   a rejection is explained by requests other than the rejected one (G7)
    overshot    a request was counted although its region had acknowledged as many before as the limit allows
    undone      a repeat in the region that acknowledged a request is never rejected or refused
    partial     a snapshot holds all that was acknowledged up to its time, and nothing after it (G5)
    gone        no state is lost below a floor (G6)
    stuck       newer code, which loads fewer aggregates, is told the recorded answer too
    unswept     after an audit that repaired, every state is what its rows add up to (G5)
    believed    a row that was copied to another place is not believed (G8)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eslab.errors import HistoryGone, OutcomeUnknown, OutOfTime, Unreadable
from eslab.faults.history import Operation
from eslab.request import Request


@dataclass(frozen=True)
class Violation:
    """A broken promise, and the operations that show it."""

    rule: str
    text: str
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        return "\n".join((f"{self.rule}: {self.text}", *(f"    {operation}" for operation in self.operations)))


def violations(operations: Sequence[Operation]) -> list[Violation]:
    """All violations in a history."""
    return [violation for rule in RULES for violation in rule(operations)]


def lost(operations: Sequence[Operation]) -> Iterator[Violation]:
    """What was acknowledged shows in every state of the end, and in those that services kept till then."""
    kept = (operation for operation in operations if operation.what == "kept" and operation.answer)
    for end in (*_states(operations, final=True), *kept):
        for counted in _accepted(operations):
            for key in counted.places:
                if key in end.keys and _name(counted) not in end.answer[key].places:
                    yield Violation("lost", f"{_short(counted)} was acknowledged in tally {key}", (counted, end))


def twice(operations: Sequence[Operation]) -> Iterator[Violation]:
    """No request has two places in one tally, in any state that anybody saw."""
    for operation in operations:
        tallies = operation.answer.tallies if operation.what == "count" and operation.answer else None
        for key, tally in (tallies or (operation.answer if operation.what == "load" else None) or {}).items():
            for request, places in tally.places.items():
                if len(places) > 1:
                    yield Violation("twice", f"{request[-12:]} has places {places} in tally {key}", (operation,))


def torn(operations: Sequence[Operation]) -> Iterator[Violation]:
    """The state in an answer holds the request at the places that the answer tells."""
    for operation in operations:
        for key, place in operation.places.items():
            held = operation.answer.tallies[key].places.get(_name(operation), [])
            if place not in held:
                yield Violation(
                    "torn", f"{_short(operation)} was told place {place}, its tally {key} holds {held}", (operation,)
                )


def changed(operations: Sequence[Operation]) -> Iterator[Violation]:
    """Answers that were given in one region, one after the other, tell the same places.

    Unless the request was decided twice, by deliveries that could not hear of each other: then one decision wins (G1).
    What was archived may be left out.
    """
    for first in _accepted(operations):
        for later in _accepted(operations):
            if not _follows(first, later) or _rival(operations, first, later.places):
                continue
            archived = _archived(operations, later)
            kept = {key: place for key, place in first.places.items() if key not in archived}
            if not kept.items() <= later.places.items() <= first.places.items():
                yield Violation("changed", "a repeat was told other places", (first, later))


def forgotten(operations: Sequence[Operation]) -> Iterator[Violation]:
    """What an answer said, the next hydrations in its region show."""
    for counted in _accepted(operations):
        for seen in _states(operations, final=False):
            if seen.region == counted.region and counted.before(seen):
                for key in counted.places:
                    if key in seen.keys and _name(counted) not in seen.answer[key].places:
                        yield Violation("forgotten", f"{_short(counted)} is missing in tally {key}", (counted, seen))


def apart(operations: Sequence[Operation]) -> Iterator[Violation]:
    """In the end all regions show the same state."""
    ends = list(_states(operations, final=True))
    for end in ends[1:]:
        if end.answer != ends[0].answer:
            yield Violation("apart", "regions with the same rows show different states", (ends[0], end))


def unfounded(operations: Sequence[Operation]) -> Iterator[Violation]:
    """A rejection is explained by other requests, sent before it was answered."""
    counts = [operation for operation in operations if operation.what == "count"]
    for refused in counts:
        if refused.rejected and refused.ended is not None:
            others = {
                _name(other)
                for other in counts
                if not refused.before(other) and not other.rejected and set(other.keys) & set(refused.keys)
            }
            if len(others - {_name(refused)}) < refused.limit:
                yield Violation("unfounded", f"{_short(refused)} was rejected for its own commit", (refused,))


def overshot(operations: Sequence[Operation]) -> Iterator[Violation]:
    """Nothing is counted above a limit that its region had reached before it was sent at all."""
    accepted = _accepted(operations)
    for counted in accepted:
        first = min((other for other in operations if other.request == counted.request), key=lambda one: one.number)
        for key in counted.places:
            before = {
                _name(other)
                for other in accepted
                if other.region == counted.region
                and other.request != counted.request
                and other.before(first)
                and key in other.places
            }
            if len(before) >= counted.limit and not counted.repeated:
                yield Violation("overshot", f"{_short(counted)} exceeds {counted.limit} in tally {key}", (counted,))


def undone(operations: Sequence[Operation]) -> Iterator[Violation]:
    """A repeat, however late, in the region that acknowledged a request is never rejected or refused.

    Unless its record was archived.
    """
    for counted in _accepted(operations):
        for later in operations:
            refused = isinstance(later.error, OutOfTime) and not _archived(operations, later)
            if _follows(counted, later) and (later.rejected or refused):
                yield Violation("undone", f"{_short(counted)} was acknowledged before", (counted, later))


def gone(operations: Sequence[Operation]) -> Iterator[Violation]:
    """In the end every state can be read."""
    for operation in operations:
        if operation.what == "load" and operation.final and isinstance(operation.error, HistoryGone | Unreadable):
            yield Violation("gone", "a state can't be read any more", (operation,))


def partial(operations: Sequence[Operation]) -> Iterator[Violation]:
    """A snapshot holds all that was acknowledged up to its time, and nothing after it."""
    for end in operations:
        if end.what != "snapshots" or not end.answer:
            continue
        for up_to, tally in end.answer.items():
            for counted in _accepted(operations):
                inside = _name(counted) in tally.places
                if end.keys[0] in counted.places and inside != (_request(counted).time <= up_to):
                    how = "holds" if inside else "misses"
                    yield Violation("partial", f"the snapshot up to {up_to} {how} {_short(counted)}", (counted, end))


def stuck(operations: Sequence[Operation]) -> Iterator[Violation]:
    """A repeat in the end, by code that loads fewer tallies, has the recorded answer; unless history was archived."""
    for recall in operations:
        if recall.what == "recall" and not recall.repeated:
            counted = next(it for it in _accepted(operations) if it.request == recall.request)
            if not _archived(operations, counted):
                yield Violation("stuck", f"newer code is not told of {_short(recall)}", (counted, recall))


def unswept(operations: Sequence[Operation]) -> Iterator[Violation]:
    """After an audit that repaired, every state is what its rows add up to, those of writers that died too."""
    for audit in operations:
        for compared in operations:
            ended = audit.what == "audit" and audit.error is None and audit.before(compared)
            if ended and compared.what == "compared" and compared.answer:
                shown, replayed = compared.answer
                if replayed is not None and shown != replayed:
                    yield Violation("unswept", f"{shown} is shown, and a replay gives {replayed}", (audit, compared))


def believed(operations: Sequence[Operation]) -> Iterator[Violation]:
    """A row that was copied to another place is an error."""
    for operation in operations:
        if operation.what == "copied" and not isinstance(operation.error, Unreadable):
            yield Violation("believed", "a copied row counts", (operation,))


RULES = (
    lost,
    twice,
    torn,
    changed,
    forgotten,
    apart,
    unfounded,
    overshot,
    undone,
    partial,
    gone,
    stuck,
    unswept,
    believed,
)


def _accepted(operations: Sequence[Operation]) -> list[Operation]:
    return [operation for operation in operations if operation.what == "count" and operation.accepted]


def _states(operations: Sequence[Operation], final: bool) -> Iterator[Operation]:
    """The hydrations that gave a state: those of the end, or all."""
    for operation in operations:
        if operation.what == "load" and operation.answer and (operation.final or not final):
            yield operation


def _follows(first: Operation, later: Operation) -> bool:
    """Is it a repeat of the same request in the same region, sent after the first one was answered?"""
    return (
        later.request is not None
        and later.request == first.request
        and later.region == first.region
        and first.before(later)
    )


def _archived(operations: Sequence[Operation], operation: Operation) -> set[str]:
    """The tallies of an operation of which somebody may have archived commits."""
    rotated = {key for one in operations if one.what == "rotate" for key in one.keys}
    return rotated & {*operation.keys}


def _rival(operations: Sequence[Operation], first: Operation, told: dict[str, int]) -> bool:
    """Did another delivery, which overlapped the first one or was made in another region, decide as was told?

    One whose outcome is unknown overlaps whatever follows: what it wrote may be heard of at any time.
    """
    return any(
        other.request == first.request
        and other is not first
        and (other.region != first.region or _is_open(other) or not (first.before(other) or other.before(first)))
        and (not other.accepted or (not other.repeated and told.items() <= other.places.items()))
        for other in operations
    )


def _is_open(operation: Operation) -> bool:
    return isinstance(operation.error, OutcomeUnknown)


def _request(operation: Operation) -> Request:
    assert operation.request is not None
    return operation.request


def _name(operation: Operation) -> str:
    return str(_request(operation).id)


def _short(operation: Operation) -> str:
    return _name(operation)[-12:]
