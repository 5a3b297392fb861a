"""The exercises of lesson 01: another past for a bowl, a goal of the reader's own, and events that come twice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

from eslab import Command, Event, Request
from eslab.domains.bakery import BOWL, AddColor, ColorAdded, Frosting, open_bakery
from eslab.domains.pigment import SHELF
from eslab.lab.answers import Answer, Outcome, Undecided, in_words
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.session import START, open_lab
from eslab.operations.fork import fork

AFTERNOON = ["red", "white", "blue", "blue", "yellow", "yellow"]  # the colours that Dan asked for


def without(number: int) -> Frosting:
    """Dan's frosting as it would be without one of his commands, counted from 0."""
    lab = open_lab("memory:", 7)
    bakery = open_bakery(lab.store, lab.clock)
    requests = [lab.request() for _ in AFTERNOON]
    for color, request in zip(AFTERNOON, requests, strict=True):
        bakery.send("dan", "frosting:1", AddColor(color), request)
    other = fork(lab.store, "dan", without=[requests[number]])
    return open_bakery(other, other.clock).load("dan", "frosting:1")


WHY_NOT_ORANGE = {
    "red": "Red is half of orange. What else is in the bowl?",
    "white": "White only makes it paler. Which colour turns orange into brown?",
    "yellow": "Yellow is half of orange. What else is in the bowl?",
}


def ends_orange(answer: Answer, _: object) -> Difference | None:
    """Without this command the bowl ends orange."""
    number = answer.value
    if not isinstance(number, int) or number not in range(len(AFTERNOON)):
        raise Undecided(f"expected a number from 0 to {len(AFTERNOON) - 1}, got {number!r}.")
    frosting = without(number)
    if frosting.name == "orange":
        return None
    given = [ColorAdded(color) for place, color in enumerate(AFTERNOON) if place != number]
    why = WHY_NOT_ORANGE[AFTERNOON[number]]
    return Difference(given, f"without number {number}, {AFTERNOON[number]}", "orange", str(frosting.name), why)


orange = Exercise(
    "orange",
    "01_frosting",
    "Dan wanted orange. Leave out one of his commands, so that his bowl ends orange: give its number in the history.",
    answer="left_out",
    rules=[Rule("without this command the bowl ends orange", ends_orange)],
    hints=[
        "Orange is red and yellow, and some white does no harm. Of which colour is there too much?",
        'Two portions are blue, and two yellow. Try `fork(lab.store, "dan", without=[answers[2].request])`.',
    ],
    wrong=[
        Wrong("left_out = 0", "Red is half of orange."),
        Wrong("left_out = 1", "White only makes it paler."),
        Wrong("left_out = 5", "Yellow is half of orange."),
    ],
)


REQUEST = Request.at(START, "exercise")
COLORS = st.sampled_from(list(SHELF))


class AtLeast(Command):
    """A goal: the frosting holds at least this many portions of a colour."""

    color: str
    portions: int


class Case(NamedTuple):
    """The events in the log, and the command that comes next."""

    events: Sequence[ColorAdded]
    command: AtLeast

    @property
    def state(self) -> Frosting:
        """What the events add up to."""
        frosting = Frosting()
        for event in self.events:
            frosting.apply(event)
        return frosting

    @property
    def missing(self) -> int:
        """The portions that the goal still needs."""
        held = [event.color for event in self.events].count(self.command.color)
        return max(0, self.command.portions - held)

    @property
    def overflows(self) -> bool:
        """Would the bowl overflow?"""
        return len(self.events) + self.missing > BOWL


def _case(colors: Sequence[str], color: str, portions: int) -> Case:
    return Case([ColorAdded(each) for each in colors], AtLeast(color, portions))


def _exactly_full(colors: Sequence[str], color: str) -> Case:
    """A goal that fills the bowl to the brim."""
    return _case(colors, color, colors.count(color) + BOWL - len(colors))


def decides(answer: Answer, case: Case) -> Difference | None:
    """The portions that are missing become events of the colour, in any order and any kind of sequence."""
    frosting = case.state
    outcome = answer(frosting, case.command, REQUEST)
    if case.overflows:
        why = "The bowl holds 12 portions in all."
        return None if outcome.is_rejected else _differs(case, "Rejected", outcome, why)
    expected = [ColorAdded(case.command.color)] * case.missing
    if outcome.error is None and isinstance(outcome.value, Sequence) and list(outcome.value) == expected:
        return None
    return _differs(case, in_words(expected), outcome, _why(case, outcome, expected))


