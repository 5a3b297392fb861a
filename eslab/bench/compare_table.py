"""A comparison in the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eslab.bench.compare import Comparison, Figures, Key, common, label, settings
from eslab.bench.table import time_in_words
from eslab.terminal import in_a_cell


def show_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print warnings, the ratios of all rows that both files have, and the rows that only one has."""
    console = console or Console(highlight=False)
    for warning in comparison.warnings():
        console.print(_text(f"Warning: {warning}."))
    if comparison.both:
        console.print(_table(comparison))
    else:
        console.print("No row is in both files.")
    for figures in (comparison.before, comparison.after):
        for key in comparison.only_in(figures):
            console.print(_text(f"Only in {figures.file}: {label(key)}"), soft_wrap=True)


def _table(comparison: Comparison) -> Table:
    known = common(comparison.both)
    title = _text(", ".join(["after / before", *settings(known)]))
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("measure")
    for heading in ("before", "after", "median", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("counts that differ")
    for key in comparison.both:
        medians = (_median(it, key) for it in (comparison.before, comparison.after))
        ratios = (_ratio(comparison.ratio(key, figure)) for figure in ("median_s", "p99_s"))
        table.add_row(_text(label(key, known)), *medians, *ratios, _text(", ".join(comparison.counts(key))))
    return table


def _median(figures: Figures, key: Key) -> str:
    seconds = figures.rows[key].get("median_s")
    return time_in_words(seconds) if isinstance(seconds, int | float) else "-"


def _ratio(ratio: float | None) -> str:
    return f"{ratio:.2f}" if ratio else "-"


def _text(text: str) -> str:
    """Text from a file, which neither rich nor the terminal must obey."""
    return escape(in_a_cell(text))
