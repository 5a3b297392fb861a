"""Every change that people make to events, as docs/serializer.md lists them: what newer code reads of older bytes."""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType, field

from eslab import Aggregate, Event, InvalidInput, ManualClock, Repository, SnapshotPolicy, Unreadable, version
from eslab.aggregate import serializer_of
from eslab.event import is_tag, oldest_reader, split_tag, tag_of
from eslab.operations.snapshots import build_snapshot
from eslab.payload.checksum import Checksum
from eslab.payload.serializer import VersionedSerializer, encode_append
from eslab.payload.upcast import Upcaster
from tests.support.sample import WISH, at, commits

Upcasters = Mapping[str | tuple[str, ...], Upcaster]


class Priced(Event):
    """As it was first released."""

    cake: str
    euros: int


FIRST = Priced("lemon", 4)
CHECKSUM = Checksum.of_commits("ann", "x:1")


def reread(stored: Event | list[Event], *known: type[Event], upcasters: Upcasters | None = None) -> list[Event]:
    """What code that knows these types reads of a commit that other code stored."""
    events = stored if isinstance(stored, list) else [stored]
    return VersionedSerializer(known, upcasters).events(payload_of(*events), CHECKSUM)


def payload_of(*events: Event) -> bytes:
    """The payload of one commit of these events."""
    return encode_append("ann", at().event_time, {"x:1": events}, WISH)["x:1"]


# Without an upcaster


def test_G9_a_field_that_was_added_takes_its_default() -> None:
    """With the next version, or without."""

    class Priced2(Event, tag="Priced:2"):
        cake: str
        euros: int
        currency: str = "EUR"

    assert reread(FIRST, Priced2) == [Priced2("lemon", 4, "EUR")]


def test_G9_a_field_that_was_removed_is_ignored() -> None:
    """Its bytes stay; nobody asks for them."""

    class Priced2(Event, tag="Priced:2"):
        cake: str

    assert reread(FIRST, Priced2) == [Priced2("lemon")]


def test_G9_a_field_may_be_renamed_in_code_alone() -> None:
    """msgspec's `field(name=)` keeps the stored name, so no version is needed."""

    class Renamed(Event, tag="Priced:1"):
        cake: str
        price: int = field(name="euros")

    assert reread(FIRST, Renamed) == [Renamed("lemon", 4)]


@pytest.mark.parametrize("wider", [float, int | str, int | None])
def test_G9_a_type_that_was_widened_takes_what_is_stored(wider: Any) -> None:
    """Whole numbers are numbers."""

    class Priced2(Event, tag="Priced:2"):
        cake: str
        euros: wider

    assert reread(FIRST, Priced2) == [Priced2("lemon", 4)]


def test_G8_a_type_that_was_narrowed_is_refused() -> None:
    """With the field, and with what would mend it."""

    class Priced2(Event, tag="Priced:2"):
        cake: str
        euros: str

    with pytest.raises(Unreadable, match=r'version 1 does not fit Priced:2: .*euros.*upcaster for "Priced:1"'):
        reread(FIRST, Priced2)


def test_G8_a_field_that_was_added_without_a_default_is_refused() -> None:
    """No guess is made."""

    class Priced2(Event, tag="Priced:2"):
        cake: str
        euros: int
        currency: str

    with pytest.raises(Unreadable, match="missing required field `currency`; give the field a default, or write"):
        reread(FIRST, Priced2)


def test_a_default_can_say_that_nothing_was_stored() -> None:
    """UNSET tells an old event from one that said nothing."""

    class Priced2(Event, tag="Priced:2"):
        cake: str
        euros: int
        currency: str | UnsetType | None = UNSET

    (old,) = reread(FIRST, Priced2)
    (new,) = reread(Priced2("lemon", 4, None), Priced2)
    assert (old.currency, new.currency) == (UNSET, None)  # pyright: ignore[reportAttributeAccessIssue]


# Unknown values


class Size(Enum):
    """As an older program knows it."""

    SMALL = "small"
    LARGE = "large"


class Cut(Event):
    """A piece of cake, of a size that an older program knows."""

    size: Size


class NewerCut(Event, tag="Cut:1"):
    """The same, where sizes have grown."""

    size: str


def test_G8_an_unknown_enum_value_is_refused() -> None:
    """By name."""
    with pytest.raises(Unreadable, match="Invalid enum value 'huge'"):
        reread(NewerCut("huge"), Cut)


