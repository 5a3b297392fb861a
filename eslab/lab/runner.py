"""Execute notebooks from top to bottom, each with a fresh store and under time limits.

A notebook that fails doesn't stop the others: its report holds everything up to the failure, and the failure names
notebook, cell, first line of the cell and error. SIGINT and SIGTERM end the notebook and the run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals as Signal
from time import perf_counter
from typing import Protocol
from unicodedata import category

import nbformat
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from eslab.errors import EslabError, InvalidInput
from eslab.lab import names, needs
from eslab.lab import parameters as checked
from eslab.lab.execution import Execution, Limits, code_cells
from eslab.lab.outputs import refuse_overwriting
from eslab.lab.signals import Signals


@dataclass(frozen=True)
class Failure:
    """Where a notebook ended early and why. Cells are numbered as JupyterLab does when it runs all; 0 is none yet."""

    notebook: str
    cell: int
    line: str
    error: str
    stopped: bool = False  # from outside, by a signal
    in_report: bool = False  # the notebook ran, but its report can't be written

    @property
    def place(self) -> str:
        """The cell, in words."""
        if self.in_report:
            return "in its report"
        return f"in cell {self.cell}" if self.cell else "before the first cell"

    def __str__(self) -> str:
        if not self.cell:
            return f"{self.notebook}, {self.place}\n    {self.error}"
        return f"{self.notebook}, cell {self.cell}: {self.line}\n    {self.error}"


@dataclass(frozen=True)
class Run:
    """One notebook's run: how long it took, how many code cells it ran, and what went wrong, if anything."""

    notebook: Path
    executed: Path
    parameters: Mapping[str, object]
    seconds: float
    cells: int
    failure: Failure | None
    left_out: str = ""  # the reason, if this machine can't run it

    @property
    def name(self) -> str:
        """The notebook's name without its suffix; `eslab.lab.names` makes the names of report and store from it."""
        return self.notebook.stem

    @property
    def result(self) -> str:
        """How the run ended, in a few words."""
        if self.left_out:
            return "left out"
        if not self.failure:
            return "ok"
        return f"{'stopped' if self.failure.stopped else 'failed'} {self.failure.place}"


class Stopped(EslabError):
    """Raised when a signal stops a run; the notebooks that ended before are kept, and so are their reports."""

    def __init__(self, signal: Signal, interrupted: Failure | None, not_started: Sequence[str]) -> None:
        self.signal = signal
        self.exit_code = 128 + signal
        where = f" in {interrupted.notebook} {interrupted.place}: {interrupted.line}" if interrupted else ""
        missing = f" Not started: {', '.join(not_started)}." if not_started else ""
        super().__init__(f"Stopped by {signal.name}{where}\nThe reports up to here are written.{missing}")


class Watcher(Protocol):
    """An observer of a run's progress. A cell is announced from another thread than a notebook."""

    def started(self, notebook: str, cells: int) -> None:
        """A notebook with this number of code cells starts."""

    def cell(self, notebook: str, number: int, line: str) -> None:
        """A code cell starts; `line` is its first line."""

    def ended(self, run: Run) -> None:
        """A notebook ran to its end, or to its failure."""


def find(places: Sequence[Path]) -> list[Path]:
    """The notebooks among files and folders, a folder's own in order of name, without those in subfolders.

    Raises `InvalidInput` if a place doesn't exist or holds no notebook, if two notebooks share a name, or if a name
    isn't text in UTF-8.
    """
    notebooks = [notebook for place in places for notebook in _at(place)]
    for notebook in notebooks:
        if any(category(letter) in ("Cc", "Cs") for letter in notebook.stem):  # control, or half of a pair: not UTF-8
            raise InvalidInput(
                f"Expected a notebook whose name is text in UTF-8 without control characters, "
                f"got {str(notebook)!a}. Rename it."
            )
    pages = [names.page_name(notebook) for notebook in notebooks]
    if twice := sorted({page.removesuffix(".html") for page in pages if pages.count(page) > 1}):
        raise InvalidInput(
            f"Expected notebooks of different names, since reports are named after them, "
            f"got {', '.join(twice)} twice. Run them apart, with another --out."
        )
    return notebooks


