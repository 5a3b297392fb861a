"""The commands of `eslab bench`, and `eslab play`. Each imports the code that it measures when it runs."""

import json as json_module
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from eslab.display import quantity
from eslab.terminal import say

if TYPE_CHECKING:
    from eslab.bench.measure import Report

app = typer.Typer(
    help="Measure the cost of eslab on this machine, beside the bare driver and a peer.", no_args_is_help=True
)


class SeveralValues(TyperCommand):
    """A command whose option takes several values: `--events 1000 10000` or `--events 1000 --events 10000`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments with the options repeated, since click knows only one value for each option."""
        return super().parse_args(ctx, [*repeat_option("--workers", repeat_option("--events", args))])


def repeat_option(option: str, args: Iterable[str]) -> Iterator[str]:
    """Repeat `option` before each further value that follows it: `--n 1 2` becomes `--n 1 --n 2`."""
    taking = False  # the arguments are values of the option
    first = False  # the next value follows the option itself
    for arg in args:
        if arg == option:
            taking = True
            first = True
        elif arg.startswith("-"):
            taking = False
        elif taking and not first:
            yield option
        else:
            first = False
        yield arg


def _for_figures(file: Path | None) -> Path | None:
    """Refuse a file that can't be written, or that holds something else, before anything is measured."""
    if file and not file.parent.is_dir():
        raise typer.BadParameter(f"Expected a folder at {file.parent}, found none; create it first.")
    if file and file.exists() and not _holds_figures(file):
        raise typer.BadParameter(f"Expected {file} to be missing or to hold earlier figures; name another file.")
    return file


def _holds_figures(file: Path) -> bool:
    try:
        return file.stat().st_size == 0 or "rows" in json_module.loads(file.read_bytes())
    except (ValueError, TypeError, OSError):
        return False


Store = Annotated[str, typer.Option(help="sqlite, memory or cassandra for a fresh store, or a URL to write to.")]
Peers = Annotated[list[str] | None, typer.Option("--peer", help="Also measure this peer: eventsourcing.")]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", help="Write all figures to this file.", dir_okay=False, callback=_for_figures),
]
Runs = Annotated[int, typer.Option(min=1, help="Runs of each measure; the median counts.")]


@app.command(cls=SeveralValues)
def hydrate(
    store: Store = "sqlite",
    events: Annotated[list[int], typer.Option(min=1, help="One or several lengths.")] = [1000, 10000, 100000],  # noqa: B006
    peer: Peers = None,
    json: JsonFile = None,
    runs: Runs = 9,
    aggregate: Annotated[
        str, typer.Option(metavar="MODULE:CLASS", help="Measure this aggregate type; needs --sample.")
    ] = "",
    sample: Annotated[
        str, typer.Option(metavar="MODULE:FUNCTION", help="Function that makes the event of a number, from 0 on.")
    ] = "",
) -> None:
    """Load one aggregate: the bare read, the decode alone, and the full hydration with checksums."""
    from eslab.bench.hydrate import measure_hydration
    from eslab.bench.own_sample import find_sample

    _show(measure_hydration(store, events, peer or (), runs, find_sample(aggregate, sample)), json)


@app.command()
def append(
    store: Store = "sqlite",
    peer: Peers = None,
    json: JsonFile = None,
    appends: Annotated[int, typer.Option(min=1, help="Appends of each measure.")] = 2000,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Commits in one append.")] = 1,
) -> None:
    """Append one event at a time, or several commits: p50 and p99, all sides at the same durability."""
    from eslab.bench.append import measure_appends

    _show(measure_appends(store, appends, peer or (), batch), json)


@app.command(cls=SeveralValues)
def commands(
    store: Store = "sqlite",
    customers: Annotated[int, typer.Option(min=1, help="Number of made-up customers.")] = 100,
    days: Annotated[int, typer.Option(min=1, help="Days of each customer's life.")] = 120,
    workers: Annotated[list[int], typer.Option(min=1, max=256, help="One or several numbers of threads.")] = [1, 8, 32],  # noqa: B006
    seed: Annotated[int, typer.Option(help="The same seed makes the same commands.")] = 7,
    json: JsonFile = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each measure; the median rate counts.")] = 3,
) -> None:
    """Handle whole commands of the download service, beside the same statements by the bare driver."""
    from eslab.bench.commands import measure_commands

    _show(measure_commands(store, customers, days, workers, runs, seed), json)


@app.command()
def waits(store: Store = "sqlite", json: JsonFile = None) -> None:
    """Count the waits and statements of wishes and hydrations: no clock is read."""
    from eslab.bench.table import show_waits
    from eslab.bench.waits import measure_waits

    report = measure_waits(store)
    if json:
        json.write_text(report.as_json() + "\n", encoding="utf-8")
    show_waits(report)


@app.command()
def serializer(json: JsonFile = None, runs: Runs = 9) -> None:
    """Read current and older events in memory: checksums, defaults, upcasters."""
    from eslab.bench.serializer import measure_serializer

    _show(measure_serializer(runs), json)


@app.command()
def encryption(
    store: Store = "sqlite",
    events: Annotated[int, typer.Option(min=1, help="Number of commits, of one event each.")] = 10_000,
    json: JsonFile = None,
    runs: Runs = 9,
) -> None:
    """Encrypt, decrypt and load commits, beside the load of the same commits in plain."""
    from eslab.bench.encryption import measure_encryption

    _show(measure_encryption(store, events, runs), json)


@app.command("import")
def import_(json: JsonFile = None, runs: Runs = 21) -> None:
    """Import eslab in fresh interpreters, with compiled bytecode."""
    from eslab.bench.imports import measure_import

    _show(measure_import(runs), json)


def _show(report: "Report", file: Path | None) -> None:
    from eslab.bench.table import show

    if file:
        file.write_text(report.as_json() + "\n", encoding="utf-8")
    show(report)


def play(
    customers: Annotated[int, typer.Option(min=1, help="Number of made-up customers.")] = 100,
    days: Annotated[int, typer.Option(min=1, help="Days of each customer's life.")] = 365,
    seed: Annotated[int, typer.Option(help="The same seed makes the same commands and leaves the same state.")] = 7,
    store: Annotated[str, typer.Option(help="URL of an empty store; sqlite: is a fresh file.")] = "sqlite:",
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Number of threads; a customer is handled by one of them.")
    ] = 4,
) -> None:
    """Send the commands of made-up customers through the download service, and hash the state that they leave."""
    from contextlib import closing

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from eslab import open_store
    from eslab.bench import play

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with closing(open_store(store)) as opened, Progress(*columns) as progress:
        playing = progress.add_task("customers played", total=customers)
        played = play.play(opened, customers, days, seed, workers, lambda commands: progress.advance(playing))
        seconds = progress.tasks[playing].finished_time or 0
        hashing = progress.add_task("customers hashed", total=customers)
        state = play.state_hash(opened, customers, lambda customers: progress.advance(hashing))
    rate = len(played.seconds) / seconds if seconds else 0
    say(f"{played}\n{rate:,.0f} commands a second with {quantity(workers, 'worker')}\nstate hash: {state}")
