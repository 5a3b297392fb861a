"""The exercises of lesson 05: steps from old versions of an event to new ones."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from eslab import Aggregate, Event, Request, version
from eslab.aggregate import serializer_of
from eslab.lab.answers import Answer, Outcome
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.session import START
from eslab.payload.checksum import Checksum
from eslab.payload.serializer import encode_append


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

    id, time = "deliveries:1", Request.at(START, "delivery").event_time
    payload = encode_append("ann", time, {id: [FirstDelivered(address)]}, bytes(8))[id]
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
    return Difference([stored], "the event is loaded", str(expected), str(outcome), _why(outcome, expected))


def leaves_the_map_alone(answer: Answer, address: str) -> Difference | None:
    """The map that the step receives is the same afterwards."""
    stored = {"type": "Delivered:1", "address": address}
    answer(received := dict(stored))
    if received == stored:
        return None
    why = "The step changed the map that it received. Make a new one, such as {**delivered, ...}."
    return Difference([stored], "the step is called", f"{stored} afterwards", str(received), why)


def _why(outcome: Outcome, expected: Delivered) -> str:
    got = outcome.value
    if not isinstance(got, Delivered):
        return "Return a map with the type Delivered:2, a number that is an int or None, and a street."
    if expected.number is None:
        return "An address may begin with a word that is no whole number: then all of it is the street."
    return "The number is the first word, and the street is the rest."


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
            '    number, _, street = delivered["address"].partition(" ")\n'
            '    return {"type": "Delivered:2", "number": number, "street": street}',
            "a number that is an int or None",
        ),
        Wrong(
            "def split_address(delivered):\n"
            '    number, _, street = delivered["address"].partition(" ")\n'
            '    return {"type": "Delivered:2", "number": int(number) if number.isdigit() else None, "street": street}',
            "then all of it is the street",
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
            "the street is the rest",
        ),
    ],
)
