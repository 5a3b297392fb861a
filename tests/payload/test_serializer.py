"""The bytes of commits and snapshots: their layout, their versions, and that nothing broken becomes a state."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import Aggregate, Event, InvalidInput, Request, Unreadable, version
from eslab.clock import from_ms
from eslab.event import tag_of
from eslab.payload.checksum import Checksum
from eslab.payload.serializer import (
    SnapshotEnvelope,
    VersionedSerializer,
    append_envelopes,
    decode_any,
    decode_envelope,
    decode_state,
    encode_append,
    encode_envelope,
    encoded_size,
    raw_events,
    snapshot_envelope,
    touched_hash,
    touched_in,
)
from tests.support import golden
from tests.support.sample import START, WISH, Card, Counted, Counter, Stamped, Voided, at

serializer = VersionedSerializer([Counted, Voided])
shelf = VersionedSerializer([golden.Shelved, golden.Moved, golden.Removed])
GOLDEN = {path.stem: path for path in sorted(golden.FOLDER.glob("*.bin"))}
COMMITS = [name for name in GOLDEN if name.startswith("commit")]
SNAPSHOTS = [name for name in GOLDEN if name.startswith("snapshot")]
EVENTS = st.lists(
    st.builds(Counted, st.text(), st.integers(-(2**63), 2**64 - 1)) | st.builds(Voided, st.text()), min_size=1
)


REQUEST = at()
CHECKSUM = Checksum.of_commits("ann", "counter:1")
OF_SNAPSHOT = Checksum.of_snapshot("ann", "counter:1", at().event_time, 1)


def append(
    events: Mapping[str, Sequence[Event]], request: Request = REQUEST, customer: str = "ann"
) -> dict[str, bytes]:
    """The payloads of one append."""
    return encode_append(customer, request.event_time, events, WISH)


def sealed(*events: Event) -> bytes:
    """The payload of one commit of these events."""
    return append({"counter:1": events})["counter:1"]


def sealed_state(type: str, commits: int, state: Any) -> bytes:
    """The payload of a snapshot."""
    return encode_envelope(snapshot_envelope(type, commits, START, state), OF_SNAPSHOT)


def opened_state(
    payload: bytes, type: str, state_type: Any, checksum: Checksum = OF_SNAPSHOT
) -> tuple[Any, int, datetime]:
    """The state in a snapshot, the number of commits that it adds up, and when it was built."""
    envelope = decode_any(payload, SnapshotEnvelope, checksum)
    return decode_state(envelope, type, state_type), envelope.commits, from_ms(envelope.built_at)


def raw(payload: bytes) -> list[dict[str, Any]]:
    """The events of a payload as plain maps."""
    return raw_events(decode_envelope(payload, CHECKSUM))


def read_page(serializer: VersionedSerializer, *payloads: bytes) -> list[list[Event]]:
    """The events of a page of Ann's counter."""
    return [list(events) for events in serializer.page(payloads, CHECKSUM)]


def commit_of(events: Any, format: int = 1) -> bytes:
    """A payload whose checksum holds, whatever stands in it."""
    return CHECKSUM.seal(msgspec.msgpack.encode([b"d" * 16, format, b"t" * 4, b"w" * 8, events, b"\0" * 4])[:-4])


class Holding(msgspec.Struct):
    """What the JSON beside a golden file says."""

    customer: str
    aggregate: str
    event_time: UUID | None = None
    up_to: UUID | None = None
    fold: int = 0
    commits: int = 0
    built_at: datetime | None = None
    digest: str = ""
    touched: str = ""
    wish: str = ""
    events: list[golden.Shelved | golden.Moved | golden.Removed] = []
    state: golden.Shelf | None = None

    @property
    def checksum(self) -> Checksum:
        """The checksum of the row that the file stands for."""
        if self.up_to:
            return Checksum.of_snapshot(self.customer, self.aggregate, self.up_to, self.fold)
        return Checksum.of_commits(self.customer, self.aggregate)


def holding(name: str) -> Holding:
    """What a golden file holds."""
    return msgspec.json.decode(GOLDEN[name].with_suffix(".json").read_bytes(), type=Holding)


# Golden bytes (G9)


def test_G9_golden_bytes_are_there() -> None:
    """Version 1 is kept: four commits and two snapshots, each beside what it holds."""
    assert list(GOLDEN) == [path.stem for path in sorted(golden.FOLDER.glob("*.json"))] == sorted(golden.files())


