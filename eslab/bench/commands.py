"""The cost of whole commands: the download service on a workload, beside what it sends and the least that is needed.

    service    `DownloadService`: look-up, hydration, rules, decision, append, read tables
    baseline   the very statements that the service sent for these commands, sent again in the same order and in as many
               waits, answers dropped: bare sqlite3 at the same durability, or the bare Cassandra driver
    least      what any design needs for them: one SELECT of the payloads of a command's aggregates and, if it needed
               events, one batch or transaction with their rows alone, neither directory nor read rows

Customers are spread over the workers; the commands of one customer are sent one after the other. Each run has customers
of its own who live the same lives, so that every run meets the same rows.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import chain
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from eslab import EventStore, ManualClock, Repository, open_store
from eslab.bench.baselines import Step, baseline_settings
from eslab.bench.measure import Report, Row, p99, small_heap, versions_of
from eslab.bench.play import AGGREGATES, live, states
from eslab.bench.replay import Call, Recorder, Replay
from eslab.bench.targets import Target, durabilities, target
from eslab.domains.downloads import workload
from eslab.domains.downloads.read_tables import READ_TABLES
from eslab.errors import EslabError

CUSTOMERS = 100
DAYS = 120
SEED = 7
RUNS = 3
WORKERS = (1, 8, 32)
LAYOUTS = [table.layout for table in READ_TABLES]
NOTE = (
    "Made-up lives on one machine whose cores store and service share: this can't show a network, replicas, real "
    "customers, or rules of your own."
)
Life = Sequence[workload.Step]
Work = TypeVar("Work")


class Run(NamedTuple):
    """One run of one side: the seconds of each command, and how many commands it handled in a second."""

    seconds: list[float]
    rate: float


def measure_commands(
    store: str = "sqlite",
    customers: int = CUSTOMERS,
    days: int = DAYS,
    workers: Sequence[int] = WORKERS,
    runs: int = RUNS,
    seed: int = SEED,
) -> Report:
    """Measure whole commands with each number of workers, service and baselines in turn; a first run isn't counted.

    Raises `EslabError` if a baseline leaves another state than the service, or runs at another durability.
    """
    taste = workload.Taste(seed)
    lives: list[Life] = [workload.life_of(name, days, seed, taste) for name in workload.customers(customers)]
    rows = []
    versions = versions_of()
    for durability in durabilities(store):
        with target(store, durability) as place:
            versions |= place.versions
            rows += _measure_durability(place, durability, lives, workers, runs)
    return Report(rows, NOTE, versions)


def _measure_durability(
    place: Target, durability: str, lives: list[Life], workers: Sequence[int], runs: int
) -> list[Row]:
    rows = []
    with ExitStack() as stack:
        store = stack.enter_context(closing(place.open()))
        store.make_read_tables(LAYOUTS)
        replays = place.replays(durability, LAYOUTS)
        settings = {}
        for replay in replays.values():
            stack.enter_context(closing(replay))
            settings = baseline_settings(replay, place.expected(durability))
        for number in workers:
            with small_heap():
                sides = _run_in_turn(store, replays, lives, f"{durability} {number}", number, runs)
            columns = {"workers": number, "commands": sum(map(len, lives)), **settings}
            rows += [_row(name, place.scheme, timed, columns) for name, timed in sides.items()]
    return rows


def _run_in_turn(
    store: EventStore, replays: Mapping[str, Replay], lives: Sequence[Life], prefix: str, workers: int, runs: int
) -> dict[str, list[Run]]:
    """The runs of service and baselines, after one run that isn't counted."""
    sides: dict[str, list[Run]] = {name: [] for name in ("service", *replays)}
    for run in range(runs + 1):
        served = _renamed(lives, f"service {prefix} {run}")
        sides["service"].append(_run(served, workers, lambda life: live(store, life).seconds))
        for name, replay in replays.items():
            replayed = _renamed(lives, f"{name} {prefix} {run}")
            sides[name].append(_run(_prepared(replay, replayed), workers, _send))
            _check_states(store, served, replay, replayed)
    return {name: timed[1:] for name, timed in sides.items()}


def _row(name: str, store: str, runs: Sequence[Run], columns: Mapping[str, Any]) -> Row:
    """p50 and p99 over the commands of all runs, and the median rate of the runs."""
    seconds = list(chain.from_iterable(run.seconds for run in runs))
    spread = (min(seconds), max(seconds), len(runs))
    rate = median(run.rate for run in runs)
    return Row(name, store, 1, median(seconds), rate, *spread, {"p99_s": p99(seconds), **columns})


def _run(lives: Sequence[Work], workers: int, work: Callable[[Work], list[float]]) -> Run:
    gc.collect()
    with ThreadPoolExecutor(workers) as pool:
        began = perf_counter()
        seconds = list(chain.from_iterable(pool.map(work, lives)))
        return Run(seconds, len(seconds) / (perf_counter() - began))


def _prepared(replay: Replay, lives: Sequence[Life]) -> list[list[Step]]:
    """The steps of each customer's commands, one for each command."""
    with closing(open_store("memory:")) as store:
        return [[replay.prepare(calls) for calls in _recorded(store, life)] for life in lives]


def _recorded(store: EventStore, life: Life) -> list[list[Call]]:
    """The calls of each command, as the service makes them to a store in memory."""
    recorder: Any = Recorder(store)
    calls: list[list[Call]] = []
    live(recorder, life, lambda: calls.append(recorder.take()))
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


def _check_states(store: EventStore, served: Sequence[Life], replay: Replay, replayed: Sequence[Life]) -> None:
    """Refuse a baseline that left other states than the service: it did other work."""
    with closing(open_store(replay.url)) as other:
        for life, same_life in zip(served, replayed, strict=True):
            if life and not _same_states(store, life[0].customer, other, same_life[0].customer):
                raise EslabError(f"Expected the baseline to leave the states of {life[0].customer} too, got others.")


def _same_states(store: EventStore, customer: str, other: EventStore, twin: str) -> bool:
    """Are the aggregates of a customer the same in another store? It may have no directory that lists them."""
    repository = Repository(other, ManualClock(workload.BEGAN))
    return all(
        repository.load(twin, kind, key) == state
        for kind, (_, found) in zip(AGGREGATES, states(store, customer), strict=True)
        for key, state in found
    )
