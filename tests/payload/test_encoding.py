"""One value, one sequence of bytes: in every process, whatever order sets and maps were filled in."""

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from enum import Enum
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import Command, Event, InvalidInput
from eslab.payload.encoding import encode
from eslab.payload.serializer import as_stored, command_hash
from tests.support.sample import ROOT

try:
    import attrs
except ImportError:  # it comes with JupyterLab, not with the core
    attrs = None


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


@dataclass
class Page:
    """A dataclass keeps its maps and sets as they were filled."""

    words: dict[int, str] = field(default_factory=dict)
    marks: set[tuple[int, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Slim:
    words: dict[int, str]


@(attrs.frozen if attrs else dataclass(frozen=True))
class Leaf:
    words: dict[int, str]


class Row(NamedTuple):
    words: dict[int, str]
    more: Any = None


class Sheet(TypedDict):
    words: dict[int, str]


class Priced(Command):
    """Numbers and times whose equal values msgspec writes in several ways."""

    price: Decimal = Decimal(0)
    weight: float = 0.0
    opens: time = time(0)
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    lent_for: timedelta = timedelta()
    prices: dict[Decimal, set[float]] = {}
    anything: Any = None


class Bound(Command):
    """Maps and sets inside every kind of class."""

    page: Page | None = None
    slim: Slim | None = None
    leaf: Leaf | None = None
    row: Row | None = None
    sheet: Sheet | None = None
    pages: dict[str, list[Page]] = {}
    groups: set[frozenset[str]] = set()


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


EARLIER = timezone(timedelta(hours=-5, minutes=-30))
EQUAL = [
    (Priced(price=Decimal("10.0")), Priced(price=Decimal("10.00"))),
    (Priced(price=Decimal("1E+1")), Priced(price=Decimal(10))),
    (Priced(price=Decimal("-0.0")), Priced(price=Decimal(0))),
    (Priced(weight=-0.0), Priced(weight=0.0)),
    (Priced(weight=1), Priced(weight=1.0)),
    (Priced(opens=time(12, tzinfo=UTC)), Priced(opens=time(6, 30, tzinfo=EARLIER))),
    (Priced(opens=time(23, tzinfo=EARLIER)), Priced(opens=time(20, tzinfo=timezone(timedelta(hours=-8, minutes=-30))))),
    (Priced(at=datetime(2026, 1, 5, 9, tzinfo=UTC)), Priced(at=datetime(2026, 1, 5, 3, 30, tzinfo=EARLIER))),
    (Priced(lent_for=timedelta(days=1)), Priced(lent_for=timedelta(hours=24))),
    (Priced(prices={Decimal("1.0"): {0.0, 1.5}}), Priced(prices={Decimal("1.00"): {1.5, -0.0}})),
    (Priced(anything={"a": 1, "b": [True, 0.0]}), Priced(anything={"b": [1, False], "a": 1.0})),
    (Priced(anything=2.0**63), Priced(anything=2**63)),
    (Bound(groups={frozenset("ab"), frozenset("cd")}), Bound(groups={frozenset("dc"), frozenset("ba")})),
]


@pytest.mark.parametrize(("one", "other"), EQUAL, ids=str)
def test_G3_equal_commands_have_one_hash(one: Command, other: Command) -> None:
    """However a value is written: a client that repeats a request may write it in another way."""
    assert one == other
    assert command_hash(one) == command_hash(other)


@pytest.mark.parametrize("kind", [Page, Slim, Leaf, Row, lambda words: Sheet(words=words)])
@given(words=st.dictionaries(KEYS, st.text(max_size=2), min_size=2, max_size=4))
def test_G3_equal_commands_have_one_hash_whatever_class_holds_their_maps(kind: Any, words: dict[int, str]) -> None:
    """Dataclasses, attrs classes, named tuples and typed dictionaries are put in order too, at any depth."""
    name = {Page: "page", Slim: "slim", Leaf: "leaf", Row: "row"}.get(kind, "sheet")
    one, other = (Bound(**{name: kind(filled)}, pages={"a": [Page(filled)]}) for filled in (words, backwards(words)))
    assert one == other
    assert command_hash(one) == command_hash(other)
    assert as_stored(one) == one


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(1, 3))
def test_G3_a_decimal_counts_by_its_value(number: Decimal, zeros: int) -> None:
    """More zeros behind the point make no difference, nor does the precision of a thread; another number does."""
    sign, digits, exponent = number.as_tuple()
    longer = Decimal((sign, (*digits, *[0] * zeros), int(exponent) - zeros))
    assert command_hash(Priced(longer)) == command_hash(Priced(number))
    with localcontext() as context:
        context.prec = 2
        assert command_hash(Priced(longer)) == command_hash(Priced(number))
    assert not number or command_hash(Priced(-number)) != command_hash(Priced(number))


def test_different_commands_have_different_hashes() -> None:
    """Values that are near each other, or look alike, stay apart."""
    different = [
        Priced(), Priced(Decimal("0.1")), Priced(Decimal("1E+2")), Priced(weight=0.1), Priced(weight=float("inf")),
        Priced(opens=time(12)), Priced(opens=time(12, tzinfo=UTC)), Priced(anything="1"), Priced(anything=1),
        Priced(anything=1.5), Priced(anything=[1]), Priced(anything={"1": 1}), Priced(anything={1: 1}),
        Bound(groups={frozenset("ab")}), Bound(groups={frozenset("a"), frozenset("b")}),
    ]  # fmt: skip
    assert len({command_hash(command) for command in different}) == len(different)


def test_a_stored_decimal_keeps_its_zeros() -> None:
    """A price is read as it was written; only the hash of a command looks through its form."""
    stored: Any = as_stored(Priced(Decimal("10.00")))
    assert str(stored.price) == "10.00"


MINUTES = st.integers(-23 * 60, 23 * 60)


@given(st.times(), MINUTES, MINUTES)
def test_equal_times_of_day_have_equal_bytes(moment: time, offset: int, other: int) -> None:
    """They are stored in UTC, or in the zone nearest to it; a time without a zone stays as it is."""
    assert encode(moment) == msgspec.msgpack.encode(moment)
    one = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert msgspec.msgpack.decode(encode(one), type=time) == one
    shifted = datetime.combine(datetime(2026, 1, 5), moment) + timedelta(minutes=other - offset)
    if shifted.date() == datetime(2026, 1, 5).date():
        equal = shifted.time().replace(tzinfo=timezone(timedelta(minutes=other)))
        assert (equal, encode(equal)) == (one, encode(one))


class Weighed(Event):
    """A number as an event stores it."""

    grams: float = 0.0


class Grouped(Event):
    """A set of sets, and nothing else that msgspec can't put in order."""

    groups: set[frozenset[str]] = set()


def test_G1_a_stored_zero_has_no_sign() -> None:
    """-0.0 equals 0.0, so they are the same bytes."""
    assert encode(Weighed(grams=-0.0)) == encode(Weighed(grams=0.0))


def test_G1_sets_of_sets_are_in_the_order_of_their_bytes() -> None:
    """Python compares sets by what they contain, which orders none of these."""
    stored = msgspec.msgpack.decode(encode(Grouped(groups={frozenset(letter) for letter in "hgfedcba"})))
    assert stored["groups"] == [[letter] for letter in "abcdefgh"]
