"""The commands of the lab: `eslab run`, `eslab lessons`, `eslab doctor`. Each imports heavy packages when it runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eslab.errors import InvalidInput
from eslab.lab.run_command import RunCommand
from eslab.terminal import in_a_cell, say

if TYPE_CHECKING:
    from eslab.lab.runner import Run

lessons = typer.Typer(no_args_is_help=True)
runs = typer.Typer(add_completion=False)

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
    list[str] | None,
    typer.Option(
        "--parameter", "-p", metavar="NAME=VALUE",
        help="For notebooks that declare it; or -p NAME VALUE. `eslab run NOTEBOOK --help` lists a notebook's own.",
    ),
]  # fmt: skip
CellTimeout = Annotated[
    int, typer.Option(min=1, metavar="SECONDS", help="Fail a notebook when one of its cells takes longer.")
]
Timeout = Annotated[
    int, typer.Option(min=1, metavar="SECONDS", help="Fail a notebook when it takes longer as a whole.")
]

Solutions = Annotated[
    bool, typer.Option("--solutions", help="Run the lessons with their exercises solved, in place of NOTEBOOKS.")
]
AllowMissing = Annotated[
    bool, typer.Option("--allow-missing", help="Exit with 0 although lessons were left out that can't run here.")
]
SOME_LEFT_OUT = 3  # the exit code of a run in which nothing failed, but not every lesson ran


@runs.command("run", cls=RunCommand)
def run(
    notebooks: Notebooks = None,
    solutions: Solutions = False,
    store: Store = None,
    seed: Seed = 7,
    out: Out = Path("build/reports"),
    parameter: Parameters = None,
    cell_timeout: CellTimeout = 600,
    timeout: Timeout = 1800,
    allow_missing: AllowMissing = False,
) -> None:
    """Execute notebooks and write an offline HTML report as each one ends; exit code 1 if one fails.

    A lesson that needs a Cassandra is left out on a machine that can't run one; the exit code is 3 then.
    Ctrl-C stops the run with exit code 130 and keeps the reports up to there.
    """
    from rich.console import Console

    from eslab.lab import progress, reports, runner

    console = Console()
    chosen = runner.find(_solutions(notebooks) if solutions else notebooks or _lessons_here())
    values = _pairs(parameter or [])
    limits = runner.Limits(cell_timeout, timeout)
    written = reports.Reports(out)
    stopped = None
    with _opened(store) as url, progress.watcher(console) as watcher:
        try:
            runner.run_notebooks(
                chosen, out, watcher, store=url, seed=seed, parameters=values, limits=limits, on_end=written.add,
                say=partial(console.print, markup=False, soft_wrap=True),
            )  # fmt: skip
        except runner.Stopped as signal:
            stopped = signal
    console.print(progress.table(written.runs))
    console.print(f"Reports: {in_a_cell(written.index)}", markup=False, highlight=False, soft_wrap=True)
    failures = [run.failure for run in written.runs if run.failure]
    left_out = [run for run in written.runs if run.left_out]
    for reason in [*failures, *filter(None, [_left_out(left_out), stopped])]:
        say(f"\n{reason}", err=True)
    if stopped:
        raise typer.Exit(stopped.exit_code)
    raise typer.Exit(1 if failures else SOME_LEFT_OUT if left_out and not allow_missing else 0)


run_command = typer.main.get_command(runs)


def doctor() -> None:
    """Check that the lessons and a Cassandra can run here, and say how to fix what can't."""
    from eslab.lab.selfcheck import doctor as check

    verdict = check()
    say(f"{verdict}\n{verdict.title if verdict.passed else verdict.advice}")
    raise typer.Exit(0 if verdict.passed else 1)


@lessons.command()
def copy(
    folder: Annotated[Path, typer.Argument(help="Folder for the copies, which is made if it is missing.")],
) -> None:
    """Copy the lessons to a folder, where you may change them. Repeat it to update those that you haven't changed."""
    from eslab.lab.copies import copy_lessons
    from eslab.lab.solutions import lessons_folder

    say(str(copy_lessons(lessons_folder(), folder)))
    say(f"Run them with: eslab run {folder}\nOpen them with: jupyter lab {folder}")


@lessons.command()
def check(
    store: Annotated[
        str | None,
        typer.Option(help="`cassandra` starts a node for the exercises that need one; or the URL of a Cassandra."),
    ] = None,
) -> None:
    """Check the exercises: stubs fail, each wrong answer gets its own feedback, solutions pass; else exit code 1."""
    from contextlib import closing

    from rich.console import Console

    from eslab import open_store
    from eslab.lab import course, lessoncheck

    with ExitStack() as stack:
        url = stack.enter_context(_opened(store))
        opened = stack.enter_context(closing(open_store(url.replace("{notebook}", "exercises")))) if url else None
        proofs = list(lessoncheck.prove(course.LESSONS, opened))
    Console().print(lessoncheck.table(proofs))
    problems = [problem for proof in proofs for problem in proof.problems]
    for problem in problems:
        say(f"\n{problem}", err=True)
    left_out = [proof.exercise for proof in proofs if proof.is_left_out]
    if left_out:
        say(f"Left out: {', '.join(left_out)}, which need a Cassandra: eslab lessons check --store cassandra")
    raise typer.Exit(1 if problems else 0)


def _solutions(notebooks: list[Path] | None) -> list[Path]:
    """The lessons with solved exercises, which the package brings."""
    from eslab.lab.solutions import lessons_folder

    if notebooks:
        raise InvalidInput(
            f"Expected no notebooks beside --solutions, got {', '.join(map(str, notebooks))}. To run one of them, name "
            f"its file in {lessons_folder() / 'solutions'} instead. Nothing was executed."
        )
    return [lessons_folder() / "solutions"]


def _lessons_here() -> list[Path]:
    here = Path("notebooks")
    if not here.is_dir():
        raise InvalidInput(
            "Expected the lessons in the folder notebooks, found no such folder here. Copy them with "
            "`eslab lessons copy notebooks`, or name notebooks: eslab run FOLDER"
        )
    return [here]


def _left_out(runs: "list[Run]") -> str:
    if not runs:
        return ""
    names = ", ".join(run.name for run in runs)
    return (
        f"Left out: {names}\n    {runs[0].left_out}\n"
        f"Not every lesson ran, so the exit code is {SOME_LEFT_OUT}; with --allow-missing it is 0 if the others pass."
    )


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
    given = [name for name, _, _ in pairs]
    if twice := sorted({name for name in given if given.count(name) > 1}):
        raise InvalidInput(f"Expected each parameter once, got {', '.join(twice)} twice. Nothing was executed.")
    return {name: value for name, _, value in pairs}
