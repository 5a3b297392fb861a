"""Execute notebooks from top to bottom, each on its own fresh store, and report on every one of them.

A notebook that fails doesn't stop the others: its report holds everything up to the failure, and the failure
itself is told by notebook, cell, first line of the cell and error.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol
from urllib.parse import urlsplit

import papermill
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import load_notebook_node

from eslab.errors import InvalidInput
from eslab.lab import parameters as checked

INJECTED = "injected-parameters"


@dataclass(frozen=True)
class Failure:
    """Where a notebook stopped and why; the cell's number is the one JupyterLab shows when run from the top."""

    notebook: str
    cell: int
    line: str
    error: str

    def __str__(self) -> str:
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

    @property
    def name(self) -> str:
        """The notebook's name without its suffix; report and store are named after it."""
        return self.notebook.stem


class Watcher(Protocol):
    """Whoever wants to see the progress of a run."""

    def started(self, notebook: str, cells: int) -> None:
        """A notebook with so many code cells begins."""

    def cell(self, notebook: str, number: int, line: str) -> None:
        """A code cell begins; `line` is its first."""

    def ended(self, run: Run) -> None:
        """A notebook ran to its end, or to its failure."""


def find(places: Sequence[Path]) -> list[Path]:
    """The notebooks among files and folders, folders in order of name; a folder's own, not its subfolders'.

    Raises `InvalidInput` if a place doesn't exist, holds no notebook, or two notebooks have one name.
    """
    found = [notebook for place in places for notebook in _at(place)]
    names = [notebook.stem for notebook in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(
            f"Expected notebooks of different names, since reports are named after them, "
            f"got {', '.join(twice)} twice. Run them apart, with another --out."
        )
    return found


def run_notebooks(
    notebooks: Sequence[Path],
    out: Path,
    watcher: Watcher,
    *,
    store: str | None = None,
    seed: int = 7,
    parameters: Mapping[str, object] | None = None,
) -> list[Run]:
    """Run notebooks one after the other; what each of them became is saved in `out` as NAME.ipynb.

    Without `store` each notebook gets an empty SQLite file of its own, `out`/stores/NAME.db, which stays for a
    look. In a given URL `{notebook}` stands for the notebook's name; on Cassandra the keyspace `lab` becomes
    `lab_NAME` for each.
    Raises `InvalidInput` before anything runs if a parameter is misspelt or has the wrong type.
    """
    everywhere = {"store": store or "", "seed": seed}
    chosen = checked.resolve(notebooks, parameters or {}, everywhere)
    out.mkdir(parents=True, exist_ok=True)
    with _unwind_when_terminated():
        return [
            run(notebook, out, {**values, "store": _store(notebook, out, store)}, watcher)
            for notebook, values in zip(notebooks, chosen, strict=True)
        ]


def run(notebook: Path, out: Path, parameters: Mapping[str, object], watcher: Watcher) -> Run:
    """Run one notebook in a kernel of its own, which has ended when this returns."""
    executed = out / notebook.name
    watcher.started(notebook.stem, len(_code_cells(load_notebook_node(str(notebook)))))
    follow = _Follower(notebook.stem, watcher)
    begin = perf_counter()
    failure = None
    try:
        _execute(notebook, executed, parameters, follow)
    except PapermillExecutionError as error:
        failure = Failure(notebook.stem, follow.number, follow.line, _sentence(error.ename, error.evalue))
    except Exception as error:  # a dead kernel, a broken file: it ends this notebook, not the others
        failure = Failure(notebook.stem, follow.number, follow.line, _sentence(type(error).__name__, str(error)))
    done = Run(notebook, executed, parameters, perf_counter() - begin, follow.number, failure)
    watcher.ended(done)
    return done


def fresh_store(notebook: Path, out: Path) -> str:
    """The URL of a notebook's own SQLite file, relative to where its kernel runs: reports name no folder of yours."""
    return f"sqlite:///{relpath(out / 'stores' / notebook.stem, notebook.parent)}.db"


@dataclass
class _Follower:
    """The code cell that runs now; nbclient calls it when a cell begins."""

    notebook: str
    watcher: Watcher
    number: int = field(default=0, init=False)
    line: str = field(default="", init=False)

    def __call__(self, cell: NotebookNode, cell_index: int) -> None:
        if INJECTED in cell.metadata.get("tags", []):
            return
        self.number += 1
        self.line = next((line for line in cell.source.splitlines() if line.strip()), "").strip()
        self.watcher.cell(self.notebook, self.number, self.line)


def _execute(notebook: Path, executed: Path, parameters: Mapping[str, object], follow: Callable[..., None]) -> None:
    papermill.execute_notebook(
        notebook,
        executed,
        parameters=dict(parameters),
        kernel_name=checked.KERNEL,
        language="python",
        cwd=notebook.parent,
        progress_bar=False,
        on_cell_execute=follow,
        extra_arguments=["--log-level=ERROR"],
    )


def _at(place: Path) -> list[Path]:
    if place.suffix == ".ipynb" and place.is_file():
        return [place]
    found = sorted(place.glob("*.ipynb")) if place.is_dir() else []
    if not found:
        raise InvalidInput(f"Expected a notebook or a folder with notebooks at {place}, found none. Check the path.")
    return found


def _store(notebook: Path, out: Path, url: str | None) -> str:
    if url:
        return _apart(url).replace("{notebook}", notebook.stem)
    stores = out / "stores"
    stores.mkdir(exist_ok=True)
    for old in stores.glob(f"{notebook.stem}.db*"):
        old.unlink()
    return fresh_store(notebook, out)


def _apart(url: str) -> str:
    """A Cassandra URL with a keyspace for each notebook, since a lesson begins empty."""
    parts = urlsplit(url)
    if parts.scheme != "cassandra" or "{notebook}" in url:
        return url
    return parts._replace(path=f"{parts.path}_{{notebook}}").geturl()


def _code_cells(notebook: NotebookNode) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def _sentence(name: str, message: str) -> str:
    return f"{name}: {message.strip()}" if message.strip() else name


@contextmanager
def _unwind_when_terminated() -> Iterator[None]:
    """On SIGTERM leave through the `finally` blocks, so that no kernel stays behind."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
