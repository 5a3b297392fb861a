"""Lesson 06: judges of an aggregate of the reader's own, whose snapshots must be as good as a replay."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

from eslab import Aggregate, Event, Request
from eslab.aggregate import aggregate_id, check_event, serializer_of
from eslab.errors import InvalidInput
from eslab.lab.answers import Answer, Outcome, Undecided
from eslab.lab.feedback import Difference
from eslab.lab.session import START
from eslab.payload.comparison import differences
from eslab.payload.encoding import encode
from eslab.payload.encryption import NO_CIPHER
from eslab.snapshot import parse_snapshot, snapshot_of, state_in

FIGURES = ("visits", "spent", "shops", "last")
UP_TO = Request.at(START, "a visit").event_time


class Visited(Event):
    """A guest was in a shop and paid. Tills send the visits of a day at night, in any order."""

    shop: str
    cents: int
    day: date


class Figures(NamedTuple):
    """What the aggregate must tell of a guest."""

    visits: Any
    spent: Any
    shops: Any
    last: Any

    def __str__(self) -> str:
        return ", ".join(f"{name} {value!r}" for name, value in self._asdict().items())


NONE_YET = Figures(0, 0, set(), None)
ONE, EARLIER = Visited("Elm", 250, date(2026, 1, 5)), Visited("Rue", 10, date(2026, 1, 4))
EARLIEST = Visited("Baker", 20, date(2026, 1, 3))


def expected_of(events: Sequence[Visited]) -> Figures:
    """The figures of these visits, counted without an aggregate."""
    spent, last = sum(event.cents for event in events), max((event.day for event in events), default=None)
    return Figures(len(events), spent, {event.shop for event in events}, last)


def figures_of(state: Any) -> Figures:
    """What a state tells: a field, a property or a method for each figure; the shops in any collection."""
    values = (getattr(state, name) for name in FIGURES)
    visits, spent, shops, last = (value() if callable(value) else value for value in values)
    return Figures(
        visits, spent, set(shops) if isinstance(shops, Iterable) and not isinstance(shops, str) else shops, last
    )


def folded(aggregate_type: type[Aggregate], events: Sequence[Visited], base: Aggregate | None = None) -> Aggregate:
    """Apply the events to the empty state, or to a base."""
    state = aggregate_type() if base is None else base
    for event in events:
        state.apply(event)
    return state


def through_a_snapshot(state: Aggregate, commits: int) -> Aggregate:
    """The state as a reader gets it from a snapshot; raises `InvalidInput` for one that would not survive."""
    id = aggregate_id((type(state), "1"))
    stored = snapshot_of("ann", id, state, commits, UP_TO, START, NO_CIPHER)
    return state_in(id, stored, parse_snapshot("ann", id, stored), type(state), NO_CIPHER)


def _outcome(answer: Answer, ask: Callable[[type[Aggregate]], Any]) -> Outcome:
    """What the reader's class gives; the check can't tell of anything else than a class of aggregates."""
    found = answer.value
    if not (isinstance(found, type) and issubclass(found, Aggregate)):
        raise Undecided(f"the answer is {found!r}. Write a class: class Guest(Aggregate).")
    return Answer(lambda: ask(found))()


def can_be_stored(answer: Answer, _: object) -> Difference | None:
    """The class can be written and read, and understands visits."""
    visit = Visited("Elm", 250, date(2026, 1, 5))

    def ask(aggregate_type: type[Aggregate]) -> None:
        serializer_of(aggregate_type)
        check_event(aggregate_type, visit)

    outcome = _outcome(answer, ask)
    if outcome.error is None:
        return None
    return Difference([], "the class is read", "a class that a store can use", str(outcome), "The message says why.")


def begins_with_nothing(answer: Answer, _: object) -> Difference | None:
    """Before the first visit every figure is there, and empty."""
    outcome = _outcome(answer, lambda aggregate_type: figures_of(aggregate_type()))
    if outcome.error is None and outcome.value == NONE_YET:
        return None
    why = "Before the first visit the figures are 0, 0, an empty set and None."
    if isinstance(outcome.error, AttributeError):
        why = "A figure is missing before the first visit. Give every field a default: the state before any event."
    return Difference([], "a guest without visits is asked", str(NONE_YET), str(outcome), why)


def shares_nothing(answer: Answer, _: object) -> Difference | None:
    """The figures of a guest are the same after another guest came."""

    def ask(aggregate_type: type[Aggregate]) -> tuple[Figures, Figures]:
        alone = figures_of(folded(aggregate_type, [EARLIER]))
        folded(aggregate_type, [ONE])
        return alone, figures_of(folded(aggregate_type, [EARLIER]))

    outcome = _outcome(answer, ask)
    if outcome.error or outcome.value[0][:3] == outcome.value[1][:3]:  # errors, and a last day, are for later rules
        return None
    alone, after = outcome.value
    why = (
        "The second guest has what the first one did: something is kept outside of the fields, in a set or map of the "
        "class or of the module, and all guests share it."
    )
    return Difference([ONE, EARLIER], "each is the visit of another guest", str(alone), str(after), why)


def tells_the_figures(answer: Answer, events: Sequence[Visited]) -> Difference | None:
    """The figures of a replay are those of the visits."""
    outcome = _outcome(answer, lambda aggregate_type: figures_of(folded(aggregate_type, events)))
    expected = expected_of(events)
    if outcome.error is None and outcome.value == expected:
        return None
    why = _why_error(outcome) or _why_figures(outcome.value, expected, events)
    return Difference(events, "all are applied", str(expected), _got(outcome), why)


def _why_error(outcome: Outcome) -> str:
    if outcome.error is None:
        return ""
    if isinstance(outcome.error, AttributeError | TypeError | NameError):
        return "apply ends with an error. Run the cell, apply one event by hand, and look where."
    return "apply refused an event. It has happened and is in the log for ever: apply adds it up, whatever it is."


def _why_figures(got: Figures, expected: Figures, events: Sequence[Visited]) -> str:
    if got.visits != expected.visits:
        return _why_visits(got.visits, expected.visits)
    if got.spent != expected.spent:
        is_in_euros = isinstance(got.spent, int | float) and abs(got.spent * 100 - expected.spent) < 1e-6
        return (
            "Spent is in cents, as the events are." if is_in_euros else "Spent is the sum of the cents of all visits."
        )
    if got.shops != expected.shops:
        return "Shops are the names of all shops that the guest was in, each once, in a set or a list."
    return _why_last(got.last, events)


def _why_visits(got: Any, expected: int) -> str:
    if isinstance(got, int) and got < expected:
        return (
            "A visit is missing. Two equal events are two visits: a repeat of a request is the same row, so it never "
            "comes to apply twice."
        )
    return "Visits is the number of events."


def _why_last(got: Any, events: Sequence[Visited]) -> str:
    days = [event.day for event in events]
    today = date.today()  # as the reader's code does, whatever the clock's zone
    if str(got).startswith(str(today)):
        return (
            "That is today. apply must read no clock: a replay next year would give another state. The event has a day."
        )
    if got == days[-1]:
        return "That is the day of the last event in the log. The latest day may come earlier: keep the later of two."
    return "Last is the latest day of all visits, as a date."


def repeats_itself(answer: Answer, events: Sequence[Visited]) -> Difference | None:
    """Two replays of the same visits give the same state, whose days are those of the visits."""

    def ask(aggregate_type: type[Aggregate]) -> str:
        state = folded(aggregate_type, events)
        differing = _first(state, folded(aggregate_type, events), "in one replay", "in the next")
        return differing or ("a state that holds today's date" if _holds_today(state) else "")

    why = "Something in the state is no event: a clock, a random number or a counter of the process."
    return _differing(_outcome(answer, ask), events, "they are replayed twice", why)


def _holds_today(state: Aggregate) -> bool:
    try:
        return str(date.today()).encode() in encode(state)
    except InvalidInput:  # what can't be stored is for a later rule
        return False


def commutes(answer: Answer, orders: tuple[Sequence[Visited], Sequence[Visited]]) -> Difference | None:
    """Another order of the same visits gives the same state."""
    one, other = orders

    def ask(aggregate_type: type[Aggregate]) -> str:
        return _first(folded(aggregate_type, one), folded(aggregate_type, other), "in this order", "in another")

    return _differing(_outcome(answer, ask), one, "they come in another order", WHY_ORDER)


WHY_ORDER = (
    "The state depends on the order. A request that was delayed is decided late and replayed early, so the two would "
    "differ. A list is in the order of arrival, and a set is not. A sum of floats is rounded at each step, and one of "
    "whole cents is not."
)


def survives_a_snapshot(answer: Answer, events: Sequence[Visited]) -> Difference | None:
    """What a reader gets from a snapshot is the state that was saved."""
    outcome = _outcome(answer, lambda aggregate_type: through_a_snapshot(folded(aggregate_type, events), len(events)))
    if outcome.error is None:
        return None
    return Difference(
        events, "a snapshot is built", "the same state when it is read", str(outcome), _why_lost(str(outcome))
    )


def _why_lost(message: str) -> str:
    if "which is no field" in message:
        return (
            "A snapshot holds the declared fields and nothing else. Declare what apply sets, with a type and a default."
        )
    return (
        "A snapshot is read back by the declared types: without one, a set comes back as a list. And whatever "
        "`__post_init__` does, it does again when a snapshot is read."
    )


def equals_a_replay(answer: Answer, case: tuple[Sequence[Visited], int]) -> Difference | None:
    """A snapshot after some visits, and the later ones, give what a replay of all gives."""
    events, cut = case

    def ask(aggregate_type: type[Aggregate]) -> str:
        state = through_a_snapshot(folded(aggregate_type, events[:cut]), cut)
        figures_of(state)  # a service asks for the state, and then applies what it has decided
        both, replay = folded(aggregate_type, events[cut:], state), folded(aggregate_type, events)
        if found := _first(both, replay, "from the snapshot", "in a replay"):
            return found
        one, other = figures_of(both), figures_of(replay)
        return "" if one == other else f"from the snapshot {one}; in a replay {other}"

    why = "What was computed when the snapshot was read was kept, and the later visits are missing in it."
    return _differing(_outcome(answer, ask), events, f"a snapshot holds the first {cut}", why)


def fingerprint(aggregate_type: type[Aggregate]) -> str:
    """The bytes of the state after three visits, for another process to compare."""
    return encode(folded(aggregate_type, [ONE, EARLIER, EARLIEST])).hex()


def is_the_same_elsewhere(answer: Answer, _: object) -> Difference | None:
    """Another process, in which `hash` gives other numbers, folds the same state."""
    if not answer.source:
        return None
    here = _outcome(answer, fingerprint)
    try:
        there = answer.elsewhere(f"__import__({__name__!r}, fromlist=['it']).fingerprint(Guest)")
    except Undecided:  # it uses what another cell defines, or the machine is slow
        return None
    if here.value == there:
        return None
    why = "The numbers that `hash` and `id` give, and the order of a set, are those of one process. Keep none of them."
    return Difference([ONE, EARLIER, EARLIEST], "two servers fold them", "the same state", "two states", why)


def _first(one: Any, other: Any, in_one: str, in_other: str) -> str:
    """The first part in which two states differ, in words; empty if there is none."""
    found = next(differences(one, other), None)
    return found.told(in_one, in_other) if found else ""


def _differing(outcome: Outcome, events: Sequence[Visited], when: str, why: str) -> Difference | None:
    if outcome.error is None and not outcome.value:
        return None
    got = str(outcome) if outcome.error else outcome.value
    return Difference(events, when, "the same state", got, why)


def _got(outcome: Outcome) -> str:
    return str(outcome) if outcome.error else str(outcome.value)
