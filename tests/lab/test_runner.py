"""Notebooks run independently, within limits; a failure is reported exactly and stops only its own notebook."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import nbformat
import psutil
import pytest
from bs4 import BeautifulSoup

from eslab.errors import InvalidInput
from eslab.lab.runner import Limits, Run, Stopped, find, run_notebooks

LONG = "import time; time.sleep(60)"


class Log:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, notebook: str, cells: int) -> None:
        self.lines.append(f"{notebook} starts, {cells} cells")

    def cell(self, notebook: str, number: int, line: str) -> None:
        self.lines.append(f"{notebook} {number} {line}")

    def ended(self, run: Run) -> None:
        self.lines.append(f"{run.name} ends")


@pytest.fixture(scope="module")
def ran(tmp_path_factory, write_notebook):
    """Three notebooks, run once for this module: one fails, one loses its kernel, one works."""
    folder = tmp_path_factory.mktemp("lessons")
    write_notebook(folder / "1_fails.ipynb", "# Prose", "", "\n# why\nwho = 'nobody'\n1 / 0", "'never reached'")
    write_notebook(folder / "2_dies.ipynb", "import os; os._exit(3)")
    write_notebook(folder / "3_works.ipynb", "from pathlib import Path\nPath(store[10:]).touch()", "(seed, rounds)")
    log = Log()
    return log, run_notebooks(find([folder]), folder / "out", log, seed=8, parameters={"rounds": "5"})


def test_a_failure_names_notebook_cell_line_and_error(ran):
    """Cells are numbered as JupyterLab numbers them: prose, empty cells and papermill's own cell don't count."""
    assert str(ran[1][0].failure) == "1_fails, cell 2: # why\n    ZeroDivisionError: division by zero"


def test_a_dead_kernel_is_a_failure_of_its_cell(ran):
    """The run doesn't hang and doesn't stop."""
    assert str(ran[1][1].failure) == "2_dies, cell 2: import os; os._exit(3)\n    DeadKernelError: Kernel died"


def test_the_others_run_on(ran):
    """A notebook after a failing one runs as if nothing had happened."""
    assert [run.failure is None for run in ran[1]] == [False, False, True]
    assert [run.cells for run in ran[1]] == [2, 2, 3]


def test_parameters_arrive(ran):
    """Seed, store and the notebook's own parameters are what the cells see."""
    executed = nbformat.read(ran[1][2].executed, as_version=4)
    assert executed.cells[-1].outputs[0].data["text/plain"] == "(8, 5)"


def test_each_notebook_has_a_fresh_store(ran, tmp_path):
    """A file per notebook beside the reports, without the content of an earlier run."""
    run = ran[1][2]
    assert run.parameters["store"] == "sqlite:///out/stores/3_works.db"
    left = run.executed.parent / "stores" / "3_works.db"
    left.write_text("left over")
    run_notebooks([run.notebook], run.executed.parent, Log())
    assert left.read_text() == ""


def test_progress_names_every_cell(ran):
    """Long notebooks show where they are."""
    assert ran[0].lines[:4] == [
        "1_fails starts, 3 cells",
        '1_fails 1 store: str = "sqlite:///lab.db"',
        "1_fails 2 # why",
        "1_fails ends",
    ]


def test_no_kernel_is_left_over(ran):
    """Not after success, not after failure, not after a kernel's death."""
    assert kernels_of(psutil.Process()) == []


def test_notebook_in_the_url_stands_for_the_name(notebook, tmp_path):
    """So that one server gives each notebook a place of its own."""
    runs = run_notebooks([notebook("a")], tmp_path / "out", Log(), store="sqlite:////nowhere/{notebook}.db")
    assert runs[0].parameters["store"] == "sqlite:////nowhere/a.db"


def test_each_notebook_has_a_keyspace_of_its_own(notebook, tmp_path):
    """Lessons begin empty, so they can't share one; the options stay."""
    runs = run_notebooks([notebook("a")], tmp_path / "out", Log(), store="cassandra://127.0.0.2/lab?dc=us")
    assert runs[0].parameters["store"] == "cassandra://127.0.0.2/lab_a?dc=us"


