"""Any store in the virtual world: a process may be interrupted between any two of its calls to the store.

Each call happens as a whole, at one moment: so the interleavings of a few short processes can be tried exhaustively, on
whatever store, real ones included.
"""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

from eslab.faults.choices import Choices
from eslab.faults.simulation.world import World
from eslab.store import EventStore

PAGED = {"read_many", "rows_many", "read_rows", "customers"}  # methods that answer page by page


class Stepwise:
    """A store whose calls give way to the other processes before they happen; otherwise it is the store."""

    def __init__(self, store: EventStore, world: World) -> None:
        self._store = store
        self._world = world

    def __getattr__(self, name: str) -> Any:
        """The method of the store, as one step of the running process; of pages, each is a step."""
        method = getattr(self._store, name)
        if name.startswith("_") or not callable(method):
            return method
        return partial(self._pages if name in PAGED else self._call, method)

    def _call(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self._world.give_way()
        return method(*args, **options)

    def _pages(self, method: Callable[..., Iterator[Any]], *args: Any, **options: Any) -> Generator[Any, None, None]:
        pages = method(*args, **options)
        while True:
            self._world.give_way()
            page = next(pages, None)
            if page is None:
                return
            yield page


class Scripted(Choices):
    """Choices of which process runs next: first those of a script, then always the first."""

    def __init__(self, script: list[int]) -> None:
        super().__init__("", {("order", position): value for position, value in enumerate(script)})


def schedules(run: Callable[[Choices], list[int]]) -> Iterator[Choices]:
    """Run every interleaving once; `run` runs one and returns how many processes could have run at each step.

    A depth-first search without a memory: the next script is the last one with its last choice that can be raised
    raised by one, and everything after it left out.
    """
    script: list[int] = []
    while True:
        choices = Scripted(script)
        could = run(choices)
        yield choices
        taken = [choices.made.get(("order", position), 0) for position in range(len(could))]
        while could and taken[-1] + 1 >= could[-1]:
            taken.pop()
            could.pop()
        if not could:
            return
        script = [*taken[:-1], taken[-1] + 1]