def run_notebooks(
    notebooks: Sequence[Path],
    out: Path,
    watcher: Watcher,
    *,
    store: str | None = None,
    seed: int = 7,
    parameters: Mapping[str, object] | None = None,
    limits: Limits | None = None,
    on_end: Callable[[Run], None] = lambda run: None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Run]:
    """Run notebooks one after the other, and save each with its outputs as `out`/NAME.ipynb.

    Without `store` each notebook gets an empty SQLite file of its own, `out`/stores/NAME.db, which is kept. In a
    given URL `{notebook}` stands for the notebook's name; on Cassandra the keyspace `lab` becomes `lab_NAME`.
    `on_end` is called as soon as a notebook has ended, to write its report; a signal doesn't interrupt it.

    A file that can't be read as a notebook fails alone. A notebook that starts a Cassandra node (`eslab.lab.needs`) is
    left out if this machine can't run one; `say` is told of a download.

    Raises `InvalidInput` before anything runs if a parameter is misspelt or has the wrong type, or if an output would
    replace a file that isn't one; `Stopped` if a signal ends the run early.
    """
    readable, broken = _read(notebooks)
    everywhere = {"store": store or "", "seed": seed}
    resolved = checked.resolve(list(readable), parameters or {}, everywhere) if readable else []
    values = dict(zip(readable, resolved, strict=True))
    refuse_overwriting(notebooks, out)
    _make_folders(out)
    left_out = _left_out(readable, store or "", say)
    signals = Signals()
    runs: list[Run] = []
    with signals.caught():
        for notebook in notebooks:
            in_it = {**values.get(notebook, everywhere), "store": _store(notebook, out, store)}
            if notebook in broken:
                run = _not_run(notebook, out, in_it, watcher, failure=Failure(notebook.stem, 0, "", broken[notebook]))
            elif notebook in left_out:
                run = _not_run(notebook, out, in_it, watcher, left_out=left_out[notebook])
            else:
                run = _run(notebook, readable[notebook], out, in_it, watcher, limits, signals)
            runs.append(run)
            on_end(run)
            if signals.received:
                raise Stopped(signals.received, run.failure, [left.stem for left in notebooks[len(runs) :]])
    return runs


def _read(notebooks: Sequence[Path]) -> tuple[dict[Path, NotebookNode], dict[Path, str]]:
    """The notebooks that can be read, and why the others can't."""
    readable: dict[Path, NotebookNode] = {}
    broken: dict[Path, str] = {}
    for notebook in notebooks:
        try:
            readable[notebook] = checked.read(notebook)
        except InvalidInput as error:
            broken[notebook] = str(error)
    return readable, broken


def _left_out(readable: Mapping[Path, NotebookNode], store: str, say: Callable[[str], None]) -> dict[Path, str]:
    """The notebooks that this machine can't run, and why."""
    needing = [notebook for notebook, source in readable.items() if needs.starts_cassandra(source, store)]
    reason = needs.no_cassandra(say) if needing else ""
    return dict.fromkeys(needing, reason) if reason else {}


def _make_folders(out: Path) -> None:
    try:
        (out / "stores").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"Expected --out to be a folder that can be made and written, got {out}: {error.strerror}. "
            "Name another one. Nothing was executed."
        ) from None


def _not_run(
    notebook: Path,
    out: Path,
    parameters: Mapping[str, object],
    watcher: Watcher,
    failure: Failure | None = None,
    left_out: str = "",
) -> Run:
    """The run of a notebook that was not executed; the output of an earlier run is deleted."""
    executed = out / notebook.name
    executed.unlink(missing_ok=True)
    watcher.started(notebook.stem, 0)
    run = Run(notebook, executed, parameters, 0.0, 0, failure, left_out)
    watcher.ended(run)
    return run


def _run(
    notebook: Path,
    source: NotebookNode,
    out: Path,
    parameters: Mapping[str, object],
    watcher: Watcher,
    limits: Limits | None,
    signals: Signals,
) -> Run:
    """Run one notebook in a kernel of its own, which has ended when this returns."""
    executed = out / notebook.name
    nbformat.write(source, executed)  # in place of an earlier run's, should this one fail before its first cell
    watcher.started(notebook.stem, len(code_cells(source)))
    begin = perf_counter()
    execution = Execution(notebook, executed, parameters, lambda *cell: watcher.cell(notebook.stem, *cell))
    failure = _failure(execution, limits or Limits(), signals)
    run = Run(notebook, executed, parameters, perf_counter() - begin, execution.cell.number, failure)
    watcher.ended(run)
    return run


def _failure(execution: Execution, limits: Limits, signals: Signals) -> Failure | None:
    """Why the execution ended before the notebook's end; None if it didn't."""
    reason = ""
    stopped = False
    try:
        with signals.interrupting():
            execution.start()
            reason = execution.wait(limits)
    except KeyboardInterrupt:
        reason = f"Stopped by {signals.name}."
        stopped = True
    finally:
        execution.end()
    reason = reason or _told(execution.error)
    cell = execution.cell
    return Failure(execution.notebook.stem, cell.number, cell.line, reason, stopped) if reason else None


def _told(error: Exception | None) -> str:
    if error is None:
        return ""
    if isinstance(error, PapermillExecutionError):
        return _sentence(error.ename, error.evalue)
    return _sentence(type(error).__name__, str(error))  # a dead kernel, a broken file


def _at(place: Path) -> list[Path]:
    if place.suffix == ".ipynb" and place.is_file():
        return [place]
    notebooks = sorted(path for path in place.glob("*.ipynb") if path.is_file()) if place.is_dir() else []
    if not notebooks:
        raise InvalidInput(f"Expected a notebook or a folder with notebooks at {place}, found none. Check the path.")
    return notebooks


def _store(notebook: Path, out: Path, url: str | None) -> str:
    if url:
        return names.store_of(url, notebook)
    names.delete_store(notebook, out)
    return names.fresh_store(notebook, out)


def _sentence(name: str, message: str) -> str:
    return f"{name}: {message.strip()}" if message.strip() else name
