"""The progress of a run: moving bars on a terminal, plain lines elsewhere, such as in a CI log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from eslab.display import quantity
from eslab.lab.runner import Run, Watcher
from eslab.terminal import in_a_cell


class Bars:
    """One bar per notebook, with the first line of the current cell."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}

    def started(self, notebook: str, cells: int) -> None:
        """Add a bar."""
        self.tasks[notebook] = self.progress.add_task(_cell(notebook), total=cells, line="starting a kernel")

    def cell(self, notebook: str, number: int, line: str) -> None:
        """Move the bar: the cells before this one are done."""
        self.progress.update(self.tasks[notebook], completed=number - 1, line=_cell(line[:60]))

    def ended(self, run: Run) -> None:
        """Fill the bar, or leave it where the notebook ended early."""
        task = self.tasks[run.name]
        done = run.cells - 1 if run.failure else run.cells
        color = "red" if run.failure else "yellow" if run.left_out else "green"
        self.progress.update(task, completed=max(0, done), line=f"[{color}]{_cell(run.result)}[/{color}]")
        self.progress.stop_task(task)


class Lines:
    """A line whenever a notebook or a cell starts: the last line of a log says what is being executed."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.cells = 0

    def started(self, notebook: str, cells: int) -> None:
        """Say that a notebook starts."""
        self.cells = cells
        self._say(f"{notebook}: {quantity(cells, 'cell')}")

    def cell(self, notebook: str, number: int, line: str) -> None:
        """Say which cell starts."""
        self._say(f"{notebook}: cell {number} of {self.cells}: {line}")

    def ended(self, run: Run) -> None:
        """Say how a notebook ended."""
        self._say(f"{run.name}: {run.result} after {run.seconds:.1f} s")

    def _say(self, line: str) -> None:
        self.console.print(in_a_cell(line), markup=False, highlight=False, soft_wrap=True)


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


def table(runs: Sequence[Run]) -> Table:
    """The closing table: notebook, seconds, cells, result."""
    table = Table("notebook")
    for heading in ("seconds", "cells"):
        table.add_column(heading, justify="right")
    table.add_column("result")
    for run in runs:
        style = "red" if run.failure else "yellow" if run.left_out else None
        table.add_row(_cell(run.name), f"{run.seconds:.1f}", str(run.cells), _cell(run.result), style=style)
    return table


def _cell(text: str) -> str:
    """Text from a notebook, which rich must not take for markup."""
    return escape(in_a_cell(text))
