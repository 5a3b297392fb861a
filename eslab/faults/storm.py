"""A storm of retries: many wishes over lines that fail, and how often each was attempted, written and counted.

    for one in side_by_side(network=lambda: Chances(7, lose_request=0.1, lose_reply=0.2)):
        print(one.counts)

All clients meet the same faults, under a virtual clock: a storm takes no time but that of its commands. What is counted
are requests with a row in the store, whatever the domain makes of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from eslab.clock import Clock, ManualClock
from eslab.errors import EslabError, OutcomeUnknown
from eslab.faults.checker import Violation, violations
from eslab.faults.client import STRATEGIES, Client, Requests
from eslab.faults.crossing import Log
from eslab.faults.faulty import Faulty
from eslab.faults.history import Operation
from eslab.faults.line import Line
from eslab.faults.outcome import Attempt, Outcome
from eslab.faults.plans import Plan, Script
from eslab.faults.retries import Budget, Retry
from eslab.faults.tally import Count, Tallies
from eslab.repository import Repository
from eslab.request import Request
from eslab.store import EventStore
from eslab.stores.memory import MemoryStore

Send = Callable[[int, Request], Any]  # sends the wish of this number to a service
Service = Callable[[EventStore, Clock], Send]  # starts the process of a service; it may die and be started again
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
STORE_TIMEOUT = timedelta(milliseconds=300)  # less than a client's, so that the service can answer that it doesn't know
CUSTOMER, KEY = "ann", "1"
UNLIMITED = 1_000_000


class Counts(NamedTuple):
    """What came of the wishes of one client; a list of these makes a data frame."""

    client: str
    wishes: int
    attempted: int  # calls of the client
    written: int  # appends that arrived at the store, however often
    counted: int  # requests with a row in the store
    twice: int  # wishes that count more than once
    acknowledged: int  # wishes of which the client was told that they are accepted
    unknown: int  # wishes of which it was told nothing
    lost: int  # wishes that are acknowledged and don't count


@dataclass(frozen=True)
class Storm:
    """The wishes of one client, what happened on all lines, and the store as it was left."""

    counts: Counts
    outcomes: list[Outcome] = field(repr=False)
    log: Log = field(repr=False)
    store: EventStore = field(repr=False)


def tallies(store: EventStore, clock: Clock) -> Send:
    """The service of the simulator's domain, which remembers the requests that it counts: all wishes in one tally."""
    service = Tallies(Repository(store, clock))
    return lambda number, request: service.count(CUSTOMER, Count((KEY,), UNLIMITED), request)


def side_by_side(service: Service = tallies, **settings: Any) -> list[Storm]:
    """The same storm for the right client and for two wrong ones; the settings are those of `storm`."""
    return [storm(service, name, requests, **settings) for name, requests in STRATEGIES.items()]


def storm(
    service: Service = tallies,
    client: str = "same request",
    requests: Requests | None = None,
    *,
    wishes: int = 100,
    seed: int = 7,
    network: Callable[[], Plan] = Script,
    behind: Callable[[], Plan] = Script,
    retry: Retry | None = None,
    budget: Callable[[], Budget] = lambda: Budget(UNLIMITED),
    store: EventStore | None = None,
) -> Storm:
    """Send wishes, one after the other, by a client that makes its requests in one of the ways of `STRATEGIES`.

    `network` makes the plan of the line between client and service, where the call is `send`; `behind` that of the line
    between service and store. A service that crashes is started again with the next attempt. In the end everything
    arrives that is still under way. `budget` makes the client's; by default it is never used up. The same seed, plans,
    service and kind of store make the same storm.
    """
    clock, log = ManualClock(START), []
    retry = retry or Retry()
    process = _Process(service, MemoryStore() if store is None else store, behind(), clock, log)
    line = Line(network(), clock, timeout=retry.timeout, log=log, calls=["send"])
    sender = Client(clock, Random(seed), requests or STRATEGIES[client], retry, budget())  # noqa: S311 - no secret
    outcomes: list[Outcome] = []
    for number in range(wishes):
        clock.advance(timedelta(seconds=1))
        outcomes.append(sender.send(line.over(process.send), number))
    line.deliver()
    process.deliver()
    return Storm(_counts(client, outcomes, log, recorded(process.store)), outcomes, log, process.store)


def recorded(store: EventStore) -> set[UUID]:
    """The event times of all commits in a store: one for each request that left a row."""
    return {
        commit.event_time
        for customer in list(store.customers())
        for id in store.ids_of_commits(customer)
        for commit in store.rows(customer, id)
    }


def judge(storm: Storm) -> list[Violation]:
    """The promises that a storm of tallies broke, found by the checker of the simulator.

    It knows requests and not wishes: a client that makes a new request for each attempt counts a wish twice, and no
    promise is broken. `Counts.twice` shows that.
    """
    attempts = [attempt for outcome in storm.outcomes for attempt in outcome.attempts]
    counts = [_operation(number, attempt) for number, attempt in enumerate(attempts)]
    states = Tallies(Repository(storm.store, ManualClock(START))).load(CUSTOMER, [KEY])
    end = _ended(Operation(len(counts), "end", "load", "here", (KEY,), 0.0, answer=states, final=True))
    return violations([*counts, end])


def _operation(number: int, attempt: Attempt) -> Operation:
    """An attempt as the checker sees it; one that a timeout ended is open."""
    error = attempt.error
    if error and not isinstance(error, EslabError):
        error = OutcomeUnknown(type(error).__name__)
    began = (attempt.began - START).total_seconds()
    about = Operation(number, "client", "count", "here", (KEY,), began, attempt.request, UNLIMITED)
    about.answer, about.error = attempt.answer, error
    return _ended(about)


def _ended(operation: Operation) -> Operation:
    """The operation, ended before the next one begins."""
    operation.ended = operation.began
    operation.order = (2 * operation.number + 1, 2 * operation.number + 2)
    return operation


class _Process:
    """The process of a service and its line to the store; after a crash the next call finds a new one."""

    def __init__(self, service: Service, store: EventStore, plan: Plan, clock: ManualClock, log: Log) -> None:
        self.store = store
        self._service, self._plan, self._clock, self._log = service, plan, clock, log
        self._lines = list(self._start())

    def send(self, number: int, request: Request) -> Any:
        """Send a wish to the process that lives."""
        if self._lines[-1].dead:
            self._lines.extend(self._start())
        return self._send(number, request)

    def deliver(self) -> None:
        """Let everything arrive that any of the processes sent."""
        for line in self._lines:
            line.deliver()

    def _start(self) -> Iterator[Line]:
        store = Faulty(self.store, self._plan, self._clock, timeout=STORE_TIMEOUT, log=self._log)
        yield store.line
        self._send = self._service(store, self._clock)


def _counts(client: str, outcomes: Sequence[Outcome], log: Log, rows: set[UUID]) -> Counts:
    times = [{attempt.request.event_time for attempt in outcome.attempts} & rows for outcome in outcomes]
    return Counts(
        client,
        wishes=len(outcomes),
        attempted=sum(len(outcome.attempts) for outcome in outcomes),
        written=sum(len(crossing.arrived) for crossing in log if crossing.call == "append"),
        counted=sum(map(len, times)),
        twice=sum(len(each) > 1 for each in times),
        acknowledged=sum(outcome.acknowledged for outcome in outcomes),
        unknown=sum(outcome.unknown for outcome in outcomes),
        lost=sum(outcome.acknowledged and not each for outcome, each in zip(outcomes, times, strict=True)),
    )