@pytest.mark.parametrize("name", COMMITS)
def test_G9_golden_commits_load(name: str) -> None:
    """A commit of version 1 gives the events that were written, on both ways of reading."""
    payload, expected = GOLDEN[name].read_bytes(), holding(name)
    events, checksum = expected.events, expected.checksum
    assert [list(page) for page in shelf.page([payload, payload], checksum)] == [events, events]
    assert shelf.events(payload, checksum) == events == list(golden.files()[name][1]["events"])
    envelope = decode_envelope(payload, checksum)
    found = (envelope.touched.hex(), envelope.digest.hex(), envelope.command.hex())
    assert found == (expected.touched, expected.digest, expected.wish)


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_G9_golden_snapshots_load(name: str) -> None:
    """A snapshot of version 1 gives the state that was folded."""
    expected = holding(name)
    found = opened_state(GOLDEN[name].read_bytes(), "shelf", golden.Shelf, expected.checksum)
    assert found == (expected.state, expected.commits, expected.built_at)


@pytest.mark.parametrize("name", GOLDEN)
def test_G1_the_same_is_written_today(name: str) -> None:
    """This code writes the very bytes of version 1: two releases side by side decide alike."""
    assert golden.files()[name][0] == GOLDEN[name].read_bytes()


@pytest.mark.parametrize("name", GOLDEN)
@given(data=st.data())
def test_G8_any_flipped_bit_is_found(name: str, data: st.DataObject) -> None:
    """One flipped bit anywhere in a payload is never read."""
    whole = GOLDEN[name].read_bytes()
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    refused(name, (int.from_bytes(whole) ^ 1 << bit).to_bytes(len(whole)))


@pytest.mark.parametrize("name", GOLDEN)
@given(data=st.data())
def test_G8_any_cut_is_found(name: str, data: st.DataObject) -> None:
    """A payload that lost bytes at its end, at its start or in the middle is never read."""
    whole = GOLDEN[name].read_bytes()
    start = data.draw(st.integers(0, len(whole) - 1))
    stop = data.draw(st.integers(start + 1, len(whole)))
    refused(name, whole[:start] + whole[stop:])


@pytest.mark.parametrize("name", GOLDEN)
def test_G8_anything_behind_the_end_is_found(name: str) -> None:
    """A payload that grew is never read, not even twice the same."""
    whole = GOLDEN[name].read_bytes()
    for tail in (b"\0", b"\xc0", whole):
        refused(name, whole + tail)


def refused(name: str, payload: bytes) -> None:
    """A golden payload, changed, is refused on every way of reading."""
    checksum = holding(name).checksum
    with pytest.raises(Unreadable):
        if name in COMMITS:
            shelf.page([payload], checksum)
        else:
            opened_state(payload, "shelf", golden.Shelf, checksum)
    if name in COMMITS:
        whole = GOLDEN[name].read_bytes()
        with pytest.raises(Unreadable):
            shelf.page([whole, payload, whole], checksum)
        with pytest.raises(Unreadable):
            shelf.events(payload, checksum)


# The layout, byte by byte


def test_the_envelope_stands_byte_by_byte() -> None:
    """Digest first, checksum last, and every element at its place: these bytes are final."""
    assert sealed(Counted("tea", 2)) == b"".join(
        [
            b"\x96",  # an array of six
            b"\xc4\x10", bytes.fromhex("5ec9c4ff67e43a0258a2c0286e622430"),  # digest
            b"\x01",  # format
            b"\xc4\x04", bytes.fromhex("d678baf6"),  # touched
            b"\xc4\x08", b"the wish",
            b"\x91\x83\xa4type\xa9Counted:1\xa4what\xa3tea\xa6amount\x02",
            b"\xc4\x04", bytes.fromhex("69e15a34"),  # crc32
        ]
    )  # fmt: skip


@given(EVENTS)
def test_G1_the_digest_stands_at_bytes_3_to_18(events: list[Event]) -> None:
    """The digest is first, so two decisions differ there first and the same one wins everywhere."""
    payload = sealed(*events)
    plain = msgspec.msgpack.encode(["ann", REQUEST.event_time.bytes, [["counter:1", events]]])
    assert payload[3:19] == hashlib.blake2b(plain, digest_size=16).digest()
    assert payload[3:19] == decode_envelope(payload, CHECKSUM).digest


@given(EVENTS)
def test_G8_the_last_four_bytes_are_the_checksum(events: list[Event]) -> None:
    """CRC-32 over all bytes before, begun from a hash of customer and aggregate, little-endian."""
    payload, place = sealed(*events), msgspec.msgpack.encode(["commit", "ann", "counter:1"])
    start = int.from_bytes(hashlib.blake2b(place, digest_size=4).digest())
    assert payload[-4:] == crc32(payload[:-4], start).to_bytes(4, "little")
    assert payload[-6:-4] == b"\xc4\x04"


