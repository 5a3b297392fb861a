"""The commands of the lab: `eslab run` and `eslab doctor`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from eslab.errors import InvalidInput


def run(
    notebooks: Annotated[list[Path] | None, typer.Argument(help="Notebooks or folders; notebooks/ if none.")] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Store URL; {notebook} in it becomes each one's name, and Cassandra's keyspace `lab` is `lab_NAME` "
            "for each. `cassandra` starts a node for the run. Default: a fresh SQLite file each."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same requests.")] = 7,
    out: Annotated[Path, typer.Option(help="Folder for the reports.", file_okay=False)] = Path("build/reports"),
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="For notebooks that declare it.")
    ] = None,
) -> None:
    """Execute notebooks and write an offline HTML report for each; exit code 1 if one of them fails."""
    from rich.console import Console

    from eslab.lab import progress, reports, runner

    console = Console()
    chosen = runner.find(notebooks or [Path("notebooks")])
    with _opened(store) as url, progress.watcher(console) as watcher:
        runs = runner.run_notebooks(chosen, out, watcher, store=url, seed=seed, parameters=_pairs(parameter or []))
    index = reports.write(runs, out)
    console.print(progress.table(runs))
    console.print(f"Reports: {index}", soft_wrap=True)
    failures = [run.failure for run in runs if run.failure]
    for failure in failures:
        typer.echo(f"\n{failure}", err=True)
    raise typer.Exit(1 if failures else 0)


def doctor() -> None:
    """Look whether everything is here for the lessons and for a Cassandra, and say what mends it."""
    from eslab.lab.selfcheck import doctor as look

    found = look()
    typer.echo(f"{found}\n{found.title if found.passed else found.advice}")
    raise typer.Exit(0 if found.passed else 1)


@contextmanager
def _opened(store: str | None) -> Iterator[str | None]:
    """The store's URL; for `cassandra` that of a throw-away node, a keyspace for each notebook."""
    if store != "cassandra":
        yield store
        return
    from eslab.cluster.cluster import Cluster

    with Cluster.start(say=typer.echo) as cluster:
        yield cluster.url("lab_{notebook}")


def _pairs(options: list[str]) -> dict[str, str]:
    pairs = [option.partition("=") for option in options]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise InvalidInput(f"Expected -p NAME=VALUE, such as -p rounds=3, got {name!r}. Nothing was executed.")
    return {name: value for name, _, value in pairs}
