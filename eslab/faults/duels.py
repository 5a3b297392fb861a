"""Duels: two short processes on one store, in every order in which their calls can follow each other.

What a random search meets once in a million schedules is met here for certain, if two processes are enough for it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from eslab.errors import OutcomeUnknown
from eslab.faults.checker import Violation, violations
from eslab.faults.choices import Choices
from eslab.faults.history import History, Operation
from eslab.faults.stepwise import Stepwise, schedules
from eslab.faults.story import BOUNDS, CUSTOMER, START
from eslab.faults.tally import Count, Tallies, Tally
from eslab.faults.world import World
from eslab.operations.retention import rotate
from eslab.operations.snapshots import build_snapshot
from eslab.repository import Repository
from eslab.request import Request
from eslab.snapshot import SnapshotPolicy
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
        self.store = MemoryStore(page)
        self.store_by_steps: Any = Stepwise(self.store, self.world)
        self.tallies = self._tallies(self.store)

    def begin(self) -> None:
        """Three requests of long ago and their snapshot, a newer one, and one whose writer slept over it all and died."""
        for request in LONG_AGO:
            self.world.now = (request.time - START).total_seconds()
            self.count(request)
        self.world.now = 150.0
        self.count(NEWER)
        self.world.now = 200.0
        self.build(self.tallies)
        self.world.now = 60.0  # when it was checked
        self.count(LATE, self._tallies(Dying(self.store)))
        self.world.now = 300.0

    def count(self, request: Request, by: Tallies | None = None, limit: int = NEVER) -> Operation:
        """Count a request, or repeat it."""
        tallies = by or self.tallies
        command = Count(keys=(KEY,), limit=limit)
        return self.history.record(
            lambda: tallies.count(CUSTOMER, command, request), limit=limit, **_about("count", request)
        )

    def load(self, final: bool = False) -> Operation:
        """Hydrate the tally."""
        tallies = self.tallies if final else self._tallies(self.store_by_steps)
        return self.history.record(lambda: tallies.load(CUSTOMER, [KEY]), final=final, **_about("load"))

    def build(self, by: Tallies | None = None) -> Operation:
        """Build a snapshot."""
        repository = (by or self._tallies(self.store_by_steps)).repository
        policy = SnapshotPolicy(every=1)
        return self.history.record(lambda: build_snapshot(repository, CUSTOMER, Tally, KEY, policy), **_about("build"))

    def rotate(self) -> Operation:
        """Archive what the newest snapshot holds."""
        repository = self._tallies(self.store_by_steps).repository
        return self.history.record(
            lambda: rotate(repository, CUSTOMER, Tally, KEY, lambda commits: None, self.world.sleep), **_about("rotate")
        )

    def by_steps(self) -> Tallies:
        """A service that gives way before each of its calls."""
        return self._tallies(self.store_by_steps)

    def _tallies(self, store: Any) -> Tallies:
        return Tallies(Repository(store, self.world.clock(), BOUNDS, stopwatch=self.world.stopwatch))


class Dying:
    """A store whose appends get no answer."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def append(self, *arguments: Any, **options: Any) -> None:
        """Write, and die."""
        self._store.append(*arguments, **options)
        raise OutcomeUnknown("The process died.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass(frozen=True)
class Duel:
    """Two processes, by what they do."""

    name: str
    one: Callable[[Arena], object]
    other: Callable[[Arena], object]
    page: int = 10  # commits in a page; with fewer, a hydration takes more steps


DUELS = (
    Duel("a request and its retry",
         lambda it: it.count(NOW, it.by_steps()), lambda it: it.count(NOW, it.by_steps()), page=2),
    Duel("a request that fills the tally, and its retry",
         lambda it: it.count(NOW, it.by_steps(), 5), lambda it: it.count(NOW, it.by_steps(), 5), page=2),
    Duel("a late repeat and a rotation", lambda it: it.count(LATE, it.by_steps()), Arena.rotate),
    Duel("a late repeat and a builder", lambda it: it.count(LATE, it.by_steps()), Arena.build),
    Duel("a reader and a rotation", Arena.load, Arena.rotate, page=2),
    Duel("a builder and a rotation", Arena.build, Arena.rotate),
    Duel("a request and a rotation", lambda it: it.count(NOW, it.by_steps()), Arena.rotate),
)  # fmt: skip


def orders(duel: Duel) -> Iterator[tuple[History, list[Violation]]]:
    """Every order of a duel, with what is wrong in it."""
    found: list[tuple[History, list[Violation]]] = []

    def run(choices: Choices) -> list[int]:
        arena = Arena(choices, duel.page)
        arena.begin()
        for name, work in (("one", duel.one), ("other", duel.other)):
            arena.world.spawn(name, lambda work=work: work(arena))
        could = arena.world.run_in_any_order()
        arena.world.now += 1000.0
        arena.load(final=True)
        arena.world.close()
        found.append((arena.history, violations(arena.history.operations)))
        return could

    for _ in schedules(run):
        yield found.pop()


def _about(what: str, request: Request | None = None) -> dict[str, Any]:
    return {"process": what, "what": what, "region": "file", "keys": (KEY,), "request": request}
