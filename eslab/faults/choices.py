"""Every random decision of a schedule, drawn from a seed and kept, so that a schedule can be replayed and shrunk.

A choice is a small integer; 0 is always the uneventful one: no fault, no delay, the first of several. So a schedule is
known by its choices that aren't 0, and a shorter list of them is a simpler schedule.
"""

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

from eslab.errors import InvalidInput

Choice = TypeVar("Choice")
Place = tuple[str, int]  # the stream that chose, and how many choices it had made before
WRITTEN = re.compile(r"([^/=,]+)/(\d+)=(\d+)")


class Choices:
    """The choices of one schedule, in streams, one a process: what one process draws never shifts another's draws."""

    def __init__(self, seed: int | str, given: Mapping[Place, int] | None = None) -> None:
        """Draw from the seed, or replay the `given` choices, all others being 0."""
        self.seed = seed
        self.given = given
        self.made: dict[Place, int] = {}  # all that aren't 0

    def stream(self, name: str) -> "Stream":
        """The choices of one process; asked for once."""
        return Stream(self, name)


class Stream:
    """The choices of one process."""

    def __init__(self, choices: Choices, name: str) -> None:
        self._name = name
        self._count = 0
        self._made = choices.made
        self._given = choices.given
        self._random = Random(f"{choices.seed} {name}") if choices.given is None else None  # noqa: S311 - no secret

    def below(self, limit: int) -> int:
        """An integer from 0 up to, but not including, `limit`."""
        return self._keep(self._random.randrange(limit)) if self._random else min(self._replayed(), limit - 1)

    def chance(self, probability: float) -> bool:
        """True with this probability; false is the uneventful choice."""
        return bool(self._keep(int(self._random.random() < probability)) if self._random else self._replayed())

    def among(self, options: Sequence[Choice]) -> Choice:
        """One of the options; the first is the uneventful one."""
        return options[self.below(len(options))]

    def _keep(self, value: int) -> int:
        if value:
            self._made[self._name, self._count] = value
        self._count += 1
        return value

    def _replayed(self) -> int:
        assert self._given is not None
        return self._keep(self._given.get((self._name, self._count), 0))


def written(choices: Mapping[Place, int]) -> str:
    """The choices as text for a command line: `client 1/3=2, network/0=1`.

    >>> written({("client 1", 3): 2, ("network", 0): 1})
    'client 1/3=2, network/0=1'
    """
    return ", ".join(f"{stream}/{position}={value}" for (stream, position), value in sorted(choices.items()))


def parsed(text: str) -> dict[Place, int]:
    """The choices in such a text.

    >>> parsed("client 1/3=2, network/0=1")
    {('client 1', 3): 2, ('network', 0): 1}
    """
    given: dict[Place, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = WRITTEN.fullmatch(part)
        if not match:
            raise InvalidInput(f"Expected choices such as 'client 1/3=2, network/0=1', got {part!r}.")
        given[match[1], int(match[2])] = int(match[3])
    return given
