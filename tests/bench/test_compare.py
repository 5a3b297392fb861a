"""`eslab bench compare` matches rows by what was measured, and says what makes ratios worth less."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from eslab import InvalidInput
from eslab.bench.cli import app
from eslab.bench.compare import Comparison, Figures, label
from eslab.bench.compare_table import show_comparison

MACHINE = {"cpu": "quick", "cores": 2}
ROW = {"measure": "hydrate", "store": "sqlite", "events": 10, "interval": 5, "temperature": "warm"}
FIGURES = {"median_s": 0.002, "p99_s": 0.004, "waits": 1, "runs": 9}


def figures(folder: Path, name: str, *rows: dict[str, Any], machine: Any = None, versions: Any = None) -> Figures:
    """A file of figures, read."""
    file = folder / name
    file.write_text(json.dumps({"machine": machine or MACHINE, "versions": versions or {}, "rows": rows}))
    return Figures.read(file)


def shown(before: Figures, after: Figures) -> str:
    """A comparison, as the terminal shows it."""
    terminal = Console(file=StringIO(), width=160)
    show_comparison(Comparison(before, after), terminal)
    return terminal.file.getvalue()


def test_rows_of_the_same_measure_are_compared(tmp_path: Path) -> None:
    """The second in parts of the first, whatever else the files hold and in whatever order."""
    other = {**ROW, "temperature": "cold", **FIGURES}
    before = figures(tmp_path, "a", {**ROW, **FIGURES}, other)
    after = figures(tmp_path, "b", {**ROW, "median_s": 0.001, "p99_s": 0.008, "waits": 2, "runs": 5})
    both = Comparison(before, after)
    (key,) = both.both
    assert (both.ratio(key, "median_s"), both.ratio(key, "p99_s"), both.ratio(key, "memory")) == (0.5, 2.0, None)
    assert [*both.counts(key)] == ["waits 1 to 2"]
    assert [label(it) for it in both.only_in(before)] == ["hydrate cold, events=10, interval=5, store=sqlite"]
    assert both.only_in(after) == []


@pytest.mark.parametrize("column", ["measure", "store", "events", "interval", "temperature", "synchronous"])
def test_what_differs_in_anything_but_its_figures_is_another_row(tmp_path: Path, column: str) -> None:
    """A column that is unknown today counts too."""
    before = figures(tmp_path, "a", {**ROW, **FIGURES})
    after = figures(tmp_path, "b", {**ROW, **FIGURES, column: "another"})
    assert Comparison(before, after).both == []


def test_the_comparison_is_printed(tmp_path: Path) -> None:
    """What all rows have in common stands above, what only one file has below."""
    rows = [{**ROW, "temperature": it, **FIGURES} for it in ("cold", "warm")]
    printed = shown(figures(tmp_path, "a", *rows), figures(tmp_path, "b", *rows, {**ROW, "measure": "live", **FIGURES}))
    assert "after / before, events=10, interval=5, store=sqlite" in printed
    assert "hydrate warm  2.0 ms  2.0 ms    1.00  1.00" in printed
    assert f"Only in {tmp_path}/b: live warm, events=10, interval=5, store=sqlite" in printed
    assert "Warning" not in printed


def test_other_machines_and_versions_are_named(tmp_path: Path) -> None:
    """With both values: ratios of two machines are no ratios of two programs."""
    before = figures(tmp_path, "a", machine=MACHINE, versions={"eslab": "1", "old": "2"})
    after = figures(tmp_path, "b", machine={**MACHINE, "cpu": "slow"}, versions={"eslab": "2"})
    assert [*Comparison(before, after).warnings()] == [
        "machine differ in cpu: quick and slow",
        "versions differ in eslab: 1 and 2",
        "versions differ in old: 2 and none",
    ]
    assert "Warning: machine differ in cpu" in shown(before, after)


def test_files_of_other_commands_have_no_row_in_common(tmp_path: Path) -> None:
    """That is said, and no error."""
    before = figures(tmp_path, "a", {"scenario": "repeat", "store": "sqlite", "reads": 1})
    printed = shown(before, figures(tmp_path, "b", {**ROW, **FIGURES}))
    assert "No row is in both files." in printed
    assert "Only in" in printed


def test_text_from_a_file_is_not_obeyed(tmp_path: Path) -> None:
    """Neither rich's markup nor escape codes."""
    before = figures(tmp_path, "a", {**ROW, "store": "[red]\x1b[2J", **FIGURES})
    assert "store=[red]\\x1b[2J" in shown(before, before)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '{"rows": []}', '{"machine": {}, "versions": {}, "rows": [{"store": "x"}]}',
             '{"machine": {}, "versions": {}, "rows": [7]}', '{"machine": 1, "versions": {}, "rows": []}',
             '{"machine": {}, "versions": {}, "rows": [{"measure": ["a"]}]}'],
)  # fmt: skip
def test_a_file_without_figures_is_refused(tmp_path: Path, text: str) -> None:
    """By its name."""
    (tmp_path / "f").write_text(text)
    with pytest.raises(InvalidInput, match=f"Expected the JSON of a command of eslab bench in {tmp_path}/f"):
        Figures.read(tmp_path / "f")


def test_a_row_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Nobody knows which one counts."""
    with pytest.raises(InvalidInput, match=r"Expected each row once in .*, found hydrate warm, .* twice"):
        figures(tmp_path, "a", {**ROW, **FIGURES}, {**ROW, "median_s": 1})


COMMANDS = {
    "hydrate": "hydrate --store memory --events 10 --interval off 5 --runs 1",
    "snapshots": "snapshots --store memory --interval 2 --runs 1",
    "append": "append --store memory --appends 60",
    "commands": "commands --store memory --customers 2 --days 9 --workers 1 2 --runs 1",
    "waits": "waits --store memory",
    "serializer": "serializer --runs 1",
    "encryption": "encryption --store memory --events 20 --runs 1",
    "import": "import --runs 1",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_figures_of_every_command_can_be_compared(tmp_path: Path, command: str) -> None:
    """With those of a second run; the exit code is 0."""
    files = [str(tmp_path / name) for name in "ab"]
    for file in files:
        assert CliRunner().invoke(app, [*command.split(), "--json", file], catch_exceptions=False).exit_code == 0
    done = CliRunner().invoke(app, ["compare", *files], catch_exceptions=False)
    assert done.exit_code == 0
    assert "after / before" in done.output
    assert "Only in" not in done.output


def test_all_commands_are_compared() -> None:
    """A new one that writes JSON belongs into the list above; those that start clusters are tested by their rows."""
    names = {it.name or it.callback.__name__ for it in app.registered_commands if it.callback}
    assert names - {"compare", "lock", "speculation"} == {*COMMANDS}
