"""Writes without an answer: did they happen, and what does it cost to find out?

    client gives up     the client waits for less time than a round trip takes; the write goes on without it
    cut in mid-flight   the client's region is cut off while writes are in all stages of their rounds

Each write goes to a stream of its own. The strict log finds out by reading at its serial level, and writes again what
had not happened. An idempotent append needn't know: it is sent again. In the end every request is there once.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from statistics import median
from time import perf_counter, sleep
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from eslab.bench.lock.parted import cut_off
from eslab.bench.lock.ways import Way, new_request
from eslab.bench.lock.writers import STORE, check_stream, settle
from eslab.bench.measure import Row
from eslab.bench.steps import OnStep
from eslab.errors import OutcomeUnknown, StoreUnavailable
from eslab.request import Request

if TYPE_CHECKING:
    from eslab.cluster.cluster import Cluster

SENT = 12  # writes of each way
IMPATIENT = 0.05  # seconds; a SERIAL write over these distances takes several times as long
PATIENT = 3.0  # seconds until a client gives up on a region that was cut off


class Sent(NamedTuple):
    """A write that was sent: its stream, its request, and whether it was answered."""

    customer: str
    request: Request
    answered: bool


def measure_impatient(way: Way, on_step: OnStep) -> Row:
    """The row of writes that are given up too early, and settled at once."""
    on_step(f"a client that gives up after {IMPATIENT * 1e3:.0f} ms: {way.name}")
    sent = [_send(way, f"impatient {way.name} {uuid4().hex}", IMPATIENT) for _ in range(SENT)]
    return _settle(way, sent, "client gives up")


def measure_in_flight(cluster: "Cluster", region: str, ways: Sequence[Way], takes: float, on_step: OnStep) -> list[Row]:
    """The rows of writes on their way when the client's region is cut off; settled after healing.

    The first one is sent `takes` seconds before the cut, which is how long a write takes, the others evenly in between.
    """
    on_step(f"{region} is cut off while writes are on their way")
    with ThreadPoolExecutor(SENT * len(ways)) as pool:
        futures: dict[str, list[Future[Sent]]] = {way.name: [] for way in ways}
        for _ in range(SENT):
            for way in ways:
                futures[way.name].append(pool.submit(_send, way, f"in flight {way.name} {uuid4().hex}", PATIENT))
            sleep(takes / SENT)
        with cut_off(cluster, region):
            sent = {name: [it.result() for it in some] for name, some in futures.items()}
    on_step("healed: settle the writes without an answer")
    cluster.wait()
    return [_settle(way, sent[way.name], "cut in mid-flight") for way in ways]


def _send(way: Way, customer: str, timeout: float) -> Sent:
    request = new_request()
    try:
        way.send(customer, request, timeout)
    except (OutcomeUnknown, StoreUnavailable):
        return Sent(customer, request, False)
    return Sent(customer, request, True)


def _settle(way: Way, sent: Sequence[Sent], part: str) -> Row:
    """Settle what has no answer, each request timed; then look that each one is there once."""
    seconds: list[float] = []
    happened = 0
    unanswered = [it for it in sent if not it.answered]
    for customer, request, _ in unanswered:
        began = perf_counter()
        happened += settle(way, customer, request, again=True).surfaced
        seconds.append(perf_counter() - began)
    for customer, *_ in sent:
        check_stream(way, customer, 1)
    counts = {"tries": len(sent), "answered": len(sent) - len(unanswered), "happened": happened}
    spread = (min(seconds, default=0.0), max(seconds, default=0.0), len(sent))
    middle = median(seconds or [0.0])
    return Row(
        f"settled: {way.name}", STORE, 1, middle, 1 / middle if middle else 0.0, *spread, {"part": part, **counts}
    )
