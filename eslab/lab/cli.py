"""The commands of the lab: `eslab run` and `eslab doctor`. Heavy packages are imported when a command is called."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from eslab.errors import InvalidInput
from eslab.terminal import in_a_cell, say

Notebooks = Annotated[list[Path] | None, typer.Argument(help="Notebooks or folders. Default: notebooks/")]
Store = Annotated[
    str | None,
    typer.Option(
        help="Store URL; {notebook} in it becomes the notebook's name, and Cassandra's keyspace `lab` becomes "
        "`lab_NAME`. `cassandra` starts a node for the run. Default: a fresh SQLite file per notebook."
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed makes the same requests.")]
Out = Annotated[Path, typer.Option(help="Folder for the reports, apart from the notebooks.", file_okay=False)]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="For notebooks that declare it.")
]
CellTimeout = Annotated[
    int, typer.Option(min=1, metavar="SECONDS", help="Fail a notebook when one of its cells takes longer.")
]
Timeout = Annotated[
    int, typer.Option(min=1, metavar="SECONDS", help="Fail a notebook when it takes longer as a whole.")
]


def run(
    notebooks: Notebooks = None,
    store: Store = None,
    seed: Seed = 7,
    out: Out = Path("build/reports"),
    parameter: Parameters = None,
    cell_timeout: CellTimeout = 600,
    timeout: Timeout = 1800,
) -> None:
    """Execute notebooks and write an offline HTML report as each one ends; exit code 1 if one fails.

    Ctrl-C stops the run with exit code 130 and keeps the reports up to there.
    """
    from rich.console import Console

    from eslab.lab import progress, reports, runner

    console = Console()
    chosen = runner.find(notebooks or [Path("notebooks")])
    values = _pairs(parameter or [])
    limits = runner.Limits(cell_timeout, timeout)
    written = reports.Reports(out)
    stopped = None
    with _opened(store) as url, progress.watcher(console) as watcher:
        try:
            runner.run_notebooks(
                chosen, out, watcher, store=url, seed=seed, parameters=values, limits=limits, on_end=written.add
            )
        except runner.Stopped as signal:
            stopped = signal
    console.print(progress.table(written.runs))
    console.print(f"Reports: {in_a_cell(written.index)}", soft_wrap=True, markup=False)
    failures = [run.failure for run in written.runs if run.failure]
    for reason in [*failures, *filter(None, [stopped])]:
        say(f"\n{reason}", err=True)
    raise typer.Exit(stopped.exit_code if stopped else int(bool(failures)))


def doctor() -> None:
    """Check that the lessons and a Cassandra can run here, and say how to fix what can't."""
    from eslab.lab.selfcheck import doctor as check

    verdict = check()
    say(f"{verdict}\n{verdict.title if verdict.passed else verdict.advice}")
    raise typer.Exit(0 if verdict.passed else 1)


@contextmanager
def _opened(store: str | None) -> Iterator[str | None]:
    """The store's URL; for `cassandra` that of a node for this run, with a keyspace per notebook."""
    if store != "cassandra":
        yield store
        return
    from eslab.cluster.cluster import Cluster

    with Cluster.start(on_progress=say) as cluster:
        yield cluster.url("lab_{notebook}")


def _pairs(options: list[str]) -> dict[str, str]:
    pairs = [option.partition("=") for option in options]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise InvalidInput(f"Expected -p NAME=VALUE, such as -p rounds=3, got {name!r}. Nothing was executed.")
    return {name: value for name, _, value in pairs}
