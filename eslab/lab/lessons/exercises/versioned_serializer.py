"""The exercises of lesson 05: which changes of a class need a step, and such a step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from eslab import Aggregate, Event, Request, version
from eslab.aggregate import serializer_of
from eslab.errors import Unreadable
from eslab.lab.answers import Answer, Outcome, names_chosen
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.lessons.till import till_of, v1
from eslab.lab.session import START
from eslab.payload.checksum import Checksum
from eslab.payload.serializer import encode_append

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


class FirstDelivered(Event, tag="Delivered:1"):
    """A delivery as it was stored before it had a number and a street."""

    address: str


class Delivered(Event, tag=version(2)):
    """A delivery, with a number if the house has one."""

    number: int | None
    street: str


def _load(step: Callable[[dict[str, Any]], Any], address: str) -> Event:
    """Store an event of version 1, and load it by an aggregate with this upcaster."""

    class Deliveries(Aggregate):
        upcasters = {"Delivered:1": step}

        def apply(self, event: Delivered) -> None:
            """Nothing to fold: the events are only read."""

    id = "deliveries:1"
    payload = encode_append("ann", EVENT_TIME, {id: [FirstDelivered(address)]}, bytes(8))[id]
    (event,) = serializer_of(Deliveries).events(payload, Checksum.of_commits("ann", id))
    return event


def expected_of(address: str) -> Delivered:
    """The number is the first word, if it is a whole number with a street behind it."""
    number, _, street = address.partition(" ")
    return Delivered(int(number), street) if number.isdecimal() else Delivered(None, address)


def loads(answer: Answer, address: str) -> Difference | None:
    """What was stored as version 1 loads as version 2."""
    step = answer.value if callable(answer.value) else answer
    outcome = Answer(lambda: _load(step, address))()
    expected = expected_of(address)
    if outcome.error is None and outcome.value == expected:
        return None
    stored = {"type": "Delivered:1", "address": address}
    return Difference(
        [stored], "the event is loaded", str(expected), str(outcome), _why(answer(dict(stored)), expected)
    )


def leaves_the_map_alone(answer: Answer, address: str) -> Difference | None:
    """The map that the step receives is the same afterwards."""
    stored = {"type": "Delivered:1", "address": address}
    answer(received := dict(stored))
    if received == stored:
        return None
    why = "The step changed the map that it received. Make a new one, such as {**delivered, ...}."
    return Difference([stored], "the step is called", f"{stored} afterwards", str(received), why)


def _why(step: Outcome, expected: Delivered) -> str:
    """What is wrong with the map that the step returned for this address, field by field."""
    made = step.value
    if step.error is not None:
        return "The step itself fails for this address."
    if not isinstance(made, dict):
        return f"A step returns a map, and this one returned {made!r}."
    if made.get("type") != "Delivered:2":
        return f"The map says that it is {made.get('type')!r}. The next version is Delivered:2."
    if missing := sorted({"number", "street"} - made.keys()):
        return f"The map has no {' and no '.join(missing)}, which version 2 needs."
    return _wrong_field(made["number"], made["street"], expected)


def _wrong_field(number: Any, street: Any, expected: Delivered) -> str:
    if isinstance(number, str):
        return f"The number is the text {number!r}, and version 2 stores a whole number or None."
    if number != expected.number:
        return f"The number should be {expected.number!r}: does the address begin with a whole number?"
    if expected.number is None:
        return f"Something of the address got lost: without a number, {expected.street!r} is all street."
    return f"The street should be {expected.street!r}: what the number field holds is not a part of it."


STREETS = st.sampled_from(["Baker Street", "Elm", "Rue de la Paix"])
NUMBERED = st.builds(lambda number, street: f"{number} {street}", st.integers(1, 9999), STREETS)
BARE = STREETS
LETTERED = st.builds(lambda number, letter, street: f"{number}{letter} {street}", st.integers(1, 999),
                     st.sampled_from("abB"), STREETS)  # fmt: skip

upcaster = Exercise(
    "upcaster",
    "05_versioned_serializer",
    "Write the step from version 1 of a delivery to version 2: split the address into a number and a street.",
    answer="split_address",
    rules=[
        Rule("an address with a number is split", loads, examples=["12 Baker Street"], cases=NUMBERED),
        Rule("an address without a number is all street", loads, examples=["Baker Street"], cases=BARE),
        Rule("a number with a letter is no whole number", loads, examples=["221B Baker Street"], cases=LETTERED),
        Rule("the map that it receives stays as it is", leaves_the_map_alone, cases=NUMBERED | BARE),
    ],
    hints=[
        "`'12 Baker Street'.partition(' ')` gives `('12', ' ', 'Baker Street')`, and `'12'.isdigit()` is true. Which "
        "fields must the map have that you return, and which type must it name?",
        "Return `{'type': 'Delivered:2', 'number': int(number), 'street': street}` if `number.isdigit()`, and "
        "otherwise the number `None` and the whole address as the street.",
    ],
    wrong=[
        Wrong(
            "def split_address(delivered):\n"
            '    number, street = delivered["address"].split()\n'
            '    return {"type": "Delivered:2", "number": int(number), "street": street}',
            "The step itself fails for this address.",
        ),
        Wrong(
            "def split_address(delivered):\n"
            '    number, _, street = delivered["address"].partition(" ")\n'
            '    return {**delivered, "number": int(number), "street": street}',
            "The next version is Delivered:2.",
        ),
        Wrong(
            "def split_address(delivered):\n"
            '    number, _, street = delivered["address"].partition(" ")\n'
            '    return {"type": "Delivered:2", "street": street}',
            "The map has no number",
        ),
        Wrong(
            "def split_address(delivered):\n"
            '    return {"type": "Delivered:2", "number": None, "street": delivered["address"]}',
            "does the address begin with a whole number?",
        ),
        Wrong(
            "def split_address(delivered):\n"
            '    number, _, street = delivered["address"].partition(" ")\n'
            '    return {"type": "Delivered:2", "number": number, "street": street}',
            "and version 2 stores a whole number or None.",
        ),
        Wrong(
            "def split_address(delivered):\n"
            '    number, _, street = delivered["address"].partition(" ")\n'
            '    return {"type": "Delivered:2", "number": int(number) if number.isdigit() else None, "street": street}',
            "Something of the address got lost",
        ),
        Wrong(
            "def split_address(delivered):\n"
            '    number, _, street = delivered.pop("address").partition(" ")\n'
            "    if number.isdigit():\n"
            '        return {"type": "Delivered:2", "number": int(number), "street": street}\n'
            '    return {"type": "Delivered:2", "number": None, "street": f"{number} {street}".strip()}',
            "The step changed the map that it received.",
        ),
        Wrong(
            "def split_address(delivered):\n"
            '    number, _, street = delivered["address"].partition(" ")\n'
            "    if not number.isdigit():\n"
            '        return {"type": "Delivered:2", "number": None, "street": delivered["address"]}\n'
            '    return {"type": "Delivered:2", "number": int(number), "street": delivered["address"]}',
            "is not a part of it",
        ),
    ],
)
