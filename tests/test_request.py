"""A request's id carries its time, and says where its commits stand: the same on every machine, for ever (G1)."""

from datetime import UTC, datetime, timedelta, timezone
from functools import cmp_to_key
from random import Random
from uuid import UUID, uuid1, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import InvalidInput, ManualClock, Request
from eslab.clock import from_ms
from eslab.request import LATEST_MS, from_sort_key, latest_at, sort_key, time_of
from tests.support.sample import START, cassandra_order

UNIX_MS = st.integers(0, LATEST_MS) | st.sampled_from([0, 1, LATEST_MS - 1, LATEST_MS])
LOW_BYTES = st.binary(min_size=7, max_size=7) | st.sampled_from([b"\x7f" * 7, b"\x80" * 7, b"\0" * 7, b"\xff" * 7])


def request_of(ms: int, rand_a: int, rand_b: int) -> Request:
    return Request(UUID(int=ms << 80 | 7 << 76 | rand_a << 64 | 2 << 62 | rand_b))


def compare(one: UUID, other: UUID) -> int:
    """Cassandra's comparison of timeuuids, step by step: the times, then each low byte as a signed number."""
    if one.time != other.time:
        return -1 if one.time < other.time else 1
    for a, b in zip(one.bytes[8:], other.bytes[8:], strict=True):
        if a != b:
            return -1 if (a ^ 0x80) < (b ^ 0x80) else 1
    return 0


REQUESTS = st.builds(request_of, UNIX_MS, st.integers(0, 0xFFF), st.integers(0, (1 << 62) - 1))
TIED = st.builds(lambda rand_a, low: request_of(0, rand_a, int.from_bytes(low)), st.integers(0, 1), LOW_BYTES)


# Layout


@given(REQUESTS)
def test_G1_the_event_time_is_the_id_laid_out_anew(request: Request) -> None:
    """Ticks are unix_ms * 10,000 + rand_a after 1970, the low eight bytes stay: a version 1 UUID of the RFC."""
    event_time, id = request.event_time, request.id
    ms, rand_a = id.int >> 80, id.int >> 64 & 0xFFF
    assert (event_time.version, event_time.variant) == (1, id.variant)
    assert event_time.time == ms * 10_000 + rand_a + 0x01B21DD213814000
    assert event_time.bytes[8:] == id.bytes[8:]


@given(REQUESTS)
def test_the_layout_is_reversible(request: Request) -> None:
    """Every request is found again from where its commits stand, and from its text."""
    assert Request.from_event_time(request.event_time) == request
    assert Request.parse(str(request.id)) == request
    assert from_sort_key(sort_key(request.event_time)) == request.event_time


def test_a_known_id_stands_at_a_known_place() -> None:
    """The UUIDv7 of RFC 9562 (A.6) as a timeuuid: the ticks of its A.1, and 0xCC3 more; these bytes are final."""
    request = Request.parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    assert request.time == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    assert request.event_time == UUID("c232b7c3-9414-11ec-98c4-dc0c0c07398f")


@given(UNIX_MS)
def test_the_time_is_that_of_the_id(ms: int) -> None:
    """A request's time is its id's milliseconds in UTC, and so is that of its event time."""
    request = request_of(ms, 0xFFF, 0)
    assert request.time == time_of(request.event_time) == from_ms(ms)


# Order


@given(st.lists(REQUESTS | TIED, min_size=2, max_size=10))
def test_G4_sort_keys_stand_in_cassandras_order(requests: list[Request]) -> None:
    """Plain byte order of the keys is Cassandra's order of the timeuuids, ties and signs included."""
    times = [request.event_time for request in requests]
    assert sorted(times, key=sort_key) == sorted(times, key=cmp_to_key(compare)) == sorted(times, key=cassandra_order)


@given(REQUESTS, REQUESTS)
def test_later_requests_stand_later(one: Request, other: Request) -> None:
    """The log's order is that of the wishes, to the millisecond."""
    if one.time < other.time:
        assert sort_key(one.event_time) < sort_key(other.event_time)


@given(REQUESTS | TIED, st.integers(0, 0xFFF), LOW_BYTES)
def test_latest_at_is_an_inclusive_bound(request: Request, rand_a: int, low: bytes) -> None:
    """Every request of the millisecond stands at or before the bound, none of the next one does."""
    ms = request.id.int >> 80
    bound = sort_key(latest_at(request.time))
    assert sort_key(request_of(ms, rand_a, int.from_bytes(low)).event_time) < bound
    assert time_of(latest_at(request.time)) == request.time
    if ms < LATEST_MS:
        assert bound < sort_key(request_of(ms + 1, 0, 0).event_time)


# Making them