def leaves_the_state_alone(answer: Answer, case: Case) -> Difference | None:
    """A handler decides; only `apply` changes state."""
    frosting = case.state
    answer(frosting, case.command, REQUEST)
    if frosting == case.state:
        return None
    why = "The handler changed the frosting that it was given. It decides; the repository applies what was stored."
    return Difference(case.events, str(case.command), f"{case.state} afterwards", str(frosting), why)


def _why(case: Case, outcome: Outcome, expected: list[ColorAdded]) -> str:
    if outcome.is_rejected:
        return "Nothing overflows here. A bowl may be exactly full: only more than 12 portions are too many."
    if outcome.error is not None or not isinstance(outcome.value, Sequence):
        return "A handler returns a list of events; it is empty if nothing is missing."
    if any(event != ColorAdded(case.command.color) for event in outcome.value):
        return f"The command names the colour: every event adds {case.command.color}."
    if len(outcome.value) > len(expected):
        return "Too many: count what the bowl holds of this colour already."
    return "Too few: the goal is not reached."


def _differs(case: Case, expected: str, outcome: Outcome, why: str) -> Difference:
    return Difference(case.events, str(case.command), expected, str(outcome), why)


EVENTS = st.lists(COLORS, max_size=BOWL)
ANY = st.builds(_case, EVENTS, COLORS, st.integers(1, BOWL + 2))
FULL = st.builds(_exactly_full, EVENTS, COLORS)

at_least = Exercise(
    "at_least",
    "01_frosting",
    "Write the handler of `AtLeast`: return the events that are still missing, and raise `Rejected` if the bowl, which "
    "holds twelve portions, would overflow.",
    answer="handle_at_least",
    rules=[
        Rule("what is missing becomes events, and nothing else does", decides, cases=ANY),
        Rule("the bowl may be filled to the brim", decides, cases=FULL),
        Rule("the handler leaves the state alone", leaves_the_state_alone, cases=ANY),
    ],
    hints=[
        "`frosting.portions` counts what the bowl holds: `{'red': 1}`. How many portions are missing, and can it be "
        "fewer than none?",
        "`missing = max(0, command.portions - frosting.portions.get(command.color, 0))`. Add it to the sum of all "
        "portions, and compare that with 12, before you return `[ColorAdded(command.color)] * missing`.",
    ],
    wrong=[
        Wrong(
            "def handle_at_least(frosting, command, request):\n"
            "    return [ColorAdded(command.color)] * command.portions",
            "Too many: count what the bowl holds of this colour already.",
        ),
        Wrong(
            "def handle_at_least(frosting, command, request):\n"
            "    missing = max(0, command.portions - frosting.portions.get(command.color, 0))\n"
            "    if sum(frosting.portions.values()) + missing > 12:\n"
            '        raise Rejected("bowl", "too small")\n'
            '    return [ColorAdded("blue")] * missing',
            "The command names the colour",
        ),
        Wrong(
            "def handle_at_least(frosting, command, request):\n"
            "    missing = max(0, command.portions - frosting.portions.get(command.color, 0))\n"
            "    if sum(frosting.portions.values()) + missing >= 12:\n"
            '        raise Rejected("bowl", "too small")\n'
            "    return [ColorAdded(command.color)] * missing",
            "A bowl may be exactly full",
        ),
        Wrong(
            "def handle_at_least(frosting, command, request):\n"
            "    missing = max(0, command.portions - frosting.portions.get(command.color, 0))\n"
            "    return [ColorAdded(command.color)] * missing",
            "The bowl holds 12 portions in all.",
        ),
        Wrong(
            "def handle_at_least(frosting, command, request):\n"
            "    missing = max(0, command.portions - frosting.portions.get(command.color, 0))\n"
            "    if sum(frosting.portions.values()) + missing > 12:\n"
            '        raise Rejected("bowl", "too small")\n'
            "    events = [ColorAdded(command.color)] * missing\n"
            "    for event in events:\n"
            "        frosting.apply(event)\n"
            "    return events",
            "The handler changed the frosting that it was given.",
        ),
    ],
)


