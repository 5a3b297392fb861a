"""Options that several commands of `eslab bench` share."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from eslab.bench.measure import Report

SEVERAL = ("--events", "--interval", "--padding", "--workers")  # options that take several values


class SeveralValues(TyperCommand):
    """A command whose options take several values: `--events 1000 10000` or `--events 1000 --events 10000`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments with the options repeated, since click knows only one value for each option."""
        for option in SEVERAL:
            args = [*repeat_option(option, args)]
        return super().parse_args(ctx, args)


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


def for_figures(file: Path | None) -> Path | None:
    """Refuse a file that can't be written, or that holds something else, before anything is measured."""
    check_folder(file)
    if file and file.exists() and not _holds_figures(file):
        raise typer.BadParameter(f"Expected {file} to be missing or to hold earlier figures; name another file.")
    return file


def check_folder(file: Path | None) -> None:
    """Refuse a file in a folder that isn't there."""
    if file and not file.parent.is_dir():
        raise typer.BadParameter(f"Expected a folder at {file.parent}, found none; create it first.")


def _holds_figures(file: Path) -> bool:
    try:
        return file.stat().st_size == 0 or "rows" in json.loads(file.read_bytes())
    except (ValueError, TypeError, OSError):
        return False


Store = Annotated[str, typer.Option(help="sqlite, memory or cassandra for a fresh store, or a URL to write to.")]
Peers = Annotated[list[str] | None, typer.Option("--peer", help="Also measure this peer: eventsourcing.")]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", help="Write all figures to this file.", dir_okay=False, callback=for_figures),
]
Runs = Annotated[int, typer.Option(min=1, help="Runs of each measure; the median counts.")]


def write(report: "Report", file: Path | None) -> None:
    """Write all figures to the file, if one is named."""
    if file:
        file.write_text(report.as_json() + "\n", encoding="utf-8")


def show(report: "Report") -> None:
    """Print a report."""
    from eslab.bench.table import show

    show(report)
