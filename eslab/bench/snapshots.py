"""The cost of writing snapshots, beside the writes that they follow.

appends   one interval of `UnitOfWork.append`, each of one event of an aggregate at hand
commands  one interval of `AggregateService.send`: look-up, hydration from the newest snapshot, decision, append
build     the real builder after each interval of commands, a day and more later: it reads from the last snapshot on,
          folds, saves, and deletes the fourth newest
"""

import gc
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter
from uuid import uuid4

from eslab import AggregateService, EventStore, ManualClock, Repository, Request
from eslab.aggregate import SnapshotPolicy
from eslab.bench.measure import RUNS, Report, Row, single_row, small_heap, versions_of
from eslab.bench.sample import CUSTOMER, AddColor, ColorAdded, Frosting, color, handle
from eslab.bench.steps import OnStep, Steps, unseen
from eslab.bench.stream import END
from eslab.bench.targets import Target, durabilities, target
from eslab.errors import EslabError
from eslab.operations.snapshots import build_snapshot

INTERVALS = (10, 100, 1000)
GAP = timedelta(milliseconds=10)  # between two events
NOTE = (
    "One writer and one builder on one machine, one after the other, with a state that stays small: this can't show a "
    "builder that runs beside the writers, replicas in other regions, which a builder waits for, or large states."
)


def measure_snapshots(
    store: str = "sqlite", intervals: Sequence[int] = INTERVALS, runs: int = RUNS, on_step: OnStep = unseen
) -> Report:
    """Measure at each interval and durability: `runs` intervals of appends and of commands, and a build after each.

    Writes one interval more to warm up, under new keys in every run.
    """
    rows: list[Row] = []
    versions = versions_of()
    for durability in durabilities(store):
        with target(store, durability) as place, closing(place.open()) as opened:
            for interval in dict.fromkeys(intervals):
                steps = Steps(f"interval {interval:,}", on_step)
                rows += _measure(place, opened, durability, interval, runs, steps)
            versions |= place.versions
    return Report(rows, NOTE, versions)


def _measure(place: Target, store: EventStore, durability: str, interval: int, runs: int, steps: Steps) -> list[Row]:
    writer = _Writer(store, interval, runs)
    say = steps.rounds(durability or place.scheme, runs)
    with small_heap():
        for run in range(runs + 1):
            say(run)
            writer.round(counted=run > 0)
    columns = {"interval": interval, **place.expected(durability)}
    return [single_row(name, place.scheme, it, interval, **columns) for name, it in writer.seconds.items()]


@dataclass
class _Writer:
    """Writes intervals of events and lets the builder follow; the clock jumps, so that each interval settles."""

    store: EventStore
    interval: int
    runs: int
    run_id: str = field(default_factory=lambda: uuid4().hex)  # new keys in every run
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"appends": [], "commands": [], "build": []})

    def __post_init__(self) -> None:
        self._clock = ManualClock(END)
        self._service = AggregateService(self.store, Frosting, handle, self._clock)
        self._repository = Repository(self.store, self._clock)
        self._settling = self._repository.bounds.fold_after + self.interval * GAP
        self._clock.now = END - (self.runs + 1) * self._settling
        self._number = 0

    def round(self, counted: bool) -> None:
        """Append and send one interval, then build its snapshot."""
        took = {"appends": 0.0, "commands": 0.0}
        gc.collect()
        for _ in range(self.interval):
            self._clock.advance(GAP)
            took["appends"] += self._append()
            took["commands"] += self._send()
            self._number += 1
        self._clock.advance(self._settling)
        took["build"] = self._build()
        for name, seconds in took.items():
            self.seconds[name] += [seconds] if counted else []

    def _append(self) -> float:
        request = Request.at(self._clock.now, f"append {self._number}")
        work = self._repository.begin(CUSTOMER, request, AddColor(color(self._number)))
        (frosting,) = work.load((Frosting, f"appended {self.run_id} {self._number // self.interval}"))
        work.add(frosting, ColorAdded(color(self._number)))
        began = perf_counter()
        work.append()
        return perf_counter() - began

    def _send(self) -> float:
        request = Request.at(self._clock.now, f"send {self._number}")
        began = perf_counter()
        self._service.send(CUSTOMER, f"frosting:{self.run_id} {self.interval}", AddColor(color(self._number)), request)
        return perf_counter() - began

    def _build(self) -> float:
        policy = SnapshotPolicy(every=self.interval)
        began = perf_counter()
        built = build_snapshot(self._repository, CUSTOMER, Frosting, f"{self.run_id} {self.interval}", policy)
        seconds = perf_counter() - began
        if built is None:
            raise EslabError(f"Expected a snapshot after {self._number:,} commands, found that none was due.")
        return seconds