class PortionAdded(Event):
    """One portion of a colour was added, by the wish with this key."""

    color: str
    key: str


@dataclass
class KeyedFrosting:
    """A bowl that can tell wishes apart: the portions of each colour, and the keys of the wishes that are in it."""

    portions: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)


WISHES = {"wish 1": "red", "wish 2": "red", "wish 12": "blue"}  # the colour that each wish asked for


def counts_each_wish_once(answer: Answer, keys: Sequence[str]) -> Difference | None:
    """Events that come twice, in any order, make the bowl that each of them once makes."""
    frosting = KeyedFrosting()
    events = [PortionAdded(WISHES[key], key) for key in keys]
    error = next((outcome.error for event in events if (outcome := answer(frosting, event)).error), None)
    if not isinstance(frosting.portions, dict):
        why = "`frosting.portions` is no map of counts any more. `update`, for one, changes a map and returns None."
        return Difference(events, "all are applied", "a map of counts", repr(frosting.portions), why)
    expected = Counter(WISHES[key] for key in sorted(set(keys)))
    if error is None and expected == Counter(frosting.portions):
        return None
    got = str(frosting.portions) if error is None else f"{type(error).__name__}: {error}"
    why = "" if error else _why_portions(frosting, expected, keys)
    return Difference(events, "all are applied", str(dict(expected)), got, why)


def _why_portions(frosting: KeyedFrosting, expected: Counter[str], keys: Sequence[str]) -> str:
    too_many = sum(frosting.portions.values()) - expected.total()
    if not frosting.portions:
        return "The bowl is empty: change `frosting` itself, and remember keys nowhere but in `frosting.keys`."
    if too_many < 0:
        return "A wish is missing. Two wishes for red are two portions: compare keys, not colours."
    repeats = sum(one == other for one, other in pairwise(keys))
    if repeats == len(keys) - len(set(keys)):
        return "The event that came twice was counted twice. Put its key into `frosting.keys`, and look there first."
    return "A repeat needn't follow at once: others may come in between. Remember the keys of all wishes."


apply_once = Exercise(
    "apply_once",
    "01_frosting",
    "Write an `apply` that is safe against events that come twice, in any order. `frosting.portions` counts colours, "
    "`frosting.keys` is a set for you to use, and an event has a `color` and the `key` of its wish.",
    answer="apply_to_keyed",
    rules=[
        Rule(
            "each wish counts once",
            counts_each_wish_once,
            examples=[["wish 1"], ["wish 1", "wish 2"], ["wish 1", "wish 1"]],
            cases=st.lists(st.sampled_from(list(WISHES)), max_size=6),
        )
    ],
    hints=[
        "How can you tell a repeat of one wish from a second wish for the same colour?",
        "`if event.key in frosting.keys: return` comes first. Then add the key to the set, and one to "
        "`frosting.portions[event.color]`, which may not exist yet.",
    ],
    wrong=[
        Wrong(
            "def apply_to_keyed(frosting, event):\n"
            "    frosting.portions[event.color] = frosting.portions.get(event.color, 0) + 1",
            "The event that came twice was counted twice.",
        ),
        Wrong(
            "def apply_to_keyed(frosting, event):\n    frosting.portions[event.color] = 1",
            "compare keys, not colours",
        ),
        Wrong(
            "def apply_to_keyed(frosting, event):\n"
            "    if frosting.keys == {event.key}:\n"
            "        return\n"
            "    frosting.keys = {event.key}\n"
            "    frosting.portions[event.color] = frosting.portions.get(event.color, 0) + 1",
            "A repeat needn't follow at once",
        ),
        Wrong("def apply_to_keyed(frosting, event):\n    frosting.portions[event.color] += 1", "KeyError"),
        Wrong(
            "def apply_to_keyed(frosting, event):\n"
            "    if event.key in frosting.keys:\n"
            "        return\n"
            "    frosting.keys.update(event.key)\n"
            "    frosting.portions[event.color] = frosting.portions.get(event.color, 0) + 1",
            "Put its key into `frosting.keys`",
        ),
    ],
)
