"""Searches schedules for broken promises, and shrinks the first one that breaks a promise."""

import gc
import signal
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import repeat
from time import monotonic

from eslab.faults.checker import Violation, violations
from eslab.faults.choices import Choices, Place
from eslab.faults.history import History
from eslab.faults.simulation.story import ALL, Story, Topologies
from eslab.faults.simulation.variants import broken

SHARE = 200  # seeds that one process searches before it tells what it met
MUST_MEET = ("retries overlapped", "snapshots built", "rotations", "cuts", "pauses", "kills", "hits of a cache")


@dataclass
class Outcome:
    """One schedule: its choices, its history, and what is wrong with it."""

    choices: dict[Place, int]
    history: History
    violations: list[Violation]
    met: dict[str, int]


@dataclass
class Search:
    """What a search met, how many schedules broke each rule, and the seed of the first that did."""

    schedules: int = 0
    met: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)
    ended: bool = False  # by itself: nobody interrupted it

    def add(self, other: "Search") -> None:
        """Add what another search found."""
        self.schedules += other.schedules
        self.met.update(other.met)
        self.broken.update(other.broken)
        for rule, seed in other.first.items():
            self.first[rule] = min(seed, self.first.get(rule, seed))

    @property
    def never_met(self) -> list[str]:
        """What must be met, and was not: nothing is proved of it."""
        return [what for what in MUST_MEET if not self.met[what]]


def run(choices: Choices, topologies: Topologies = ALL) -> Outcome:
    """Run one schedule and judge it."""
    story = Story(choices, topologies)
    history = story.run()
    return Outcome(dict(choices.made), history, violations(history.operations), story.world.met)


def search(seeds: Iterable[int], seconds: float = float("inf")) -> Search:
    """Run the schedules of these seeds, as far as the time goes."""
    result = Search()
    end = monotonic() + seconds
    with rare_collections():
        for seed in seeds:
            if monotonic() > end:
                break
            outcome = run(Choices(seed))
            rules = {violation.rule for violation in outcome.violations}
            met = Counter(dict.fromkeys(outcome.met, 1))
            result.add(Search(1, met, Counter(dict.fromkeys(rules, 1)), dict.fromkeys(rules, seed)))
    return result


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for garbage rarely, and not among what is imported: the collector would take a sixth of a search."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def search_together(seeds: range, seconds: float, jobs: int, variant: str = "") -> Generator[Search, None, None]:
    """Search in several processes at once, with a broken core if one is named; give what each share of the seeds met.

    Whoever stops early closes the generator: the shares in progress end, a second or two later, and the rest is left.
    """
    end = monotonic() + seconds
    shares = [seeds[start : start + SHARE] for start in range(0, len(seeds), SHARE)]
    pool = ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        yield from pool.map(_search, shares, repeat(end), repeat(variant))
    finally:
        pool.shutdown(cancel_futures=True)


def _search(seeds: range, end: float, variant: str) -> Search:
    with broken(variant) if variant else nullcontext():
        return search(seeds, end - monotonic())


def shrink(outcome: Outcome, rule: str) -> Outcome:
    """A schedule with as few choices as possible that still breaks the rule: each choice left is needed."""

    def still(given: dict[Place, int]) -> Outcome | None:
        tried = run(Choices("", given))
        return tried if any(violation.rule == rule for violation in tried.violations) else None

    best = outcome
    improved = True
    while improved:
        improved = False
        for smaller in _simpler(best.choices):
            found = still(smaller)
            if found and _size(found) < _size(best):
                best = found
                improved = True
                break
    return best


def _size(outcome: Outcome) -> tuple[int, int]:
    return len(outcome.choices), sum(outcome.choices.values())


def _simpler(choices: dict[Place, int]) -> Iterable[dict[Place, int]]:
    """The same choices without those of one process, without a half of them, without one of them; then smaller ones."""
    for stream in sorted({stream for stream, _ in choices}):
        yield {place: value for place, value in choices.items() if place[0] != stream}
    places = sorted(choices)
    size = len(places) // 2
    while size:
        for start in range(0, len(places), size):
            left = {*places[start : start + size]}
            yield {place: value for place, value in choices.items() if place not in left}
        size //= 2
    for place in places:
        if choices[place] > 1:
            yield {**choices, place: choices[place] - 1}