def test_G10_new_takes_its_time_and_chance_from_outside() -> None:
    """The same clock and seed give the same requests; one after the other they differ."""
    made = [Request.new(ManualClock(START), random) for random in (Random(7), Random(7))]
    random = Random(7)
    assert made[0] == made[1] == Request.new(lambda: START, random) != Request.new(lambda: START, random)
    assert made[0].time == START


def test_G1_at_makes_one_request_of_a_business_key() -> None:
    """Time and key alone decide: a known id, on every machine; another time or key is another request."""
    request = Request.at(START, "order 17")
    assert str(request.id) == "019b8d62-7a80-7743-b528-20d6beea4b2e"
    assert request == Request.at(START.astimezone(timezone(timedelta(hours=5))), "order 17")
    assert len({request, Request.at(START, "order 18"), Request.at(START + timedelta(milliseconds=1), "order 17")}) == 3


@given(st.text(min_size=1), st.datetimes(datetime(1970, 1, 1), datetime(5000, 1, 1), timezones=st.just(UTC)))
def test_at_takes_any_key_and_time(key: str, time: datetime) -> None:
    """Any text is a key, and the time counts to the millisecond, rounded down."""
    request = Request.at(time, key)
    assert request.time == time.replace(microsecond=time.microsecond // 1000 * 1000)
    assert Request.from_event_time(request.event_time) == request


def test_requests_show_their_time() -> None:
    """A request reads as its id and its moment."""
    assert repr(Request.at(START, "order 17")) == (
        "Request 019b8d62-7a80-7743-b528-20d6beea4b2e at 2026-01-05 09:00:00.000 UTC"
    )


# What is refused


@pytest.mark.parametrize("id", [uuid1(), uuid4(), UUID(int=0), UUID(int=7 << 76), "text", None, 7])
def test_other_ids_are_refused(id: object) -> None:
    """Only a UUIDv7 has a time that the log can use; other versions and variants, and things that are no UUID, not."""
    with pytest.raises(InvalidInput, match=r"Expected a UUIDv7 as request id, got .*; make one with Request\.new\."):
        Request(id)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "glow", "019b8d62-7a80-7743-b528", str(uuid4()), None])
def test_text_that_is_no_request_is_refused(text: str) -> None:
    """What came from outside and is no UUIDv7 is an `InvalidInput`."""
    with pytest.raises(InvalidInput, match="Expected a request id"):
        Request.parse(text)


def test_a_time_that_no_timeuuid_holds_is_refused() -> None:
    """The last millisecond that fits is taken, the next is refused with the range named."""
    last = request_of(LATEST_MS, 0xFFF, 0)
    assert last.event_time.version == 1 and last.time.year == 5236
    with pytest.raises(InvalidInput, match=rf"from 1970-01-01 to 5236-03-\d\d .* got {LATEST_MS + 1} ms"):
        request_of(LATEST_MS + 1, 0, 0)


@pytest.mark.parametrize("time", [datetime(1969, 12, 31, 23, 59, tzinfo=UTC), datetime(5237, 1, 1, tzinfo=UTC)])
def test_times_out_of_range_are_refused(time: datetime) -> None:
    """Before 1970 or after 5236 there is no request and no bound."""
    for make in (lambda: Request.at(time, "key"), lambda: latest_at(time)):
        with pytest.raises(InvalidInput, match="what a timeuuid can hold"):
            make()


@pytest.mark.parametrize("time", [datetime(2026, 1, 1), "2026-01-01", None, 0])
def test_times_without_a_zone_are_refused(time: datetime) -> None:
    """A time without a zone could mean two moments."""
    with pytest.raises(InvalidInput, match=r"Expected a datetime with a time zone, got .*; write datetime"):
        Request.at(time, "key")


def test_an_empty_business_key_is_refused() -> None:
    """Nothing is no key."""
    with pytest.raises(InvalidInput, match="Expected a business key"):
        Request.at(START, "")


@pytest.mark.parametrize(
    "event_time",
    [
        uuid4(),
        UUID("c232b7c3-9414-11ec-58c4-dc0c0c07398f"),  # another variant
        UUID("00000000-0000-1000-8000-000000000000"),  # 1582
        latest_at(START),  # a bound, not a request
    ],
)
def test_event_times_that_no_request_has_are_refused(event_time: UUID) -> None:
    """Only what a request was laid out as leads back to one."""
    with pytest.raises(InvalidInput, match=f"Expected the event time of a request, got {event_time}"):
        Request.from_event_time(event_time)


@given(st.uuids(version=1))
def test_any_timeuuid_is_a_request_or_refused(event_time: UUID) -> None:
    """A foreign timeuuid never becomes a request that stands elsewhere."""
    try:
        assert Request.from_event_time(event_time).event_time == event_time
    except InvalidInput:
        ms, rand_a = divmod(event_time.time - 0x01B21DD213814000, 10_000)
        assert rand_a > 0xFFF or not 0 <= ms <= LATEST_MS