def test_an_enum_may_say_what_it_makes_of_the_unknown() -> None:
    """`_missing_` is Python's own way."""

    class Lenient(Enum):
        SMALL = "small"
        OTHER = "other"

        @classmethod
        def _missing_(cls, value: object) -> "Lenient":
            return cls.OTHER

    class LenientCut(Event, tag="Cut:1"):
        size: Lenient

    assert reread(NewerCut("huge"), LenientCut) == [LenientCut(Lenient.OTHER)]


# With upcasters


class Cents(Event, tag="Priced:3"):
    """The price in cents, with its currency."""

    cake: str
    cents: int
    currency: str = "EUR"


def with_currency(priced: dict[str, Any]) -> dict[str, Any]:
    """Version 1 to 2."""
    return {**priced, "type": "Priced:2", "currency": "EUR"}


def in_cents(priced: dict[str, Any]) -> dict[str, Any]:
    """Version 2 to 3."""
    euros = priced.pop("euros")  # a copy, so it may be changed
    return {**priced, "type": "Priced:3", "cents": 100 * euros}


CHAIN: Upcasters = {"Priced:1": with_currency, "Priced:2": in_cents}


def test_G9_upcasters_are_chained() -> None:
    """From any version to the current one."""

    class Second(Event, tag="Priced:2"):
        cake: str
        euros: int
        currency: str

    stored = [FIRST, Second("cherry", 6, "CHF"), Cents("sponge", 350)]
    expected = [Cents("lemon", 400), Cents("cherry", 600, "CHF"), Cents("sponge", 350)]
    assert reread(stored, Cents, upcasters=CHAIN) == expected


def test_an_upcaster_may_be_missing_where_a_default_will_do() -> None:
    """After the last step that fits, what is missing takes its default."""
    assert reread(FIRST, Cents, upcasters={"Priced:1": in_cents}) == [Cents("lemon", 400)]


def test_current_events_meet_no_upcaster() -> None:
    """Not even in a page with older ones."""

    def never(old: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError(old)

    payloads = [payload_of(Cents("sponge", 350))] * 3
    assert VersionedSerializer([Cents], {"Priced:1": never}).page(payloads, CHECKSUM) == [(Cents("sponge", 350),)] * 3


def test_G9_a_field_is_split_and_merged() -> None:
    """Into several, or out of several."""

    class Person(Event, tag="Person:2"):
        given: str
        family: str

    class OnePerson(Event, tag="Person:1"):
        name: str

    class Whole(Event, tag="Person:3"):
        name: str

    def split(old: dict[str, Any]) -> dict[str, Any]:
        given_name, _, family = old["name"].partition(" ")
        return {"type": "Person:2", "given": given_name, "family": family}

    def merge(old: dict[str, Any]) -> dict[str, Any]:
        return {"type": "Person:3", "name": f"{old['given']} {old['family']}"}

    ada = OnePerson("Ada Lovelace")
    assert reread(ada, Person, upcasters={"Person:1": split}) == [Person("Ada", "Lovelace")]
    assert reread(ada, Whole, upcasters={"Person:1": split, "Person:2": merge}) == [Whole("Ada Lovelace")]


def test_G9_an_event_is_renamed() -> None:
    """Its old name stays the key of a step."""

    class PriceSet(Event):
        cake: str
        euros: int

    assert reread(FIRST, PriceSet, upcasters={"Priced:1": lambda old: {**old, "type": "PriceSet:1"}}) == [
        PriceSet("lemon", 4)
    ]


class Opened(Event):
    """A shop opened."""

    day: int


class Named(Event):
    """It got a name."""

    name: str


class Founded(Event):
    """Both in one."""

    day: int
    name: str


def test_G9_an_event_is_split_in_two() -> None:
    """In its place, in order."""

    def apart(old: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"type": "Opened:1", "day": old["day"]}, {"type": "Named:1", "name": old["name"]}]

    stored = [FIRST, Founded(5, "Ann's"), FIRST]
    read = reread(stored, Priced, Opened, Named, upcasters={"Founded:1": apart})
    assert read == [FIRST, Opened(5), Named("Ann's"), FIRST]


