"""Lesson 07: what becomes of the plays that a reader's aggregate and handler count, step by step.

A step is a delivery of a wish, two deliveries at once, a restart of the process, or a snapshot. Each delivery is a
request of its own, as an old gateway makes them. Store, unit of work and snapshots are the real ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from eslab import Aggregate, Command, Event, ManualClock, Rejected, Repository, Request
from eslab.aggregate import SnapshotPolicy
from eslab.lab.answers import Answer, Undecided
from eslab.lab.session import START
from eslab.operations.snapshots import build_snapshot
from eslab.stores.memory import MemoryStore

ANN, KEY = "ann", "1"
RESTART, SNAPSHOT, OVERLAP = "restart", "snapshot", "twice at once: "
WISHES = {"wish 1": "glow", "wish 2": "glow", "wish 3": "dark"}  # the titles that are played
Step = str  # a wish, OVERLAP and a wish, RESTART or SNAPSHOT
SETTLED = timedelta(hours=27)  # later than a snapshot may reach


class PlayCounted(Event):
    """A play was counted, for the wish with this key."""

    wish: str
    title: str


class CountPlay(Command):
    """Count a play; a device makes the key of the wish once, and sends it with each attempt."""

    wish: str
    title: str


@dataclass(frozen=True)
class Program:
    """The code of an answer; to start it is to run it in a new process, with nothing in memory."""

    source: str

    @classmethod
    def of(cls, answer: Answer) -> "Program":
        """The program that an answer was written as."""
        return cls(answer.remade())

    def start(self) -> tuple[type[Aggregate], Callable[..., Any]]:
        """The aggregate and the handler of a new process."""
        namespace: dict[str, Any] = {"__name__": "__main__"}
        try:
            exec(self.source, namespace)  # noqa: S102 - the reader's own code
        except Exception as error:
            raise Undecided(f"its cell ends with {type(error).__name__}: {error}. Import in it what it uses.") from None
        match namespace.get("counting"):
            case (type() as aggregate, handler) if issubclass(aggregate, Aggregate) and callable(handler):
                return aggregate, handler
        raise Undecided("`counting` is no pair of an aggregate and a handler. Write: counting = Plays, handle_play")


@dataclass
class History:
    """The steps that were taken, one on each line, and what the aggregate counts after the last one."""

    program: Program
    lines: list[str] = field(default_factory=list)
    count: Any = 0
    error: Exception | None = None
    rejected: bool = False
    has_another_key: bool = False  # has an event a key that no wish has?
    wishes: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._store, self._clock = MemoryStore(), ManualClock(START)
        self._deliveries = 0
        self._start()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    @property
    def expected(self) -> int:
        """The plays that should count by now."""
        return len(self.wishes)

    @property
    def titles(self) -> set[str]:
        """The titles of these plays."""
        return {WISHES[wish] for wish in self.wishes}

    @property
    def got(self) -> str:
        """What came of the last step, in words."""
        if self.error:
            return f"{type(self.error).__name__}: {self.error}"
        return "Rejected" if self.rejected else f"{self.count} counted"

    def take(self, step: Step) -> None:
        """Take a step, and count the plays as a new hydration sees them."""
        before = self.count
        self.steps.append(step)
        self._clock.advance(timedelta(minutes=1))
        try:
            words = self._take(step)
            self.count = self._repository.load(ANN, self._aggregate, KEY).count  # type: ignore[attr-defined]
        except Undecided:
            raise
        except (NameError, NotImplementedError) as error:
            problem = f"{type(error).__name__}: {error}"
            raise Undecided(f"the answer ends with {problem}. Write in its cell all that it uses.") from None
        except Exception as error:  # show whatever the reader's code raises
            words, self.error = step, error
        self.lines.append(f"{len(self.lines) + 1}. {words}{self._came(before)}")

    def _came(self, before: Any) -> str:
        if self.error or self.rejected:
            return ""
        mark = "✗ " if self.count != self.expected else ""
        return f" → {mark}{self.count} counted" if self.count != before or mark else f" → still {self.count}"

    def _take(self, step: Step) -> str:
        if step == RESTART:
            self._start()
            return "the process is started again"
        if step == SNAPSHOT:
            return self._snapshot()
        wish = step.removeprefix(OVERLAP)
        again = " once more" if wish in self.wishes else ""
        self.wishes.add(wish)
        self._deliver(wish, 2 if step.startswith(OVERLAP) else 1)
        times = "is delivered twice at once" if step.startswith(OVERLAP) else "is delivered"
        return f"{wish}, {WISHES[wish]}, {times}{again}"

    def _start(self) -> None:
        self._aggregate, self._handler = self.program.start()
        self._repository = Repository(self._store, self._clock)

    def _snapshot(self) -> str:
        self._clock.advance(SETTLED)
        build_snapshot(self._repository, ANN, self._aggregate, KEY, SnapshotPolicy(every=1))
        return "a day later a snapshot is built"

    def _deliver(self, wish: str, times: int) -> None:
        """Deliver a wish so often at once: all are decided before any of them is written."""
        command = CountPlay(wish, WISHES[wish])
        works = [self._repository.begin(ANN, self._request(), command) for _ in range(times)]
        states = [work.load((self._aggregate, KEY))[0] for work in works]
        decided = [self._decide(state, command, work.request) for state, work in zip(states, works, strict=True)]
        for work, state, events in zip(works, states, decided, strict=True):
            work.add(state, *events)
            work.append()

    def _decide(self, state: Aggregate, command: CountPlay, request: Request) -> Sequence[Event]:
        try:
            events = self._handler(state, command, request)
        except Rejected:
            self.rejected = True
            return []
        self.has_another_key |= any(getattr(event, "wish", command.wish) != command.wish for event in events)
        return events

    def _request(self) -> Request:
        """The gateway makes a new one for each delivery."""
        self._deliveries += 1
        return Request.at(self._clock(), f"delivery {self._deliveries}")
