"""The exercises of lesson 05: which changes of a class need a step; versioned_serializer_step.py has such a step."""

from typing import Any, NamedTuple

import msgspec

from eslab import Event, Request, version
from eslab.aggregate import serializer_of
from eslab.errors import Unreadable
from eslab.lab.answers import Answer
from eslab.lab.choices import names_chosen
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.lessons.exercises.versioned_serializer_step import upcaster
from eslab.lab.lessons.till import till_of, v1
from eslab.lab.session import START
from eslab.payload.checksum import Checksum
from eslab.payload.serializer import encode_append

__all__ = ["needs_step", "upcaster"]

EVENT_TIME = Request.at(START, "a sale").event_time


class Change(NamedTuple):
    """A second version of `Sold`: its fields, the change in words, and why old rows load or don't."""

    words: str
    fields: list[Any]
    why: str


CHANGES = {
    "a": Change(
        'a new field, `currency: str = "EUR"`',
        [("cake", str), ("euros", int), ("currency", str, "EUR")],
        "A field that is missing in a row takes its default.",
    ),
    "b": Change(
        "a new field, `currency: str`, without a default",
        [("cake", str), ("euros", int), ("currency", str)],
        "Nothing says which currency an old sale had, so it can't be read.",
    ),
    "c": Change(
        "`cake` is removed",
        [("euros", int)],
        "A field that the class doesn't have is ignored.",
    ),
    "d": Change(
        "`euros` is called `price`",
        [("cake", str), ("price", int)],
        "Fields are stored by name: for the class there is no price in the row, and euros is ignored.",
    ),
    "e": Change(
        "`cake` and `euros` change places",
        [("euros", int), ("cake", str)],
        "Fields are stored by name, so their order doesn't matter.",
    ),
    "f": Change(
        "`euros: int` becomes `euros: str`",
        [("cake", str), ("euros", str)],
        "A number in a row is no text, and nothing is converted silently.",
    ),
}


def loads_unchanged(change: Change) -> bool:
    """Can a sale of version 1 be read by the changed class, without an upcaster?"""
    sold = msgspec.defstruct("Sold", change.fields, bases=(Event,), tag=version(2), frozen=True)
    payload = encode_append("ann", EVENT_TIME, {"till:1": [v1.Sold("lemon", 4)]}, bytes(8))["till:1"]
    try:
        serializer_of(till_of(sold)).events(payload, Checksum.of_commits("ann", "till:1"))
    except Unreadable:
        return False
    return True


def names_what_breaks(answer: Answer, letter: str) -> Difference | None:
    """The answer holds the letters of the changes after which old rows don't load, and no others."""
    change, given = CHANGES[letter], ["Sold:1, cake: lemon, euros: 4"]
    chosen = letter in names_chosen(answer, CHANGES)
    loads = loads_unchanged(change)
    if chosen != loads:
        return None
    expected = "the row loads" if loads else "the row is Unreadable"
    got = f"{letter} is {'' if chosen else 'not '}in the answer"
    return Difference(given, f"{letter}: {change.words}", expected, got, change.why)


needs_step = Exercise(
    "needs_step",
    "05_versioned_serializer",
    "Six changes, a to f, each make a version 2 of `Sold`. After which of them does a row of version 1 need an "
    "upcaster?",
    answer="breaking",
    rules=[Rule("each change is judged rightly", names_what_breaks, examples=list(CHANGES))],
    hints=[
        "The serializer looks for each field of the class in the row, by its name. When does it find nothing that it "
        "can use?",
        "Three of the six need one. A default helps, order and further fields don't matter.",
    ],
    wrong=[
        Wrong('breaking = {"a", "b", "d", "f"}', "takes its default"),
        Wrong('breaking = {"d", "f"}', "which currency an old sale had"),
        Wrong('breaking = {"b", "c", "d", "f"}', "is ignored."),
        Wrong('breaking = {"b", "f"}', "there is no price in the row"),
        Wrong('breaking = {"b", "d", "e", "f"}', "their order doesn't matter"),
        Wrong('breaking = {"b", "d"}', "nothing is converted silently"),
    ],
)
