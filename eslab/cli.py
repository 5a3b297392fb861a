"""The `eslab` command: assembles the commands of the rooms, each imported only when it is called."""

import traceback as tracebacks
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from eslab.errors import EslabError


class Entry(NamedTuple):
    """Where a command or a group of commands lives, the extra that it needs, and its help if it is a group."""

    module: str
    name: str
    extra: str = ""
    help: str = ""


COMMANDS = {
    "bench": Entry("eslab.bench.cli", "app", "lab", "Measure the cost of hydration and appends on this machine."),
    "cluster": Entry("eslab.cluster.cli", "app", "cassandra", "Run a real Cassandra on this machine."),
    "doctor": Entry("eslab.lab.cli", "doctor"),
    "inspect": Entry("eslab.operations.cli", "inspect"),
    "play": Entry("eslab.bench.cli", "play", "downloads"),
    "read-tables": Entry("eslab.operations.cli", "read_tables", "downloads", "Rebuild read tables, or close a gap."),
    "run": Entry("eslab.lab.cli", "run", "lab"),
    "schema": Entry("eslab.operations.cli", "schema", "cassandra", "Create or show the tables in Cassandra."),
    "schema-lock": Entry("eslab.operations.cli", "schema_lock"),
}


class Commands(TyperGroup):
    """Imports a command's module when the command is called, and turns errors into messages."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All commands, in alphabetical order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; its module is imported now."""
        return _command(cmd_name, COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error becomes one message and exit code 1, with a traceback if --traceback is given."""
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
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Event sourcing on Apache Cassandra, and the lab that teaches it."""


def _command(name: str, entry: Entry) -> Any:
    """The command or group of an entry; a stand-in if its packages are not installed."""
    try:
        found = getattr(import_module(entry.module), entry.name)
    except ModuleNotFoundError as error:
        found = _stand_in(error)
    if isinstance(found, typer.Typer):
        command = typer.main.get_group(found)
        command.help = entry.help
    else:
        single = typer.Typer(add_completion=False)
        single.command(name)(found)
        command = typer.main.get_command(single)
    command.name = name
    return command


def _stand_in(error: ModuleNotFoundError) -> typer.Typer:
    """A group that is listed like the real one, and raises the error when it is called."""
    group = typer.Typer(
        invoke_without_command=True, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )

    @group.callback()
    def fail(rest: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
        raise error

    return group


def _message(error: Exception, command: str | None) -> str:
    if isinstance(error, EslabError):
        return str(error)
    extra = COMMANDS[command].extra if command in COMMANDS else ""
    if isinstance(error, ModuleNotFoundError) and extra and not str(error.name).startswith("eslab"):
        return (
            f"Expected the package {error.name!r} for `eslab {command}`, found it not installed. "
            f"Run: pip install 'eslab[{extra}]'"
        )
    return (
        f"{type(error).__name__}: {error}\nThis is a bug in eslab. To see where: eslab --traceback {command or ''} ..."
    )
