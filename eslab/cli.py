"""The `eslab` command: assembles the commands of the rooms, each imported only when it is called."""

import codecs
import io
import sys
import traceback as tracebacks
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from eslab.errors import EslabError
from eslab.terminal import say


class Entry(NamedTuple):
    """A command or a group of commands: where it lives, its line in `eslab --help`, the extra that it needs."""

    module: str
    name: str
    help: str
    extra: str = ""


IN_ASCII = {"✓": "ok", "✗": "!!", "µ": "u", "·": "-", "–": "-", "…": "...", "←": "<-", "→": "->"}
COMMANDS = {
    "archive": Entry("eslab.operations.archive_cli", "archive", "Read and check archived events.", "archive"),
    "audit": Entry("eslab.operations.upkeep_cli", "audit", "Compare all that is stored with the events; repair it."),
    "bench": Entry("eslab.bench.cli", "app", "Measure the cost of hydration and appends on this machine.", "lab"),
    "chaos": Entry("eslab.lab.chaos", "chaos", "Break a real cluster of three regions under load; judge.", "lab"),
    "cluster": Entry("eslab.cluster.cli", "app", "Run a real Cassandra on this machine.", "cassandra"),
    "doctor": Entry("eslab.lab.cli", "doctor", "Check that lessons and a Cassandra can run here."),
    "downloads": Entry("eslab.domains.downloads.cli", "app", "Find undelivered licences; finish them.", "downloads"),
    "inspect": Entry("eslab.operations.cli", "inspect", "Show the rows of a customer, decoded."),
    "lessons": Entry("eslab.lab.cli", "lessons", "Copy the lessons; check their exercises."),
    "play": Entry("eslab.bench.cli", "play", "Play a year of made-up customers.", "downloads"),
    "read-tables": Entry("eslab.operations.cli", "read_tables", "Rebuild read tables, or close a gap.", "downloads"),
    "repair": Entry("eslab.operations.upkeep_cli", "repair", "Make the replicas of a Cassandra equal."),
    "rotate": Entry("eslab.operations.archive_cli", "rotate", "Move old events to an archive.", "archive"),
    "row": Entry("eslab.operations.cli", "row", "Restore a broken row, or skip it with a mark."),
    "run": Entry("eslab.lab.cli", "run_command", "Execute notebooks and write reports.", "lab"),
    "schema": Entry("eslab.operations.cli", "schema", "Create or show tables; share settings.", "cassandra"),
    "schema-lock": Entry("eslab.operations.cli", "schema_lock", "Check that old rows fit the code."),
    "snapshots": Entry("eslab.operations.upkeep_cli", "snapshots", "Build snapshots of all customers."),
    "simulate": Entry("eslab.faults.cli", "simulate", "Search for schedules that break a promise.", "faults"),
}


class Commands(TyperGroup):
    """Imports a command's module when the command is called, and turns errors into messages."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Stand-ins: `eslab --help` and the suggestions for a mistyped name need no more, and start quickly.
        self.commands = {name: TyperCommand(name, help=entry.help) for name, entry in sorted(COMMANDS.items())}

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line, on terminals and pipes of any encoding."""
        _print_in_any_encoding()
        return super().main(*args, **options)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the command that is called; the stand-in says whether there is one of this name."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        if name is None or stand_in is None:
            return name, stand_in, rest
        ctx.invoked_subcommand = name  # for the message, if the import fails
        return name, _command(name, COMMANDS[name]), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error becomes one message and exit code 1, with a traceback if --traceback is given."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):  # such as `eslab ... | head`
            raise
        except Exception as error:
            if ctx.params["traceback"]:
                say(tracebacks.format_exc(), err=True)
            say(_message(error, ctx.invoked_subcommand), err=True)
            raise typer.Exit(1) from None


def _print_in_any_encoding() -> None:
    """Replace a letter that stdout or stderr can't encode, such as ✓ in Windows's cp1252, instead of failing at it."""
    codecs.register_error("eslab", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="eslab")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """The letters that can't be encoded, in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(IN_ASCII.get(letter, ascii(letter)[1:-1]) for letter in letters), error.end


app = typer.Typer(
    name="eslab", cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"eslab {version('eslab')}")
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
    """The command or group of an entry."""
    entrance = getattr(import_module(entry.module), entry.name)
    if isinstance(entrance, TyperCommand):
        command = entrance
    elif isinstance(entrance, typer.Typer):
        command = typer.main.get_group(entrance)
        command.help = entry.help
    else:
        single = typer.Typer(add_completion=False)
        single.command(name)(entrance)
        command = typer.main.get_command(single)
    command.name = name
    return command


def _message(error: Exception, command: str | None) -> str:
    if isinstance(error, EslabError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:  # a path of the user's, or a full disk
        return f"{error.filename}: {error.strerror}. Check the path, its permissions and the disk."
    extra = COMMANDS[command].extra if command in COMMANDS else ""
    if isinstance(error, ModuleNotFoundError) and extra and not str(error.name).startswith("eslab"):
        return (
            f"Expected the package {error.name!r} for `eslab {command}`, found it not installed. "
            f"Run: pip install 'eslab[{extra}]'"
        )
    return (
        f"{type(error).__name__}: {error}\nThis is a bug in eslab. To see where: eslab --traceback {command or ''} ..."
    )
