"""The exercises of lesson 06: an aggregate whose snapshots are as good as a replay, and the interval for a load."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NamedTuple

from hypothesis import strategies as st

from eslab import Aggregate, Event, Request
from eslab.aggregate import aggregate_id, check_event, serializer_of
from eslab.lab.answers import Answer, Outcome, Undecided
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.lessons.exercises.interval_for_a_load import interval
from eslab.lab.session import START
from eslab.payload.comparison import differences
from eslab.payload.encryption import NO_CIPHER
from eslab.snapshot import parse_snapshot, snapshot_of, state_in

__all__ = ["Visited", "guest", "interval"]
FIGURES = ("visits", "spent", "shops", "last")
UP_TO = Request.at(START, "a visit").event_time
COLLECTIONS = (set, frozenset, list, tuple, dict)


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


def expected_of(events: Sequence[Visited]) -> Figures:
    """The figures of these visits, counted without an aggregate."""
    spent, last = sum(event.cents for event in events), max((event.day for event in events), default=None)
    return Figures(len(events), spent, {event.shop for event in events}, last)


def figures_of(state: Any) -> Figures:
    """What a state tells: a field, a property or a method for each figure; the shops in any collection."""
    values = (getattr(state, name) for name in FIGURES)
    visits, spent, shops, last = (value() if callable(value) else value for value in values)
    return Figures(visits, spent, set(shops) if isinstance(shops, COLLECTIONS) else shops, last)


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


def shares_nothing(answer: Answer, events: Sequence[Visited]) -> Difference | None:
    """A new guest begins with nothing, whoever came before."""

    def ask(aggregate_type: type[Aggregate]) -> Figures:
        folded(aggregate_type, events)
        return figures_of(aggregate_type())

    outcome = _outcome(answer, ask)
    if outcome.error is None and outcome.value == NONE_YET:
        return None
    return Difference(
        events, "another guest, without visits, is asked", str(NONE_YET), _got(outcome), _why_new(outcome, events)
    )


def _why_new(outcome: Outcome, events: Sequence[Visited]) -> str:
    if isinstance(outcome.error, AttributeError):
        return "A figure is missing before the first visit. Give every field a default: the state before any event."
    if outcome.error is not None or not events:
        return "Before the first visit the figures are 0, 0, an empty set and None."
    return (
        "A second guest begins with what the first one did: something is kept outside of the fields, in a set or map "
        "of the class or of the module, and all guests share it."
    )


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
    """Two replays of the same visits give the same state."""

    def ask(aggregate_type: type[Aggregate]) -> str:
        return _first(folded(aggregate_type, events), folded(aggregate_type, events), "in one replay", "in the next")

    why = "Something in the state is no event: a clock, a random number or a counter of the process."
    return _differing(_outcome(answer, ask), events, "they are replayed twice", why)


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


VISIT = st.builds(
    Visited,
    st.sampled_from(["Elm", "Rue", "Baker"]),
    st.sampled_from([0, 10, 20, 250]),
    st.dates(date(2026, 1, 1), date(2026, 1, 9)),
)
VISITS = st.lists(VISIT, max_size=5)
ONE, EARLIER = Visited("Elm", 250, date(2026, 1, 5)), Visited("Rue", 10, date(2026, 1, 4))
DIMES = [Visited("Elm", cents, date(2026, 1, 5)) for cents in (10, 20, 30)]
ORDERS = VISITS.flatmap(lambda visits: st.tuples(st.just(visits), st.permutations(visits)))
CUTS = VISITS.flatmap(lambda visits: st.tuples(st.just(visits), st.integers(0, len(visits))))

SUMS = ["visits: int = 0", "spent: int = 0"]
FIELDS = [*SUMS, "shops: set[str] = set()", "last: date | None = None"]
ADD = ["self.visits += 1", "self.spent += event.cents"]
ADD_SHOP, ADD_LAST = "self.shops.add(event.shop)", "self.last = max(self.last or event.day, event.day)"


def _guest(fields: Sequence[str], apply: Sequence[str], more: str = "", above: str = "") -> str:
    """The text of a class with these fields and this `apply`; `more` is the body of a property `shops`."""
    lines = [*fields, "", "def apply(self, event: Visited) -> None:", *(f"    {line}" for line in apply)]
    lines += ["", "@property", "def shops(self):", f"    return {more}"] if more else []
    body = "\n".join(f"    {line}".rstrip() for line in lines)
    return f"{above}class Guest(Aggregate):\n{body}"


guest = Exercise(
    "guest",
    "06_snapshot_vs_replay",
    "Write the aggregate `Guest`, so that a snapshot and the later visits give what a replay gives, in any order of "
    "the visits. It tells `visits`, `spent` in cents, `shops` (their names) and `last` (the latest day, or None), each "
    "as a field or a property.",
    answer="Guest",
    seconds=30,
    rules=[
        Rule("the class can be stored", can_be_stored),
        Rule("a new guest begins with nothing", shares_nothing, examples=[[], [ONE]]),
        Rule("the figures are right", tells_the_figures, examples=[[ONE], [ONE, ONE], [ONE, EARLIER]], cases=VISITS),
        Rule("the same visits give the same state again", repeats_itself, cases=VISITS),
        Rule(
            "another order of the visits gives the same state", commutes, examples=[(DIMES, DIMES[::-1])], cases=ORDERS
        ),
        Rule("a snapshot gives the state back", survives_a_snapshot, cases=VISITS),
        Rule("a snapshot and the later visits give what a replay gives", equals_a_replay, cases=CUTS),
    ],
    hints=[
        "Four declared fields are enough. Which of them is not a sum? A set of names needs a type that says so, and "
        "the latest day is the later one of what you have and of what comes.",
        "`shops: set[str] = set()` and `last: date | None = None`. Then `self.shops.add(event.shop)` and "
        "`self.last = max(self.last or event.day, event.day)`.",
    ],
    wrong=[
        Wrong(_guest([*FIELDS[:3], "last: date = None"], [*ADD, ADD_SHOP, ADD_LAST]), "Expected a default of its type"),
        Wrong(
            _guest([*SUMS, FIELDS[3]], [*ADD, ADD_LAST, "KNOWN.add(event.shop)"], "KNOWN", "KNOWN = set()\n\n\n"),
            "all guests share it",
        ),
        Wrong(
            _guest([*SUMS, FIELDS[3]], [*ADD, ADD_LAST, "self.shops = getattr(self, 'shops', set()) | {event.shop}"]),
            "Give every field a default",
        ),
        Wrong(_guest(FIELDS, [*ADD, ADD_SHOP, "self.last = date.today()"]), "must read no clock"),
        Wrong(_guest(FIELDS, [*ADD, ADD_SHOP, "self.last = event.day"]), "keep the later of two"),
        Wrong(
            _guest(
                [*FIELDS, "seen: list[Visited] = []"],
                ["if event in self.seen:", "    return", "self.seen.append(event)", *ADD, ADD_SHOP, ADD_LAST],
            ),
            "Two equal events are two visits",
        ),
        Wrong(_guest(FIELDS, [ADD[0], f"{ADD[1]} / 100", ADD_SHOP, ADD_LAST]), "Spent is in cents"),
        Wrong(
            _guest(FIELDS, ["if not event.cents:", "    raise ValueError('nothing')", *ADD, ADD_SHOP, ADD_LAST]),
            "apply refused an event.",
        ),
        Wrong(
            _guest(
                [*FIELDS, "loaded: datetime = field(default_factory=datetime.now)"],
                [*ADD, ADD_SHOP, ADD_LAST],
                above="from datetime import datetime\n\nfrom msgspec import field\n\n\n",
            ),
            "Something in the state is no event",
        ),
        Wrong(
            _guest(
                [*SUMS, "shops: list[str] = []", FIELDS[3]],
                [*ADD, ADD_LAST, "if event.shop not in self.shops:", "    self.shops.append(event.shop)"],
            ),
            "A list is in the order of arrival",
        ),
        Wrong(
            _guest(
                [*SUMS, FIELDS[3]],
                [*ADD, ADD_LAST, "self._shops = {*self.shops, event.shop}"],
                "getattr(self, '_shops', set())",
            ),
            "A snapshot holds the declared fields and nothing else.",
        ),
        Wrong(
            _guest(
                [*SUMS, "shops: Any = set()", FIELDS[3]],
                [*ADD, ADD_SHOP, ADD_LAST],
                above="from typing import Any\n\n\n",
            ),
            "without one, a set comes back as a list",
        ),
        Wrong(
            _guest(
                [*SUMS, "by_shop: dict[str, int] = {}", FIELDS[3]],
                [*ADD, ADD_LAST, "self.by_shop[event.shop] = self.by_shop.get(event.shop, 0) + 1"],
                "set(self.by_shop)",
                "from functools import cached_property\n\n\n",
            ).replace("@property", "@cached_property"),
            "What was computed when the snapshot was read was kept",
        ),
    ],
)