def test_nothing_runs_when_a_parameter_is_wrong(notebook, tmp_path):
    """All notebooks are checked before the first one starts."""
    log = Log()
    with pytest.raises(InvalidInput):
        run_notebooks([notebook("a")], tmp_path / "out", log, parameters={"round": 1})
    assert log.lines == []
    assert not (tmp_path / "out").exists()


def test_a_place_without_notebooks_is_refused(tmp_path):
    """A misspelt path is an error, not an empty run."""
    with pytest.raises(InvalidInput, match=r"^Expected a notebook or a folder with notebooks at .*lessons, found none"):
        find([tmp_path / "lessons"])


def test_two_notebooks_of_one_name_are_refused(notebook, tmp_path):
    """One report would overwrite the other."""
    with pytest.raises(InvalidInput, match="got a twice"):
        find([notebook("a"), tmp_path])


@pytest.fixture(scope="module")
def limited(tmp_path_factory, write_notebook):
    """Notebooks that exceed a limit, each in another way."""
    folder = tmp_path_factory.mktemp("limited")
    write_notebook(folder / "1_loops.ipynb", "'kept'", "while True: pass", "'never reached'")
    write_notebook(folder / "2_blocks.ipynb", "import time; time.sleep(1000)")
    write_notebook(folder / "3_refuses.ipynb", "from signal import *; signal(SIGTERM, SIG_IGN); pause()")
    return run_notebooks(find([folder]), folder / "out", Log(), limits=Limits(cell=3, notebook=60))


@pytest.mark.parametrize(
    ("index", "place"),
    [
        (0, "1_loops, cell 3: while True: pass"),
        (1, "2_blocks, cell 2: import time; time.sleep(1000)"),
        (2, "3_refuses, cell 2: from signal import *; signal(SIGTERM, SIG_IGN); pause()"),
    ],
)
def test_a_cell_that_exceeds_its_limit_fails_its_notebook(limited, index, place):
    """Whether it loops, blocks or ignores SIGTERM; the message names the cell, the limit and what to do."""
    assert str(limited[index].failure) == (
        f"{place}\n    TimeLimit: Expected the cell to end within 3 s, but it was still running, so its kernel was "
        "ended. Look for what it waits for, or allow more time: --cell-timeout SECONDS."
    )
    assert limited[index].seconds < 20


def test_a_limit_ends_one_notebook_and_keeps_its_outputs(limited):
    """The next ones run, no kernel is left, and what was printed before the limit is in the executed notebook."""
    assert [run.name for run in limited] == ["1_loops", "2_blocks", "3_refuses"]
    assert kernels_of(psutil.Process()) == []
    kept = [cell.get("outputs") for cell in nbformat.read(limited[0].executed, as_version=4).cells]
    assert [outputs[0].data["text/plain"] for outputs in kept if outputs] == ["'kept'"]


def test_a_notebook_has_a_limit_as_a_whole(notebook, tmp_path):
    """Cells that are short enough add up; the failure names the cell in which the time was over."""
    path = notebook("a", *["import time; time.sleep(2)"] * 5)
    (run,) = run_notebooks([path], tmp_path / "out", Log(), limits=Limits(cell=60, notebook=6))
    assert run.failure is not None
    assert 1 < run.failure.cell < 6
    assert run.failure.error == (
        "TimeLimit: Expected the notebook to end within 6 s, but it was still running, so its kernel was ended. "
        "Look for what it waits for, or allow more time: --timeout SECONDS."
    )


def test_a_notebook_is_reported_before_the_next_one_starts(notebook, tmp_path):
    """A crash in a later one loses nothing."""
    log = Log()
    notebooks = [notebook("a"), notebook("b")]
    with pytest.raises(ZeroDivisionError):
        run_notebooks(notebooks, tmp_path / "out", log, on_end=lambda run: log.lines.append(1 / (run.name == "a")))
    assert [line for line in log.lines if line == 1 or line.endswith(("starts, 1 cells", "ends"))] == [
        "a starts, 1 cells", "a ends", 1.0, "b starts, 1 cells", "b ends",
    ]  # fmt: skip


