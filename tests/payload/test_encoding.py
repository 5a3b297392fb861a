"""One value, one sequence of bytes: in every process, whatever order sets and maps were filled in."""

import subprocess
import sys
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import Event, InvalidInput
from eslab.payload.encoding import encode
from tests.support.sample import ROOT


class Point(msgspec.Struct, frozen=True):
    x: int
    names: frozenset[str] = frozenset()


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Drawn(Event):
    """Maps and sets of everything that can be a key."""

    by_number: dict[int, str] = {}
    by_id: dict[UUID, int] = {}
    by_colour: dict[Colour, int] = {}
    by_pair: dict[tuple[int, str], set[int]] = {}
    points: set[Point] = set()
    mixed: set[int | str | None] = set()
    nested: list[dict[int, Point]] = []


KEYS = st.integers(-50, 50)
DRAWN = st.builds(
    Drawn,
    by_number=st.dictionaries(KEYS, st.text(max_size=3)),
    by_id=st.dictionaries(st.uuids(), KEYS),
    by_colour=st.dictionaries(st.sampled_from(Colour), KEYS),
    by_pair=st.dictionaries(st.tuples(KEYS, st.text(max_size=2)), st.sets(KEYS)),
    points=st.sets(st.builds(Point, KEYS, st.frozensets(st.text(max_size=2), max_size=3)), max_size=4),
    mixed=st.sets(st.one_of(KEYS, st.text(max_size=2), st.none())),
    nested=st.lists(st.dictionaries(KEYS, st.builds(Point, KEYS)), max_size=3),
)


def backwards(value: Any) -> Any:
    """An equal value whose maps were filled from the other end."""
    return {key: backwards(value[key]) for key in reversed(value)} if isinstance(value, dict) else value


@given(DRAWN)
def test_G1_equal_values_have_equal_bytes(drawn: Drawn) -> None:
    """The order in which maps were filled doesn't show, whatever their keys are."""
    other = Drawn(**{name: backwards(getattr(drawn, name)) for name in drawn.__struct_fields__})
    assert other == drawn
    assert encode(other) == encode(drawn)


@given(DRAWN)
def test_what_was_encoded_is_read_again(drawn: Drawn) -> None:
    """Putting things in order changes nothing but the order, and leaves the value itself alone."""
    before = repr(drawn)
    assert msgspec.msgpack.decode(encode(drawn), type=Drawn) == drawn
    assert repr(drawn) == before


def test_values_that_need_no_sorting_of_ours_are_plain_msgpack() -> None:
    """Maps of strings are in the order of the strings, fields in the order of the type."""
    assert encode({"b": 1, "a": [True, None]}) == b"\x82\xa1a\x92\xc3\xc0\xa1b\x01"
    assert encode({2: "b", 1: "a"}) == b"\x82\x01\xa1a\x02\xa1b"


def test_G10_every_process_writes_the_same_bytes() -> None:
    """Python scatters sets by a random seed in each process; the bytes don't show it."""
    code = (
        "from eslab.payload.encoding import encode; print(encode([{'b', 'a', 'c', 'd'}, {('b', 1), ('a', 2)}, "
        "{1, 'one', None, 'two'}, {2: {'x', 'y', 'z'}}, {frozenset('xyz'): 1, frozenset('abc'): 2}]).hex())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}, check=True,
            capture_output=True, text=True,
        ).stdout
        for seed in "1234"
    }  # fmt: skip
    assert len(printed) == 1


@pytest.mark.parametrize("value", [2**64, "\ud800", object(), {"deep": {1: object()}}, 1j])
def test_what_msgpack_cannot_hold_is_refused(value: Any) -> None:
    """Numbers above 64 bits, lone surrogates and things without a form are an `InvalidInput`, not a stack trace."""
    with pytest.raises(InvalidInput, match="Expected fields that msgpack can hold in Drawn, got one that it can't: "):
        encode(Drawn(by_number=value))
