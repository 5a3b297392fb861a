"""Lesson 05: how rows load, the class desk, one flipped bit, and five formats with bytes that can't be trusted."""

from collections.abc import Callable
from itertools import product
from typing import Any

import msgspec
import pytest

from eslab import EventStore, open_store
from eslab.errors import InvalidInput
from eslab.lab.lessons.serializer import (
    CURRENCY,
    PRICE,
    class_desk,
    compare_bytes,
    events_in,
    flipped,
    how_they_load,
    price_at,
)
from eslab.lab.lessons.serializer_formats import (
    Keeper,
    compare_formats,
    formats_chart,
    keepers,
    ratios,
    rung,
    untrusted_bytes,
)
from eslab.lab.lessons.till import till_of, v1, v2, v3
from tests.support.sample import Counted, at, commits

UPCASTERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "Sold:1": lambda sold: {**sold, "type": "Sold:2", "currency": "EUR"},
    "Sold:2": lambda sold: {
        "type": "Sold:3",
        "cake": sold["cake"],
        "cents": 100 * sold["euros"],
        "currency": sold["currency"],
    },
}


@pytest.fixture
def store() -> EventStore:
    """A till of Ann's with a sale of each version."""
    store = open_store("memory:")
    for minute, sold in enumerate((v1.Sold("lemon", 4), v2.Sold("cherry", 6), v3.Sold("sponge", 350))):
        store.append("ann", commits(at(minute), {"till:1": [sold]}))
    return store


def marks(loaded: Any) -> list[str]:
    """For each row: does it load?"""
    return sorted(text[0] for text in loaded["loads as"])


def test_a_row_loads_or_says_why_not(store: EventStore) -> None:
    """With both upcasters all three load as the current class; without them only the current row does."""
    assert marks(how_they_load(store, "ann", "till:1", till_of(v3.Sold))) == ["✓", "✗", "✗"]
    loaded = how_they_load(store, "ann", "till:1", till_of(v3.Sold, UPCASTERS))
    assert "✓ Sold(cake='lemon', cents=400, currency='EUR')" in list(loaded["loads as"])
    assert marks(loaded) == ["✓"] * 3


def test_the_desk_opens_broken_and_the_upcasters_mend_it(store: EventStore) -> None:
    """Two rows are refused until the box is ticked."""
    desk: Any = class_desk(store, "ann", "till:1", UPCASTERS)
    assert desk.children[1].value.count("✗") == 2
    desk.children[0].children[3].value = True
    assert "✗" not in desk.children[1].value and desk.children[1].value.count("✓") == 3


def test_no_choice_at_the_desk_raises(store: EventStore) -> None:
    """A class that the upcasters don't fit is refused in words, below the menus."""
    desk: Any = class_desk(store, "ann", "till:1", UPCASTERS)
    number, currency, price, use = desk.children[0].children
    for use.value, number.value, currency.value, price.value in product((True, False), (1, 2, 3), CURRENCY, PRICE):
        refused = "✗ InvalidInput: Expected" in desk.children[1].value
        assert refused == (use.value and number.value < 3)
        assert refused or desk.children[1].value.count("Sold:") >= 3


def test_the_desk_refuses_a_type_that_it_does_not_know() -> None:
    """The error stands beside the row."""
    store = open_store("memory:")
    store.append("ann", commits(at(0), {"till:1": [Counted("tea")]}))
    desk: Any = class_desk(store, "ann", "till:1", {})
    assert "✗ found event type Counted" in desk.children[1].value


def test_the_flipped_bit_is_in_the_price_and_nowhere_else(store: EventStore) -> None:
    """One bit of the payload differs, and of the event only the euros."""
    payload = next(commit.payload for commit in store.rows("ann", "till:1") if commit.version == 1)
    damaged = flipped(payload, price_at(payload))
    assert sum((one ^ other).bit_count() for one, other in zip(payload, damaged, strict=True)) == 1
    assert events_in(damaged) == [{"type": "Sold:1", "cake": "lemon", "euros": 5}]
    compared = compare_bytes(payload, damaged)
    assert [bits[-1] for bits in compared["its bits"]] == ["0", "1"]


def test_a_price_that_is_not_there_is_not_found() -> None:
    """Only a sale for 4 euros has such a byte."""
    with pytest.raises(InvalidInput, match="a sale for 4 euros"):
        price_at(msgspec.msgpack.encode({"cake": "lemon", "euros": 6}), msgspec.msgpack.decode)


@pytest.mark.parametrize("keeper", keepers(), ids=lambda keeper: keeper.name)
def test_in_every_format_the_same_bit_of_the_price_is_flipped(keeper: Keeper) -> None:
    """The byte is the 4, as a number or as a digit, and becomes 5."""
    assert chr(keeper.stored[keeper.price]) in "4\x04"
    assert chr(flipped(keeper.stored, keeper.price)[keeper.price]) in "5\x05"


def test_only_a_checksum_finds_the_flipped_bit() -> None:
    """msgpack, JSON and pickle sell the cake for 5 euros; the two with a checksum refuse."""
    flips = untrusted_bytes().set_index("format")["one bit of the price flipped"]
    assert flips["pickle"] == "loads: ('lemon', 5, 'EUR')"
    assert flips["JSON"] == flips["msgpack"] == "loads: {'cake': 'lemon', 'euros': 5}"
    assert flips["JSON + CRC"] == "ValueError: the checksum does not match"
    assert flips["commit"].startswith("Unreadable: the checksum")


def test_only_pickle_runs_hostile_bytes() -> None:
    """Every other format ends with an error, also where the checksum of the bytes is right."""
    judged = untrusted_bytes().set_index("format")
    hostile = judged["bytes made to harm"]
    assert hostile["pickle"] == "RAN THEIR CODE: ring('your files, please')" and rung == []
    assert hostile["JSON"].startswith("RecursionError") and hostile["JSON + CRC"].startswith("RecursionError")
    assert hostile["commit"].startswith("Unreadable: the envelope can't be parsed")
    assert judged["bytes of version 1"].str.startswith("loads").all()
    assert not judged["half of it"].str.startswith("loads").any()


def test_formats_are_compared_by_the_same_event() -> None:
    """Names cost bytes; the chart's alternative text gives every figure; shares come from the measured table."""
    measured = compare_formats()
    compared = measured.set_index("format")
    assert compared["bytes"]["msgpack, positional"] < compared["bytes"]["msgpack, named"] < compared["bytes"]["commit"]
    assert (compared[["µs to write", "µs to read"]] > 0).all(axis=None)
    assert f"pickle {compared['bytes']['pickle']} bytes and" in formats_chart(measured).alt
    (share,) = ratios(measured, "msgpack, positional", "msgpack, named").to_dict("records")
    assert share["bytes"] == f"{compared['bytes']['msgpack, positional'] / compared['bytes']['msgpack, named']:.0%}"