def test_a_kernel_that_cannot_start_fails_its_notebook(notebook, tmp_path, monkeypatch):
    """With the source as the executed notebook, so that there is something to report on."""
    monkeypatch.setattr("eslab.lab.parameters.KERNEL", "nonsense")
    (run,) = run_notebooks([notebook("a")], tmp_path / "out", Log())
    assert str(run.failure) == "a, before the first cell\n    NoSuchKernel: No such kernel named nonsense"
    assert nbformat.read(run.executed, as_version=4).cells[0].source.startswith("# About a")


@pytest.fixture
def inputs(notebook, tmp_path, monkeypatch):
    """A folder `nb` with a notebook, in the current directory."""
    (tmp_path / "nb").mkdir()
    path = notebook("nb/a")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "nb")
    (tmp_path / "hard").mkdir()
    (tmp_path / "hard" / "a.ipynb").hardlink_to(path)
    (tmp_path / "soft").mkdir()
    (tmp_path / "soft" / "a.ipynb").symlink_to(path)
    return path


@pytest.mark.parametrize("place", ["nb", "nb/a.ipynb", "link", "nb/../nb/a.ipynb", "soft/a.ipynb"])
@pytest.mark.parametrize("out", ["nb", "./nb/", "link", "nb/../link", "hard", "soft", "absolute"])
def test_outputs_over_inputs_are_refused(inputs, tmp_path, place, out):
    """Whatever leads to the same file: nothing is executed, and the notebook is as it was."""
    before = inputs.read_bytes()
    out = tmp_path / "nb" if out == "absolute" else Path(out)
    log = Log()
    with pytest.raises(InvalidInput, match=r"^Expected --out to be a folder apart from the notebooks, got .* would"):
        run_notebooks(find([Path(place)]), out, log)
    assert log.lines == []
    assert inputs.read_bytes() == before
    assert not (tmp_path / "nb" / "stores").exists()


def test_other_notebooks_are_not_replaced_either(inputs, notebook, tmp_path):
    """`eslab run solutions --out notebooks` would replace learners' notebooks; outputs of earlier runs may be."""
    (tmp_path / "solutions").mkdir()
    solution = notebook("solutions/a")
    before = inputs.read_bytes()
    with pytest.raises(InvalidInput, match=r"^Expected nb/a\.ipynb to be the output of an earlier run, .* no run"):
        run_notebooks([solution], Path("nb"), Log())
    assert inputs.read_bytes() == before
    for _ in range(2):
        assert run_notebooks([solution], Path("reports"), Log())[0].failure is None


def test_a_folder_above_the_notebooks_can_take_the_outputs(inputs):
    """As long as no output has the path of a notebook."""
    assert run_notebooks([inputs], Path(), Log())[0].failure is None
    with pytest.raises(InvalidInput, match=r"^Expected --out to be a folder apart from the notebooks, got \., where"):
        run_notebooks([Path("a.ipynb")], Path(), Log())


@contextmanager
def running(*notebooks: Path, out: Path):
    """`eslab run` in a process of its own, with its lines of progress."""
    # Whoever runs the tests in the background has them ignore SIGINT, which a child would inherit.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = [sys.executable, "-m", "eslab", "run", *map(str, notebooks), "--out", str(out)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=heed, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen, text: str) -> list[str]:
    """The lines of progress up to the one with this text, which a pipe gets at once."""
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if text in line:
            return lines
    raise AssertionError(f"Expected {text!r} in the output, got {lines} and {process.stderr.read()}")


