"""A report in the terminal: a table for each length or setting, the ratios, and what the figures can't show."""

from collections.abc import Sequence
from dataclasses import astuple
from itertools import groupby
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from eslab.bench.measure import Report, Row
from eslab.display import quantity

if TYPE_CHECKING:
    from eslab.bench.waits import Waits

COMPARED_WITH = {  # by measure: the names, or how they begin, of the measures beside it
    "hydrate": ("baseline", "peer:"),
    "store": ("insert", "baseline"),
    "append": ("insert", "baseline", "peer:"),
    "command": ("insert", "baseline", "peer-command:"),
    "service": ("baseline", "least"),
}
BY_RATE = {"service"}  # compared by the work done in a second; all others by their medians


def show(report: Report, console: Console | None = None) -> None:
    """Print a report: tables, ratios, machine and versions, and the note."""
    console = console or Console(highlight=False)
    for title, rows in groupby(report.rows, _title):
        group = list(rows)
        console.print(_table(title, group))
        for sentence in ratios(group):
            console.print(sentence)
    console.print(f"\n{_machine_and_versions(report)}.")
    console.print(report.note)


def show_waits(report: "Waits", console: Console | None = None) -> None:
    """Print the waits and statements of all scenarios, and the versions."""
    console = console or Console(highlight=False)
    table = Table(title=f"\n{report.rows[0].store}", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("scenario", no_wrap=True)
    for name in ("waits to read", "statements", "waits to write", "statements"):
        table.add_column(name, justify="right")
    for row in report.rows:
        table.add_row(row.scenario, *map(str, astuple(row.cost)))
    console.print(table)
    console.print(f"{_machine_and_versions(report)}.")


def ratios(rows: Sequence[Row]) -> list[str]:
    """Compare the rows of one length and setting with baseline and peer, one sentence for each pair."""
    return [
        _ratio(row, other)
        for row in rows
        for other in rows
        if row.measure in COMPARED_WITH and other.measure.startswith(COMPARED_WITH[row.measure])
    ]


def _ratio(row: Row, other: Row) -> str:
    by_rate = row.measure in BY_RATE
    times = row.per_second / other.per_second if by_rate else other.median_s / row.median_s
    how = f"{times:,.1f} times as fast as" if times >= 1 else f"{times:.2f} of the speed of"
    return f"{row.measure} is {how} {other.measure}."


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("measure", no_wrap=True)
    with_p99 = any("p99_s" in row.extra for row in rows)
    for name in ("median", *(["p99"] if with_p99 else []), "min to max", "per second"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        p99 = [_time(row.extra["p99_s"]) if "p99_s" in row.extra else "-"] if with_p99 else []
        table.add_row(row.measure, _time(row.median_s), *p99, _spread(row), f"{row.per_second:,.0f}")
    return table


def _title(row: Row) -> str:
    settings = [f"{name}={value}" for name, value in row.extra.items() if name != "p99_s"]
    events = [f"{row.events:,} events"] if row.events > 1 else []
    return "\n" + ", ".join((row.store, *events, *settings, f"{quantity(row.runs, 'run')} of each measure"))


def _spread(row: Row) -> str:
    return f"{_time(row.min_s)} to {_time(row.max_s)}"


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:,.0f} µs"


def _machine_and_versions(report: "Report | Waits") -> str:
    machine = report.machine
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    return f"{machine['cpu']}, {quantity(machine['cores'], 'core')}, {machine['system']}; {versions}"
