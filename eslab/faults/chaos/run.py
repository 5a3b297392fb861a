"""One run of chaos on a real cluster of several regions, and what came of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from eslab.bounds import TimeBounds
from eslab.clock import Clock, system_clock
from eslab.errors import OutcomeUnknown, StoreError
from eslab.faults.chaos.crowd import KEYS, Client, Histories, Services
from eslab.faults.chaos.rows import Beats, Lag, Regions
from eslab.faults.chaos.weather import OF_LINKS, Fault, Weather, forecast
from eslab.faults.checker import Violation, violations
from eslab.faults.history import Operation
from eslab.faults.tally import Tallies
from eslab.operations.read_repair import repair
from eslab.repository import Repository
from eslab.stores import open_store

if TYPE_CHECKING:
    from eslab.cluster.cluster import Cluster

KEYSPACE = "lab_chaos"
SECOND = timedelta(seconds=1)
BOUNDS = TimeBounds(
    late=25 * SECOND, early=5 * SECOND, skew=1 * SECOND, append=8 * SECOND, fold_after=36 * SECOND, grace=20 * SECOND
)
CLIENTS_PER_REGION = 3
DELIVERIES_AT_ONCE = 64
TIMEOUT = 3.0  # seconds until a service gives up on its region
HINTS_PATIENCE = 60.0  # seconds after the last fault in which hints may make the regions equal
LOOK_EVERY = 2.0  # seconds
MUST_MEET = (
    "acknowledged", "cut", "isolated", "frozen", "killed", "in flight during a cut", "answered after a retry",
    "answered in another region", "answered unknown", "decided twice", "snapshots built",
)  # fmt: skip
OnProgress = Callable[[str], object]


class Stage:
    """The time of a run, which may be stopped before its end."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began = monotonic()
        self._stopped = Event()

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return monotonic() - self._began

    def sleep_until(self, at: float) -> bool:
        """Wait for a second since the start; false when the run is over, which may be before it comes."""
        over = self._stopped.wait(max(0.0, min(at, self.seconds) - self.now))
        return not over and at < self.seconds

    def stop(self) -> None:
        """End the run now."""
        self._stopped.set()


class Convergence(NamedTuple):
    """How the regions became equal after the last fault."""

    missing: Mapping[str, int]  # commits that each region lacked at first
    left: Mapping[str, int]  # those that hints had not brought
    hints: float | None  # seconds until hints had made the regions equal; None if they did not
    repair: float | None  # seconds that `eslab repair` took; None if it was not needed
    rows: int = 0  # that the repair read
    after: Mapping[str, int] = field(default_factory=dict)  # what was missing after it


@dataclass
class Chaos:
    """A run: what was broken, what the clients were told, and whether a promise was broken."""

    seed: int
    seconds: float
    faults: list[Fault]
    operations: list[Operation]
    lags: list[Lag]
    convergence: Convergence
    violations: list[Violation]

    @property
    def met(self) -> dict[str, int]:
        """How often each thing happened that a run is there for."""
        requests = _by_request(self.operations)
        told = {number: [it for it in tries if it.answer] for number, tries in requests.items()}
        return {
            "deliveries": sum(map(len, requests.values())),
            "requests": len(requests),
            "acknowledged": sum(any(it.accepted for it in answers) for answers in told.values()),
            "rejected": sum(bool(answers) and not any(it.accepted for it in answers) for answers in told.values()),
            "answered after a retry": sum(bool(told[it]) and len(tries) > 1 for it, tries in requests.items()),
            "answered in another region": sum(
                any(answer.region != tries[0].region for answer in told[it]) for it, tries in requests.items()
            ),
            "answered unknown": sum(isinstance(it.error, OutcomeUnknown) for it in self.operations),
            "unavailable": sum(isinstance(it.error, StoreError) for it in self.operations if it.what == "count"),
            "decided twice": sum(
                sum(it.accepted and not it.repeated for it in answers) > 1 for answers in told.values()
            ),
            "in flight during a cut": sum(
                it.began < fault.at < (it.ended or self.seconds)
                for fault in self.faults
                if fault.kind in OF_LINKS
                for it in self.operations
                if it.what == "count"
            ),
            "snapshots built": sum(it.what == "build" and bool(it.answer) for it in self.operations),
            **Counter(fault.kind for fault in self.faults),
        }

    @property
    def never_met(self) -> list[str]:
        """What a run must meet, and this one did not: nothing is proved of it."""
        met = self.met
        return [what for what in MUST_MEET if not met.get(what)]


