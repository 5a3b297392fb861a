"""Duels: two short processes on one store, in every order in which their calls can follow each other.

What a random search meets once in a million schedules is met here for certain, if two processes are enough for it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from eslab.aggregate import SnapshotPolicy
from eslab.clock import ManualClock
from eslab.faults.checker import Violation, violations
from eslab.faults.choices import Choices
from eslab.faults.faulty import Faulty
from eslab.faults.history import History, Operation
from eslab.faults.kinds import LoseReply
from eslab.faults.plans import Script
from eslab.faults.simulation.stepwise import Stepwise, schedules
from eslab.faults.simulation.story import BOUNDS, CUSTOMER, START, eager_cache
from eslab.faults.simulation.world import World
from eslab.faults.tally import Count, Tallies, Tally
from eslab.hydration_cache import HydrationCache
from eslab.operations.full_audit import audit_customer
from eslab.operations.retention import rotate
from eslab.operations.snapshots import build_snapshot
from eslab.repository import Repository
from eslab.request import Request
from eslab.stores.memory import MemoryStore

KEY = "1"
NEVER = 99  # a limit that nobody reaches
LONG_AGO = [Request.at(START + timedelta(seconds=second), f"{second}") for second in range(3)]
LATE = Request.at(START + timedelta(seconds=2.5), "late")
NEWER = Request.at(START + timedelta(seconds=150), "newer")
NOW = Request.at(START + timedelta(seconds=300), "now")


class Arena:
    """One order of a duel: the world, the store, and the history that it leaves."""

    def __init__(self, choices: Choices, page: int) -> None:
        self.world = World(choices, START)
        self.history = History(self.world)
        store = MemoryStore(page)
        steps: Any = Stepwise(store, self.world)
        self.at_once = self._service(store)
        self.services = [self._service(steps) for _ in range(2)]  # those of the two processes
        self.cached = self._service(steps, eager_cache())  # begins from what it kept long ago
        dying = Faulty(store, Script(append=[LoseReply()]), ManualClock(START))
        self._begin(self._service(dying))

    def count(self, service: Tallies, request: Request, limit: int = NEVER) -> Operation:
        """Count a request, or repeat it."""
        command = Count(keys=(KEY,), limit=limit)
        return self._record("count", lambda: service.count(CUSTOMER, command, request), request=request, limit=limit)

    def load(self, service: Tallies, final: bool = False) -> Operation:
        """Hydrate the tally."""
        return self._record("load", lambda: service.load(CUSTOMER, [KEY]), final=final)

    def build(self, service: Tallies) -> Operation:
        """Build a snapshot."""
        repository, policy = service.repository, SnapshotPolicy(every=1)
        return self._record("build", lambda: build_snapshot(repository, CUSTOMER, Tally, KEY, policy))

    def rotate(self, service: Tallies) -> Operation:
        """Archive what the newest snapshot holds."""
        wait = self.world.sleep
        return self._record(
            "rotate", lambda: rotate(service.repository, CUSTOMER, Tally, KEY, lambda commits: None, wait)
        )

    def audit(self, service: Tallies) -> Operation:
        """Audit the customer, and repair what can be."""
        return self._record("audit", lambda: audit_customer(service.repository, [Tally], CUSTOMER, repair=True))

    def compare(self) -> Operation:
        """Compare what the tally shows with a replay of its rows."""
        return self._record("compared", lambda: self.at_once.compared(CUSTOMER, KEY), final=True)

    def _begin(self, dying: Tallies) -> None:
        """Three requests and their snapshot, a newer one, and one whose writer slept over all that and died."""
        for request in LONG_AGO:
            self.world.now = (request.time - START).total_seconds()
            self.count(self.at_once, request)
        self.world.now = 150.0
        self.count(self.at_once, NEWER)
        self.world.now = 200.0
        for _ in range(2):
            self.load(self.cached)
        self.build(self.at_once)
        self.world.now = 60.0  # when it was checked
        self.count(dying, LATE)
        self.world.now = 300.0
        self.load(self.cached)  # by now the newer request has settled

    def _service(self, store: Any, cache: HydrationCache | None = None) -> Tallies:
        return Tallies(Repository(store, self.world.clock(), BOUNDS, stopwatch=self.world.stopwatch, cache=cache))

    def _record(self, what: str, call: Callable[[], Any], **about: Any) -> Operation:
        return self.history.record(call, process=self.world.who(), what=what, region="file", keys=(KEY,), **about)


Work = Callable[[Arena, Tallies], object]


@dataclass(frozen=True)
class Duel:
    """Two processes, by what they do."""

    name: str
    one: Work
    other: Work
    page: int = 10  # commits in a page; with fewer, a hydration takes more steps


def request(arena: Arena, service: Tallies) -> object:
    """A new request."""
    return arena.count(service, NOW)


def last_request(arena: Arena, service: Tallies) -> object:
    """A new request that fills the tally."""
    return arena.count(service, NOW, limit=6)


def late_repeat(arena: Arena, service: Tallies) -> object:
    """A repeat of the request whose writer died."""
    return arena.count(service, LATE)


def cached_reader(arena: Arena, service: Tallies) -> object:
    """A hydration from what a process keeps, which folds more into it first."""
    return arena.load(arena.cached)


DUELS = (
    Duel("a request and its retry", request, request, page=2),
    Duel("a request that fills the tally, and its retry", last_request, last_request, page=2),
    Duel("a late repeat and a rotation", late_repeat, Arena.rotate),
    Duel("a late repeat and a builder", late_repeat, Arena.build),
    Duel("a reader and a rotation", Arena.load, Arena.rotate, page=2),
    Duel("a builder and a rotation", Arena.build, Arena.rotate),
    Duel("a request and a rotation", request, Arena.rotate),
    Duel("an audit and a reader", Arena.audit, Arena.load),
    Duel("an audit and a request", Arena.audit, request),
    Duel("a late repeat and a cache", late_repeat, cached_reader),
    Duel("a rotation and a cache", Arena.rotate, cached_reader),
)


def orders(duel: Duel) -> Iterator[tuple[History, list[Violation]]]:
    """Every order of a duel, with what is wrong in it."""
    found: list[tuple[History, list[Violation]]] = []

    def run(choices: Choices) -> list[int]:
        arena = Arena(choices, duel.page)
        for name, work, service in zip(("one", "other"), (duel.one, duel.other), arena.services, strict=True):
            arena.world.spawn(name, lambda work=work, service=service: work(arena, service))
        could = arena.world.run_in_any_order()
        arena.load(arena.cached)
        arena.world.now += 1000.0
        arena.load(arena.at_once, final=True)
        arena.compare()
        arena.world.close()
        found.append((arena.history, violations(arena.history.operations)))
        return could

    for _ in schedules(run):
        yield found.pop()
