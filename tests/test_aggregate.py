"""What an aggregate type says about itself: its events, its ids, its empty state."""

from typing import Any

import pytest

from eslab import Aggregate, InvalidInput
from eslab.aggregate import address, aggregate_id, event_types, serializer_of, type_name
from tests.support.sample import Card, Counted, Counter, Stamped, Voided


class License(Aggregate):
    stored_as = "licence"

    def apply(self, event: Stamped) -> None: ...


class Vague(Aggregate):
    def apply(self, event: Any) -> None: ...


class Loose(Aggregate):
    def apply(self, event) -> None: ...  # type: ignore[no-untyped-def]


class Half(Aggregate):
    def apply(self, event: Counted | str) -> None: ...


class Silent(Aggregate):
    """It has no apply."""


class Colon(Aggregate):
    stored_as = "a:b"

    def apply(self, event: Stamped) -> None: ...


def test_the_annotation_of_apply_is_the_list_of_events() -> None:
    """One event or a union of them; the serializer knows just these, and there is one for a type."""
    assert event_types(Counter) == (Counted, Voided)
    assert event_types(Card) == (Stamped,)
    assert serializer_of(Counter) is serializer_of(Counter)
    assert list(serializer_of(Counter).current) == ["Counted", "Voided"]


@pytest.mark.parametrize("aggregate_type", [Vague, Loose, Half, Silent])
def test_apply_without_a_list_of_events_is_refused(aggregate_type: type[Aggregate]) -> None:
    """Without the list nothing could be read, so it is asked for by name."""
    with pytest.raises(InvalidInput, match=f"Expected {aggregate_type.__name__}.apply.self, event: SomeEvent"):
        event_types(aggregate_type)


def test_an_aggregate_needs_an_apply() -> None:
    """The base class only says so."""
    with pytest.raises(NotImplementedError, match=r"Silent needs an apply\(self, event: \.\.\.\) method"):
        Silent().apply(Counted("tea"))


def test_states_do_not_share_their_defaults() -> None:
    """Each state begins empty."""
    Counter().apply(Counted("tea"))
    assert Counter() == Counter({}, set())


@pytest.mark.parametrize(("aggregate_type", "name"), [(Counter, "counter"), (License, "licence")])
def test_an_id_is_type_colon_key(aggregate_type: type[Aggregate], name: str) -> None:
    """The class name in lower case, unless it is stored under another; the key may hold colons."""
    assert type_name(aggregate_type) == name
    assert aggregate_id((aggregate_type, "phone/a:b")) == f"{name}:phone/a:b"
    assert address(aggregate_type, f"{name}:phone/a:b") == (aggregate_type, "phone/a:b")


@pytest.mark.parametrize("id", ["", "licence", "licence:", "license:1", "Licence:1", ":1", "licence1", "licence 1:1"])
def test_the_id_of_another_type_is_refused(id: str) -> None:
    """Prefix, colon and key, letter by letter."""
    with pytest.raises(InvalidInput, match=f'Expected the id of a License, such as "licence:1", got {id!r}'):
        address(License, id)


@pytest.mark.parametrize(("key", "message"), [("", "aggregate key"), ("\ud800", "surrogate"), ("x" * 1017, "got 1025")])
def test_a_key_that_no_store_can_keep_is_refused(key: str, message: str) -> None:
    """The limit counts for the whole id, in bytes."""
    with pytest.raises(InvalidInput, match=message):
        aggregate_id((License, key))
    assert aggregate_id((License, "x" * 1016))


def test_a_stored_name_with_a_colon_is_refused() -> None:
    """The key "b:1" of type "a" and the key "1" of type "a:b" would be one aggregate."""
    with pytest.raises(InvalidInput, match="stored_as without a colon in Colon, got 'a:b'"):
        aggregate_id((Colon, "1"))


def test_a_state_shows_itself_in_a_notebook() -> None:
    """A table with its fields."""
    html = Counter({"tea": 2})._repr_html_()
    assert "Counter" in html and "tea: 2" in html
