"""Searches schedules for broken promises, and shrinks the first one that breaks a promise."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import monotonic

from eslab.faults.checker import Violation, violations
from eslab.faults.choices import Choices, Place
from eslab.faults.history import History
from eslab.faults.story import ALL, Story, Topologies


@dataclass
class Outcome:
    """One schedule: its choices, its history, and what is wrong with it."""

    choices: dict[Place, int]
    history: History
    violations: list[Violation]
    met: dict[str, int]


@dataclass
class Search:
    """What a search met, and the first schedule that broke each rule."""

    schedules: int = 0
    met: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[int, Outcome]] = field(default_factory=dict)


def run(choices: Choices, topologies: Topologies = ALL) -> Outcome:
    """Run one schedule and judge it."""
    story = Story(choices, topologies)
    history = story.run()
    return Outcome(dict(choices.made), history, violations(history.operations), story.world.met)


def search(seeds: Iterable[int], seconds: float = float("inf")) -> Search:
    """Run the schedules of these seeds, as far as the time goes."""
    result = Search()
    end = monotonic() + seconds
    for seed in seeds:
        if monotonic() > end:
            break
        outcome = run(Choices(seed))
        result.schedules += 1
        result.met.update(dict.fromkeys(outcome.met, 1))
        for rule in {violation.rule for violation in outcome.violations}:
            result.broken[rule] += 1
            result.first.setdefault(rule, (seed, outcome))
    return result


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
