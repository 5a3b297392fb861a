"""Reads and appends beside a slow replica, with speculative execution and without.

One of three replicas in one region is slow, in one of two manners:

    slow link    every byte between it and the others takes 150 ms each way
    pauses       it stands still for 0.4 s every 2 s, as in a long garbage collection

A third of the requests go to it first. A store opened with `?speculate=MS` asks a second replica when so many
milliseconds have passed without an answer; all statements of eslab are idempotent, so nothing counts twice.

Requests are sent at fixed times, whether or not earlier ones have been answered. Clients that wait for their answers
would meet each pause once only, and hide it.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from random import SystemRandom
from threading import Event, Thread
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from eslab.aggregate import aggregate_id
from eslab.bench.measure import Report, Row, single_row, small_heap, versions_of
from eslab.bench.sample import Frosting, commit
from eslab.bench.steps import OnStep, unseen
from eslab.clock import system_clock
from eslab.errors import EslabError, OutcomeUnknown
from eslab.request import Request

if TYPE_CHECKING:
    from eslab.cluster.cluster import Cluster
    from eslab.stores.cassandra import CassandraStore

KEYSPACE = "lab_speculation"
SLOW = "us/3"
OTHERS = ("us/1", "us/2")
DELAY = "150ms"
AWAKE, FROZEN = 1.6, 0.4  # seconds
CUSTOMERS = 60  # partitions, so that each replica is the first one of some
EVERY = 0.02  # seconds from one request to the next
TRIES = 3
AT_ONCE = 64
KEY = "1"
SPECULATE = 20  # milliseconds
REQUESTS = 300
NOTE = (
    "Three nodes and their client share one machine's cores, and one replica is slow, in one manner at a time: this "
    "can't show a network, or a cluster so busy that the second requests slow it down."
)
_random = SystemRandom()


@dataclass(frozen=True)
class Side:
    """A store, with speculation or without; counts the statements that were sent to more than one replica."""

    prefix: str  # of the names of its measures
    store: "CassandraStore"
    sent: list[Any]

    def asked_two(self, name: str) -> int:
        """How many statements of reads, or of appends, were sent to a second replica."""
        from cassandra.query import BatchStatement

        some = [it for it in self.sent if isinstance(it.query, BatchStatement) == (name == "append")]
        return sum(len(future.attempted_hosts) > 1 for future in some)

    def read(self, customer: str) -> None:
        """Read the head and the commits of an aggregate, as a hydration does. Raises `EslabError` if none is there."""
        id = aggregate_id((Frosting, KEY))
        if not self.store.read(customer, {id: None})[id].payloads:
            raise EslabError(f"Expected commits of {customer} in {self.store}, got none: this is not a result.")

    def append(self, customer: str) -> None:
        """Append one commit; a time-out is sent again, since that is safe, and its time counts."""
        made = commit(KEY, 0, Request.new(system_clock, _random), customer)
        for _ in range(TRIES - 1):
            try:
                return self.store.append(customer, [made])
            except OutcomeUnknown:
                continue
        return self.store.append(customer, [made])


def measure_speculation(requests: int = REQUESTS, speculate: float = SPECULATE, on_step: OnStep = unseen) -> Report:
    """Measure on a fresh cluster of three nodes, which ends with the measure, also by Ctrl-C."""
    from eslab.cluster.cluster import Cluster

    with Cluster.start(regions="us:3", on_progress=on_step) as cluster:
        return measure_on(cluster, requests, speculate, on_step)


def measure_on(cluster: "Cluster", requests: int, speculate: float, on_step: OnStep = unseen) -> Report:
    """The same on a cluster of three nodes, all of which are quick again afterwards."""
    from eslab.bench.baseline_cassandra import versions_at

    url = cluster.url(KEYSPACE)
    versions = versions_of() | versions_at(url)
    rows: list[Row] = []
    for manner, slow in {"none": _no_fault, "slow link": slow_link, "pauses": pauses}.items():
        with _side("", url) as plain, _side("speculated ", f"{url}&speculate={speculate:g}") as speculating:
            sides = (plain, speculating)
            on_step(f"{manner}: warm up")
            for number in range(CUSTOMERS):
                plain.append(_customer(number))  # a read may overtake an append that is sent before it
            _send_all(sides, CUSTOMERS)
            for side in sides:
                side.sent.clear()
            with slow(cluster), small_heap():
                on_step(f"{manner}: {requests} requests of each measure")
                seconds = _send_all(sides, requests)
            rows += _rows(sides, manner, speculate, seconds)
    return Report(rows, NOTE, versions)


@contextmanager
def _side(prefix: str, url: str) -> Generator[Side, None, None]:
    from eslab.stores.cassandra import CassandraStore

    with closing(CassandraStore.open(url)) as store:
        sent: list[Any] = []
        store.session.add_request_init_listener(sent.append)
        yield Side(prefix, store, sent)


@contextmanager
def _no_fault(cluster: "Cluster") -> Generator[None, None, None]:
    yield


@contextmanager
def slow_link(cluster: "Cluster") -> Generator[None, None, None]:
    """Delay all bytes between one replica and the others meanwhile."""
    try:
        for other in OTHERS:
            cluster.delay(SLOW, other, DELAY)
        yield
    finally:
        for other in OTHERS:
            cluster.delay(SLOW, other, "0ms")


@contextmanager
def pauses(cluster: "Cluster") -> Generator[None, None, None]:
    """Let one replica stand still now and then meanwhile."""
    over = Event()
    errors: list[Exception] = []

    def pause() -> None:
        try:
            while not over.wait(AWAKE):
                cluster.freeze(SLOW)
                over.wait(FROZEN)
                cluster.thaw(SLOW)
        except Exception as error:  # raised below, in the thread that measures
            errors.append(error)

    thread = Thread(target=pause)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        cluster.thaw(SLOW)
    if errors:
        raise errors[0]


def _send_all(sides: Sequence[Side], requests: int) -> dict[str, list[float]]:
    """Send so many requests of each measure, all measures in turn; returns the seconds of each by its name."""
    futures: dict[str, list[Future[float]]] = {}
    began = perf_counter()
    ticks = count()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(requests):
            customer = _customer(number)
            for side in sides:
                for name, step in (("append", side.append), ("read", side.read)):
                    due = began + next(ticks) * EVERY
                    sleep(max(0.0, due - perf_counter()))
                    futures.setdefault(side.prefix + name, []).append(pool.submit(_time, step, customer, due))
        return {name: [it.result() for it in some] for name, some in futures.items()}


def _customer(number: int) -> str:
    return f"customer {number % CUSTOMERS}"


def _time(step: Callable[[str], None], customer: str, due: float) -> float:
    step(customer)
    return perf_counter() - due


def _rows(sides: Sequence[Side], manner: str, speculate: float, seconds: dict[str, list[float]]) -> list[Row]:
    """The rows of one manner: the measures with speculation after those without."""
    rows = []
    for side in sides:
        for name in ("append", "read"):
            extra = {"part": manner, "speculate": f"{speculate:g} ms", "asked_two": side.asked_two(name)}
            rows.append(single_row(side.prefix + name, "cassandra", seconds[side.prefix + name], **extra))
    return rows
