"""Lesson 05: how readers treat untrusted bytes, the class desk, and the exercise's check."""

from typing import Any

import ipywidgets

from eslab import open_store
from eslab.lab.lessons.serializer import class_desk, compare_formats, formats_chart, rung, untrusted_bytes
from tests.support.sample import Counted, at, commits


def test_only_a_commit_refuses_bytes_that_cannot_be_trusted() -> None:
    """Pickle runs hostile bytes, JSON accepts a flipped bit, a commit accepts only its own bytes."""
    judged = untrusted_bytes().set_index("given")
    assert judged["pickle"]["bytes made to harm"] == "RAN THEIR CODE: ring('your files, please')"
    assert judged["pickle"]["the price's lowest bit flipped"] == "loads: ('lemon', 5, 'EUR')"
    assert judged["JSON"]["the price's lowest bit flipped"] == "loads: {'cake': 'lemon', 'euros': 5}"
    assert judged["JSON"]["bytes made to harm"].startswith("RecursionError")
    assert judged["commit"]["bytes of version 1"] == "loads: Sold(cake='lemon', euros=4, currency='EUR')"
    assert all(judged["commit"].drop("bytes of version 1").str.startswith("Unreadable: "))
    assert rung == []


def test_formats_are_compared_by_the_same_event() -> None:
    """Names cost bytes; the chart's alternative text gives every figure."""
    compared = compare_formats().set_index("format")
    assert compared["bytes"]["msgpack, positional"] < compared["bytes"]["msgpack, named"] < compared["bytes"]["commit"]
    assert (compared[["µs to write", "µs to read"]] > 0).all(axis=None)
    assert "pickle 171 bytes and" in formats_chart(compared.reset_index()).alt


def test_the_desk_shows_what_still_loads() -> None:
    """A class refuses a type that it doesn't know, and its message follows the menus."""
    store = open_store("memory:")
    store.append("ann", commits(at(0), {"till:1": [Counted("tea")]}))
    desk: Any = class_desk(store, "ann", "till:1", {})
    number, _, _, use = desk.children[0].children
    assert "✗" in desk.children[1].value and "found event type Counted" in desk.children[1].value
    use.value, number.value = False, 1
    assert isinstance(number, ipywidgets.Dropdown) and "expected one of Sold" in desk.children[1].value