def test_G8_a_snapshots_checksum_is_over_its_whole_key() -> None:
    """Customer, aggregate, `up_to` and fold; `built_at` stands in its bytes."""
    payload, time = sealed_state("card", 1, Card()), at().event_time
    place = msgspec.msgpack.encode(["snapshot", "ann", "counter:1", time.bytes, 1])
    start = int.from_bytes(hashlib.blake2b(place, digest_size=4).digest())
    assert payload[-4:] == crc32(payload[:-4], start).to_bytes(4, "little")
    others = [("bob", "counter:1", time, 1), ("ann", "counter:2", time, 1), ("ann", "counter:1", at(1).event_time, 1)]
    for other in (*others, ("ann", "counter:1", time, 2)):
        with pytest.raises(Unreadable, match="copied from another customer, aggregate, time or fold"):
            opened_state(payload, "card", Card, Checksum.of_snapshot(*other))


def test_G1_the_digest_is_over_all_commits_in_order_of_id() -> None:
    """One digest for the whole append, whatever order its aggregates were given in; ids count by their bytes."""
    events = {"counter:\U00010000": [Counted("a")], "counter:\uffff": [Voided("b")], "card:1": [Stamped(1)]}
    forth, back = append(events), append(dict(reversed(events.items())))
    in_order = [[id, events[id]] for id in sorted(events, key=str.encode)]
    plain = msgspec.msgpack.encode(["ann", REQUEST.event_time.bytes, in_order])
    assert forth == back
    assert {payload[3:19] for payload in forth.values()} == {hashlib.blake2b(plain, digest_size=16).digest()}


def test_G1_touched_holds_four_bytes_of_a_hash_of_each_id_in_order() -> None:
    """The same in all commits of the append, whatever order its aggregates were given in."""
    events = {"counter:1": [Counted("a")], "card:1": [Stamped(1)], "counter:ü": [Voided("b")]}
    hashes = sorted(hashlib.blake2b(id.encode(), digest_size=4).digest() for id in events)
    for id, payload in append(events).items():
        envelope = decode_envelope(payload, Checksum.of_commits("ann", id))
        assert envelope.touched == b"".join(hashes)
        assert touched_in(envelope) == {*hashes} == {*map(touched_hash, events)}


@pytest.mark.parametrize("number", [1, 2, 63])
def test_the_size_of_a_payload_is_known_before_it_is_made(number: int) -> None:
    """With four bytes for each aggregate that the append touched."""
    events = {f"counter:{n}": [Counted("a")] for n in range(number)}
    envelopes = append_envelopes("ann", REQUEST.event_time, events, WISH)
    for id, envelope in envelopes.items():
        assert encoded_size(envelope) == len(encode_envelope(envelope, Checksum.of_commits("ann", id)))


def test_another_customer_time_id_event_or_number_of_commits_is_another_digest() -> None:
    """Whatever was decided otherwise shows in the digest; the wish doesn't, and stands beside it."""
    one = append({"counter:1": [Counted("a")]})
    others = [
        append({"counter:1": [Counted("a")]}, customer="bob"),
        append({"counter:1": [Counted("a")]}, at(1)),
        append({"counter:2": [Counted("a")]}),
        append({"counter:1": [Counted("b")]}),
        append({"counter:1": [Counted("a"), Counted("a")]}),
        append({"counter:1": [Counted("a")], "counter:2": [Counted("a")]}),
    ]
    digests = {payload[3:19] for payloads in [one, *others] for payload in payloads.values()}
    assert len(digests) == 7
    again = encode_append("ann", REQUEST.event_time, {"counter:1": [Counted("a")]}, b"another!")["counter:1"]
    assert again[:19] == one["counter:1"][:19] and decode_envelope(again, CHECKSUM).command == b"another!"


@given(EVENTS, EVENTS)
def test_what_was_sealed_is_read_again(one: list[Event], two: list[Event]) -> None:
    """A page gives the events of its commits, in order; so does reading them one by one."""
    payloads = [sealed(*one), sealed(*two)]
    assert read_page(serializer, *payloads) == [one, two]
    assert [serializer.events(payload, CHECKSUM) for payload in payloads] == [one, two]
    assert [event["type"] for event in raw(payloads[0])] == [tag_of(type(event)) for event in one]


def test_an_empty_page_has_no_events() -> None:
    """Nothing read is nothing."""
    assert read_page(serializer) == []


