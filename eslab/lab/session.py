"""The start of every lesson: a store, a clock that only moves when told to, and requests repeatable from a seed."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from eslab import EventStore, ManualClock, Request, display, open_store
from eslab.lab.emptying import make_empty

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@dataclass
class Lab:
    """A lesson's store, clock and seed."""

    url: str
    seed: int
    store: EventStore
    clock: ManualClock
    random: Random

    def request(self, later: timedelta = timedelta(minutes=1)) -> Request:
        """Let time pass, then make a new request, as an edge server would."""
        self.clock.advance(later)
        return Request.new(self.clock, self.random)

    def __repr__(self) -> str:
        return f"Lab on {self.url.partition('?')[0]}, seed {self.seed}, {self.clock.now:%Y-%m-%d %H:%M} UTC"


def open_lab(store: str, seed: int) -> Lab:
    """Open the store of a lesson; the same seed makes the same requests on every run and store.

    A lesson starts with an empty store. A Cassandra keyspace whose name begins with `lab_` belongs to lessons and is
    emptied, and so is a SQLite file that was empty when a lesson opened it first. Any other store that holds rows is
    refused with `InvalidInput`, and keeps them.
    """
    opened = open_store(store)
    try:
        make_empty(opened, store)
    except BaseException:
        opened.close()
        raise
    return Lab(store, seed, opened, ManualClock(START), Random(seed))  # noqa: S311 - repeatable on purpose


@dataclass
class Expected:
    """The error that a step must raise, shown as a result instead of a traceback."""

    error: BaseException | None = None

    def _repr_html_(self) -> str:
        if self.error is None:
            return ""
        return display.table(f"{type(self.error).__name__}, as expected", {"message": str(self.error)}, mark="✓")


@contextmanager
def expect(error_type: type[BaseException]) -> Generator[Expected, Any, None]:
    """Run a step that must fail with this error, and show its message; raise `AssertionError` if it doesn't fail."""
    expected = Expected()
    try:
        yield expected
    except error_type as error:
        expected.error = error
    if expected.error is None:
        raise AssertionError(f"Expected {error_type.__name__}, but nothing was raised.")
    from IPython.display import display as show

    show(expected)
