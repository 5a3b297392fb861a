"""The exercise of lesson 06 on the interval of snapshots: the sum of building and reading is least."""

from dataclasses import dataclass, replace
from math import isfinite, sqrt
from numbers import Real
from typing import Any

from hypothesis import strategies as st

from eslab.lab.answers import Answer, Undecided
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference

NEAR = 1.1  # times the least cost: no measurement is better than that
FACTOR = 100  # by which a figure is changed to see whether an answer follows


@dataclass(frozen=True)
class Load:
    """What a snapshot and an event cost in microseconds, and how often an aggregate is read for each write."""

    build: float
    event: float
    reads: float

    def cost(self, interval: float) -> float:
        """Microseconds for each write: the builder's share, and the events that its readers replay."""
        return self.build / interval + self.reads * self.event * (interval - 1) / 2

    @property
    def best(self) -> int:
        """The whole interval that costs least."""
        near = int(sqrt(2 * self.build / (self.reads * self.event)))
        return min(range(max(1, near - 1), near + 3), key=self.cost)

    @property
    def call(self) -> str:
        """The call that asks for its interval."""
        return f"best_interval(build={self.build:g}, event={self.event:g}, reads_per_write={self.reads:g})"


MIDDLE = Load(10_000, 10, 1)  # whose best interval is 45


def costs_little(answer: Answer, load: Load) -> Difference | None:
    """The interval costs no more than a tenth above the least."""
    outcome = answer(load.build, load.event, load.reads)
    given = [f"a snapshot costs {load.build:g} µs to build, an event {load.event:g} µs to replay", _often(load.reads)]
    expected = f"about {load.best:,}, which costs {_us(load.cost(load.best))} for each write"
    if not _is_number(outcome.value):
        why = outcome.advice or "Return one number: how many events lie between two snapshots."
        return Difference(given, load.call, expected, str(outcome), why)
    if outcome.value < 1:
        return Difference(given, load.call, expected, str(outcome), WHY_ONE)
    if load.cost(float(outcome.value)) <= NEAR * load.cost(load.best):
        return None
    got = f"{float(outcome.value):,.6g}, which costs {_us(load.cost(float(outcome.value)))}"
    return Difference(given, load.call, expected, got, _why(answer))


WHY_ONE = (
    "An interval is at least one event: a snapshot after each write. More is never built, however often it is read."
)
EACH = {
    "reads": "It is the same however often the account is read. Each reader replays the events since the snapshot.",
    "build": "It is the same whatever a snapshot costs to build. Each write pays its share of that.",
    "event": "It is the same whatever an event costs to replay. Without that there would be no need for snapshots.",
}


def _why(answer: Answer) -> str:
    """Which figure the answer ignores or takes the wrong way, found by asking it about others."""
    for name, words in EACH.items():
        if _asked(answer, name, FACTOR) == _asked(answer, name, 1 / FACTOR):
            return words
    if _asked(answer, "reads", FACTOR) > _asked(answer, "reads", 1 / FACTOR):
        return "It grows with the reads. The more often an account is read, the fewer events may wait for its readers."
    if _asked(answer, "event", FACTOR) > _asked(answer, "event", 1 / FACTOR):
        return "It grows when events cost more to replay. The more one costs, the fewer should wait for the readers."
    if _asked(answer, "build", FACTOR) < _asked(answer, "build", 1 / FACTOR):
        return "It shrinks when snapshots cost more. The more one costs, the more writes should share it."
    if _asked(answer, "build", FACTOR) > 50 * _asked(answer, "build", 1):
        return (
            "It follows the ratio of the costs itself. That interval only pays for a snapshot. The sum of both parts "
            "is least where they are equal: build / interval on one side, reads x event x interval / 2 on the other."
        )
    return "Add up both parts for a few intervals, and look where the sum is least."


def _asked(answer: Answer, name: str, factor: float) -> float:
    """The answer's interval for a load in the middle, of which one figure is changed by a factor."""
    load = replace(MIDDLE, **{name: getattr(MIDDLE, name) * factor})
    outcome = answer(load.build, load.event, load.reads)
    if not _is_number(outcome.value):
        raise Undecided(f"{load.call} gives {outcome}, and not a number.")
    return float(outcome.value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def _often(reads: float) -> str:
    if reads > 1:
        return f"{reads:g} reads for each write"
    return "one read for each write" if reads == 1 else f"one read for {1 / reads:,.4g} writes"


def _us(cost: float) -> str:
    return f"{cost:,.0f} µs" if cost >= 100 else f"{cost:.3g} µs"


LOADS = st.builds(
    Load,
    st.sampled_from([100, 1_000, 5_000, 20_000, 100_000]),
    st.sampled_from([1, 2, 10, 50]),
    st.sampled_from([0.01, 0.1, 0.5, 1, 3, 10, 100]),
).filter(lambda load: 10 <= load.best <= 5_000)  # below, rounding alone may cost a tenth
READ_ALL_THE_TIME = [Load(10, 50, 100), Load(100, 10, 1_000)]  # where a snapshot after each write costs least

DEF = "def best_interval(build, event, reads_per_write):\n"

interval = Exercise(
    "interval",
    "06_snapshot_vs_replay",
    "Write `best_interval(build, event, reads_per_write)`: the interval of snapshots that costs least for each write. "
    "`build` and `event` are the microseconds to build a snapshot and to replay an event. Ten per cent above the least "
    "cost is right.",
    answer="best_interval",
    rules=[
        Rule("the interval costs little", costs_little, examples=[MIDDLE, replace(MIDDLE, reads=0.01)], cases=LOADS),
        Rule("it is at least one event", costs_little, examples=READ_ALL_THE_TIME),
    ],
    hints=[
        "For each write there are two costs: `build / interval`, and `reads_per_write * event * interval / 2`, since "
        "half an interval waits on average. One falls with the interval and the other grows. Where is their sum least?",
        "Where both are equal: `interval * interval == 2 * build / (reads_per_write * event)`. And never below 1.",
    ],
    wrong=[
        Wrong(f"{DEF}    return 100", "however often the account is read"),
        Wrong(f"{DEF}    return (2 * build / event) ** 0.5", "Each reader replays the events since the snapshot."),
        Wrong(f"{DEF}    return (2000 / (reads_per_write * event)) ** 0.5", "whatever a snapshot costs to build"),
        Wrong(f"{DEF}    return (2 * build / reads_per_write) ** 0.5", "whatever an event costs to replay"),
        Wrong(f"{DEF}    return (2 * build * reads_per_write / event) ** 0.5", "It grows with the reads."),
        Wrong(f"{DEF}    return (2 * build * event / reads_per_write) ** 0.5", "It grows when events cost more"),
        Wrong(f"{DEF}    return 1e7 / (build * (reads_per_write * event) ** 0.5) + 1", "It shrinks when snapshots"),
        Wrong(f"{DEF}    return 2 * build / (reads_per_write * event)", "It follows the ratio of the costs itself."),
        Wrong(f"{DEF}    return (2 * build / (reads_per_write * event)) ** 0.5", "An interval is at least one event"),
        Wrong(f"{DEF}    print(build / event)", "Return one number"),
    ],
)