def test_G9_neighbours_are_merged_and_others_left() -> None:
    """Two events of one commit that stand side by side become one; one that stands alone goes its own way."""

    def together(opened: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
        return {"type": "Founded:1", "day": opened["day"], "name": named["name"]}

    def alone(opened: dict[str, Any]) -> dict[str, Any]:
        return {"type": "Founded:1", "day": opened["day"], "name": "nameless"}

    known, merged = (Named, Founded), {("Opened:1", "Named:1"): together, "Opened:1": alone}
    assert reread([Opened(5), Named("Ann's")], *known, upcasters=merged) == [Founded(5, "Ann's")]
    assert reread([Opened(5), Opened(6), Named("b")], *known, upcasters=merged) == [
        Founded(5, "nameless"),
        Founded(6, "b"),
    ]
    assert reread([Named("b"), Opened(5)], *known, upcasters=merged) == [Named("b"), Founded(5, "nameless")]


def test_the_bytes_stay_what_they_were(repository: Repository) -> None:
    """Reading upcasts; the row isn't touched."""

    class Offer(Aggregate):
        prices: dict[str, int] = {}
        upcasters = CHAIN

        def apply(self, event: Cents) -> None:
            self.prices[event.cake] = event.cents

    made = commits(at(0), {"offer:1": [FIRST]})
    repository.store.append("ann", made)
    assert repository.load("ann", Offer, "1").prices == {"lemon": 400}
    assert list(repository.store.rows("ann", "offer:1")) == made


# Steps that can't be right


KNOWN = "expected an event that the code knows from the upcaster of Priced:1, found"
LATER = "expected a later version from the upcaster of Priced:1, found"
MAPS = "expected a map or a list of maps from the upcaster of Priced:1, found"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda old: old, f"{LATER} Priced:1"),
        (lambda old: {**old, "type": "Priced:0"}, LATER),
        (lambda old: {**old, "type": "Priced:1/0"}, LATER),
        (lambda old: [{**old, "type": "Priced:3"}, old], LATER),
        (lambda old: None, f"{MAPS} None; to drop an event, keep its class in the annotation of apply"),
        (lambda old: [], rf"{MAPS} \[\]; to drop an event"),
        (lambda old: (), rf"{MAPS} \(\)"),
        (lambda old: [None], rf"{MAPS} \[None\]"),
        (lambda old: iter([old]), f"{MAPS} <list_iter"),
        (lambda old: Cents("lemon", 400), f"{MAPS} Cents"),
        (lambda old: {"cake": "lemon"}, "expected an event with a type .* from the upcaster of Priced:1, found type"),
        (lambda old: {**old, "type": "Priced"}, "from the upcaster of Priced:1, found type 'Priced'"),
        (lambda old: {**old, "type": "Gone:1"}, f"{KNOWN} Gone:1"),
        (lambda old: {**old, "type": "Gone:1/0"}, f"{KNOWN} Gone:1"),
        (lambda old: {**old, "type": "Priced:4"}, f"{KNOWN} Priced:4"),
        (lambda old: {**old, "type": "Priced:4/0"}, f"{KNOWN} Priced:4"),
        (lambda old: {"type": "Priced:3", "cents": object()}, "version 3 does not fit Priced:3"),
        (lambda old: old["price"], "the upcaster <lambda> failed with KeyError: 'price'; fix it"),
        (lambda: {}, "the upcaster <lambda> failed with TypeError: .*; fix it"),
    ],
)
def test_G8_a_step_that_does_not_lead_on_is_refused(step: Upcaster, message: str) -> None:
    """It is named, and the event is never dropped silently."""
    with pytest.raises(Unreadable, match=message):
        reread(FIRST, Cents, upcasters={"Priced:1": step})


def test_an_event_is_dropped_by_a_class_that_apply_passes_over() -> None:
    """The way that the message names: the event adds nothing to the state, and remains in the history."""

    class Ignored(Event):
        reason: str

    dropped: Upcasters = {"Priced:1": lambda old: {"type": "Ignored:1", "reason": "priced in euros"}}
    assert reread([FIRST, Cents("sponge", 350)], Cents, Ignored, upcasters=dropped) == [
        Ignored("priced in euros"),
        Cents("sponge", 350),
    ]


def test_G8_what_an_upcaster_returns_is_never_skipped() -> None:
    """Only a stored event may be marked so that readers skip it; here half of a merge is left alone."""
    halves: Upcasters = {
        "Priced:1": lambda old: {"type": "Opened:1/0", "day": 1},
        ("Opened:1", "Named:1"): lambda opened, named: {"type": "Founded:1", **opened, **named},
    }
    with pytest.raises(Unreadable, match="found event type Opened in version 1, expected one of Founded"):
        reread(FIRST, Founded, upcasters=halves)