def run(
    cluster: "Cluster",
    seconds: float,
    seed: int,
    on_progress: OnProgress = lambda text: None,
    clock: Clock = system_clock,
    clients: int = CLIENTS_PER_REGION,
) -> Chaos:
    """Send requests to all regions of a cluster for some time while it is broken and mended; then judge.

    Writes to a keyspace of its own, `lab_chaos`, which must be empty. Ctrl-C ends the load early; what was broken is
    mended all the same.
    """
    with ExitStack() as stack:
        services = {region: stack.enter_context(_service(cluster, region, clock)) for region in cluster.regions}
        stage = Stage(seconds)
        histories = Histories(stage)
        recorded = Services(services, histories)
        weather = Weather(cluster, forecast(seed, seconds, list(services)), stage)
        beats = Beats(services, clock, stage)
        _load(stage, recorded, weather, beats, clock, seed, clients, on_progress)
        lasted = min(stage.now, seconds)
        cluster.wait()
        with Regions.of(cluster, KEYSPACE) as regions:  # new sessions, which know of no node that was down
            convergence = _converge(regions, services, clock, on_progress)
        on_progress("reading all states in every region")
        found = _judged(recorded)
    operations = histories.operations()
    return Chaos(seed, lasted, weather.faults, operations, beats.lags, convergence, found)


@contextmanager
def _service(cluster: "Cluster", region: str, clock: Clock) -> Iterator[Tallies]:
    with closing(open_store(f"{cluster.url(KEYSPACE, region)}&timeout={TIMEOUT:g}")) as store:
        yield Tallies(Repository(store, clock, BOUNDS))


def _load(
    stage: Stage, services: Services, weather: Weather, beats: Beats, clock: Clock, seed: int, clients: int,
    on_progress: OnProgress,
) -> None:  # fmt: skip
    """Let clients, builders and beats run under the weather until the stage is over; returns when all is mended."""
    with ThreadPoolExecutor(DELIVERIES_AT_ONCE) as pool:
        crowd = [
            Client(f"{region} {number}", region, services, clock, seed, pool)
            for region in services.of
            for number in range(clients)
        ]
        works = [
            *((client.live, stage) for client in crowd),
            *((beats.beat, region) for region in services.of),
            *((beats.watch, region) for region in services.of),
            (_keep, services, stage, seed),
        ]
        threads = [Thread(target=work, args=(*about, stage.sleep_until), daemon=True) for work, *about in works]
        for thread in threads:
            thread.start()
        weather.begin()
        try:
            with suppress(KeyboardInterrupt):
                while stage.sleep_until(stage.now + LOOK_EVERY):
                    acknowledged = sum(it.what == "count" and it.accepted for it in services.histories.operations())
                    on_progress(f"{stage.now:4.0f} s, {acknowledged:,} acknowledged, {len(weather.faults)} faults")
        finally:
            stage.stop()
            for thread in threads:
                thread.join()
            weather.end()


def _keep(services: Services, stage: Stage, seed: int, sleep_until: Callable[[float], bool]) -> None:
    """Build snapshots of customers who were there some time ago."""
    random = Random(f"{seed} keeper")  # noqa: S311 - no secret
    while sleep_until(stage.now + 0.5):
        before = stage.now - BOUNDS.fold_after / SECOND
        old = [name for name, it in list(services.histories.of.items()) if it.operations[0].began < before]
        if old:
            services.build(random.choice(old), random.choice([*services.of]), "keeper", random.choice(KEYS[1]))


def _converge(regions: Regions, services: Mapping[str, Tallies], clock: Clock, on_progress: OnProgress) -> Convergence:
    """Wait for hints, then repair if they were not enough."""
    stage = Stage(HINTS_PATIENCE)
    missing = left = regions.missing()
    while any(left.values()) and stage.sleep_until(stage.now + LOOK_EVERY):
        on_progress(f"waiting for hints: {stage.now:.0f} s, missing {_shown(left)}")
        left = regions.missing()
    if not any(left.values()):
        return Convergence(missing, left, stage.now, None)
    on_progress(f"repairing: hints left {_shown(left)}")
    began = stage.now
    walked = repair(next(iter(services.values())).repository.store, clock)
    return Convergence(missing, left, None, stage.now - began, walked.rows, regions.missing())


def _judged(services: Services) -> list[Violation]:
    """All violations: each customer's history, with their states in every region at the end."""
    found: list[Violation] = []
    for customer, history in list(services.histories.of.items()):
        for region in services.of:
            services.load(customer, region, "end", final=True)
        found.extend(violations(history.operations))
    return found


def _by_request(operations: Sequence[Operation]) -> dict[object, list[Operation]]:
    """The deliveries of each request, in the order in which they were sent."""
    requests: dict[object, list[Operation]] = {}
    for operation in operations:
        if operation.what == "count" and operation.request:
            requests.setdefault(operation.request.id, []).append(operation)
    return requests


def _shown(missing: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} in {region}" for region, number in missing.items())
