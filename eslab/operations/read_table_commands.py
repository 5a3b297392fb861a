"""`eslab read-tables`: write read tables anew from events, close the gap of a crash, say how complete they are."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from typing import Annotated

import typer

from eslab import Repository, open_store, system_clock
from eslab.errors import InvalidInput
from eslab.operations import rebuild as rebuilding
from eslab.read_table import ReadTable
from eslab.stores import existing

app = typer.Typer(no_args_is_help=True)
Store = Annotated[str, typer.Option(help="Store URL.")]
Module = Annotated[
    list[str], typer.Option(help="Where read tables are defined; a module, or module:NAME for a single one.")
]
DOWNLOADS = ["eslab.domains.downloads.read_tables"]
Work = Callable[[Repository, rebuilding.Say], rebuilding.Done]


@app.command()
def rebuild(store: Store, module: Module = DOWNLOADS) -> None:
    """Empty the read tables and write them anew from all events; if it is interrupted, call it again to go on."""
    _walk(store, module, rebuilding.rebuild, "rebuilt")


@app.command("catch-up")
def catch_up(store: Store, module: Module = DOWNLOADS) -> None:
    """Write the rows that services left out when they died, since the last time; run it now and then."""
    _walk(store, module, rebuilding.catch_up, "caught up")


@app.command()
def status(store: Store, module: Module = DOWNLOADS) -> None:
    """Say up to when the read tables are complete for sure."""
    with _repository(store, module) as repository:
        complete = rebuilding.caught_up(repository)
        for table in repository.read_tables:
            if table.layout.with_customer:
                state = "complete: its rows are a part of every append"
            else:
                state = f"complete up to {complete:%Y-%m-%d %H:%M:%S} UTC" if complete else "nobody has caught up yet"
            typer.echo(f"{table.layout.name}: {state}")


def tables_in(modules: list[str]) -> list[ReadTable]:
    """The read tables of these modules, in order of their names."""
    found: dict[str, ReadTable] = {}
    for place in modules:
        name, _, wanted = place.partition(":")
        try:
            members = vars(import_module(name))
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):
                raise
            raise InvalidInput(f"Expected a module with read tables, found none called {name!r}.") from None
        chosen = {key: it for key, it in members.items() if isinstance(it, ReadTable) and wanted in ("", key)}
        if not chosen:
            raise InvalidInput(f"Expected a ReadTable{f' called {wanted}' if wanted else ''} in {name}, found none.")
        found |= {it.layout.name: it for it in chosen.values()}
    return [found[name] for name in sorted(found)]


def _walk(store: str, modules: list[str], work: Work, done: str) -> None:
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with _repository(store, modules) as repository, Progress(*columns) as progress:
        task = progress.add_task("customers", total=None)
        found = work(repository, lambda rows: progress.advance(task))
    typer.echo(f"{done}: {found.rows:,} rows of {found.customers:,} customers in {', '.join(found.tables)}")


@contextmanager
def _repository(store: str, modules: list[str]) -> Iterator[Repository]:
    with closing(open_store(existing(store))) as opened:
        yield Repository(opened, system_clock, read_tables=tables_in(modules))
