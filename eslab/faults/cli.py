"""The command `eslab simulate`."""

from typing import Annotated

import typer

from eslab.terminal import say

Schedules = Annotated[int, typer.Option(min=1, help="Schedules to run.")]
Seed = Annotated[int, typer.Option(help="The seed of the first schedule; the others follow it.")]
Seconds = Annotated[float, typer.Option(help="Stop after this time, however many schedules have run.")]
Replay = Annotated[str, typer.Option(help="Run one schedule, given by its choices, and print its operations.")]


def simulate(schedules: Schedules = 1000, seed: Seed = 0, seconds: Seconds = 60.0, replay: Replay = "") -> None:
    """Search for schedules that break a promise; exit code 1 if there is one, which is printed in its smallest form."""
    from eslab.faults import explore
    from eslab.faults.choices import Choices, parsed, written

    if replay:
        outcome = explore.run(Choices("", parsed(replay)))
        say("\n".join(map(str, outcome.history.operations)))
        say("\n".join(map(str, outcome.violations)) or "No promise is broken.")
        raise typer.Exit(int(bool(outcome.violations)))
    search = explore.search(range(seed, seed + schedules), seconds)
    met = ", ".join(f"{what} in {number:,}" for what, number in sorted(search.met.items()))
    say(f"{search.schedules:,} schedules; {met or 'nothing happened'}")
    for rule, (first, outcome) in search.first.items():
        smallest = explore.shrink(outcome, rule)
        say(f"\n{rule}: broken in {search.broken[rule]:,} schedules, first by seed {first}. Its smallest form:")
        say("\n".join(str(violation) for violation in smallest.violations if violation.rule == rule))
        say(f"Replay it: eslab simulate --replay '{written(smallest.choices)}'")
    raise typer.Exit(int(bool(search.first)))