@pytest.mark.parametrize(
    ("how", "code", "cell"),
    [(signal.SIGINT, 130, "while True: pass"), (signal.SIGTERM, 143, LONG)],
    ids=["SIGINT-busy", "SIGTERM-asleep"],
)
def test_a_stopped_run_says_where_and_keeps_what_is_done(notebook, tmp_path, how, code, cell):
    """During the second of three: kernels end, the first two have reports and are in the index."""
    notebooks = [notebook("1_done", "'first'"), notebook("2_hangs", "'second'", cell), notebook("3_waits")]
    with running(*notebooks, out=tmp_path / "out") as process:
        lines = read_until(process, "2_hangs: cell 3 of 3: ")
        kernels = kernels_of(psutil.Process(process.pid))
        os.kill(process.pid, how)
        rest, errors = process.communicate(timeout=30)
    first_line = cell.partition("\n")[0]
    assert process.returncode == code
    assert lines[:3] == [
        "1_done: 2 cells",
        '1_done: cell 1 of 2: store: str = "sqlite:///lab.db"',
        "1_done: cell 2 of 2: 'first'",
    ]
    assert "2_hangs: stopped in cell 3 after" in rest
    # A kernel may say last words of its own: that it is interrupted, or that ZeroMQ lost a pipe.
    of_the_kernel = ("[IPKernelApp]", "Assertion failed: ")
    ours = "".join(line for line in errors.splitlines(keepends=True) if not line.startswith(of_the_kernel))
    assert ours == (
        f"\n2_hangs, cell 3: {first_line}\n    Stopped by {how.name}.\n"
        f"\nStopped by {how.name} in 2_hangs in cell 3: {first_line}\n"
        "The reports up to here are written. Not started: 3_waits.\n"
    )
    assert len(kernels) == 1
    assert not any(kernel.is_running() and kernel.status() != "zombie" for kernel in kernels)
    index = (tmp_path / "out" / "index.html").read_text()
    assert [name for name in ("1_done", "2_hangs", "3_waits") if f"{name}.html" in index] == ["1_done", "2_hangs"]
    assert "✗ stopped in cell 3" in index
    page = BeautifulSoup((tmp_path / "out" / "2_hangs.html").read_text(), "html.parser")
    assert [output.text.strip() for output in page.select(".jp-OutputArea-output pre")] == ["'second'"]


def test_a_killed_run_takes_its_kernel_along_and_keeps_what_is_done(notebook, tmp_path):
    """Even kill -9 leaves no kernel behind for longer than a second or two, since it watches its parent."""
    with running(notebook("1_done"), notebook("2_hangs", LONG), out=tmp_path / "out") as process:
        read_until(process, "2_hangs: cell 2 of 2: ")
        kernels = wait_for(lambda: kernels_of(psutil.Process(process.pid)))
        process.kill()
        process.wait(20)
        assert wait_for(lambda: not any(k.is_running() and k.status() != "zombie" for k in kernels))
    assert "1_done.html" in (tmp_path / "out" / "index.html").read_text()
    assert (tmp_path / "out" / "1_done.html").exists()


def test_a_second_ctrl_c_ends_a_stubborn_kernel_at_once(notebook, tmp_path):
    """Without waiting until the kernel heeds the first."""
    stubborn = notebook("a", "from signal import *; signal(SIGTERM, SIG_IGN)", "while True: pass")
    with running(stubborn, out=tmp_path / "out") as process:
        read_until(process, "a: cell 3 of 3: ")
        (kernel,) = kernels_of(psutil.Process(process.pid))
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 130
    assert wait_for(lambda: not kernel.is_running() or kernel.status() == "zombie", seconds=1)


def test_a_signal_waits_until_a_report_is_written(notebook, tmp_path):
    """Then it stops the run, and says that no notebook was interrupted."""
    written = []

    def write(run: Run) -> None:
        signal.raise_signal(signal.SIGINT)
        written.append(run.name)

    with pytest.raises(Stopped) as stopped:
        run_notebooks([notebook("a"), notebook("b")], tmp_path / "out", Log(), on_end=write)
    assert written == ["a"]
    assert str(stopped.value) == "Stopped by SIGINT\nThe reports up to here are written. Not started: b."
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def kernels_of(process: psutil.Process) -> list[psutil.Process]:
    """The kernels that a process started and that still run."""
    children = process.children(recursive=True)
    return [child for child in children if child.status() != "zombie" and "ipykernel_launcher" in child.cmdline()]


def wait_for(condition, seconds: float = 30):
    """Ask until the answer is yes."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)
    return answer
