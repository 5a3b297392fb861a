"""A field has a type that can be written and read back, or its class is refused by name before anything is written."""

import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from types import new_class
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar, Union
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eslab import Aggregate, AggregateService, Command, Event, InvalidInput, ManualClock, open_store
from eslab.payload.checksum import Checksum
from eslab.payload.fields import check_fields, is_canonical
from eslab.payload.serializer import VersionedSerializer, as_stored, check_type
from tests.support.sample import ROOT, Counted, at, commits, everything


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(Enum):
    ONE = 1
    TWO = "two"


class Point(msgspec.Struct, frozen=True):
    x: int = 0
    next: "Point | None" = None


class Odd(msgspec.Struct):
    """A nested type that can't be read."""

    inside: list[complex] = []


@dataclass
class Page:
    words: dict[int, str]


class Row(NamedTuple):
    place: int
    name: str = ""


class Sheet(TypedDict):
    title: str


Cents = NewType("Cents", int)
T = TypeVar("T")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
ZONES: Any = st.none() | st.timezones()
HASHABLE: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, st.text(max_size=3)),
    (int, st.integers(-(2**63), 2**64 - 1)),
    (float, st.floats(allow_nan=False)),
    (bool, st.booleans()),
    (bytes, st.binary(max_size=3)),
    (Decimal, st.decimals(allow_nan=False)),
    (datetime, st.datetimes(min_value=datetime(2, 1, 1), timezones=ZONES)),
    (date, st.dates()),
    (time, st.times()),
    (timedelta, st.timedeltas()),
    (UUID, st.uuids()),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Literal["a", 1], st.sampled_from(["a", 1])),
    (Annotated[int, msgspec.Meta(ge=0, description="how many")], st.integers(0, 9)),
    (Cents, st.integers(0, 9)),
    (Point, st.builds(Point, st.integers(0, 9), st.none() | st.builds(Point))),
    (None, st.none()),
]
ONLY_INSIDE = [
    (Page, st.builds(Page, st.dictionaries(st.integers(0, 9), st.text(max_size=2), max_size=3))),
    (Row, st.builds(Row, st.integers(0, 9))),
    (Sheet, st.fixed_dictionaries({"title": st.text(max_size=2)})),
    (Any, JSON),
    (bytearray, st.binary(max_size=3).map(bytearray)),
]


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Types made of other types, each with a strategy of its values."""
    hashable = st.sampled_from(HASHABLE)
    return st.one_of(
        inner.map(lambda it: (list[it[0]], st.lists(it[1], max_size=3))),
        inner.map(lambda it: (tuple[it[0], ...], st.lists(it[1], max_size=3).map(tuple))),
        st.tuples(inner, inner).map(lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))),
        hashable.map(lambda it: (frozenset[it[0]], st.frozensets(it[1], max_size=3))),
        hashable.map(lambda it: (set[it[0]], st.sets(it[1], max_size=3))),
        st.tuples(hashable, inner).map(
            lambda two: (dict[two[0][0], two[1][0]], st.dictionaries(two[0][1], two[1][1], max_size=3))
        ),
        inner.map(lambda it: (Union[it[0], None], it[1] | st.none())),  # noqa: UP007
        st.tuples(inner, inner).map(lambda two: (Union[two[0][0], two[1][0]], two[0][1] | two[1][1])),  # noqa: UP007
    )


TYPES = st.recursive(st.sampled_from(HASHABLE + ONLY_INSIDE), composed, max_leaves=4)


def event_with(field_type: Any) -> Any:
    """An event class with one field of this type."""
    body = {"__module__": __name__, "__annotations__": {"told": field_type}}
    return new_class("Told", (Event,), {}, lambda namespace: namespace.update(body))


def aggregate_of(event_type: Any) -> Any:
    """An aggregate that counts these events."""

    class Teller(Aggregate):
        told: int = 0

        def apply(self, event: event_type) -> None:  # type: ignore[valid-type]
            self.told += 1

    return Teller


@settings(max_examples=30)
@given(st.data())
def test_G8_what_is_accepted_is_read_back(data: st.DataObject) -> None:
    """Whatever the type: refused when it is first used, or every value of it is read as it was written."""
    field_type, values = data.draw(TYPES)
    event_type = event_with(field_type)
    try:
        check_type(event_type)
    except InvalidInput as error:
        assert "Told.told" in str(error)
        return
    event = event_type(data.draw(values))
    try:
        stored = as_stored(event)
    except InvalidInput as error:  # a value that is not of the type, such as a text in a union without one
        assert "Told" in str(error)
        return
    assert stored == event
    (commit,) = commits(at(), {"teller:1": [stored]})
    checksum = Checksum.of_commits("ann", "teller:1")
    assert [*VersionedSerializer([event_type]).page([commit.payload], checksum)] == [(stored,)]


REFUSED: list[tuple[Any, str]] = [
    (list[int] | set[int], "Told.told: Type unions may not contain more than one array-like"),
    (str | datetime, "Told.told: Type unions may not contain more than one str-like"),
    (object, "Told.told, got object"),
    (complex, "Told.told, got complex"),
    (Callable[[], int], "Told.told, got Callable"),
    (Iterator[int], "Told.told, got Iterator"),
    (deque, "Told.told, got deque"),
    (type, "Told.told, got type"),
    (msgspec.Raw, "Told.told, got Raw"),
    (msgspec.msgpack.Ext, "Told.told, got Ext"),
    (Mixed, "Told.told: Enums must contain either all str or all int values"),
    (dict[str, list[Odd]], r"Told.told\[...\]\[...\].inside\[...\], got complex"),
    (int | float, r"one kind of number in Told.told, got int \| float: .* Use float"),
    (list[bool | int], r"one kind of number in Told.told\[...\], got bool \| int: .* Use int"),
    (float | Decimal | None, r"one kind of number in Told.told, got float \| Decimal: .* Use Decimal"),
    (Level | float, r"one kind of number in Told.told, got int \| float: .* Use float"),
    (Literal[1] | float, r"one kind of number in Told.told, got int \| float: .* Use float"),
    ("Nowhere", r"module tests.payload.test_fields defines in Told, got 'Nowhere', which is not defined there"),
    (list.__class_getitem__("Nowhere"), "got 'Nowhere', which is not defined there. Define it at the top level"),
]


@pytest.mark.parametrize(("field_type", "message"), REFUSED, ids=str)
def test_a_field_that_cannot_be_read_back_is_refused(field_type: Any, message: str, clock: ManualClock) -> None:
    """When the service is made, and when an event is added, before anything is written; the field is named."""
    store, event_type = open_store("memory:"), event_with(field_type)
    for use in (
        lambda: AggregateService(store, aggregate_of(event_type), lambda *_: [], clock),
        lambda: as_stored(event_type(None)),
    ):
        with pytest.raises(InvalidInput, match=message):
            use()
    assert everything(store) == {}


def test_a_command_and_a_state_are_checked_too(clock: ManualClock) -> None:
    """A command before anything is read; a state when the service is made, since snapshots hold it."""

    class Tell(Command):
        told: list[int] | set[int]

    class Holder(Aggregate):
        held: complex = 0j

        def apply(self, event: Counted) -> None: ...

    store = open_store("memory:")
    service = AggregateService(store, aggregate_of(Counted), lambda *_: [], clock)
    with pytest.raises(InvalidInput, match=r"Tell\.told: Type unions"):
        service.send("ann", "teller:1", Tell([1]), at())
    with pytest.raises(InvalidInput, match=r"Holder\.held, got complex"):
        AggregateService(store, Holder, lambda *_: [], clock)


def test_a_state_may_hold_several_kinds_of_numbers() -> None:
    """Nothing compares the bytes of states."""

    class Sums(Aggregate):
        sums: dict[str, int | float] = {}

    check_fields(Sums, canonical=False)


class Pair(Event, Generic[T]):
    """A generic event: what it holds may be anything."""

    held: T


def test_a_generic_event_holds_anything() -> None:
    """Its parameters are no part of what is stored."""
    assert as_stored(Pair[list[int]]([1])) == Pair([1])


def test_what_msgspec_encodes_in_one_order_is_left_to_it() -> None:
    """Texts, whole numbers and points in time, and maps and sets of them; not decimals, floats or other keys."""
    assert all(is_canonical(event_with(it)) for it in (dict[str, set[int]], list[datetime | None], Point, Colour))
    assert not any(is_canonical(event_with(it)) for it in (float, Decimal, Page, dict[int, str], set[Point], Any))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type` statements came with Python 3.12")
def test_type_aliases_of_python_3_12() -> None:
    """As the annotation of `apply`, inside unions, in fields and in handlers."""
    code = """
from eslab import *
from eslab.payload.checksum import Checksum
from eslab.aggregate import event_types
class A(Event): n: int = 0
type Names = list[str]
class B(Event): names: Names
class C[T](Event): held: T
type Two = A | B
type Changes = Two | C
class S(Aggregate):
    seen: Names = []
    def apply(self, event: Changes) -> None: ...
assert event_types(S) == (A, B, C), event_types(S)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
