"""How a reader's statement is executed in regions, and what is said of it; for an exercise of lesson 09."""

import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from eslab import Request
from eslab.lab.answers import Answer, Outcome
from eslab.lab.feedback import Difference
from eslab.lab.lessons.drift import TABLE, Row

Wish = tuple[Request, str, str]  # and the customer and the title

WHY = {
    "shape": "Return two things: the text of the statement, and a tuple of its values.",
    "nothing": "The statement ran, and no row is there. Insert one row.",
    "id": "The row has no id. Two rows without one are not the same row to anybody.",
    "other": "Customer and title are what the function was given.",
    "quote": "The title became a part of the statement, and its quote ends the text. Write ? and give it as a value.",
    "type": "SQLite keeps texts, numbers and bytes. Make a text of it, such as str(request.id).",
    "database": "Text and values were the same both times. So the database made it, and each region made its own.",
    "function": "Your function runs in each region, and made something else there. Only the request is the same.",
    "repeat error": "A repeat meets the row of the first delivery. Let that be no error: INSERT OR IGNORE.",
    "repeat row": "The repeat became a second row. The id must be the same for each delivery of the request.",
    "repeat changed": "The repeat changed the row, so the region that saw only one delivery holds another one.",
    "same wish": "The same customer may want the same title again later. Both wishes got one id: derive it from the "
    "request.",
    "same time": "Two wishes may fall into one millisecond. Both got one id: derive it from the whole request id.",
    "same all": "Customer, title and time are the same, and yet these are two wishes. Only the request differs.",
    "time": "Wishes of four weeks must have four times. This is the time of the execution: take request.time.",
    "no time": "The row has no time. Take request.time.",
    "order": "The regions executed the wishes in another order. An id that depends on what is there differs.",
    "process": "Another process made another id of the same request: hash() of a text is different in each process.",
}


@contextmanager
def region() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.execute(TABLE)
        yield database


def rows_in(database: sqlite3.Connection) -> list[Row]:
    return [Row(*row) for row in database.execute("SELECT id, customer, title, at FROM downloads ORDER BY id, at")]


def _run(database: sqlite3.Connection, value: Any) -> Exception | None:
    """Execute a statement; the error if there is one."""
    try:
        with warnings.catch_warnings(action="ignore"):  # how Python stores a datetime is for the reader to choose
            database.execute(*value)
    except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError, TypeError) as error:
        return error
    return None


def _is_statement(value: Any) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return False
    return isinstance(value[0], str) and isinstance(value[1], Sequence | Mapping) and not isinstance(value[1], str)


def call_of(wish: Wish) -> str:
    request, customer, title = wish
    return f"statement(<request {str(request.id)[-6:]} of {request.time:%d %b %H:%M:%S}>, {customer!r}, {title!r})"


def _outcome(answer: Answer, wish: Wish) -> tuple[Outcome, str]:
    """What a call gives, and why that is no statement; empty if it is one."""
    outcome = answer(*wish)
    if outcome.error is not None:
        return outcome, outcome.advice
    return outcome, "" if _is_statement(outcome.value) else WHY["shape"]


class Told:
    """The executions of one case, and the difference that they end with."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.lines: list[str] = []
        self.values: list[Any] = []

    def execute(self, database: sqlite3.Connection, region: str, wish: Wish, on_error: str = "") -> Difference | None:
        """Make the statement and execute it in a region."""
        outcome, why = _outcome(self.answer, wish)
        if why:
            return Difference(self.lines, call_of(wish), "a text and its values", str(outcome), why)
        self.values.append(outcome.value)
        error = _run(database, outcome.value)
        self.lines.append(f"{region}: {call_of(wish)}")
        if error is None:
            return None
        is_type = isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError) and "not supported" in str(error)
        why = WHY["type"] if is_type else on_error
        return self.differs("no error", f"{type(error).__name__}: {error}", why)

    def differs(self, expected: str, got: str, why: str) -> Difference:
        """The difference, after all that was executed."""
        return Difference(self.lines[:-1], self.lines[-1], expected, got, why)
