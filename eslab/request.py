"""A request identifies one wish: a UUIDv7 made at the edge and reused on every retry.

Its time is part of the id, and so is the place of its commits in the log: `event_time` is the same id laid out as a
timeuuid (version 1), so a retry writes to the same keys wherever and whenever it arrives (G1).

    UUIDv7    unix_ms (48 bits)  7  rand_a (12 bits)   10 rand_b (62 bits)
    timeuuid  ticks of 100 ns since 1582 (60 bits)     the same low eight bytes
              = unix_ms * 10,000 + rand_a + 0x01B21DD213814000
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from reprlib import repr as short
from uuid import UUID

from eslab.clock import Clock, from_ms, time_on, to_ms
from eslab.errors import InvalidInput, expect

TICKS_AT_1970 = 0x01B21DD213814000  # 100 ns ticks from 1582-10-15, where timeuuids begin (RFC 9562, 5.1)
TICKS_PER_MS = 10_000
LATEST_MS = ((1 << 60) - TICKS_AT_1970) // TICKS_PER_MS - 1  # the last whole one in the 60 bits of a timeuuid
LOW_HALF = (1 << 64) - 1
GREATEST_LOW_HALF = 0x7F7F7F7F7F7F7F7F  # low bytes compare as signed numbers, so 0x7F is the greatest
SIGN_BITS = 0x8080808080808080


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """The identity of one wish; make it with `new` or `at`, or read one from the wire with `parse`.

    >>> from datetime import UTC
    >>> Request.at(datetime(2026, 1, 1, tzinfo=UTC), "order 17")
    Request 019b76da-a800-7743-b528-20d6beea4b2e at 2026-01-01 00:00:00.000 UTC
    """

    id: UUID
    # When the wish was made, in UTC, to the millisecond.
    time: datetime = field(init=False, compare=False)
    # The place of the request's commits in the log of every aggregate that it touches.
    event_time: UUID = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.id, UUID) or self.id.version != 7:
            raise InvalidInput(f"Expected a UUIDv7 as request id, got {self.id!r}; make one with Request.new.")
        number = self.id.int
        ms = number >> 80
        _check_ms(ms)
        ticks = ms * TICKS_PER_MS + (number >> 64 & 0xFFF) + TICKS_AT_1970
        object.__setattr__(self, "time", from_ms(ms))
        object.__setattr__(self, "event_time", _timeuuid(ticks, number & LOW_HALF))

    @classmethod
    def new(cls, clock: Clock, random: Random) -> "Request":
        """A request for a new wish, at the clock's time; a retry must reuse this object or its id."""
        expect(Callable, "clock", clock, "pass a function such as system_clock")  # type: ignore[arg-type]
        expect(Random, "random", random, "pass an instance of random.SystemRandom")
        return cls._of(to_ms(time_on(clock)), random.getrandbits(74))

    @classmethod
    def at(cls, time: datetime, key: str) -> "Request":
        """The request derived from a business key: same time and key, same request, on every machine."""
        expect(str, "key", key)
        if not key:
            raise InvalidInput("Expected a business key for Request.at, got an empty string.")
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=10).digest()
        return cls._of(to_ms(time), int.from_bytes(digest) >> 6)

    @classmethod
    def parse(cls, text: str) -> "Request":
        """Parse a request id that arrived as text, in the one form that `str(request.id)` gives.

        `UUID` reads other forms too, with braces or capitals; to take them would give one request several names.
        """
        try:
            request = cls(UUID(text))
        except (ValueError, TypeError, AttributeError):
            request = None
        if request is None or str(request.id) != text:
            raise InvalidInput(
                f"Expected a request id (UUIDv7) such as 019b76da-a800-7743-b528-20d6beea4b2e, got {short(text)}."
            )
        return request

    @classmethod
    def from_event_time(cls, event_time: UUID) -> "Request":
        """The request whose commits have this event time; the layout is reversible."""
        expect(UUID, "event_time", event_time)
        ms, rand_a = divmod(event_time.time - TICKS_AT_1970, TICKS_PER_MS)
        low = event_time.int & LOW_HALF
        if event_time.version != 1 or ms < 0 or rand_a > 0xFFF or low >> 62 != 0b10:
            raise InvalidInput(f"Expected the event time of a request, got {event_time}, which no request has.")
        return cls(UUID(int=ms << 80 | 0x7 << 76 | rand_a << 64 | low))

    @classmethod
    def _of(cls, ms: int, random_bits: int) -> "Request":
        _check_ms(ms)
        rand_a = random_bits >> 62
        rand_b = random_bits & ((1 << 62) - 1)
        return cls(UUID(int=ms << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b))

    def __repr__(self) -> str:
        return f"Request {self.id} at {self.time:%Y-%m-%d %H:%M:%S}.{self.time.microsecond // 1000:03} UTC"

    __str__ = __repr__


def latest_at(time: datetime, name: str = "time") -> UUID:
    """The greatest event time that a request of `time`'s millisecond can have: an inclusive upper bound."""
    ms = to_ms(time, name)
    _check_ms(ms)
    return _timeuuid(ms * TICKS_PER_MS + TICKS_PER_MS - 1 + TICKS_AT_1970, GREATEST_LOW_HALF)


def time_of(event_time: UUID) -> datetime:
    """The time of an event time or of a bound made by `latest_at`, to the millisecond."""
    return from_ms((event_time.time - TICKS_AT_1970) // TICKS_PER_MS)


def sort_key(event_time: UUID) -> bytes:
    """Sixteen bytes whose plain byte order is Cassandra's order of timeuuids.

    Cassandra compares the time first, then the low eight bytes as SIGNED bytes; flipping the sign bits turns that into
    the order of memcmp. `from_sort_key` reverses it.
    """
    number = event_time.int
    # The same as `event_time.time`, which costs four calls.
    ticks = (number >> 64 & 0xFFF) << 48 | (number >> 80 & 0xFFFF) << 32 | number >> 96
    return (ticks << 64 | (number & LOW_HALF) ^ SIGN_BITS).to_bytes(16)


def is_after(event_time: UUID, other: UUID) -> bool:
    """Does an event time lie after another one in the log?"""
    return sort_key(event_time) > sort_key(other)


def latest_of(*event_times: UUID | None) -> UUID | None:
    """The latest of these event times; None if there is none."""
    return max(filter(None, event_times), key=sort_key, default=None)


def from_sort_key(key: bytes) -> UUID:
    """The event time of a `sort_key`."""
    number = int.from_bytes(key)
    return _timeuuid(number >> 64, (number & LOW_HALF) ^ SIGN_BITS)


def _timeuuid(ticks: int, low: int) -> UUID:
    time_low = ticks & 0xFFFFFFFF
    time_mid = ticks >> 32 & 0xFFFF
    time_high = ticks >> 48
    return UUID(int=time_low << 96 | time_mid << 80 | (0x1000 | time_high) << 64 | low)


def _check_ms(ms: int) -> None:
    if not 0 <= ms <= LATEST_MS:
        raise InvalidInput(
            f"Expected a request time from 1970-01-01 to {from_ms(LATEST_MS):%Y-%m-%d} "
            f"(what a timeuuid can hold), got {ms} ms since 1970."
        )
