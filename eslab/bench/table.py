"""A report in the terminal: a table for each length or setting, the ratios, and what the figures can't show."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from eslab.bench.measure import FIGURES, Report, Row
from eslab.display import quantity

if TYPE_CHECKING:
    from eslab.bench.waits import Waits

COMPARED_WITH = {  # by measure: the names, or how they begin, of the measures beside it
    "hydrate": ("baseline", "peer:", "replay"),
    "store": ("insert", "baseline"),
    "append": ("insert", "baseline", "peer:"),
    "command": ("insert", "baseline", "peer-command:"),
    "service": ("baseline", "least"),
    "build": ("appends", "commands"),
    "append LOCAL_QUORUM": ("strict",),
    "append QUORUM": ("strict SERIAL",),
    "speculated append": ("append",),
    "speculated read": ("read",),
}
BY_RATE = {"service"}  # compared by the work done in a second; all others by their medians
BY_P99 = {"speculated append", "speculated read"}
Cell = Callable[[Row], str]  # what a row shows in a column; empty for nothing
LIKE = ("interval", "padding", "replayed", "temperature")  # what two lengths must have alike to show a flat line
NOT_IN_TITLE = (*FIGURES, "temperature")


def show(report: Report, console: Console | None = None) -> None:
    """Print a report: tables, ratios, machine and versions, and the note."""
    console = console or Console(highlight=False)
    for title, rows in groupby(report.rows, _title):
        group = list(rows)
        console.print(title, style="bold")
        console.print(_table(group))
        for sentence in ratios(group):
            console.print(sentence)
    for sentence in flatness(report.rows):
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
        if other.extra.get("temperature", "") in ("", row.extra.get("temperature"))  # cold with cold
    ]


def flatness(rows: Sequence[Row]) -> Iterator[str]:
    """How much longer the longest stream takes than the shortest one, if both replay as many events."""
    made = (row for row in rows if row.measure == "hydrate" and row.extra.get("interval"))
    based = [row for row in made if row.extra["replayed"] < row.events]
    for (interval, padding, replayed, temperature), same in _by(lambda row: [row.extra[it] for it in LIKE], based):
        short, long = min(same, key=_events), max(same, key=_events)
        if short.events < long.events:
            yield (
                f"With a snapshot every {interval:,} events{_larger(padding)} and {replayed:,} behind it, "
                f"{long.events:,} events take {long.median_s / short.median_s:.2f} times as long as {short.events:,}, "
                f"{temperature}."
            )


def _larger(padding: int) -> str:
    return f" of {padding:,} characters more" if padding else ""


def _by(key: Callable[[Row], Any], rows: Sequence[Row]) -> Iterator[tuple[Any, Sequence[Row]]]:
    """The rows with equal keys, in order of the first of them."""
    keys = [key(row) for row in rows]
    for known in dict.fromkeys(map(tuple, keys)):
        yield known, [row for row, it in zip(rows, keys, strict=True) if tuple(it) == known]


def _ratio(row: Row, other: Row) -> str:
    if row.measure in BY_P99:
        return f"The p99 of {row.label} is {row.extra['p99_s'] / other.extra['p99_s']:.2f} of that of {other.label}."
    by_rate = row.measure in BY_RATE or row.extra.get("writers", 1) > 1
    times = row.per_second / other.per_second if by_rate else other.median_s / row.median_s
    if row.measure == "build":
        return f"{row.label} takes {1 / times:.1%} of the time of {other.events:,} {other.measure}."
    if other.measure == "baseline:row":
        return f"{row.label} takes {1 / times:.1f} times as long as {other.measure}."
    how = f"{times:,.1f} times as fast as" if times >= 1 else f"{times:.2f} of the speed of"
    return f"{row.label} is {how} {other.label}."


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("measure", no_wrap=True)
    columns = next((it for name, it in OF_A_KIND.items() if name in rows[0].extra), COLUMNS)
    columns = {name: cell for name, cell in columns.items() if any(map(cell, rows))}
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.label, *(cell(row) or "-" for cell in columns.values()))
    return table


def _is_hydration(row: Row) -> bool:
    return "temperature" in row.extra


def _title(row: Row) -> str:
    settings = [f"{name}={value}" for name, value in row.extra.items() if name not in NOT_IN_TITLE and value]
    events = [f"{row.events:,} events"] if row.events > 1 else []
    runs = [] if _is_hydration(row) else [f"{quantity(row.runs, 'run')} of each measure"]
    return "\n" + ", ".join((row.store, *events, *settings, *runs))


def _events(row: Row) -> int:
    return row.events


def time_in_words(seconds: float) -> str:
    """A time in seconds, milliseconds or microseconds."""
    if seconds >= 1:
        return f"{seconds:,.2f} s"
    return f"{seconds * 1e3:,.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:,.0f} µs"


def _size(bytes: int) -> str:
    if bytes >= 1e6:
        return f"{bytes / 1e6:,.0f} MB" if bytes >= 1e7 else f"{bytes / 1e6:,.1f} MB"
    return f"{bytes / 1e3:,.0f} KB" if bytes >= 1e4 else f"{bytes / 1e3:,.1f} KB"


def _extra(name: str, words: Callable[[Any], str]) -> Cell:
    return lambda row: words(row.extra[name]) if name in row.extra else ""


def _median(row: Row) -> str:
    return time_in_words(row.median_s)


def _spread(row: Row) -> str:
    return f"{time_in_words(row.min_s)} to {time_in_words(row.max_s)}"


def _rate(row: Row) -> str:
    return f"{row.per_second:,.0f}"


def _answered(row: Row) -> str:
    return f"{row.extra['answered']:,} of {row.extra['tries']:,}" if "answered" in row.extra else ""


P99 = _extra("p99_s", time_in_words)
COLUMNS = {"median": _median, "p99": P99, "min to max": _spread, "per second": _rate}
HYDRATION = {
    "replayed": _extra("replayed", "{:,}".format),
    "median": _median,
    "p99": P99,
    "waits": _extra("waits", str),
    "sent": _extra("statements", str),
    "read": _extra("bytes", _size),
    "memory": _extra("memory", _size),
}
WRITERS = {
    "median": _median,
    "p99": P99,
    "per second": _rate,
    "conflicts": _extra("conflicts", "{:,}".format),
    "unknown": _extra("unknown", "{:,}".format),
}
OUTCOMES = {
    "median": _median,
    "answered": _answered,
    **{name: _extra(name, "{:,}".format) for name in ("happened", "acknowledged", "held", "lost")},
    "error": _extra("error", str),
}
SPECULATION = {"median": _median, "p99": P99, "asked a second replica": _extra("asked_two", "{:,}".format)}
OF_A_KIND = {  # by a column that only such rows have
    "temperature": HYDRATION,
    "conflicts": WRITERS,
    "answered": OUTCOMES,
    "acknowledged": OUTCOMES,
    "asked_two": SPECULATION,
}


def _machine_and_versions(report: "Report | Waits") -> str:
    machine = report.machine
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    return f"{machine['cpu']}, {quantity(machine['cores'], 'core')}, {machine['system']}; {versions}"
