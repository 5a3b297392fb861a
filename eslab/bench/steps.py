"""What a long benchmark does now, in words, for whoever shows progress."""

from collections.abc import Callable
from dataclasses import dataclass

OnStep = Callable[[str], object]


def unseen(step: str) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Steps:
    """Tells the steps of one part of a benchmark, whose name stands first."""

    part: str
    on_step: OnStep = unseen

    def say(self, step: str) -> None:
        """Tell a step."""
        self.on_step(f"{self.part}: {step}")

    def storing(self, store: str) -> Callable[[int], None]:
        """A function to call after each append with the number of its events; it tells how many are stored by now."""
        stored = 0

        def count(events: int) -> None:
            nonlocal stored
            stored += events
            self.say(f"{stored:,} stored in {store}")

        return count

    def rounds(self, what: str, runs: int) -> Callable[[int], None]:
        """A function to call before each round with its number; the first one isn't counted."""
        return lambda run: self.say(f"{what}, round {run} of {runs}" if run else f"{what}, warm up")
