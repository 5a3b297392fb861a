"""The command `eslab simulate`."""

from contextlib import closing, nullcontext, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from eslab.display import quantity
from eslab.terminal import say

if TYPE_CHECKING:
    from eslab.faults.simulation.explore import Search

INTERRUPTED = 130  # the exit code after Ctrl-C
Schedules = Annotated[int, typer.Option(min=1, help="Schedules to run.")]
Seed = Annotated[int, typer.Option(help="The seed of the first schedule; the others follow it.")]
Seconds = Annotated[float, typer.Option(help="Stop after this time, however many schedules have run.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes that search at once.")]
Name = Annotated[str, typer.Option("--variant", help="Break the core in a known way, which the search must catch.")]
Duels = Annotated[bool, typer.Option(help="Run all orders of some duels between two processes first.")]
List = Annotated[bool, typer.Option("--variants", help="List the variants.")]
Replay = Annotated[str, typer.Option(help="Run one schedule, given by its choices, and print its operations.")]


def simulate(
    schedules: Schedules = 10_000,
    seed: Seed = 0,
    seconds: Seconds = 60.0,
    jobs: Jobs = 1,
    duels: Duels = True,
    variant: Name = "",
    variants: List = False,
    replay: Replay = "",
) -> None:
    """Search for schedules that break a promise; exit code 1 if there is one, which is printed in its smallest form.

    First all orders of some duels between two processes, then random schedules; Ctrl-C ends these, and what they met
    is shown. A run that never met what it is there for fails, too.
    """
    from eslab.faults.simulation.variants import broken

    if variants:
        _list()
        return
    with broken(variant) if variant else nullcontext():
        if replay:
            raise typer.Exit(_replay(replay))
        lost = duels and _duels()
        search = _search(range(seed, seed + schedules), seconds, jobs, variant)
        met = ", ".join(f"{what} in {number:,}" for what, number in sorted(search.met.items()))
        say(f"{quantity(search.schedules, 'schedule')}; {met or 'nothing happened'}")
        _show(search, variant)
    for what in search.never_met if search.ended else ():
        say(f"Expected schedules in which {what} happens, met none: run more of them.")
    if not search.ended:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(int(bool(lost or search.first or search.never_met)))


def _search(seeds: range, seconds: float, jobs: int, variant: str) -> "Search":
    """Search with a bar that shows how far it is, and how many schedules broke a promise."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from eslab.faults.simulation.explore import Search, search_together

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    total = Search()
    with suppress(KeyboardInterrupt), Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("schedules", total=len(seeds))
        with closing(search_together(seeds, seconds, jobs, variant)) as shares:
            for share in shares:
                total.add(share)
                broken = f", {sum(total.broken.values()):,} broken promises" if total.broken else ""
                progress.update(task, completed=total.schedules, description=f"schedules{broken}")
            total.ended = True
    return total


def _list() -> None:
    from eslab.faults.simulation.variants import VARIANTS

    for name, variant in VARIANTS.items():
        say(f"{name:20} leaves out: {variant.rule}")


def _replay(text: str) -> int:
    from eslab.faults.choices import Choices, parsed
    from eslab.faults.simulation import explore

    outcome = explore.run(Choices("", parsed(text)))
    say("\n".join(map(str, outcome.history.operations)))
    say("\n".join(map(str, outcome.violations)) or "No promise is broken.")
    return int(bool(outcome.violations))


def _duels() -> bool:
    """Run all orders of all duels; was a promise broken?"""
    from eslab.faults.simulation.duels import DUELS, orders

    lost = False
    for duel in DUELS:
        number, wrong = 0, None
        for _, violations in orders(duel):
            number += 1
            wrong = next(iter(violations), None)
            if wrong:
                break
        broken = f", of which the last one broke a promise: {wrong}" if wrong else ""
        say(f"{duel.name}: {quantity(number, 'order')}{broken}")
        lost = lost or wrong is not None
    return lost


def _show(search: "Search", variant: str) -> None:
    from eslab.faults.choices import Choices, written
    from eslab.faults.simulation import explore

    for rule, seed in search.first.items():
        smallest = explore.shrink(explore.run(Choices(seed)), rule)
        say(
            f"\n{rule}: broken in {quantity(search.broken[rule], 'schedule')}, first by seed {seed}. Its smallest form:"
        )
        say("\n".join(str(violation) for violation in smallest.violations if violation.rule == rule))
        option = f" --variant '{variant}'" if variant else ""
        say(f"Replay it: eslab simulate{option} --replay '{written(smallest.choices)}'")
