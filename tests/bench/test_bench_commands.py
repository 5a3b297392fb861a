"""`eslab bench` accepts the command lines of its documentation and writes JSON for scripts; no test asserts a speed."""

import json
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab.bench.cli import app
from eslab.bench.options import repeat_option
from eslab.cli import app as eslab_app


def run(*args: str) -> tuple[str, int]:
    result = CliRunner().invoke(app, list(args), catch_exceptions=False)
    return result.output, result.exit_code


def rows(file: Path) -> list[dict[str, Any]]:
    report = json.loads(file.read_text())
    assert report.keys() == {"machine", "versions", "rows"}
    return report["rows"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--events 1 2 --json f", "--events 1 --events 2 --json f"),
        ("--events 1 --events 2", "--events 1 --events 2"),
        ("--store s --events 1 2 3", "--store s --events 1 --events 2 --events 3"),
        ("--events", "--events"),
        ("--events --json f", "--events --json f"),
    ],
)
def test_several_values_behind_one_option(given: str, meant: str) -> None:
    """`--events 1 2` means `--events 1 --events 2`; a value behind another option belongs to that option."""
    assert [*repeat_option("--events", given.split())] == meant.split()


def test_hydrate_writes_a_row_for_each_measure_and_length(tmp_path: Path) -> None:
    """The command line of the documentation, at tiny lengths."""
    file = tmp_path / "hydrate.json"
    args = f"hydrate --store sqlite --events 10 200 --interval off 5 --peer eventsourcing --json {file} --runs 1"
    output, code = run(*args.split())
    hydrations = ["hydrate", "hydrate"]
    names = ["baseline", "read", "decode", "peer:eventsourcing", *hydrations]
    names += ["baseline:row", "peer:eventsourcing", *hydrations, "live", "live", "build"]
    assert code == 0
    assert [(row["events"], row["measure"]) for row in rows(file)] == [(n, name) for n in (10, 200) for name in names]
    assert all(row["per_second"] > 0 and row["store"] == "sqlite" for row in rows(file))
    assert "times as fast as peer:eventsourcing" in output
    assert "times as long as baseline:row" in output
    assert "With a snapshot every 5 events and 0 behind it, 200 events take" in output
    assert "can't show" in output


def test_memory_has_no_baseline(tmp_path: Path) -> None:
    """There is no driver below the store in memory, so its rows begin with the read."""
    run("hydrate", "--store", "memory", "--events", "5", "--runs", "1", "--json", str(tmp_path / "j"))
    names = ["read", "decode", "hydrate", "hydrate"]
    assert [row["measure"] for row in rows(tmp_path / "j") if row["interval"] == 0] == names


def test_append_measures_both_durabilities(tmp_path: Path) -> None:
    """All sides append at normal and at full, and every row names its durability."""
    file = tmp_path / "append.json"
    _, code = run("append", "--peer", "eventsourcing", "--appends", "60", "--json", str(file))
    names = ["baseline", "store", "append", "command", "peer:eventsourcing", "peer-command:eventsourcing"]
    assert code == 0
    assert [(row["synchronous"], row["measure"]) for row in rows(file)] == [
        (setting, name) for setting in ("normal", "full") for name in names
    ]
    assert all(row["runs"] == 60 and row["p99_s"] >= row["median_s"] for row in rows(file))


def test_append_twice_to_a_named_file(tmp_path: Path) -> None:
    """A second run makes new requests: none is answered from the commits of the first run."""
    for _ in range(2):
        _, code = run("append", "--store", f"sqlite:///{tmp_path}/own.db", "--appends", "10")
        assert code == 0


def test_encryption_is_measured_beside_plain_events(tmp_path: Path) -> None:
    """One row for each measure, on a fresh store with a fresh key file."""
    _, code = run("encryption", "--events", "20", "--runs", "1", "--json", str(tmp_path / "j"))
    assert code == 0
    assert [row["measure"] for row in rows(tmp_path / "j")] == ["encrypt", "decrypt", "key", "hydrate", "encrypted"]


def test_import_is_measured_in_fresh_interpreters(tmp_path: Path) -> None:
    """One row for an empty interpreter, one for the import alone."""
    run("import", "--runs", "1", "--json", str(tmp_path / "j"))
    assert [row["measure"] for row in rows(tmp_path / "j")] == ["startup", "import"]


def test_an_unknown_peer_is_refused() -> None:
    """The message names the known peers."""
    result = CliRunner().invoke(app, ["hydrate", "--peer", "nobody"])
    assert "Expected a peer among eventsourcing, got 'nobody'." in str(result.exception)


def test_without_pandas_there_is_no_cost_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """All figures are there all the same, and what to install."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    output, code = run("hydrate", "--store", "memory", "--events", "5", "--interval", "off", "--runs", "1")
    assert code == 0
    assert "hydrate warm" in output
    assert "No cost model: import of pandas halted; None in sys.modules. Run: pip install 'eslab[lab]'" in output


def test_without_altair_no_chart_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is known before anything is measured, and the message says what to install."""
    monkeypatch.setitem(sys.modules, "altair", None)
    monkeypatch.delitem(sys.modules, "eslab.bench.chart", raising=False)
    done = CliRunner().invoke(eslab_app, ["bench", "hydrate", "--chart", str(tmp_path / "chart.svg")])
    assert done.exit_code == 1
    assert "Expected the package 'altair' for `eslab bench`, found it not installed." in done.output
    assert "Run: pip install 'eslab[lab]'" in done.output
    assert [*tmp_path.iterdir()] == []


def test_a_peer_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra that brings it."""
    monkeypatch.setitem(sys.modules, "eslab.bench.peer_eventsourcing", None)
    result = CliRunner().invoke(app, ["hydrate", "--events", "5", "--peer", "eventsourcing"])
    assert "Expected eventsourcing to be installed: " in str(result.exception)
    assert "run pip install 'eslab[peers]'" in str(result.exception)


def test_too_few_lengths_for_a_cost_model_are_said(tmp_path: Path) -> None:
    """Beside all figures."""
    output, code = run("hydrate", "--store", "memory", "--events", "5", "--interval", "off", "--runs", "1")
    assert code == 0
    assert "No cost model: Expected hydrations that replay at least 3 different numbers of events, got 1: 5." in output


def test_the_builder_is_measured_beside_the_writes_before_it(tmp_path: Path) -> None:
    """At each interval and durability: what share of the work it takes."""
    file = tmp_path / "snapshots.json"
    output, code = run("snapshots", "--interval", "2", "3", "--runs", "2", "--json", str(file))
    names = ["appends", "commands", "build"]
    assert code == 0
    assert [(row["synchronous"], row["interval"], row["measure"]) for row in rows(file)] == [
        (setting, interval, name) for setting in ("normal", "full") for interval in (2, 3) for name in names
    ]
    assert all(row["runs"] == 2 and row["events"] == row["interval"] for row in rows(file))
    assert "of the time of 3 appends." in output
    assert "of the time of 3 commands." in output


def test_the_cli_imports_no_measured_code() -> None:
    """`eslab --help` stays quick: the measured code and rich tables are imported when a command runs."""
    code = "import sys, eslab.bench.cli; print([n for n in sys.modules if n.startswith('eslab.bench')])"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    names = ["eslab.bench", *(f"eslab.bench.{name}" for name in ("cli", "hydrate_cli", "options", "regions_cli"))]
    assert sorted(literal_eval(imported)) == names
