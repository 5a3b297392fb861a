"""The progress of a run on a terminal: a bar that moves; plain lines where nothing can move, such as a CI log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from eslab.lab.runner import Run, Watcher

QUIET_SECONDS = 10.0  # a log gets a line for a cell at most this often


class Bars:
    """A bar for each notebook, with the first line of the cell that runs."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}

    def started(self, notebook: str, cells: int) -> None:
        """Add a bar."""
        self.tasks[notebook] = self.progress.add_task(notebook, total=cells, line="starting a kernel")

    def cell(self, notebook: str, number: int, line: str) -> None:
        """Move the bar: the cells before this one are done."""
        self.progress.update(self.tasks[notebook], completed=number - 1, line=escape(line[:60]))

    def ended(self, run: Run) -> None:
        """Fill the bar, or leave it where the notebook failed."""
        task, done = self.tasks[run.name], run.cells - (run.failure is not None)
        line = "[red]failed[/red]" if run.failure else "[green]ok[/green]"
        self.progress.update(task, completed=done, line=line)
        self.progress.stop_task(task)


class Lines:
    """A line when a notebook begins and ends, and now and then one for a cell."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.said = monotonic()
        self.cells = 0

    def started(self, notebook: str, cells: int) -> None:
        """Say that a notebook begins."""
        self.cells = cells
        self._say(f"{notebook}: {cells} cells")

    def cell(self, notebook: str, number: int, line: str) -> None:
        """Say which cell runs, if nothing was said for a while."""
        if monotonic() - self.said >= QUIET_SECONDS:
            self._say(f"{notebook}: cell {number} of {self.cells}: {line}")

    def ended(self, run: Run) -> None:
        """Say how a notebook ended."""
        self._say(f"{run.name}: {result(run)} after {run.seconds:.1f} s")

    def _say(self, line: str) -> None:
        self.said = monotonic()
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watcher(console: Console) -> Iterator[Watcher]:
    """Bars on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = ("{task.description}", BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), "{task.fields[line]}")
    ready = [TextColumn(column) if isinstance(column, str) else column for column in columns]
    with Progress(*ready, console=console) as progress:
        yield Bars(progress)


def result(run: Run) -> str:
    """How a run ended, in two words."""
    return f"failed in cell {run.failure.cell}" if run.failure else "ok"


def table(runs: Sequence[Run]) -> Table:
    """The closing table: notebook, seconds, cells, result."""
    table = Table("notebook")
    for heading in ("seconds", "cells"):
        table.add_column(heading, justify="right")
    table.add_column("result")
    for run in runs:
        style = "red" if run.failure else None
        table.add_row(run.name, f"{run.seconds:.1f}", str(run.cells), result(run), style=style)
    return table
