"""The command line of `eslab run`: `-p NAME VALUE`, and help that lists a notebook's parameters."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from eslab.terminal import say

OPTIONS = ("-p", "--parameter")
EVERYWHERE = ("store", "seed")  # parameters of every notebook, which are options


class RunCommand(TyperCommand):
    """Joins a parameter's name and value, and lists the parameters of the notebooks beside `--help`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; those that name notebooks are kept for the help."""
        ctx.meta[__name__] = args
        return super().parse_args(ctx, joined(args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help, then the parameters of each notebook that was named."""
        super().format_help(ctx, formatter)
        for argument in ctx.meta[__name__]:
            if argument.endswith(".ipynb") and Path(argument).is_file():
                say("\n".join(_parameters(Path(argument))))


def joined(arguments: Sequence[str]) -> list[str]:
    """The arguments, with NAME=VALUE where a parameter was given as NAME VALUE.

    >>> joined(["a.ipynb", "-p", "rounds", "3", "-p", "ratio=0.5"])
    ['a.ipynb', '-p', 'rounds=3', '-p', 'ratio=0.5']
    """
    rest = list(arguments)
    done: list[str] = []
    while rest:
        done.append(rest.pop(0))
        if done[-1] in OPTIONS and len(rest) > 1 and "=" not in rest[0] and not _is_option(rest[1]):
            done.append(f"{rest.pop(0)}={rest.pop(0)}")
    return done


def _is_option(argument: str) -> bool:
    """Is it an option, and no value? A negative number is a value."""
    return argument in OPTIONS or argument.startswith("--")


def _parameters(notebook: Path) -> Iterator[str]:
    """A line for each parameter that can be given to a notebook with -p."""
    from eslab.lab.parameters import declared_in

    own = {name: found for name, found in declared_in(notebook).items() if name not in EVERYWHERE}
    yield f"Parameters of {notebook.name}:" if own else f"{notebook.name} has no parameters but --store and --seed."
    for name, found in own.items():
        yield f"  -p {name} {found.default}    {found.annotation}"
