"""An exercise of lesson 01: an `apply` that is safe against events that come twice."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise

from hypothesis import strategies as st

from eslab import Event, Rejected
from eslab.lab.answers import Answer, Outcome
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference


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
    seen = Applied.of(answer, [PortionAdded(WISHES[key], key) for key in keys])
    if seen.is_right:
        return None
    return Difference(seen.events, "all are applied", str(dict(seen.expected)), seen.got, _why(seen))


@dataclass(frozen=True)
class Applied:
    """Events that an answer applied, one after the other, to a new bowl; up to the first error."""

    answer: Answer
    events: Sequence[PortionAdded]
    frosting: KeyedFrosting
    error: Outcome | None

    @classmethod
    def of(cls, answer: Answer, events: Sequence[PortionAdded]) -> "Applied":
        """Apply these events."""
        frosting = KeyedFrosting()
        error = next((outcome for event in events if (outcome := answer(frosting, event)).error), None)
        return cls(answer, events, frosting, error)

    @property
    def expected(self) -> Counter[str]:
        """A portion for each wish."""
        return Counter({event.key: event for event in self.events}[key].color for key in self.keys)

    @property
    def keys(self) -> list[str]:
        """The wishes, in order, each once."""
        return list(dict.fromkeys(event.key for event in self.events))

    @property
    def portions(self) -> dict[str, int]:
        """What the bowl holds; nothing if it isn't a map any more."""
        held = self.frosting.portions
        return held if isinstance(held, dict) else {}

    @property
    def is_right(self) -> bool:
        """Does each wish count once?"""
        return (
            self.error is None and isinstance(self.frosting.portions, dict) and self.expected == Counter(self.portions)
        )

    @property
    def got(self) -> str:
        """The bowl, or the error."""
        return str(self.error or self.frosting.portions)

    @property
    def too_many(self) -> int:
        """The portions that were counted too often; less than 0 if some are missing."""
        return sum(self.portions.values()) - len(self.keys)

    @property
    def repeats(self) -> int:
        """The events that came before."""
        return len(self.events) - len(self.keys)

    def alone(self, *events: PortionAdded) -> "Applied":
        """The same answer with other events and a new bowl."""
        return Applied.of(self.answer, events)


def _why(seen: Applied) -> str:
    """The first explanation that is true of this answer."""
    if broken := next((why for why, is_true in BROKEN if is_true(seen.frosting)), ""):
        return broken
    if seen.error:
        refuses = isinstance(seen.error.error, Rejected | ValueError | RuntimeError | AssertionError)
        return f"{seen.error.advice}{' An `apply` never refuses: its event has happened.' if refuses else ''}".strip()
    return next(why for why, is_true in REASONS if is_true(seen))


_NUMBERS = count(1)


def _remembers_elsewhere(seen: Applied) -> bool:
    """Is an event of a key that was never used before lost in a second new bowl?"""
    event = PortionAdded("red", f"probe {next(_NUMBERS)}")
    return seen.alone(event).portions != seen.alone(event).portions


def _is_of_colors(seen: Applied) -> bool:
    """Are two wishes for two colours counted, and only one of two for one colour?"""
    red, other, blue = PortionAdded("red", "a"), PortionAdded("red", "b"), PortionAdded("blue", "b")
    return seen.alone(red, blue).is_right and seen.alone(red, other).portions == {"red": 1}


def _confuses_keys(seen: Applied) -> bool:
    """Are wishes whose keys have nothing in common all counted, in any order?"""
    one, other = PortionAdded("red", "x"), PortionAdded("blue", "y")
    return seen.alone(one, other).is_right and seen.alone(other, one).is_right


def _depends_on_order(seen: Applied) -> bool:
    """Do the same events in some other order make another bowl?"""
    return seen.alone(*reversed(seen.events)).portions != seen.portions


def _all_repeats_are_next(seen: Applied) -> bool:
    return sum(one == other for one, other in pairwise(event.key for event in seen.events)) == seen.repeats


# What is true of a bowl that can't hold anything any more.
BROKEN: Sequence[tuple[str, Callable[[KeyedFrosting], bool]]] = [
    ("`frosting.portions` is no map of counts any more. `update`, for one, changes a map and returns None.",
     lambda frosting: not isinstance(frosting.portions, dict)),
    ("`frosting.keys` is None now: `add` and `update` change a set, and return None.",
     lambda frosting: frosting.keys is None),
]  # fmt: skip

# What is true of a bowl that holds the wrong portions, in order: one may rely on those before it being false.
REASONS: Sequence[tuple[str, Callable[[Applied], bool]]] = [
    ("A second bowl lacks a wish that the first one had. Remember keys nowhere but in `frosting.keys`: whatever is "
     "outside of `frosting` is shared by all bowls.", _remembers_elsewhere),
    ("The bowl is still empty, though the key is in `frosting.keys`. Look for the key before you put it there, and "
     "change `frosting.portions` itself.", lambda seen: not seen.portions and bool(seen.frosting.keys)),
    ("The bowl is empty: change `frosting` itself, as in `frosting.portions[event.color] = ...`.",
     lambda seen: not seen.portions),
    ("The bowl counts portions of colours: each event adds one of its own `event.color`.",
     lambda seen: not {color for color, number in seen.portions.items() if number} <= set(seen.expected)),
    ("Every event came only once here. Each adds one portion to what there is of its colour.",
     lambda seen: seen.too_many > 0 and not seen.repeats),
    ("The event that came twice was counted twice. Put its key into `frosting.keys`, and look there first.",
     lambda seen: seen.too_many > 0 and _all_repeats_are_next(seen)),
    ("A repeat needn't follow at once: others may come in between. Remember the keys of all wishes.",
     lambda seen: seen.too_many > 0),
    ("A repeat changes nothing: it takes no portion away either.", lambda seen: seen.repeats > 0),
    ("One event adds one portion, also if there was none of its colour.", lambda seen: len(seen.events) == 1),
    ("A wish is missing. Two wishes for red are two portions: compare keys, not colours, and add one to what is there.",
     _is_of_colors),
    ("A wish is missing, though no event came twice: only equal keys are the same wish.", _confuses_keys),
    ("A wish is missing, and in another order it isn't: wishes may come in any order.", _depends_on_order),
    ("A wish is missing. Each key that is not in `frosting.keys` yet adds one portion.", lambda seen: True),
]  # fmt: skip


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
