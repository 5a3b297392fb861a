"""The cost of reading stored events, by the version that they were stored in, from the bare decode upwards.

baseline     msgspec's typed decode of a page, without any checksum
page         `VersionedSerializer.page`: checksums, then the same decode
commit       `VersionedSerializer.events`, one commit at a time
default      all events of an older version, whose new field takes its default
step, steps  all events of an older version, through one upcaster, and through five
one in 1000  a page of current events in which one in a thousand takes one step
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from eslab import Event, Request
from eslab.bench.measure import RUNS, Measure, Report, Row, row, time_in_turn, versions_of
from eslab.event import version
from eslab.payload.checksum import Checksum
from eslab.payload.serializer import Envelope, VersionedSerializer, encode_append

EVENTS = 10_000
PAGE = 1000
STEPS = 5
COMMAND_HASH = bytes(8)
CUSTOMER, TILL = "bench", "till:1"
EVENT_TIME = Request.at(datetime(2026, 1, 5, tzinfo=UTC), "bench").event_time
CHECKSUM = Checksum.of_commits(CUSTOMER, TILL)
NOTE = (
    "Payloads in memory, one event of four fields a commit; this can't show large events, or slow upcasters of yours."
)


class Priced(Event, tag=version(STEPS + 1)):
    """The current shape."""

    cake: str
    cents: int
    order: str
    currency: str = "EUR"


class Unpriced(Event, tag="Priced:1"):
    """The first shape."""

    cake: str
    cents: int
    order: str


def measure_serializer(runs: int = RUNS) -> Report:
    """Measure reading by version of the events; needs no store and takes a few seconds."""
    current = [_payload(Priced(f"cake {n % 9}", n, f"order {n}")) for n in range(EVENTS)]
    older = [_payload(Unpriced(f"cake {n % 9}", n, f"order {n}")) for n in range(EVENTS)]
    mixed = [older[n] if n % PAGE == 0 else payload for n, payload in enumerate(current)]
    plain, one, five = (VersionedSerializer([Priced], _steps(count)) for count in (0, 1, STEPS))
    measures = [
        _measure("baseline", _bare, current),
        _measure("page", partial(plain.page, checksum=CHECKSUM), current),
        _measure("commit", partial(_one_by_one, plain), current),
        _measure("default", partial(plain.page, checksum=CHECKSUM), older),
        _measure("step", partial(one.page, checksum=CHECKSUM), older),
        _measure("steps", partial(five.page, checksum=CHECKSUM), older),
        _measure("one in 1000", partial(one.page, checksum=CHECKSUM), mixed),
    ]
    timed = time_in_turn(measures, runs)
    rows: list[Row] = [row(name, "memory", EVENTS, seconds) for name, seconds in timed.items()]
    return Report(rows, NOTE, versions_of())


def _payload(event: Event) -> bytes:
    return encode_append(CUSTOMER, EVENT_TIME, {TILL: [event]}, COMMAND_HASH)[TILL]


def _steps(count: int) -> dict[Any, Any]:
    """A chain of `count` upcasters, each from one version to the next; the last one leads to the current version."""

    def step(old: dict[str, Any], to: int) -> dict[str, Any]:
        return {**old, "type": f"Priced:{to}"}

    return {f"Priced:{n}": partial(step, to=n + 1 if n < count else STEPS + 1) for n in range(1, count + 1)}


_bare_page = msgspec.msgpack.Decoder(list[Envelope[tuple[Priced, ...]]])


def _bare(payloads: Sequence[bytes]) -> Sequence[Any]:
    header = b"\xdd" + len(payloads).to_bytes(4)  # of a msgpack array, so that one call decodes the whole page
    return [envelope.body for envelope in _bare_page.decode(header + b"".join(payloads))]


def _one_by_one(serializer: VersionedSerializer, payloads: Sequence[bytes]) -> Sequence[Any]:
    return [serializer.events(payload, CHECKSUM) for payload in payloads]


def _measure(name: str, read: Callable[[Sequence[bytes]], Sequence[Any]], payloads: Sequence[bytes]) -> Measure:
    pages = [payloads[start : start + PAGE] for start in range(0, len(payloads), PAGE)]
    return Measure(name, lambda: sum(len(read(page)) for page in pages), EVENTS)
