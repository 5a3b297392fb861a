"""The execution of one notebook in a thread of its own, so that a hanging kernel, or a hanging client, can be ended.

nbclient has a limit for cells, but keeps it in the loop that also sends to the kernel: if that send blocks, the limit
never comes. The thread that waits here depends on neither.
"""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from eslab.lab import parameters as checked
from eslab.lab import reader

INJECTED = "injected-parameters"
GRACE = 2.5  # seconds from SIGTERM to SIGKILL
SKIPPED = "skip-execution"  # nbclient leaves out a cell with this tag
MAY_RAISE = "raises-exception"  # and goes on after an error in one with that
GIVE_UP = 10.0  # seconds after which a client that doesn't return is left behind

# Without a handler its errors go to stderr, among the bars, and say less than the run's own message.
logging.getLogger("papermill").addHandler(logging.NullHandler())
warnings.filterwarnings(
    "ignore", "the file is not specified with any extension"
)  # it takes what follows a ? for a query

OnCell = Callable[[int, str], None]


@dataclass(frozen=True)
class Limits:
    """The seconds that a cell may take, and a notebook as a whole. A lesson's first cells may start a Cassandra."""

    cell: float = 600
    notebook: float = 1800


@dataclass(frozen=True)
class Cell:
    """The code cell that is being executed; number 0 is the start of the kernel."""

    number: int = 0
    line: str = ""
    began: float = field(default_factory=monotonic)


class KernelNotStarted(Exception):
    """Raised when the kernel has not answered; the message names its executable and the file that names that."""


class Incomplete(Exception):
    """Raised when a notebook ended without an error, but not every code cell ran to its end."""


class Execution(Thread):
    """A notebook being executed. `cell` is the current cell, `error` the reason why it ended early."""

    def __init__(self, notebook: Path, executed: Path, parameters: Mapping[str, object], on_cell: OnCell) -> None:
        super().__init__(name=f"eslab run {notebook.stem}", daemon=True)  # a client that is left behind blocks no exit
        self.notebook = notebook
        self.executed = executed
        self.parameters = parameters
        self.on_cell = on_cell
        self.cell = Cell()
        self.cells: dict[int, Cell] = {}  # those that began, by their index in the executed notebook
        self.error: Exception | None = None
        self._began = monotonic()
        self._ended = Event()
        self._ending = False
        self._kernel: AsyncKernelManager | None = None

    def run(self) -> None:
        """Execute the notebook; `executed` is saved after every cell."""
        try:
            executed = papermill.execute_notebook(
                papermill_path(self.notebook),
                papermill_path(self.executed),
                parameters=dict(self.parameters),
                kernel_name=checked.KERNEL,
                language="python",
                progress_bar=False,
                on_cell_execute=self._follow,
                extra_arguments=["--log-level=ERROR"],
                iopub_timeout=60,  # outputs trail behind their cell; on a busy machine by more than nbclient's 4 s
                kernel_manager_class=_manager_class(self._know),
                resources={"metadata": {"path": str(self.notebook.parent)}},  # the kernel's working directory
            )
            self.check_complete(executed)
        except PapermillExecutionError as error:
            self.cell = self.cells.get(error.cell_index, self.cell)  # an earlier one, if it was allowed to raise
            self.error = error
        except Exception as error:
            self.error = error if self.cell.number or not self._kernel else _not_started(error)
        finally:
            self._ended.set()

    def check_complete(self, executed: NotebookNode) -> None:
        """Raise `Incomplete` at the first code cell that did not run, or that ended the others by a SystemExit."""
        for number, cell in enumerate(code_cells(executed), 1):
            if problem := _problem(cell):
                self.cell = Cell(number, first_line(cell))
                raise Incomplete(f"Expected every code cell to run to its end, but {problem}")

    def wait(self, limits: Limits) -> str:
        """Wait until the notebook ends; if it exceeds a limit, return a sentence that says so."""
        notebook_ends = self._began + limits.notebook
        while True:
            cell = self.cell
            # A later cell has a later limit, so nothing can be exceeded before this moment. The start of the kernel
            # is no cell and has a limit of its own, in papermill.
            cell_ends = (cell.began if cell.number else monotonic()) + limits.cell
            if self._ended.wait(max(0.0, min(cell_ends, notebook_ends) - monotonic())):
                return ""
            if monotonic() >= notebook_ends:
                return _exceeded("the notebook", limits.notebook, "--timeout")
            if cell.number and self.cell is cell:
                return _exceeded("the cell", limits.cell, "--cell-timeout")

    def end(self) -> None:
        """End the kernel and whatever it started in its process group, then the thread."""
        if self.ident is None:
            return  # it was never started
        self._ending = True
        try:
            self._end_in_turn()
        except KeyboardInterrupt:  # a second Ctrl-C: no more patience, but no kernel left behind either
            self._signal(signal.SIGKILL)
            raise

    def _end_in_turn(self) -> None:
        begin = monotonic()
        how = signal.SIGTERM
        while not self._ended.is_set() and monotonic() - begin < GIVE_UP:
            self._signal(how)
            if not self._ended.wait(GRACE):
                how = signal.SIGKILL

    def _signal(self, number: int) -> None:
        provisioner: Any = self._kernel and self._kernel.provisioner
        group = provisioner and provisioner.pgid
        # Not by the manager's own coroutine, which needs a loop: where Playwright or Jupyter calls, one runs already.
        if group:
            with suppress(ProcessLookupError):  # the kernel ended by itself in the meantime
                os.killpg(group, number)

    def _know(self, kernel: AsyncKernelManager) -> None:
        self._kernel = kernel

    def _follow(self, cell: NotebookNode, cell_index: int) -> None:
        """Called by nbclient before a code cell is sent to the kernel."""
        if self._ending:
            raise InterruptedError("The run was ended before this cell.")
        if INJECTED in cell.metadata.get("tags", []):
            return
        self.cell = Cell(self.cell.number + 1, first_line(cell))
        self.cells[cell_index] = self.cell
        self.on_cell(self.cell.number, self.cell.line)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that a run executes, without papermill's own."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    return [cell for cell in cells if INJECTED not in cell.metadata.get("tags", [])]


