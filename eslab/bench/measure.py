"""Clock and medians: all measures take turns, round after round, so that noise affects all of them alike.

Outside the measured time, the garbage collector runs before each run, and every answer is checked. The collector stays
on during a run, as in a program, but leaves alone what was there before. A short call is repeated within a run.
"""

import gc
import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any

from eslab.display import quantity
from eslab.errors import EslabError

if TYPE_CHECKING:
    import pandas

RUNS = 9
# The columns that are measured; all others say what was measured.
FIGURES = (
    *("median_s", "p99_s", "min_s", "max_s", "per_second", "runs"),
    *("replayed", "bytes", "snapshot_bytes", "waits", "statements", "memory"),
    *("read_waits", "reads", "write_waits", "writes"),
    *("conflicts", "unknown", "surfaced", "tries", "answered", "happened", "acknowledged", "held", "lost", "asked_two"),
    "error",
)
IN_FRAME = {"measure": "name", "median_s": "p50", "p99_s": "p99", "min_s": "min", "max_s": "max"}


def nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Measure:
    """A call to time, its name, and the answer that it must give."""

    name: str
    call: Callable[[], object]
    expected: object
    repeat: int = 1  # calls in one run
    prepare: Callable[[], object] = nothing  # before each call, outside the measured time


@dataclass(frozen=True)
class Row:
    """The result of one measure, in seconds; prints as a sentence."""

    measure: str
    store: str
    events: int
    median_s: float
    per_second: float
    min_s: float
    max_s: float
    runs: int
    extra: Mapping[str, Any] = field(default_factory=dict)  # further columns of one benchmark

    def __str__(self) -> str:
        return (
            f"{self.label} of {quantity(self.events, 'event')} on {self.store}: {self.median_s * 1e3:,.2f} ms, "
            f"the median of {self.runs:,} from {self.min_s * 1e3:,.2f} to {self.max_s * 1e3:,.2f} ms; "
            f"{self.per_second:,.0f} a second"
        )

    @property
    def label(self) -> str:
        """The measure, and whether it is cold or warm."""
        return f"{self.measure} {self.extra.get('temperature', '')}".strip()

    def as_json(self) -> dict[str, Any]:
        """The row as a flat mapping; further columns lie beside the others."""
        columns = asdict(self)
        return columns | columns.pop("extra")


def this_machine() -> dict[str, Any]:
    """The processor and system that the figures belong to, without the machine's name."""
    return {"cpu": _cpu(), "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}"}


def versions_of(*packages: str) -> dict[str, str]:
    """The versions of eslab, msgspec and these packages, of Python and of SQLite, and the commit of a git checkout."""
    installed = {name: version(name) for name in ("eslab", "msgspec", *packages)}
    others = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    return {**installed, **others, **({"commit": commit} if (commit := _commit()) else {})}


@dataclass(frozen=True)
class Report:
    """All rows of one benchmark, and the machine and versions that they belong to."""

    rows: Sequence[Row]
    note: str  # what the figures can't show, in one sentence
    versions: Mapping[str, str]
    machine: Mapping[str, Any] = field(default_factory=this_machine)

    def __str__(self) -> str:
        return "\n".join((*map(str, self.rows), self.note))

    def as_json(self) -> str:
        """The report as `{"machine": ..., "versions": ..., "rows": [{"measure": ..., "store": ..., ...}]}`."""
        rows = [row.as_json() for row in self.rows]
        return json.dumps({"machine": self.machine, "versions": self.versions, "rows": rows}, indent=2)

    def frame(self) -> "pandas.DataFrame":
        """The rows as a data frame: the columns of the JSON, times in seconds as name, p50, p99, min and max.

        Needs pandas, from the extra `lab`.
        """
        import pandas

        frame = pandas.DataFrame([row.as_json() for row in self.rows])
        return frame.rename(columns=IN_FRAME)


def time_in_turn(measures: Sequence[Measure], runs: int) -> dict[str, list[float]]:
    """Time each measure once in each round, after one round that isn't counted; returns seconds by name.

    Raises `EslabError` if a call doesn't give the expected answer: a fast wrong answer is not a result.
    """
    seconds: dict[str, list[float]] = {measure.name: [] for measure in measures}
    with small_heap():
        for _ in range(runs + 1):
            for measure in measures:
                seconds[measure.name].append(_time(measure))
    return {name: runs[1:] for name, runs in seconds.items()}


def time_calls(
    measures: Sequence[Measure], runs: int, on_run: Callable[[int], object] = lambda run: None
) -> dict[str, list[float]]:
    """Time each call alone, all measures in turn, after one round that isn't counted; returns seconds by name.

    Calls `on_run` before each round with its number, from 0 on. Raises `EslabError` as `time_in_turn` does.
    """
    seconds: dict[str, list[float]] = {measure.name: [] for measure in measures}
    with small_heap():
        for run in range(runs + 1):
            on_run(run)
            for measure in measures:
                gc.collect()
                timed = [_time_call(measure) for _ in range(measure.repeat)]
                seconds[measure.name] += timed if run else []
    return seconds


@contextmanager
def small_heap() -> Generator[None, None, None]:
    """Let the garbage collector leave alone what is there already.

    Else a figure would depend on what else the process has loaded, and each run in a notebook would begin with a
    collection of a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _time_call(measure: Measure) -> float:
    """The seconds of one call, prepared before and checked after."""
    measure.prepare()
    begin = perf_counter()
    answer = measure.call()
    seconds = perf_counter() - begin
    check(measure, [answer])
    return seconds


def check(measure: Measure, answers: Sequence[object]) -> None:
    """Refuse answers that are not the expected one."""
    if any(answer != measure.expected for answer in answers):
        raise EslabError(f"Expected {measure.name} to give {measure.expected!r}, got {answers}; this is not a result.")


def row(measure: str, store: str, events: int, seconds: Sequence[float], **extra: Any) -> Row:
    """The row of a measure that handled `events` events in each of its runs."""
    middle = median(seconds)
    return Row(measure, store, events, middle, events / middle, min(seconds), max(seconds), len(seconds), extra)


def single_row(measure: str, store: str, seconds: Sequence[float], events: int = 1, **extra: Any) -> Row:
    """The row of a measure with `events` events in a run and many runs: p50, p99, and the rate over all runs."""
    rate = events * len(seconds) / sum(seconds)
    spread = (min(seconds), max(seconds), len(seconds))
    return Row(measure, store, events, median(seconds), rate, *spread, {"p99_s": p99(seconds), **extra})


def p99(seconds: Sequence[float]) -> float:
    """The 99th percentile."""
    return quantiles(seconds, n=100, method="inclusive")[98] if len(seconds) > 1 else seconds[0]


def _time(measure: Measure) -> float:
    gc.collect()
    begin = perf_counter()
    answers = [measure.call() for _ in range(measure.repeat)]
    seconds = (perf_counter() - begin) / measure.repeat
    check(measure, answers)
    return seconds


def _commit() -> str:
    """The commit of eslab's checkout, with a + if tracked files differ from it; empty if it isn't in one."""
    here = Path(__file__).parent
    try:
        _git(here, "ls-files", "--error-unmatch", Path(__file__).name)  # a checkout around site-packages is not ours
        commit = _git(here, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()  # noqa: S603


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
