"""Writers in one region: one alone, several on streams of their own, and several that race on one stream."""

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from math import ceil
from statistics import mean, median
from time import perf_counter, sleep
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from eslab.bench.lock.strict import Settled
from eslab.bench.lock.ways import Way, new_request
from eslab.bench.measure import Row, p99, small_heap
from eslab.bench.steps import OnStep
from eslab.display import quantity
from eslab.errors import EslabError, OutcomeUnknown, StoreUnavailable
from eslab.request import Request

STORE = "cassandra"
PATIENCE = 60.0  # seconds until a wish without an answer is given up
LOOK_AGAIN = 0.2


@dataclass(frozen=True)
class Plan:
    """How much is written, by how many writers."""

    writes: int
    writers: int

    @property
    def each(self) -> int:
        """The writes of one of several writers, who share them."""
        return ceil(self.writes / self.writers)


class Written(NamedTuple):
    """A write that was settled, and how long that took."""

    seconds: float
    settled: Settled


Work = Callable[[Way, str, int, int], list[Written]]


def measure_writers(ways: Sequence[Way], plan: Plan, on_step: OnStep) -> list[Row]:
    """All three measures, the ways in turn. Raises `EslabError` if a write is missing in the end, or is there twice."""
    with small_heap():
        rows = [*_one_writer(ways, plan, on_step)]
        for part, work in ("own streams", _own_stream), ("one stream", _one_stream):
            shared = f"{part} {uuid4().hex}"
            for way in ways:
                on_step(f"{quantity(plan.writers, 'writer')} on {part}: {way.name}")
                rows.append(_together(way, f"{shared} {way.name}", plan, part, work))
                if work is _one_stream:
                    check_stream(way, f"{shared} {way.name}", plan.each * plan.writers)
    return rows


def _one_writer(ways: Sequence[Way], plan: Plan, on_step: OnStep) -> Iterator[Row]:
    """Write by write, each way in turn; the first one of each isn't counted."""
    written: dict[str, list[Written]] = {way.name: [] for way in ways}
    customer = f"one writer {uuid4().hex}"
    for number in range(plan.writes + 1):
        on_step(f"one writer: write {number} of {plan.writes}")
        for way in ways:
            written[way.name].append(_write(way, f"{customer} {way.name}", number + 1))
    for way in ways:
        check_stream(way, f"{customer} {way.name}", plan.writes + 1)
        some = written[way.name][1:]
        yield _row(way, some, 1 / mean(it.seconds for it in some), part="one writer", writers=1)


def _together(way: Way, customer: str, plan: Plan, part: str, work: Work) -> Row:
    """The row of several writers at once: p50 and p99 of all, and the rate of all together."""
    gc.collect()
    with ThreadPoolExecutor(plan.writers) as pool:
        began = perf_counter()
        done = list(pool.map(lambda writer: work(way, customer, writer, plan.each), range(plan.writers)))
        took = perf_counter() - began
    written = list(chain.from_iterable(done))
    return _row(way, written, len(written) / took, part=part, writers=plan.writers)


def _own_stream(way: Way, customer: str, writer: int, writes: int) -> list[Written]:
    """Write to a stream of one's own, whose version one knows."""
    own = f"{customer} {writer}"
    written = [_write(way, own, number + 1) for number in range(writes)]
    check_stream(way, own, writes)
    return written


def _one_stream(way: Way, customer: str, writer: int, writes: int) -> list[Written]:
    """Settle wishes on the stream that all share: read, decide, write, and again after a conflict."""
    written = []
    for _ in range(writes):
        request = new_request()
        began = perf_counter()
        settled = settle(way, customer, request)
        written.append(Written(perf_counter() - began, settled))
    return written


def settle(way: Way, customer: str, request: Request, again: bool = False) -> Settled:
    """Send a wish, and the same one again while there is no answer; each time counts as unknown.

    `again` says that it was sent before. Raises the last error if there is no answer for a minute.
    """
    end = perf_counter() + PATIENCE
    unknown = int(again)
    while True:
        try:
            settled = way.wish(customer, request, again=unknown > 0)
        except (OutcomeUnknown, StoreUnavailable):
            if perf_counter() > end:
                raise
            unknown += 1
            sleep(LOOK_AGAIN)
        else:
            surfaced = settled.surfaced or (settled.repeated and unknown > 0)
            return replace(settled, unknown=settled.unknown + unknown, surfaced=surfaced)


def _write(way: Way, customer: str, version: int) -> Written:
    """One write that needs no read; if it isn't answered, it is settled like any other."""
    request = new_request()
    step = way.prepare(customer, request, version)
    began = perf_counter()
    try:
        step()
        settled = Settled()
    except OutcomeUnknown:
        settled = settle(way, customer, request, again=True)
    return Written(perf_counter() - began, settled)


def _row(way: Way, written: Sequence[Written], rate: float, **extra: Any) -> Row:
    """The row of some writes: p50, p99, and what they met."""
    seconds = [it.seconds for it in written]
    counts = {
        "conflicts": sum(it.settled.conflicts for it in written),
        "unknown": sum(it.settled.unknown for it in written),
        "surfaced": sum(it.settled.surfaced for it in written),
    }
    spread = (min(seconds), max(seconds), len(seconds))
    return Row(way.name, STORE, 1, median(seconds), rate, *spread, {"p99_s": p99(seconds), **extra, **counts})


def check_stream(way: Way, customer: str, expected: int) -> None:
    """Refuse a stream that a client does not see this many events of as many requests in."""
    held: list[UUID] = way.held(customer)
    if len(held) != expected or len({*held}) != expected:
        raise EslabError(
            f"Expected {quantity(expected, 'event')} of as many requests from {way.name} in the stream of {customer}, "
            f"got {quantity(len(held), 'event')} of {quantity(len({*held}), 'request')}: this is not a result."
        )
