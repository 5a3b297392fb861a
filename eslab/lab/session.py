"""The start of every lesson: a store, a clock that only moves when told to, and requests repeatable from a seed."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from eslab import EventStore, InvalidInput, ManualClock, Request, display, open_store

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
    emptied; any other keyspace that holds rows is refused with `InvalidInput`.
    """
    opened = open_store(store)
    try:
        _make_empty(opened)
    except BaseException:
        opened.close()
        raise
    return Lab(store, seed, opened, ManualClock(START), Random(seed))  # noqa: S311 - repeatable on purpose


def _make_empty(store: Any) -> None:
    if not hasattr(store, "session"):
        return  # a new file or dictionary, so it is empty
    from eslab.stores.cassandra.schema import TABLES

    any_row = "SELECT customer_id FROM {} LIMIT 1"
    filled = [table for table in TABLES if store.session.execute(any_row.format(table)).one()]
    keyspace = store.options.keyspace
    if filled and not keyspace.startswith("lab_"):
        raise InvalidInput(
            f"Expected an empty keyspace for a lesson, found rows in {', '.join(filled)} of {keyspace}. Name one that "
            "begins with lab_, such as lab_lesson: it is created if missing, and emptied when a lesson opens it."
        )
    for table in filled:
        store.session.execute(f"TRUNCATE {table}")


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
