"""Events, commands and rejections, and the names under which they are stored."""

import hashlib
from typing import Any

import pytest

from eslab import Command, Event, InvalidInput, Rejected, version
from eslab.event import is_tag, split_tag, tag_of
from eslab.payload.serializer import command_hash
from tests.support.sample import Count, Counted


class Priced(Event, tag=version(3)):
    cents: int


class Kept(Event, tag=lambda _: "OldName:2"):
    """Renamed in code, not in the log."""


class Nameless(Event, tag="Nameless"):
    """Its tag has no version."""


class Numbered(Event, tag=7):
    """Its tag is no text."""


class Recount(Command):
    """The same fields as `Count`, another wish."""

    what: str
    amount: int = 1


@pytest.mark.parametrize(("event_type", "tag"), [(Counted, "Counted:1"), (Priced, "Priced:3"), (Kept, "OldName:2")])
def test_an_event_is_stored_under_its_name_and_version(event_type: type[Event], tag: str) -> None:
    """Version 1 unless its shape changed; a renamed class keeps its stored name."""
    assert tag_of(event_type) == tag
    assert split_tag(tag) == (tag[:-2], int(tag[-1]))


@pytest.mark.parametrize("event_type", [Nameless, Numbered])
def test_a_tag_without_a_version_is_refused(event_type: type[Event]) -> None:
    """What can't be told apart by version can't be read later."""
    name = event_type.__name__
    with pytest.raises(InvalidInput, match=rf'Expected a tag such as "{name}:1" on {name}, got .*; use tag=version'):
        tag_of(event_type)


@pytest.mark.parametrize("tag", ["", ":", ":1", "a", "a:", "a:b", "a:-1", "a:1.0", "a: 1", "a:²", "a:" + "1" * 10])
def test_what_is_no_tag(tag: str) -> None:
    """A tag is a name, a colon, and a version in up to nine plain digits."""
    assert not is_tag(tag)


def test_a_name_may_hold_colons() -> None:
    """The last colon counts."""
    assert is_tag("shop:Priced:12")
    assert split_tag("shop:Priced:12") == ("shop:Priced", 12)


@pytest.mark.parametrize("number", [0, -1])
def test_versions_begin_with_one(number: int) -> None:
    """Version 0 is refused where it is written."""
    with pytest.raises(InvalidInput, match=f"version of 1 or more, got {number}"):
        version(number)


@pytest.mark.parametrize("thing", [Counted("tea"), Count("tea")])
def test_what_happened_or_was_wished_cannot_change(thing: Any) -> None:
    """Events and commands are immutable, and equal by their fields."""
    with pytest.raises(AttributeError):
        thing.what = "coffee"
    assert thing == type(thing)("tea", 1)


def test_G1_a_wish_is_told_by_type_and_fields() -> None:
    """Eight bytes, the same on every machine: another type or another field is another wish."""
    plain = b"\x82\xa4type\xa5Count\xa4what\xa3tea"  # amount has its default
    assert command_hash(Count("tea")) == hashlib.blake2b(plain, digest_size=8).digest()
    assert (
        len({command_hash(command) for command in (Count("tea"), Count("tea", 2), Count("Tea"), Recount("tea"))}) == 4
    )


def test_G7_a_rejection_says_rule_limit_and_count() -> None:
    """For people in one sentence, for programs in its attributes."""
    rejected = Rejected("limit", "three a year are allowed", limit=3, count=4)
    assert repr(rejected) == str(rejected) == "Rejected by limit: three a year are allowed (limit 3, count 4)"
    assert (rejected.rule, rejected.reason, rejected.limit, rejected.count) == (
        "limit",
        "three a year are allowed",
        3,
        4,
    )
    assert str(Rejected("shelf", "there is no teal")) == "Rejected by shelf: there is no teal"


def test_things_show_themselves_in_a_notebook_escaped() -> None:
    """A table with every field, in which text is never taken for HTML."""
    html = [thing._repr_html_() for thing in (Counted("<b>", 2), Count("<b>", 2), Rejected("<b>", "no", limit=2))]
    assert all("&lt;b&gt;" in each and "<b>&" not in each.replace("<b>", "", 1) and "2" in each for each in html)
    assert [title in each for title, each in zip(("Counted:1", "Count", "✗ Rejected"), html, strict=True)] == [True] * 3
