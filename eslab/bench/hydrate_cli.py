"""The commands `eslab bench hydrate`, `snapshots` and `compare`: options, progress and what is printed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eslab.bench.options import JsonFile, Peers, Runs, Store, check_folder, show, write
from eslab.errors import InvalidInput
from eslab.terminal import in_a_cell, say

if TYPE_CHECKING:
    from datetime import timedelta

    from eslab.bench.cost_model import CostModel
    from eslab.bench.measure import Report
    from eslab.bench.sample import Sample
    from eslab.bench.steps import OnStep

OFF = "off"


def _for_chart(file: Path | None) -> Path | None:
    """Refuse a chart that can't be drawn or written, before anything is measured."""
    check_folder(file)
    if file:
        from eslab.bench.chart import check_kind

        check_kind(file)
    return file


Chart = Annotated[
    Path | None,
    typer.Option(help="Draw the hydrations to this .html or .svg file.", dir_okay=False, callback=_for_chart),
]


def hydrate(
    store: Annotated[
        str | None, typer.Option(help="sqlite (default), memory or cassandra for a fresh store, or a URL to write to.")
    ] = None,
    events: Annotated[list[int] | None, typer.Option(min=1, help="One or several lengths of the stream.")] = None,
    interval: Annotated[
        list[str] | None, typer.Option(help="One or several intervals of snapshots; off for none. Default: off 100.")
    ] = None,
    spread: Annotated[str | None, typer.Option(help="Time from the first event to the last. Default: 10y.")] = None,
    padding: Annotated[
        list[int] | None, typer.Option(min=0, help="Further characters in each event; several tell a byte's cost.")
    ] = None,
    peer: Peers = None,
    json: JsonFile = None,
    chart: Chart = None,
    runs: Runs = 9,
    reads_per_write: Annotated[float, typer.Option(help="Hydrations for each event, for the best interval.")] = 10,
    aggregate: Annotated[
        str, typer.Option(metavar="MODULE:CLASS", help="Measure this aggregate type; needs --sample or --from.")
    ] = "",
    sample: Annotated[
        str, typer.Option(metavar="MODULE:FUNCTION", help="Function that makes the event of a number, from 0 on.")
    ] = "",
    source: Annotated[
        str, typer.Option("--from", metavar="URL", help="Measure an aggregate in this store, without writing to it.")
    ] = "",
    customer: Annotated[str, typer.Option(help="Customer of that aggregate.")] = "",
    key: Annotated[str, typer.Option(help="Key of that aggregate.")] = "",
) -> None:
    """Load one aggregate, without snapshots and with them, beside the bare read: what will hydration cost?"""
    from eslab.bench.hydrate import INTERVALS, LENGTHS
    from eslab.bench.stream import SPREAD, parse_spread

    if not 0 < reads_per_write < float("inf"):
        raise InvalidInput(f"Expected --reads-per-write above 0, got {reads_per_write}.")
    made = {"store": store, "events": events, "interval": interval, "spread": spread, "padding": padding}
    if source:
        _refuse({**made, "peer": peer, "sample": sample, "chart": chart}, "with --from, whose events exist")
        report = _existing(source, customer, aggregate, key, runs)
    else:
        _refuse({"customer": customer, "key": key}, "without --from")
        samples = _samples(aggregate, sample, padding)
        intervals = [*map(_interval, interval)] if interval else INTERVALS
        over = parse_spread(spread) if spread else SPREAD
        report = _made(store or "sqlite", events or LENGTHS, intervals, over, peer or [], runs, samples)
    write(report, json)
    if chart:
        from eslab.bench.chart import write_chart

        write_chart(report, chart)
    show(report)
    if not source:
        _show_model(report, reads_per_write)


def _refuse(options: Mapping[str, object], where: str) -> None:
    if given := [f"--{name}" for name, value in options.items() if value]:
        raise InvalidInput(f"Expected no {', '.join(given)} {where}. Nothing was measured.")


def _interval(text: str) -> int | None:
    if text == OFF:
        return None
    if not text.isascii() or not text.isdigit() or not int(text):
        raise InvalidInput(f"Expected off or a number of events as --interval, got {text!r}.")
    return int(text)


def _samples(aggregate: str, sample: str, padding: Sequence[int] | None) -> "list[Sample]":
    """The samples to measure: the user's own, or frosting with each padding."""
    from eslab.bench.own_sample import find_sample
    from eslab.bench.sample import padded

    if not padding:
        return [find_sample(aggregate, sample)]
    _refuse({"aggregate": aggregate, "sample": sample}, "with --padding, which the built-in sample has")
    return [padded(characters) for characters in dict.fromkeys(padding)]


def _made(
    store: str,
    lengths: Sequence[int],
    intervals: Sequence[int | None],
    spread: "timedelta",
    peers: Sequence[str],
    runs: int,
    samples: "Sequence[Sample]",
) -> "Report":
    """One report of all samples."""
    from eslab.bench.hydrate import measure_hydration

    with steps_shown() as on_step:
        reports = [measure_hydration(store, lengths, intervals, spread, runs, peers, it, on_step) for it in samples]
    return replace(reports[0], rows=[row for report in reports for row in report.rows])


def _existing(url: str, customer: str, aggregate: str, key: str, runs: int) -> "Report":
    from eslab.bench.own_store import measure_existing
    from eslab.operations.discovery import member

    if not (customer and aggregate and key):
        raise InvalidInput("Expected --customer, --aggregate MODULE:CLASS and --key with --from. Nothing was measured.")
    with steps_shown() as on_step:
        return measure_existing(url, customer, member(aggregate), key, runs, on_step)


def _show_model(report: "Report", reads_per_write: float) -> None:
    """Print the cost model and the best interval, or why there is none."""
    try:
        from eslab.bench.cost_model import CostModel

        model = CostModel.fit(report.frame())
    except InvalidInput as error:
        say(f"\nNo cost model: {error}")
    except ModuleNotFoundError as error:
        say(f"\nNo cost model: {error}. Run: pip install 'eslab[lab]'")
    else:
        say(f"\n{model}\n{_best(model, reads_per_write)}")


def _best(model: "CostModel", reads_per_write: float) -> str:
    try:
        return str(model.best_interval(reads_per_write))
    except InvalidInput as error:
        return f"No best interval: {error}"


def snapshots(
    store: Store = "sqlite",
    interval: Annotated[list[int], typer.Option(min=1, help="One or several intervals.")] = [10, 100, 1000],  # noqa: B006
    json: JsonFile = None,
    runs: Runs = 9,
) -> None:
    """Build snapshots behind appends and whole commands: what share of the work is the builder's?"""
    from eslab.bench.snapshots import measure_snapshots

    with steps_shown() as on_step:
        report = measure_snapshots(store, interval, runs, on_step)
    write(report, json)
    show(report)


def compare(
    before: Annotated[Path, typer.Argument(help="Figures that a command wrote with --json.", exists=True)],
    after: Annotated[Path, typer.Argument(help="Other figures of the same command.", exists=True)],
) -> None:
    """Compare two files of figures: the ratios of the rows that both have. Always exit code 0."""
    from eslab.bench.compare import Comparison, Figures
    from eslab.bench.compare_table import show_comparison

    show_comparison(Comparison(Figures.read(before), Figures.read(after)))


@contextmanager
def steps_shown() -> "Iterator[OnStep]":
    """Show on stderr what is done now, while it is a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("open the store")
        yield lambda step: progress.update(task, description=in_a_cell(step))
