"""What whole commands cost: the download service on a workload, beside the very same statements by the bare driver.

    service   `DownloadService`: look-up, hydration, rules, decision, append, read tables
    baseline     what the service asked of its store for these commands, sent again in the same order and as many waits,
              answers dropped: bare sqlite3 at the same durability, or the bare Cassandra driver

Customers are spread over the workers; one customer's commands come one after the other. Each run has customers of its
own who live the same lives, so every run finds the rows that the run before found.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any

from eslab import EventStore, open_store
from eslab.bench.baselines import Step, check_settings
from eslab.bench.measure import Report, Row, p99, versions_of
from eslab.bench.play import live, states
from eslab.bench.replay import Call, Recorder, Replay, SqliteReplay
from eslab.bench.targets import Target, durabilities, target
from eslab.domains.downloads import workload
from eslab.domains.downloads.read_tables import READ_TABLES
from eslab.errors import EslabError

CUSTOMERS, DAYS, SEED, RUNS = 100, 120, 7, 3
WORKERS = (1, 8, 32)
NOTE = (
    "Made-up lives on one machine whose cores store and service share: this can't show a network, replicas, real "
    "customers, or rules of your own."
)
Life = Sequence[workload.Step]


@dataclass
class Timed:
    """The commands of all runs of one side: the seconds of each command, and commands a second of each run."""

    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def row(self, name: str, store: str, settings: Mapping[str, Any]) -> Row:
        """p50, p99 and the median rate."""
        spread = (min(self.seconds), max(self.seconds), len(self.rates))
        extra = {"p99_s": p99(self.seconds), **settings}
        return Row(name, store, 1, median(self.seconds), median(self.rates), *spread, extra)


def measure_commands(
    store: str = "sqlite",
    customers: int = CUSTOMERS,
    days: int = DAYS,
    workers: Sequence[int] = WORKERS,
    runs: int = RUNS,
    seed: int = SEED,
) -> Report:
    """Measure whole commands with each number of workers, service and baseline in turn, after one warm-up run.

    Raises `EslabError` if the baseline leaves another state than the service, or runs at another durability.
    """
    taste = workload.Taste(seed)
    lives: list[Life] = [workload.life_of(name, days, seed, taste) for name in workload.customers(customers)]
    rows, versions = [], versions_of()
    for durability in durabilities(store):
        with target(store, durability) as place:
            versions |= place.versions
            rows += _measure_setting(place, durability, lives, workers, runs)
    return Report(rows, NOTE, versions)


def _measure_setting(place: Target, durability: str, lives: list[Life], workers: Sequence[int], runs: int) -> list[Row]:
    rows = []
    with ExitStack() as stack:
        store = stack.enter_context(closing(place.open()))
        store.make_read_tables([table.layout for table in READ_TABLES])
        bare = _replay(place, durability)
        settings = stack.enter_context(closing(bare)).settings() if bare else {}
        if bare:
            check_settings("baseline", settings, {**settings, **place.expected(durability)})
        for number in workers:
            timed = {"service": Timed(), "baseline": Timed()}
            for run in range(runs + 1):
                if run == 1:  # what was before is not counted
                    timed = {"service": Timed(), "baseline": Timed()}
                ours, theirs = (_renamed(lives, f"{side} {durability} {number} {run}") for side in timed)
                _time(timed["service"], ours, number, lambda life: live(store, life).seconds)
                if bare:
                    _time(timed["baseline"], _prepared(bare, theirs), number, _send)
                    _check(store, ours, bare, theirs)
            columns = {"workers": number, "commands": sum(map(len, lives)), **settings}
            rows += [side.row(name, place.scheme, columns) for name, side in timed.items() if side.rates]
    return rows


def _replay(place: Target, durability: str) -> Replay | None:
    """The baseline under a place; none in memory."""
    if place.scheme == "cassandra":
        return import_module("eslab.bench.replay_cassandra").CassandraReplay(place.url)  # the driver is an extra
    if place.scheme != "sqlite":
        return None
    with closing(place.open_beside(f"baseline-{durability}", durability)) as store:
        store.make_read_tables([table.layout for table in READ_TABLES])
        return SqliteReplay(store.path, durability or "normal")


def _time(timed: Timed, lives: Sequence[Any], workers: int, work: Callable[[Any], list[float]]) -> None:
    gc.collect()
    with ThreadPoolExecutor(workers) as pool:
        began = perf_counter()
        seconds = [each for life in pool.map(work, lives) for each in life]
        timed.rates.append(len(seconds) / (perf_counter() - began))
    timed.seconds += seconds


def _prepared(bare: Replay, lives: Sequence[Life]) -> list[list[Step]]:
    """What each customer's commands ask of a store, as bare steps."""
    with closing(open_store("memory:")) as store:
        return [[bare.prepare(calls) for calls in _recorded(store, life)] for life in lives]


def _recorded(store: EventStore, life: Life) -> list[list[Call]]:
    """The calls of each command, as the service makes them on a store in memory."""
    recorder: Any = Recorder(store)
    calls: list[list[Call]] = []
    live(recorder, life, lambda: calls.append(recorder.taken()))
    return calls


def _send(steps: Sequence[Step]) -> list[float]:
    seconds = []
    for step in steps:
        began = perf_counter()
        step()
        seconds.append(perf_counter() - began)
    return seconds


def _renamed(lives: Sequence[Life], prefix: str) -> list[Life]:
    """The same lives of other customers."""
    return [[step._replace(customer=f"{prefix} {step.customer}") for step in life] for life in lives]


def _check(store: EventStore, ours: Sequence[Life], bare: Replay, theirs: Sequence[Life]) -> None:
    """The baseline left what the service left."""
    with closing(open_store(bare.url)) as other:
        for mine, its in zip(ours, theirs, strict=True):
            if mine and states(store, mine[0].customer) != states(other, its[0].customer):
                raise EslabError(f"Expected the baseline to leave the states of {mine[0].customer} too, found others.")
