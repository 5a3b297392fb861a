"""The `eslab` command. Parts of it are imported only when they are called, so that it starts quickly."""

import traceback as tracebacks
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from eslab.errors import EslabError, InvalidInput


class Part(NamedTuple):
    """A group of commands that lives in a module of its own and needs an extra."""

    module: str
    extra: str
    help: str


PARTS = {
    "bench": Part("eslab.bench.cli", "lab", "Measure what hydration and appends cost on this machine."),
    "schema": Part("eslab.operations.schema_commands", "cassandra", "Make or show the tables in Cassandra."),
    "read-tables": Part("eslab.operations.read_table_commands", "downloads", "Write read tables anew, or close a gap."),
    "cluster": Part("eslab.cluster.cli", "cassandra", "Run a real Cassandra on this machine."),
}
EXTRAS = {"run": "lab", "play": "downloads", **{name: part.extra for name, part in PARTS.items()}}


class Commands(TyperGroup):
    """Loads a part when it is called, and turns errors into messages."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All commands, those of parts included."""
        return sorted([*super().list_commands(ctx), *PARTS])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; a part's module is imported now."""
        return _part(cmd_name) if cmd_name in PARTS else super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error ends as one message and exit code 1, unless --traceback asks for more."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except Exception as error:
            if ctx.params["traceback"]:
                tracebacks.print_exc()
            typer.echo(_message(error, ctx.invoked_subcommand), err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="eslab", cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eslab {version('eslab')}")
        raise typer.Exit


@app.callback()
def main(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error comes from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Event sourcing on Apache Cassandra, and the lab that teaches it."""


@app.command()
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


@contextmanager
def _opened(store: str | None) -> Iterator[str | None]:
    """The store's URL; for `cassandra` that of a throw-away node, a keyspace for each notebook."""
    if store != "cassandra":
        yield store
        return
    from eslab.cluster.cluster import Cluster

    with Cluster.start(on_progress=typer.echo) as cluster:
        yield cluster.url("lab_{notebook}")


@app.command()
def inspect(
    store: Annotated[str, typer.Option(help="Store URL.")],
    customer: Annotated[str, typer.Option(help="Whose rows.")],
    aggregate: Annotated[str, typer.Option(help="An id, or how it begins, such as license:; all if left out.")] = "",
    module: Annotated[
        list[str] | None, typer.Option(help="Where the domain's aggregates live: then it also says how they read.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="The file of customers' keys, to see what is encrypted.", exists=True)
    ] = None,
    master: Annotated[Path | None, typer.Option(help="The file of the master key, for --keys.", exists=True)] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The bytes too, in hexadecimal digits.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, an aggregate each.")] = False,
) -> None:
    """Show what is stored for a customer, decoded; exit code 1 if a row is broken. Needs no domain's code."""
    from contextlib import closing

    import msgspec
    from rich.console import Console

    from eslab.operations import inspection, inspection_text
    from eslab.operations.schema_lock import aggregates_in
    from eslab.stores import existing, open_store

    types, cipher, broken = aggregates_in(module or []), _cipher(keys, master, customer), 0
    with closing(open_store(existing(store))) as opened:
        found = inspection.inspect(opened, customer, aggregate, types, cipher, raw)
        if not as_json:
            broken = inspection_text.show(customer, found, Console(highlight=False))
        for each in found:  # none is left if they were shown
            typer.echo(msgspec.json.encode(each))
            broken += each.broken
    raise typer.Exit(1 if broken else 0)


def _cipher(keys: Path | None, master: Path | None, customer: str) -> Any:
    """What decrypts the customer's rows, if keys are named."""
    if not (keys and master):
        if keys or master:
            raise InvalidInput("Expected --keys and --master together, got one of them. Nothing was read.")
        return None
    from eslab.payload.encryption import CustomerCipher
    from eslab.stores.keys import FileKeys

    return CustomerCipher(FileKeys(keys, master), customer)


@app.command()
def play(
    customers: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    days: Annotated[int, typer.Option(min=1, help="Days of each customer's life.")] = 365,
    seed: Annotated[int, typer.Option(help="The same seed makes the same wishes, and ends in the same state.")] = 7,
    store: Annotated[str, typer.Option(help="A store's URL; it should be empty. sqlite: is a fresh file.")] = "sqlite:",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Threads; each handles whole customers.")] = 4,
) -> None:
    """Play a year of made-up customers through the download service, and hash the state that they leave."""
    from contextlib import closing

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from eslab import open_store
    from eslab.bench.play import play as played
    from eslab.bench.play import state_hash

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with closing(open_store(store)) as opened, Progress(*columns) as progress:
        playing = progress.add_task("customers played", total=customers)
        whole = played(opened, customers, days, seed, workers, lambda _: progress.advance(playing))
        seconds = progress.tasks[playing].finished_time or 0
        hashing = progress.add_task("customers hashed", total=customers)
        state = state_hash(opened, customers, lambda _: progress.advance(hashing))
    rate = len(whole.seconds) / seconds if seconds else 0
    typer.echo(f"{whole}\n{rate:,.0f} wishes a second with {workers} workers\nstate hash: {state}")


@app.command("schema-lock")
def schema_lock(
    modules: Annotated[list[str] | None, typer.Argument(help="Where aggregates live; eslab.domains if none.")] = None,
    file: Annotated[Path, typer.Option(help="The lock.", dir_okay=False)] = Path("schema.lock.json"),
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit code 1 if old rows won't fit.")] = False,
) -> None:
    """Keep the shape of every stored event and snapshot, and say which change would strand old rows."""
    from eslab.operations import schema_lock as lock

    found = lock.aggregates_in(modules or ["eslab.domains"])
    (lock.check if check else lock.write_lock)(file, found)
    typer.echo(f"{file} holds {len(lock.read_lock(file))} shapes; {len(found)} aggregate types fit them.")


@app.command()
def doctor() -> None:
    """Look whether everything is here for the lessons and for a Cassandra, and say what mends it."""
    from eslab.lab.selfcheck import doctor as look

    found = look()
    typer.echo(f"{found}\n{found.title if found.passed else found.advice}")
    raise typer.Exit(0 if found.passed else 1)


def _pairs(options: list[str]) -> dict[str, str]:
    pairs = [option.partition("=") for option in options]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise InvalidInput(f"Expected -p NAME=VALUE, such as -p rounds=3, got {name!r}. Nothing was executed.")
    return {name: value for name, _, value in pairs}


def _part(name: str) -> Any:
    part = PARTS[name]
    try:
        found = import_module(part.module).app
    except ModuleNotFoundError as error:
        found = _missing(error)
    command = typer.main.get_group(found)
    command.name, command.help = name, part.help
    return command


def _missing(error: ModuleNotFoundError) -> typer.Typer:
    """Stands in for a part whose packages are not installed: it is listed, and says so when it is called."""
    stand_in = typer.Typer(
        invoke_without_command=True, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )

    @stand_in.callback()
    def fail(rest: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
        raise error

    return stand_in


def _message(error: Exception, command: str | None) -> str:
    if isinstance(error, EslabError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and command in EXTRAS and not str(error.name).startswith("eslab"):
        return (
            f"Expected the package {error.name!r} for `eslab {command}`, found it not installed. "
            f"Run: pip install 'eslab[{EXTRAS[command]}]'"
        )
    return (
        f"{type(error).__name__}: {error}\nThis is a bug in eslab. To see where: eslab --traceback {command or ''} ..."
    )
