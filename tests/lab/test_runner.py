"""Notebooks run from top to bottom, each on its own; a failure is told exactly and stops only itself."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import nbformat
import psutil
import pytest

from eslab.errors import InvalidInput
from eslab.lab.runner import Run, find, run_notebooks

LONG = "import time; print('asleep', flush=True); time.sleep(60)"


class Log:
    """What a watcher hears."""

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
    """A file per notebook beside the reports; what an earlier run left there is gone."""
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
    """A misspelt path doesn't run nothing in silence."""
    with pytest.raises(InvalidInput, match=r"^Expected a notebook or a folder with notebooks at .*lessons, found none"):
        find([tmp_path / "lessons"])


def test_two_notebooks_of_one_name_are_refused(notebook, tmp_path):
    """One report would overwrite the other."""
    with pytest.raises(InvalidInput, match="got a twice"):
        find([notebook("a"), tmp_path])


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_a_run_that_is_stopped_takes_its_kernel_along(notebook, tmp_path, how):
    """Even kill -9 leaves no kernel behind for longer than a second or two: it watches its parent."""
    command = [sys.executable, "-m", "eslab", "run", str(notebook("a", LONG)), "--out", str(tmp_path / "out")]
    # Whoever runs the tests in the background has them ignore SIGINT, which a child would inherit.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, preexec_fn=heed, **quiet) as process:
        try:
            kernel = wait_for(lambda: asleep(tmp_path / "out" / "a.ipynb") and kernels_of(psutil.Process(process.pid)))
            os.kill(process.pid, how)
            process.wait(20)
            assert wait_for(lambda: not any(k.is_running() and k.status() != "zombie" for k in kernel))
        finally:
            process.kill()


def asleep(executed: Path) -> bool:
    """Has the second cell started?"""
    return executed.exists() and '"status": "running"' in executed.read_text().partition("time.sleep")[0]


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
