"""The exercises of lesson 01: another past for a bowl, a goal of the reader's own, and events that come twice."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from eslab import Command, InvalidInput, Request
from eslab.display import quantity
from eslab.domains.bakery import BOWL, AddColor, ColorAdded, Frosting, open_bakery
from eslab.domains.pigment import SHELF
from eslab.lab.answers import Answer, Outcome, in_words
from eslab.lab.choices import number_chosen
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.lessons.exercises.frosting_twice import apply_once
from eslab.lab.session import START, open_lab
from eslab.operations.fork import fork
from eslab.service import events_from

__all__ = ["AFTERNOON", "apply_once", "at_least", "orange"]

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
    number = number_chosen(answer, range(len(AFTERNOON)))
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
    def held(self) -> int:
        """The portions of the command's colour that the bowl holds."""
        return [event.color for event in self.events].count(self.command.color)

    @property
    def missing(self) -> int:
        """The portions that the goal still needs."""
        return max(0, self.command.portions - self.held)

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
    outcome = answer(case.state, case.command, REQUEST)
    if case.overflows:
        why = _why_too_much(answer, case, outcome)
        return None if outcome.is_rejected else _differs(case, "Rejected is raised", outcome, why)
    expected = [ColorAdded(case.command.color)] * case.missing
    if outcome.error is None and isinstance(outcome.value, Sequence) and list(outcome.value) == expected:
        return None
    return _differs(case, in_words(expected), outcome, _why_not_these(answer, case, outcome))


def leaves_the_state_alone(answer: Answer, case: Case) -> Difference | None:
    """A handler decides; only `apply` changes state."""
    frosting = case.state
    answer(frosting, case.command, REQUEST)
    if frosting == case.state:
        return None
    why = "The handler changed the frosting that it was given. It decides; the repository applies what was stored."
    return Difference(case.events, str(case.command), f"{case.state} afterwards", str(frosting), why)


def _why_too_much(answer: Answer, case: Case, outcome: Outcome) -> str:
    """Why these events are too many for the bowl, to an answer that doesn't say so."""
    if outcome.error is not None:
        return f"{outcome.advice} A rejection is `raise Rejected(rule, reason)`."
    too_many = f"{_sum_in_words(case)}: too many for a bowl of {BOWL}, whatever their colours."
    return _refused(answer, outcome.value) or too_many


def _why_not_these(answer: Answer, case: Case, outcome: Outcome) -> str:
    """Why these aren't the events that are missing."""
    if outcome.is_rejected:
        full = " A bowl may be exactly full." if len(case.events) + case.missing == BOWL else ""
        return f"Nothing overflows. {_sum_in_words(case)}, and the bowl holds {BOWL}.{full}"
    if outcome.error is not None:
        return outcome.advice
    return _refused(answer, outcome.value) or _why_other_events(case, outcome.value)


def _refused(answer: Answer, value: Any) -> str:
    """What the service says of a value that is no list of events; empty if it is one."""
    try:
        events_from(answer.value, value)
    except InvalidInput as error:
        return f"The service would refuse this. {error}"
    return ""


def _why_other_events(case: Case, events: Sequence[Any]) -> str:
    color, portions, held = case.command.color, case.command.portions, case.held
    if strange := [event for event in events if not isinstance(event, ColorAdded)]:
        return f"{strange[0]!r} is no event of a frosting. One more portion is the event ColorAdded({color!r})."
    if any(event.color != color for event in events):
        return f"The command names the colour: every event adds {color}."
    if len(events) > case.missing and len(events) == portions:
        return f"Too many: count what the bowl holds of this colour already. Of {color} it holds {held}."
    then = f"the bowl would hold {quantity(held + len(events), 'portion')} of {color}, and the goal is {portions}"
    return f"Too {'many' if len(events) > case.missing else 'few'}: with these events {then} or more."


def _sum_in_words(case: Case) -> str:
    held, missing = len(case.events), case.missing
    return f"{quantity(held, 'portion')} in the bowl and {missing} missing make {held + missing}"


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
            "too many for a bowl of 12, whatever their colours",
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
