"""The commands of `eslab bench`, and `eslab play`. Each imports the code that it measures when it runs."""

from typing import Annotated

import typer

from eslab.bench import hydrate_cli, regions_cli
from eslab.bench.options import JsonFile, Peers, Runs, SeveralValues, Store, show, write
from eslab.display import quantity
from eslab.terminal import say

app = typer.Typer(
    help="Measure the cost of eslab on this machine, beside the bare driver and a peer.", no_args_is_help=True
)
app.command(cls=SeveralValues)(hydrate_cli.hydrate)
app.command(cls=SeveralValues)(hydrate_cli.snapshots)
app.command()(hydrate_cli.compare)
app.command()(regions_cli.lock)
app.command()(regions_cli.speculation)


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

    report = measure_appends(store, appends, peer or (), batch)
    write(report, json)
    show(report)


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

    report = measure_commands(store, customers, days, workers, runs, seed)
    write(report, json)
    show(report)


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

    report = measure_serializer(runs)
    write(report, json)
    show(report)


@app.command()
def encryption(
    store: Store = "sqlite",
    events: Annotated[int, typer.Option(min=1, help="Number of commits, of one event each.")] = 10_000,
    json: JsonFile = None,
    runs: Runs = 9,
) -> None:
    """Encrypt, decrypt and load commits, beside the load of the same commits in plain."""
    from eslab.bench.encryption import measure_encryption

    report = measure_encryption(store, events, runs)
    write(report, json)
    show(report)


@app.command("import")
def import_(json: JsonFile = None, runs: Runs = 21) -> None:
    """Import eslab in fresh interpreters, with compiled bytecode."""
    from eslab.bench.imports import measure_import

    report = measure_import(runs)
    write(report, json)
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
