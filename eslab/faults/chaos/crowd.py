"""The clients of a chaos run: impatient, travelling, and stubborn; each delivery of a request is recorded.

A client sends a request to its region and waits as long as its patience allows. Without an answer it sends the same
request again, there or in another region, while the first delivery may still be on its way. Some requests are sent to
two regions at once, as a device does that changes networks.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from random import Random
from threading import Lock
from typing import NamedTuple

from eslab.aggregate import SnapshotPolicy
from eslab.clock import Clock
from eslab.errors import OutcomeUnknown, StoreError
from eslab.faults.history import History, Operation, Timeline
from eslab.faults.tally import Count, Tallies, Tally
from eslab.operations.snapshots import build_snapshot
from eslab.request import Request

PATIENCE = (0.3, 1.0, 3.0)  # seconds until a client sends again
BACKOFF = 0.1  # seconds before the second try; twice as long before each further one, with full jitter
TRIES = 6
PAUSE = 0.15  # seconds between two requests of a client, on average
TRAVELS = 0.5  # the chance that a try goes to another region than the one before
AT_ONCE = 0.03  # the chance that a request goes to two regions at once
KEYS = (("1",), ("1", "2"), ("2",))
LIMITS = (5, 10, 30)
CUSTOMERS_AT_A_TIME = 6  # that all clients share for a while
A_WHILE = 4.0  # seconds
SNAPSHOTS = SnapshotPolicy(every=5, keep=2)


class Histories:
    """A history for each customer, since only operations on one customer can contradict each other."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._lock = Lock()
        self.of: dict[str, History] = {}

    def __getitem__(self, customer: str) -> History:
        with self._lock:
            return self.of.setdefault(customer, History(self._timeline))

    def operations(self) -> list[Operation]:
        """Those of all customers."""
        return [operation for history in self.of.values() for operation in history.operations]


class Wish(NamedTuple):
    """A request with its command and its customer: what is sent again and again."""

    customer: str
    command: Count
    request: Request


@dataclass
class Services:
    """The service of each region, and where its calls are recorded."""

    of: Mapping[str, Tallies]
    histories: Histories

    def count(self, wish: "Wish", region: str, name: str) -> Operation:
        """Deliver a request to a region."""
        return self.histories[wish.customer].record(
            lambda: self.of[region].count(wish.customer, wish.command, wish.request),
            process=name, what="count", region=region, keys=wish.command.keys, request=wish.request,
            limit=wish.command.limit,
        )  # fmt: skip

    def load(self, customer: str, region: str, name: str, final: bool = False) -> Operation:
        """Read the customer's tallies in a region."""
        return self.histories[customer].record(
            lambda: self.of[region].load(customer, KEYS[1]),
            process=name, what="load", region=region, keys=KEYS[1], final=final,
        )  # fmt: skip

    def build(self, customer: str, region: str, name: str, key: str) -> Operation:
        """Build a snapshot of one of the customer's tallies."""
        return self.histories[customer].record(
            lambda: build_snapshot(self.of[region].repository, customer, Tally, key, SNAPSHOTS),
            process=name, what="build", region=region, keys=(key,),
        )  # fmt: skip


class Client:
    """One client: requests one after the other, each with its retries, until the run is over."""

    def __init__(
        self, name: str, home: str, services: Services, clock: Clock, seed: int, pool: ThreadPoolExecutor
    ) -> None:
        self.name = name
        self.requests = 0
        self._home = home
        self._services = services
        self._clock = clock
        self._random = Random(f"{seed} {name}")  # noqa: S311 - no secret
        self._pool = pool

    def live(self, timeline: Timeline, sleep_until: Callable[[float], bool]) -> None:
        """Send requests, and sometimes read, until the run is over."""
        while sleep_until(timeline.now + self._random.expovariate(1 / PAUSE)):
            self.requests += 1
            customer = f"customer {int(timeline.now / A_WHILE)}.{self._random.randrange(CUSTOMERS_AT_A_TIME)}"
            command = Count(keys=self._random.choice(KEYS), limit=self._random.choice(LIMITS))
            self._insist(Wish(customer, command, Request.new(self._clock, self._random)), timeline, sleep_until)

    def _insist(self, wish: Wish, timeline: Timeline, sleep_until: Callable[[float], bool]) -> None:
        """Send one request until it is answered, or tries are used up."""
        random = self._random
        region = self._home
        if random.random() < AT_ONCE:
            self._deliver(wish, self._elsewhere(region), 0)
        for attempt in range(1, TRIES + 1):
            delivery = self._deliver(wish, region, attempt)
            if _answered(delivery, random.choice(PATIENCE)):
                self._services.load(wish.customer, region, self.name)
                return
            sleep_until(timeline.now + random.uniform(0, BACKOFF * 2**attempt))
            region = self._elsewhere(region) if random.random() < TRAVELS else region

    def _deliver(self, wish: Wish, region: str, attempt: int) -> "Future[Operation]":
        return self._pool.submit(self._services.count, wish, region, f"{self.name}.{self.requests}.{attempt}")

    def _elsewhere(self, region: str) -> str:
        return self._random.choice([other for other in self._services.of if other != region])


def _answered(delivery: "Future[Operation]", patience: float) -> bool:
    """Was there an answer, of any kind but "unknown", before the client's patience was over?"""
    try:
        return not isinstance(delivery.result(patience).error, OutcomeUnknown | StoreError)
    except TookTooLong:
        return False
