"""An exercise of lesson 05: a step from one version of an event to the next."""

import re
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

EVENT_TIME = Request.at(START, "a delivery").event_time
NUMBERED_ADDRESS = re.compile(r"([0-9]+) (.+)")


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
    """A whole number and a space at the beginning are the number, and the rest is the street; or all is the street."""
    found = NUMBERED_ADDRESS.fullmatch(address)
    return Delivered(int(found[1]), found[2]) if found else Delivered(None, address)


def loads(answer: Answer, address: str) -> Difference | None:
    """What was stored as version 1 loads as version 2."""
    step = answer.value if callable(answer.value) else answer
    outcome = Answer(lambda: _load(step, address))()
    expected = expected_of(address)
    if outcome.error is None and outcome.value == expected:
        return None
    stored = {"type": "Delivered:1", "address": address}
    why = _why(answer(dict(stored)), address)
    return Difference([stored], "the event is loaded", str(expected), str(outcome), why)


def leaves_the_map_alone(answer: Answer, address: str) -> Difference | None:
    """The map that the step receives is the same afterwards."""
    stored = {"type": "Delivered:1", "address": address}
    answer(received := dict(stored))
    if received == stored:
        return None
    why = "The step changed the map that it received. Make a new one, such as {**delivered, ...}."
    return Difference([stored], "the step is called", f"{stored} afterwards", str(received), why)


def _why(step: Outcome, address: str) -> str:
    """What is wrong with what the step returned for this address, field by field."""
    made = step.value[0] if isinstance(step.value, list) and len(step.value) == 1 else step.value
    if step.error is not None:
        return step.advice or "A step can't reject what has happened."
    if not isinstance(made, dict):
        return f"A step returns a map, and this one returned {made!r}."
    if made.get("type") != "Delivered:2":
        return f"The map says that it is {made.get('type')!r}. The next version is Delivered:2."
    if missing := sorted({"number", "street"} - made.keys()):
        return f"The map has no {' and no '.join(missing)}, which version 2 needs."
    return _why_not_this_number(made["number"], address) or _why_not_this_street(made["street"], address)


def _why_not_this_number(number: Any, address: str) -> str:
    expected = expected_of(address).number
    if type(number) not in (int, type(None)):
        return f"The number is {_kind(number)} {number!r}, and version 2 stores a whole number or None."
    if number == expected:
        return ""
    if expected is not None:
        return f"{address!r} begins with the whole number {expected} and a space, so {expected} is its number."
    return f"{address!r} doesn't begin with a whole number and a space, so it has none: the number is None."


def _why_not_this_street(street: Any, address: str) -> str:
    expected = expected_of(address)
    if not isinstance(street, str):
        return f"The street is {_kind(street)} {street!r}, and version 2 stores text."
    if expected.number is None:
        return f"Without a number, the whole address is the street: {address!r}, not {street!r}."
    if street == address:
        return f"The number has a field of its own now, so it is not a part of the street: {expected.street!r}."
    return f"All that follows the number and the space is the street: {expected.street!r}, not {street!r}."


def _kind(value: Any) -> str:
    return "the text" if isinstance(value, str) else f"the {type(value).__name__}"


STREETS = st.sampled_from(["Baker Street", "Elm", "Rue de la Paix"])
# Those with a number at another place are not split, since only the beginning counts.
BARE = STREETS | st.sampled_from(["Main Street 12", "Straße des 17. Juni 135", "Main Street 12b"])
NUMBERED = st.builds(lambda number, street: f"{number} {street}", st.integers(1, 9999), STREETS)
LETTERED = st.builds(lambda number, letter, street: f"{number}{letter} {street}", st.integers(1, 999),
                     st.sampled_from("abB"), STREETS)  # fmt: skip

upcaster = Exercise(
    "upcaster",
    "05_versioned_serializer",
    "Write the step from version 1 of a delivery to version 2. An address that begins with a whole number and a space "
    "is split there, into number and street. Any other address is all street, and its number is None.",
    answer="split_address",
    rules=[
        Rule("an address that begins with a number is split", loads, examples=["12 Baker Street"], cases=NUMBERED),
        Rule(
            "an address that begins with no number is all street",
            loads,
            examples=["Baker Street", "Main Street 12"],
            cases=BARE,
        ),
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
            "Your code raises this error.",
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
            "begins with the whole number 12 and a space",
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
            "Without a number, the whole address is the street",
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
            '    words = delivered["address"].split()\n'
            "    number = next((int(word) for word in words if word.isdigit()), None)\n"
            '    street = " ".join(word for word in words if not word.isdigit())\n'
            '    return {"type": "Delivered:2", "number": number, "street": street}',
            "doesn't begin with a whole number and a space",
        ),
        Wrong(
            "def split_address(delivered):\n"
            '    number, _, street = delivered["address"].partition(" ")\n'
            "    if not number.isdigit():\n"
            '        return {"type": "Delivered:2", "number": None, "street": delivered["address"]}\n'
            '    return {"type": "Delivered:2", "number": int(number), "street": delivered["address"]}',
            "not a part of the street",
        ),
    ],
)
