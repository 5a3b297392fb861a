"""A run passes only if every code cell ran to its end, and a kernel that can't start is named with its path."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from eslab.errors import InvalidInput
from eslab.lab.execution import Execution, Incomplete, papermill_path
from eslab.lab.runner import Run, find, run_notebooks


class Silent:
    """Watches without a word."""

    started = cell = ended = lambda *_: None


def cell(source: str, count: int | None, *errors: str, tags: tuple[str, ...] = ()) -> NotebookNode:
    """An executed cell, or one that was not, with these errors among its outputs."""
    outputs = [nbformat.v4.new_output("error", ename=name, evalue="0", traceback=[]) for name in errors]
    return nbformat.v4.new_code_cell(source, execution_count=count, outputs=outputs, metadata={"tags": list(tags)})


@pytest.mark.parametrize(
    ("cells", "number", "problem"),
    [
        ([cell("a", 1), cell("\n# b\nsys.exit(0)", 2, "SystemExit"), cell("c", None)], 2, "ended with SystemExit"),
        ([cell("a", 1), cell("raise SystemExit", 2, "SystemExit")], 2, "ended with SystemExit"),
        ([cell("a", 1), cell("b", None, tags=("skip-execution",)), cell("c", 2)], 2, "tagged skip-execution"),
        ([cell("a", 1), cell("b", None)], 2, "was not run"),
        ([cell("a", None)], 1, "was not run"),
        ([cell("a", 1), cell("b", 2, "KeyboardInterrupt"), cell("c", None)], 2, "ended with KeyboardInterrupt"),
    ],
)
def test_a_run_in_which_a_cell_did_not_run_is_incomplete(cells, number, problem):
    """However it ended; the first such cell is named."""
    execution = Execution(Path("a.ipynb"), Path("out/a.ipynb"), {}, lambda *_: None)
    with pytest.raises(Incomplete, match=f"Expected every code cell to run to its end, but this one .*{problem}"):
        execution.check_complete(nbformat.v4.new_notebook(cells=cells))
    assert execution.cell.number == number


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [nbformat.v4.new_markdown_cell("words"), nbformat.v4.new_raw_cell("raw"), cell("", None), cell(" \n", None)],
        [cell("a", 1), cell("1 / 0", 2, "ZeroDivisionError", tags=("raises-exception",)), cell("c", 3)],
        [cell("store = 1", None, tags=("injected-parameters",)), cell("a", 2)],
    ],
)
def test_cells_that_need_not_run(cells):
    """Prose, empty cells, papermill's own cell, and errors that the author asked for."""
    execution = Execution(Path("a.ipynb"), Path("out/a.ipynb"), {}, lambda *_: None)
    execution.check_complete(nbformat.v4.new_notebook(cells=cells))


@pytest.mark.parametrize(
    ("path", "literal"),
    [("a.ipynb", "./a.ipynb"), ("-", "./-"), ("{x}/{{y}}.ipynb", "./{{x}}/{{{{y}}}}.ipynb"), ("/s3:/a", "/s3:/a"),
     ("s3://a.ipynb", "./s3:/a.ipynb")],
)  # fmt: skip
def test_papermill_takes_paths_literally(path, literal):
    """It would format them, and read from standard input or a cloud."""
    assert papermill_path(Path(path)) == literal


def by_name(runs: list[Run]) -> dict[str, str]:
    """The failures, by notebook."""
    return {run.name: str(run.failure).replace("\n    ", " ") for run in runs if run.failure}


