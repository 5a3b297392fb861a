"""The exercises of lesson 01: goals of the reader's own for the bowl of frosting."""

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from eslab import Command, Request
from eslab.domains.bakery import BOWL, ColorAdded, Frosting
from eslab.domains.pigment import SHELF
from eslab.lab.answers import Answer, Outcome, in_words
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.session import START

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
        return (
            None if outcome.is_rejected else _differs(case, "Rejected", outcome, "The bowl holds 12 portions in all.")
        )
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
