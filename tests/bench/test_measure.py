"""A figure counts only if its answer is right, its measures took turns, and its row names what was measured."""

import gc
import json
import os
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from eslab import EslabError
from eslab.bench import measure
from eslab.bench.measure import Measure, Report, Row, row, single_row, time_calls, time_in_turn, versions_of
from eslab.bench.table import show


def test_measures_take_turns() -> None:
    """Every round runs all measures once; the first round isn't counted."""
    log: list[str] = []
    seconds = time_in_turn([Measure(name, lambda name=name: log.append(name), None) for name in "ab"], runs=2)
    assert log == ["a", "b"] * 3
    assert [len(times) for times in seconds.values()] == [2, 2]


def test_a_wrong_answer_is_not_a_result() -> None:
    """A measure that gives another answer than expected ends the benchmark with an error that names it."""
    with pytest.raises(EslabError, match="Expected fast to give 3, got"):
        time_in_turn([Measure("fast", lambda: 2, 3)], runs=1)


def test_a_short_call_is_repeated() -> None:
    """A run of a short call holds several; its time is that of one."""
    log: list[int] = []
    time_in_turn([Measure("short", lambda: log.append(1), None, repeat=5)], runs=1)
    assert len(log) == 10


def test_a_row_is_the_median_and_the_spread() -> None:
    """Per second follows from the median, and the row prints as a sentence with units."""
    assert str(row("hydrate", "sqlite", 1000, [0.002, 0.001, 0.004])) == (
        "hydrate of 1,000 events on sqlite: 2.00 ms, the median of 3 from 1.00 to 4.00 ms; 500,000 a second"
    )


def test_a_single_append_has_a_p99() -> None:
    """The row of single appends holds p50 and p99, and the rate over all of them."""
    columns = single_row("append", "sqlite", [0.001] * 98 + [0.1, 0.1], synchronous="full").as_json()
    assert (columns["median_s"], columns["p99_s"], columns["synchronous"]) == (0.001, 0.1, "full")
    assert columns["per_second"] == pytest.approx(100 / 0.298)


def test_a_report_is_json_for_scripts() -> None:
    """Machine, versions and flat rows."""
    report = Report([row("baseline", "sqlite", 10, [0.5])], "A note.", versions_of("rich"))
    parsed = json.loads(report.as_json())
    assert parsed["rows"] == [
        {"measure": "baseline", "store": "sqlite", "events": 10, "median_s": 0.5, "per_second": 20.0}
        | {"min_s": 0.5, "max_s": 0.5, "runs": 1}
    ]
    assert {"cpu", "cores", "system"} == parsed["machine"].keys()
    assert {"eslab", "msgspec", "python", "rich", "sqlite"} == parsed["versions"].keys() - {"commit"}


def git(folder: Path, *arguments: str) -> None:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **who}, check=True, capture_output=True)


def test_the_commit_is_that_of_our_own_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that differ from it are marked; a checkout around an installation says nothing of it."""
    file = tmp_path / "measure.py"
    file.write_text("one")
    monkeypatch.setattr(measure, "__file__", str(file))
    assert "commit" not in versions_of()
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "somebody else's")
    assert "commit" not in versions_of()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "ours")
    commit = versions_of()["commit"]
    assert len(commit) == 12
    file.write_text("two")
    assert versions_of()["commit"] == f"{commit}+"


def test_each_call_is_timed_alone() -> None:
    """Prepared before it, checked after it; the calls of the first round aren't counted."""
    log: list[str] = []
    call = Measure("call", lambda: log.append("call"), None, repeat=2, prepare=lambda: log.append("prepare"))
    seconds = time_calls([call], runs=3, on_run=lambda run: log.append(f"round {run}"))
    assert log == [it for run in range(4) for it in (f"round {run}", *["prepare", "call"] * 2)]
    assert len(seconds["call"]) == 6
    with pytest.raises(EslabError, match="Expected fast to give 3, got"):
        time_calls([Measure("fast", lambda: 2, 3)], runs=1)


def test_the_collector_leaves_alone_what_was_there() -> None:
    """While something is timed, and no longer, whatever ends it."""
    seen = [gc.get_freeze_count()]
    with pytest.raises(EslabError):
        time_calls([Measure("wrong", lambda: seen.append(gc.get_freeze_count()), 3)], runs=1)
    seen.append(gc.get_freeze_count())
    assert [count > 0 for count in seen] == [False, True, False]


def shown(*rows: Row) -> str:
    """A report of these rows, as the terminal shows it."""
    terminal = Console(file=StringIO(), width=200)
    show(Report(rows, "a note", {}, {"cpu": "x", "cores": 2, "system": "y"}), terminal)
    return terminal.file.getvalue()


def test_a_column_without_figures_is_left_out() -> None:
    """Runs of one load have no p99; single appends have one."""
    assert "p99" not in shown(row("hydrate", "sqlite", 10, [0.1, 0.2]))
    assert "p99" in shown(single_row("append", "sqlite", [0.1, 0.2]))
