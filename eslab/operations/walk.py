"""The resumable walk over all customers: long work that may be killed at any moment, and resumes at its checkpoint.

The work on one customer must be idempotent: after a crash, the customers since the last checkpoint are done again.

Rows that can't be read stop nobody: the walk names them at its end, when the work on all others is done.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from eslab.errors import EslabError, Unreadable
from eslab.payload.decoding import built
from eslab.store import Consistency, EventStore

CUSTOMERS_PER_CHECKPOINT = 50  # a crash repeats the work on at most this many customers
NAMED = 20  # rows that the error at the end names
OnProgress = Callable[[int], None]  # is called after each customer, with the number of rows that were written


def silent(rows: int) -> None:
    """Report no progress."""


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a walk has come. All fields are empty before the first walk."""

    complete: datetime | None = None  # the walk that began at this moment reached its end
    began: datetime | None = None  # when the walk in progress began
    after: str = ""  # the last customer whose work is done in it
    late: str | UnsetType = UNSET  # the note of late appends as it was when the walk began (eslab.read_table)


class Walked(NamedTuple):
    """The customers visited and the rows written by one call."""

    customers: int
    rows: int


class Damaged(Exception):
    """Raised by the work on one customer when it is done but for rows that can't be used."""

    def __init__(self, rows: int, problems: Sequence[EslabError]) -> None:
        super().__init__(rows, problems)
        self.rows = rows
        self.problems = problems


def load_checkpoint(store: EventStore, name: str) -> Checkpoint:
    """The checkpoint of a walk; an empty one if there is none."""
    text = store.checkpoint(name)
    try:
        return msgspec.json.decode(text, type=built(Checkpoint)) if text else Checkpoint()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(
            f"Unreadable row in checkpoints: {name!r}: {error}, found {text!r}. Delete the row: the work begins again."
        ) from None


def save_checkpoint(store: EventStore, name: str, checkpoint: Checkpoint) -> None:
    """Keep how far a walk has come."""
    store.set_checkpoint(name, msgspec.json.encode(checkpoint).decode())


def walk(
    store: EventStore, name: str, checkpoint: Checkpoint, work: Callable[[str], int], on_progress: OnProgress = silent
) -> Walked:
    """Call `work` for each customer after the checkpoint, in the store's order, and save the checkpoint as it advances.

    `work` returns the number of rows that it wrote. If it raises `Damaged` or `Unreadable`, the walk goes on with the
    next customer, holds the checkpoint before this one, and raises `Unreadable` at its end with all that was found; the
    next walk begins at the first customer. Any other error ends the walk, which can be resumed. The customers are read
    EVERYWHERE: while a region can't be reached, this raises `StoreUnavailable`. At the end it is for the caller to save
    what the whole walk has reached: until then, the last customers would be done again.
    """
    customers = 0
    rows = 0
    problems: list[EslabError] = []
    save_checkpoint(store, name, checkpoint)
    try:
        for customer in store.customers(checkpoint.after, Consistency.EVERYWHERE):
            written = _visit(work, customer, problems)
            customers += 1
            rows += written
            on_progress(written)
            if customers % CUSTOMERS_PER_CHECKPOINT == 0 and not problems:
                save_checkpoint(store, name, replace(checkpoint, after=customer))
    except Unreadable as error:  # in the list of customers
        problems.append(error)
    if problems:
        save_checkpoint(store, name, Checkpoint(checkpoint.complete))
        raise _incomplete(name, Walked(customers, rows), problems)
    return Walked(customers, rows)


def _visit(work: Callable[[str], int], customer: str, problems: list[EslabError]) -> int:
    try:
        return work(customer)
    except Damaged as damaged:
        problems += damaged.problems
        return damaged.rows
    except Unreadable as error:
        problems.append(error)
        return 0


def _incomplete(name: str, walked: Walked, problems: Sequence[EslabError]) -> Unreadable:
    """The error that ends a walk which met rows that can't be used."""
    first = problems[0]
    more = len(problems) - NAMED
    return Unreadable(
        f"Incomplete: {name}, {len(problems):,} rows can't be used. {walked.rows:,} rows of {walked.customers:,} "
        "customers are written, and nothing is called complete. Repair these rows, then run it again:\n"
        + "\n".join(map(str, islice(problems, NAMED)))
        + (f"\nand {more:,} more" if more > 0 else ""),
        customer_id=first.customer_id,
        aggregate_id=first.aggregate_id,
        event_time=first.event_time,
    )