def test_G8_steps_in_a_circle_end() -> None:
    """Two names that lead to each other, and an event that becomes more and more."""
    circle: Upcasters = {
        "Priced:1": lambda old: {**old, "type": "Cost:1"},
        "Cost:1": lambda old: [{**old, "type": "Priced:1"}] * 3,
    }
    with pytest.raises(Unreadable, match=r"the upcaster of \w+:1 goes in a circle"):
        reread(FIRST, Cents, upcasters=circle)


@pytest.mark.parametrize(
    ("upcasters", "message"),
    [
        (
            {"Priced:3": in_cents},
            "for an older version, got one for Priced:3, which the class already is; raise the version",
        ),
        (
            {"Priced:3/2": in_cents},
            "for an older version, got one for Priced:3, which the class already is; raise the version",
        ),
        ({"Priced:4": in_cents}, "up to Priced:3, the current one, got one for Priced:4; raise the version of the"),
        ({("Named:1", "Priced:5"): in_cents}, "up to Priced:3, the current one, got one for Priced:5"),
        ({"Priced:1": in_cents, "Priced:1/0": in_cents}, "one upcaster for Priced:1, got two; keep one of them"),
        ({"Priced:1": in_cents, ("Priced:1",): in_cents}, "one upcaster for Priced:1, got two"),
        ({"Priced:1": "in_cents"}, "a function as upcaster of Priced:1, got 'in_cents'"),
        *(
            ({key: in_cents}, 'a stored tag such as "Priced:1", got one for')
            for key in ("Priced", "", (), 1, (1,), None)
        ),
    ],
)
def test_an_upcaster_that_could_never_be_right_is_refused_at_once(upcasters: Any, message: str) -> None:
    """Before anything is read: for what is current or newer, two for one version, for no version at all."""
    with pytest.raises(InvalidInput, match=message):
        VersionedSerializer([Cents], upcasters)


class SecondOrAny(Event, tag="Priced:2/1"):
    """Version 2, which readers of version 1 may read as far as they can."""

    cake: str
    euros: int
    currency: str = "EUR"


@pytest.mark.parametrize("key", ["Priced:2", "Priced:2/1", "Priced:2/0"])
def test_G9_an_upcaster_is_for_a_version_whoever_may_skip_it(key: str) -> None:
    """The oldest reader in a tag plays no part, neither in the stored one nor in the key."""
    upcasters: Upcasters = {"Priced:1": with_currency, key: in_cents}
    stored = [SecondOrAny("lemon", 5), FIRST]
    assert reread(stored, Cents, upcasters=upcasters) == [Cents("lemon", 500), Cents("lemon", 400)]


class Amount(Event, tag="Priced:4"):
    """Cents under a name that once meant euros, so that a step left out would not be noticed."""

    euros: int


@pytest.mark.parametrize(
    ("stored", "upcasters"),
    [
        (FIRST, {"Priced:2": in_cents}),
        (SecondOrAny("lemon", 5), {"Priced:1": with_currency, ("Priced:3", "Named:1"): in_cents}),
        (FIRST, {"Priced:1": with_currency, ("Priced:3", "Named:1"): in_cents}),
    ],
)
def test_G8_an_event_that_would_skip_a_later_upcaster_is_refused(stored: Event, upcasters: Upcasters) -> None:
    """A chain with a gap would leave out the changes behind it: 5 instead of 500."""
    with pytest.raises(Unreadable, match=r"expected an upcaster for Priced:\d, found none but one for Priced:\d"):
        reread(stored, Amount, Named, upcasters=upcasters)


@given(st.sets(st.integers(1, 5)), st.integers(1, 6), st.integers(1, 6))
def test_G8_a_chain_applies_every_step_or_refuses(steps: set[int], stored: int, since: int) -> None:
    """Each version doubles the number under one name; whatever steps there are, no result is half converted."""
    tag = f"Sum:{stored}/{since}" if since < stored < 6 else f"Sum:{stored}"
    event: Any = msgspec.defstruct("Sum", [("of", int)], bases=(Event,), tag=tag, frozen=True)
    current: Any = msgspec.defstruct("Sum", [("of", int)], bases=(Event,), tag="Sum:6", frozen=True)
    upcasters: Upcasters = {
        f"Sum:{number}": lambda old, number=number: {"type": f"Sum:{number + 1}", "of": 2 * old["of"]}
        for number in steps
    }
    behind = {number for number in steps if number >= stored}
    chained = behind == set(range(stored, stored + len(behind)))
    try:
        assert reread(event(1), current, upcasters=upcasters) == [current(2 ** len(behind))]
        assert chained
    except Unreadable:
        assert not chained