@given(st.sets(st.integers(0, 200)), st.integers(0, 10**9))
def test_a_snapshot_is_read_again(places: set[int], number: int) -> None:
    """State, number and time come back; a snapshot of another type is refused by name."""
    payload = sealed_state("card", number, Card(places))
    assert opened_state(payload, "card", Card) == (Card(places), number, START)
    with pytest.raises(Unreadable, match="expected a snapshot of counter, format 1; found card, 1"):
        opened_state(payload, "counter", Counter)


# Versions (G8, G9)


class Old(Event, tag=lambda _: "Priced:1"):
    cents: int
    shop: str


class Priced(Event, tag=version(2)):
    """Version 1 had a shop, and no currency."""

    cents: int
    currency: str = "EUR"


class Strict(Event, tag=lambda _: "Priced:2"):
    cents: int
    currency: str


class Next(Event, tag=lambda _: "Priced:3"):
    cents: int


class Prices(Aggregate):
    prices: set[int] = set()

    def apply(self, event: Priced) -> None:
        self.prices.add(event.cents)


today = VersionedSerializer([Priced])
one_commit = partial(today.events, checksum=CHECKSUM)


def test_G9_an_older_version_takes_defaults_and_drops_what_is_gone() -> None:
    """Missing fields take their defaults, fields that are gone are ignored."""
    assert one_commit(sealed(Old(5, "corner"))) == [Priced(5, "EUR")]


def test_G9_one_old_commit_in_a_page_is_read_with_the_rest() -> None:
    """A page with an old commit is read commit by commit, and nothing changes in its order."""
    payloads = [sealed(Priced(1, "USD")), sealed(Old(2, "corner"), Priced(3)), sealed(Priced(4))]
    assert read_page(today, *payloads) == [
        [Priced(1, "USD")], [Priced(2, "EUR"), Priced(3, "EUR")], [Priced(4, "EUR")],
    ]  # fmt: skip


@pytest.mark.parametrize("gone", [{1: 2}, {(1, 2): 3}, [{}], 2**63, b"\0", None, golden.PLAIN, golden.FULL])
def test_G9_a_field_that_is_gone_may_have_held_anything(gone: Any) -> None:
    """What is ignored isn't looked at, in the current version and in an older one."""
    for tag in ("Priced:2", "Priced:1"):
        payload = commit_of([{"type": tag, "gone": gone, "cents": 1}])
        assert read_page(today, payload) == [[Priced(1)]]


def test_G8_a_gone_field_with_keys_that_python_cannot_hash_is_ignored() -> None:
    """A map whose keys are maps can't be a dict; in a gone field it doesn't matter."""
    point = msgspec.Raw(b"\x81\x81\xa1x\x01\x02")
    assert one_commit(commit_of([{"type": "Priced:1", "cents": 1, "gone": point}])) == [Priced(1)]


def test_G8_an_older_version_without_a_needed_field_is_refused() -> None:
    """A field that has no default can't be made up."""
    with pytest.raises(Unreadable, match=r"Priced in version 1 does not fit Priced:2: .*missing required .*`currency`"):
        VersionedSerializer([Strict]).events(sealed(Old(5, "corner")), CHECKSUM)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (sealed(Next(5)), "event type Priced in version 3, newer than Priced:2, the newest known here; run the newer"),
        (sealed(Counted("a")), "event type Counted in version 1, expected one of Priced; name it in the annotation"),
        (commit_of([{"cents": 5}]), 'expected an event with a type such as "ColorAdded:1", found type '),
        (commit_of([{"type": "Priced", "cents": 5}]), "found type 'Priced'"),
        (commit_of([{"type": "Priced:two", "cents": 5}]), "found type 'Priced:two'"),
        (commit_of([{"type": "Priced:²", "cents": 5}]), "found type 'Priced:²'"),
        (commit_of([{"type": "Priced:" + "1" * 5000, "cents": 5}]), "found type 'Priced:1{33}'"),
        (commit_of([{"type": 7, "cents": 5}]), "found type '7'"),
        (commit_of([{"type": "", "cents": 5}]), "found type ''"),
        (commit_of([{"type": "Priced:2", "cents": "five"}]), "does not fit Priced:2: Expected `int`, got `str`"),
        (commit_of([{"type": "Priced:2"}]), "does not fit Priced:2: Object missing required field `cents`"),
        (commit_of([{"type": "Priced:2", "cents": 5}], format=9), "found payload format 9, expected 1; run the newer"),
        (commit_of(b"packed", format=2), "the compressed events can.t be read"),
        (commit_of({}), "the events can't be parsed: Expected `array`, got `object`"),
        (commit_of([5]), r"the events can't be parsed: Expected `object`, got `int` - at `\$\[0\]`"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_G8_what_is_not_understood_is_refused(payload: bytes, message: str) -> None:
    """An unknown type, a newer version, a newer format, fields that don't fit: refused, saying what was expected."""
    for read in (one_commit, lambda payload: read_page(today, sealed(Priced(1)), payload)):
        with pytest.raises(Unreadable, match=message):
            read(payload)


@given(st.binary(max_size=200))
def test_G8_no_bytes_at_all_raise_anything_else(hostile: bytes) -> None:
    """Bytes that nobody wrote, bare or behind a checksum that holds, are refused or empty, whatever they are."""
    for payload in (hostile, CHECKSUM.seal(hostile), OF_SNAPSHOT.seal(hostile)):
        for read in (one_commit, raw, partial(read_page, today), snapshot):
            with pytest.raises(Unreadable):
                read(payload)


def snapshot(payload: bytes) -> Any:
    return opened_state(payload, "prices", Prices)


VALUES = st.recursive(
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(-9, 9), inner, max_size=3)
    ),
    max_leaves=8,
)
ALMOST = st.dictionaries(st.sampled_from(["type", "cents", "currency", "x"]), VALUES | st.sampled_from(["Priced:2", 5]))


