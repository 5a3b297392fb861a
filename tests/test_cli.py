"""The command starts quickly, says what is wrong in words, and shows no traceback unless asked."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from eslab import cli
from eslab.errors import StoreUnavailable


def eslab(*args: str):
    """Call the command in this process."""
    return CliRunner().invoke(cli.app, list(args))


def modules_after(statement: str) -> set[str]:
    """What is imported once a fresh interpreter has run this."""
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split())


def test_import_eslab_stays_small():
    """The core brings neither the command line nor data frames, charts or widgets."""
    heavy = {"pandas", "typer", "rich", "altair", "ipywidgets", "IPython", "cassandra", "papermill", "eslab.lab"}
    assert modules_after("import eslab") & heavy == set()


def test_the_command_line_starts_without_the_lab():
    """Its parts are imported when they are called."""
    heavy = {"pandas", "altair", "papermill", "nbconvert", "cassandra", "eslab.lab", "eslab.bench", "eslab.cluster"}
    assert modules_after("import eslab.cli") & heavy == set()


def test_version():
    """One line."""
    assert eslab("--version").output == f"eslab {version('eslab')}\n"


def test_parts_are_listed():
    """With what they are for, installed or not."""
    output = eslab("--help").output
    for name in ("run", "bench", "cluster"):
        assert f" {name} " in output


def test_an_error_is_a_message():
    """Exit code 1, and nothing else on the screen."""
    done = eslab("run", "nowhere")
    assert done.exit_code == 1
    assert done.stderr == ("Expected a notebook or a folder with notebooks at nowhere, found none. Check the path.\n")


def test_a_traceback_is_shown_when_asked_for():
    """Before the message."""
    done = eslab("--traceback", "run", "nowhere")
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("Check the path.\n")


def test_parameters_need_a_value():
    """Said before anything is looked at."""
    assert "Expected -p NAME=VALUE, such as -p rounds=3, got 'rounds'." in eslab("run", "-p", "rounds").stderr


def test_wrong_usage_is_left_to_typer():
    """It knows best how to show it; exit code 2."""
    assert eslab("run", "--sede", "3").exit_code == 2


@pytest.fixture
def part(monkeypatch):
    """Let `cluster` be the module of this name."""
    return lambda module: monkeypatch.setitem(cli.COMMANDS, "cluster", cli.COMMANDS["cluster"]._replace(module=module))


def test_a_missing_extra_is_named_with_its_cure(part):
    """Whatever comes behind the command."""
    part("a_driver_that_is_not_here")
    done = eslab("cluster", "start", "--nodes", "3")
    assert done.exit_code == 1
    assert done.stderr == (
        "Expected the package 'a_driver_that_is_not_here' for `eslab cluster`, found it not installed. "
        "Run: pip install 'eslab[cassandra]'\n"
    )


def test_help_works_without_extras(part):
    """A part that can't be imported is listed all the same."""
    part("a_driver_that_is_not_here")
    assert " cluster " in eslab("--help").output


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StoreUnavailable("Expected a store at x, found none."), "Expected a store at x, found none."),
        (KeyError("x"), "KeyError: 'x'\nThis is a bug in eslab. To see where: eslab --traceback run ..."),
    ],
)
def test_our_errors_are_told_apart_from_bugs(error, message):
    """A bug says that it is one, and how to learn more."""
    assert cli._message(error, "run") == message


def test_a_failing_notebook_fails_the_command(tmp_path):
    """After reports and table; told by notebook, cell, line and error."""
    nbformat = pytest.importorskip("nbformat")
    cells = [
        nbformat.v4.new_code_cell('store: str = ""\nseed: int = 7', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("assert seed == 8, seed"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_seed.ipynb")
    good, bad = (eslab("run", str(tmp_path), "--seed", seed, "--out", str(tmp_path / "out")) for seed in ("8", "9"))
    assert good.exit_code == 0
    assert bad.exit_code == 1
    assert bad.stderr == "\n01_seed, cell 2: assert seed == 8, seed\n    AssertionError: 9\n"
    assert "failed in cell 2" in bad.stdout
    assert (tmp_path / "out" / "01_seed.html").exists()