def test_an_exit_does_not_pass(notebook, tmp_path):
    """Neither do a skipped cell and a file that is no notebook, and none of them stops the others."""
    notebook("1_exits", "import sys; sys.exit(0)", "assert False")
    skips = notebook("2_skips", "assert False", "'fine'")
    skipping = nbformat.read(skips, as_version=4)
    skipping.cells[2].metadata.tags = ["skip-execution"]
    nbformat.write(skipping, skips)
    (tmp_path / "3_broken.ipynb").write_text("[]")
    notebook("c# {x} [50%25]?", "import eslab; eslab.open_store(store).close()")
    runs = run_notebooks(find([tmp_path]), tmp_path / "out {x}", Silent())
    failures = by_name(runs)
    assert failures.pop("1_exits").startswith(
        "1_exits, cell 2: import sys; sys.exit(0) Incomplete: Expected every code"
    )
    assert failures.pop("2_skips").startswith("2_skips, cell 2: assert False Incomplete: Expected every code cell")
    assert failures.pop("3_broken").startswith("3_broken, before the first cell Expected a notebook at ")
    assert failures == {}
    assert (tmp_path / "out {x}" / "stores" / "c# {x} [50%25]?.db").stat().st_size > 0


@pytest.mark.full
@pytest.mark.parametrize(
    ("source", "failure"),
    [("import os; os._exit(0)", "DeadKernelError"), ("exit()", "DeadKernelError|never"),
     ("raise SystemExit", "Incomplete"),
     ("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", "KeyboardInterrupt"),
     ("import threading, os, time; threading.Timer(0.2, os._exit, [0]).start(); time.sleep(9)", "DeadKernelError")],
)  # fmt: skip
def test_no_way_to_leave_early_passes(notebook, tmp_path, source, failure):
    """The run fails, and soon."""
    (run,) = run_notebooks([notebook("a", source, "assert False, 'never'")], tmp_path / "out", Silent())
    assert run.failure is not None
    assert re.search(failure, run.failure.error)  # after exit() a kernel may run another cell before it ends
    assert run.seconds < 60


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Define the kernel python3 by this command, as a user's own kernel.json does."""
    folder = tmp_path / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    def define(argv: list[str]) -> Path:
        (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "P", "language": "python"}))
        return folder / "kernel.json"

    return define


@pytest.mark.parametrize(
    "argv",
    [
        ["/gone/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        [sys.executable, "-c", "exit(3)"],
        [],
    ],
    ids=["missing", "fails at once", "empty"],
)
def test_a_kernel_that_can_not_start_is_named_with_its_path(notebook, tmp_path, kernel, argv):
    """Its executable and the file that names it; the run goes on soon."""
    file = kernel(argv)
    (run,) = run_notebooks([notebook("a")], tmp_path / "out", Silent())
    assert run.failure is not None
    assert str(run.failure).startswith("a, before the first cell\n    KernelNotStarted: Expected the kernel python3 to")
    assert f"It runs {argv[0] if argv else 'nothing'}, named in {file}." in run.failure.error
    assert run.seconds < 60


@pytest.mark.parametrize("name", ["tab\t", "line\nfeed", "not utf-8 \udcff"])
def test_a_name_that_is_no_text_is_refused(notebook, name, tmp_path):
    """Before anything runs; the message can be printed."""
    try:
        notebook("a").rename(tmp_path / f"{name}.ipynb")
    except (OSError, UnicodeError):
        pytest.skip("the file system takes no such name")
    with pytest.raises(InvalidInput, match=r"^Expected a notebook whose name is text in UTF-8") as error:
        find([tmp_path])
    assert str(error.value).isascii()


def test_a_store_that_no_run_made_is_not_deleted(notebook, tmp_path):
    """A folder `stores` of one's own beside the reports."""
    out = tmp_path / "out"
    (out / "stores").mkdir(parents=True)
    own = out / "stores" / "a.db"
    own.write_text("precious")
    with pytest.raises(InvalidInput, match=r"a\.db to be the store of an earlier run, or not to exist"):
        run_notebooks([notebook("a")], out, Silent())
    assert own.read_text() == "precious"


def test_a_folder_that_can_not_be_made_is_named(notebook, tmp_path):
    """A file stands where it should be."""
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"^Expected --out to be a folder that can be made and written, got .*file"):
        run_notebooks([notebook("a")], tmp_path / "file" / "out", Silent())