@given(st.lists(ALMOST | VALUES, max_size=3), st.integers(0, 3))
def test_G8_both_ways_of_reading_agree(events: list[Any], format: int) -> None:
    """Whatever stands behind a good checksum, a page and a single commit give the same events or are both refused."""
    payload, found = commit_of(events, format), []
    for read in (one_commit, lambda payload: read_page(today, payload)[0]):
        try:
            found.append(read(payload))
        except Unreadable:
            found.append(None)
    assert found[0] == found[1]


@given(st.binary(min_size=1, max_size=40))
def test_G8_hostile_bytes_within_an_event_are_refused(hostile: bytes) -> None:
    """Any bytes in place of a field's value: the event as it was, or `Unreadable`."""
    body = b"\x91\x83\xa4type\xa8Priced:2\xa8currency\xa3EUR\xa5cents" + hostile
    payload = commit_of(msgspec.Raw(body))
    with suppress(Unreadable):
        assert all(isinstance(event, Priced) for event in one_commit(payload))


@pytest.mark.parametrize(
    "deep",
    [b"\x91" * 100_000, b"\x81\xa1x" * 100_000, b"\xdd\xff\xff\xff\xff" * 10, b"\xdf\xff\xff\xff\xff"],
    ids=["arrays", "maps", "array of 2**32", "map of 2**32"],
)
def test_G8_bytes_that_nest_or_announce_too_much_are_refused(deep: bytes) -> None:
    """A hundred thousand levels, or four thousand million elements that aren't there, are refused at once."""
    bombs = [deep + b"\xc0", b"\x91\x82\xa4type\xa8Priced:2\xa5cents" + deep + b"\xc0"]
    for payload in (commit_of(msgspec.Raw(bomb)) for bomb in bombs):
        for read in (one_commit, raw, partial(read_page, today)):
            with pytest.raises(Unreadable):
                read(payload)


@pytest.mark.parametrize("bad", [b"\xa1\xff", b"\x81\xa1\xff\x01", b"\xd6\xff\xff\xff\xff\xff", b"\xc1"])
def test_G8_text_that_is_no_utf8_is_refused(bad: bytes) -> None:
    """A string of other bytes is unreadable, wherever it stands."""
    for body in (b"\x91" + bad, b"\x91\x82\xa4type\xa8Priced:2\xa5cents" + bad):
        with pytest.raises(Unreadable):
            read_page(today, commit_of(msgspec.Raw(body)))


def test_two_shapes_of_one_event_in_one_type_are_refused() -> None:
    """An aggregate knows one class for each stored name."""
    with pytest.raises(InvalidInput, match=r"different names, got \['Priced:1', 'Priced:2'\]"):
        VersionedSerializer([Old, Priced])


def test_a_state_that_no_longer_fits_is_refused() -> None:
    """A snapshot whose fields have other names or types is unreadable, so it is passed over."""
    with pytest.raises(Unreadable, match="the state can't be parsed: Object contains unknown field `places`"):
        snapshot(sealed_state("prices", 1, Card({1})))

    class Wrong(msgspec.Struct):
        prices: str = "cheap"

    with pytest.raises(Unreadable, match="the state can't be parsed: Expected `array`, got `str`"):
        snapshot(sealed_state("prices", 1, Wrong()))