# Older readers


def test_G8_an_older_reader_refuses_what_is_newer() -> None:
    """Both versions are named."""
    with pytest.raises(Unreadable, match="Priced in version 3, newer than Priced:1"):
        reread(Cents("lemon", 400), Priced)


def test_G8_an_older_reader_refuses_a_type_that_is_new() -> None:
    """With those that it knows."""
    with pytest.raises(Unreadable, match="found event type Named in version 1, expected one of Opened"):
        reread(Named("Ann's"), Opened)


class Fourth(Event, tag="Priced:4/3"):
    """Who knows version 3 may leave out what is new."""

    cake: str
    cents: int
    currency: str = "EUR"
    cashier: str = "Bob"


def test_a_writer_may_allow_older_readers() -> None:
    """The reader of version 3 drops the cashier, the reader of version 1 still refuses."""
    assert reread(Fourth("lemon", 400), Cents) == [Cents("lemon", 400)]
    assert reread(Fourth("lemon", 400), Fourth) == [Fourth("lemon", 400)]
    with pytest.raises(Unreadable, match="Priced in version 4, newer than Priced:1"):
        reread(Fourth("lemon", 400), Priced)


def test_a_writer_may_allow_everybody_to_pass_over() -> None:
    """With since=0 a type that a reader has never heard of is left out; what stands beside it is read."""

    class Smelled(Event, tag=version(1, since=0)):
        of: str

    assert tag_of(Smelled) == "Smelled:1/0"
    assert reread([Opened(5), Smelled("lemon")], Opened) == [Opened(5)]
    assert reread([Opened(5), Smelled("lemon")], Opened, Smelled) == [Opened(5), Smelled("lemon")]


def test_G5_what_older_code_left_out_is_not_missing_where_the_fold_is_another(
    repository: Repository, clock: ManualClock
) -> None:
    """Older code passes an event over and saves a snapshot without it; code that knows it has another fold."""

    class Smelled(Event, tag=version(1, since=0)):
        of: str

    class Old(Aggregate):
        stored_as = "shop"
        days: set[int] = set()

        def apply(self, event: Opened) -> None:
            self.days.add(event.day)

    class New(Aggregate):
        stored_as, fold_version = "shop", 2
        days: set[int] = set()
        smells: set[str] = set()

        def apply(self, event: Opened | Smelled) -> None:
            match event:
                case Opened():
                    self.days.add(event.day)
                case Smelled():
                    self.smells.add(event.of)

    repository.store.append("ann", commits(at(0), {"shop:1": [Opened(5), Smelled("lemon")]}))
    clock.advance(timedelta(days=3))
    assert build_snapshot(repository, "ann", Old, "1", SnapshotPolicy(every=1))
    assert repository.hydrate("ann", Old, "1").base
    assert repository.load("ann", New, "1") == New({5}, {"lemon"})


def test_the_oldest_reader_is_part_of_the_tag() -> None:
    """Name, version, oldest reader."""
    assert (split_tag("Priced:4/3"), oldest_reader("Priced:4/3")) == (("Priced", 4), 3)
    assert (split_tag("Priced:4"), oldest_reader("Priced:4")) == (("Priced", 4), None)
    for tag in "Priced:4/", "Priced:/3", "Priced/3", "Pri/ced:1", "Priced:4/3/2", "Priced:4/x":
        assert not is_tag(tag)
    for since in (3, -1):
        with pytest.raises(InvalidInput, match=f"since below the version 3 and 0 or more, got {since}"):
            version(3, since=since)


@given(st.lists(st.sampled_from([FIRST, Cents("a", 1), Opened(1), Named("x"), Founded(2, "y")]), max_size=6))
def test_a_page_reads_as_its_commits_do(events: list[Event]) -> None:
    """Old and new together, in order."""
    known = VersionedSerializer([Cents, Opened, Named, Founded], CHAIN)
    payloads = [payload_of(event) for event in events]
    one_by_one = [known.events(payload, CHECKSUM) for payload in payloads]
    assert [list(each) for each in known.page(payloads, CHECKSUM)] == one_by_one


def test_the_serializer_of_an_aggregate_knows_its_steps() -> None:
    """They are listed with the aggregate that needs them."""

    class Shop(Aggregate):
        upcasters = CHAIN

        def apply(self, event: Cents) -> None:
            """Only read here."""

    assert serializer_of(Shop).events(payload_of(FIRST), CHECKSUM) == [Cents("lemon", 400)]
