"""What an aggregate type says about itself: its events, its ids, its empty state."""

from collections.abc import Callable
from typing import Any

import pytest

from eslab import Aggregate, AggregateService, Event, InvalidInput, ManualClock, Repository, open_store  # noqa: F401
from eslab.aggregate import address, aggregate_id, event_types, serializer_of, type_name
from tests.support.sample import Card, Count, Counted, Counter, Stamped, Voided, at


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


def apply_of(code: str) -> Any:
    """An aggregate whose `apply` is written so."""
    names = {**globals(), "__name__": __name__}
    exec(f"class Told(Aggregate):\n    {code}", names)
    return names["Told"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("told: int = 0", "no such method"),
        ("def apply(self, event): ...", "no annotation of event"),
        ("def apply(self, event: Event): ...", "Event, which is no class of events"),
        ("def apply(self, event: Counted | None): ...", "NoneType, which is no class of events"),
        ("def apply(self, event: list[Counted]): ...", r"list\[.*Counted\], which is no class of events"),
        ("def apply(event: Counted): ...", r"apply\(event: .*Counted\)"),
        ("async def apply(self, event: Counted): ...", r"async def apply\(self, event: .*Counted\)"),
    ],
)
def test_the_message_says_what_apply_is_instead(code: str, found: str, clock: ManualClock) -> None:
    """On every way to a state: a service, a load, a unit of work; also of a customer who has no events."""
    told, store = apply_of(code), open_store("memory:")
    repository = Repository(store, clock)
    ways: list[Callable[[], Any]] = [
        lambda: AggregateService(store, told, lambda *_: [], clock),
        lambda: repository.load("ann", told, "1"),
        lambda: repository.begin("ann", at(), Count("tea")).load((told, "1")),
    ]
    for way in ways:
        with pytest.raises(InvalidInput, match=rf"Expected Told.apply\(self, event: .*\), got {found}. Annotate it"):
            way()


def test_the_parameter_of_apply_may_have_any_name() -> None:
    """Only its annotation counts; what `apply` returns need not even be defined."""
    assert event_types(apply_of("def apply(self, happened: 'Counted') -> 'Nowhere': ...")) == (Counted,)


def test_a_name_that_apply_cannot_find_is_named() -> None:
    """Such as a local class under `from __future__ import annotations`."""
    with pytest.raises(
        InvalidInput, match=r"in the annotation of Told.apply, got 'Nowhere', which is not defined there"
    ):
        event_types(apply_of("def apply(self, event: 'Nowhere'): ..."))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("told: int", r"for every field of Told, .* Expected Told\(told: int\), got Told\(\): Missing required"),
        ("told: int = 'none'", r"for every field of Told, .*: Expected `int`, got `str` - at `\$.told`"),
    ],
)
def test_every_field_of_a_state_needs_a_default_of_its_type(code: str, message: str) -> None:
    """They are the state before the first event."""
    with pytest.raises(InvalidInput, match=message):
        serializer_of(apply_of(f"{code}\n    def apply(self, event: Counted): ..."))


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