def first_line(cell: NotebookNode) -> str:
    """The first line of a cell that isn't empty."""
    return next((line for line in cell.source.splitlines() if line.strip()), "").strip()


def papermill_path(path: Path) -> str:
    """A path as papermill takes it literally: it formats every path, and reads `-` and `s3://` at its beginning."""
    literal = str(path).replace("{", "{{").replace("}", "}}")
    return literal if path.is_absolute() else f"./{literal}"


def _problem(cell: NotebookNode) -> str:
    """Why a cell of a notebook that ended without an error did not run to its end; empty if it did."""
    tags = cell.metadata.get("tags", [])
    errors = [output.ename for output in cell.outputs if output.output_type == "error"]
    if errors and MAY_RAISE not in tags:
        return f"this one ended with {errors[0]}, and the cells after it were not run. Remove what raises it."
    if SKIPPED in tags:
        return f"this one is tagged {SKIPPED}. Remove the tag."
    if cell.execution_count is None:
        return "this one was not run, since the kernel had ended. Remove what ends it."
    return ""


def _not_started(error: Exception) -> Exception:
    """The error with the kernel's executable, if there is such a kernel."""
    if isinstance(error, NoSuchKernel):
        return error
    try:
        spec = KernelSpecManager().get_kernel_spec(checked.KERNEL)
        place = f"It runs {spec.argv[0] if spec.argv else 'nothing'}, named in {Path(spec.resource_dir, 'kernel.json')}"
    except Exception as unreadable:  # a file that somebody edited by hand
        place = f"Its kernel.json can't be read ({unreadable})"
    return KernelNotStarted(
        f"Expected the kernel {checked.KERNEL} to start and answer, but: {error}. {place}. Correct that file or remove "
        f"its folder (`jupyter kernelspec list` shows all), then try again."
    )


def _exceeded(what: str, seconds: float, option: str) -> str:
    return (
        f"TimeLimit: Expected {what} to end within {seconds:g} s, but it was still running, so its kernel was ended. "
        f"Look for what it waits for, or allow more time: {option} SECONDS."
    )


def _manager_class(on_made: Callable[[AsyncKernelManager], None]) -> type[AsyncKernelManager]:
    """A kernel manager that announces itself, since nbclient shows it to nobody, and says that nobody is reading."""

    class Announced(AsyncKernelManager):
        def __init__(self, **options: object) -> None:
            super().__init__(**options)
            on_made(self)

        async def _async_pre_start_kernel(self, **options: Any) -> Any:
            environment = {**os.environ, **(options.pop("env", None) or {}), reader.ALONE: "1"}
            return await super()._async_pre_start_kernel(env=environment, **options)

    return Announced
