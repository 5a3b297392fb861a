"""The resumable walk over all customers: long work that may be killed at any moment, and resumes at its checkpoint.

The work on one customer must be idempotent: after a crash, the customers since the last checkpoint are done again. It
may run in several threads, on other customers each. The checkpoint then is the last customer before the first one that
isn't done, so a walk resumes with any number of threads.

Rows that can't be read stop nobody: the walk names them at its end, when the work on all others is done. The checkpoint
remembers them, so that a walk that was interrupted names them too.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from eslab.aggregate import check_id
from eslab.clock import Clock, time_on
from eslab.display import quantity
from eslab.errors import EslabError, Unreadable
from eslab.operations.parallel import check_jobs, in_order
from eslab.payload.decoding import built
from eslab.store import Consistency, EventStore

CUSTOMERS_PER_CHECKPOINT = 50  # a crash repeats the work on at most this many, and on those that threads did ahead
NAMED = 20  # rows that the error at the end names
OnProgress = Callable[[int], None]  # is called after each customer, with the number of rows that were written


def silent(rows: int) -> None:
    """Report no progress."""


class Problem(msgspec.Struct, frozen=True):
    """An error that a walk met, as its checkpoint keeps it."""

    message: str
    customer_id: str | None = None
    aggregate_id: str | None = None
    event_time: UUID | None = None


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a walk has come. All fields are empty before the first walk."""

    complete: datetime | None = None  # the walk that began at this moment reached its end
    began: datetime | None = None  # when the walk in progress began
    after: str = ""  # the last customer whose work is done in it
    late: str | UnsetType = UNSET  # the note of late appends as it was when the walk began (eslab.read_table)
    problems: list[Problem] | UnsetType = UNSET  # the first of those that the walk in progress has met
    unnamed: int | UnsetType = UNSET  # the number of the others


class Walked(NamedTuple):
    """The customers visited and the rows written by one call."""

    customers: int
    rows: int


Work = Callable[[str], int]  # is called for each customer, and returns how many rows it wrote
Summary = Callable[[str, int, Walked], str]  # of a walk's name, its problems and what was done


class Damaged(Exception):
    """Raised by the work on one customer when it is done but for what the problems say."""

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


class Problems:
    """What a walk has met: the first errors, and the number of the others."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.named = list(checkpoint.problems or ())
        self.unnamed = checkpoint.unnamed or 0

    def __len__(self) -> int:
        return len(self.named) + self.unnamed

    def add(self, error: EslabError) -> None:
        """Remember an error."""
        if len(self.named) == NAMED:
            self.unnamed += 1
        else:
            self.named.append(Problem(str(error), error.customer_id, error.aggregate_id, error.event_time))

    def extend(self, others: "Problems") -> None:
        """Remember what was met elsewhere, behind these."""
        named = others.named[: max(0, NAMED - len(self.named))]
        self.named += named
        self.unnamed += len(others) - len(named)

    def noted_in(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with these problems."""
        return replace(checkpoint, problems=self.named or UNSET, unnamed=self.unnamed or UNSET)


def unusable(name: str, problems: int, walked: Walked) -> str:
    """The first sentences of the error that ends a walk which met rows that can't be used."""
    return (
        f"Incomplete: {name}, {quantity(problems, 'row')} can't be used. Written: {quantity(walked.rows, 'row')} of "
        f"{quantity(walked.customers, 'customer')}, and nothing is called complete. Repair these rows, then run it "
        "again:"
    )


def start(checkpoint: Checkpoint, clock: Clock) -> Checkpoint:
    """The checkpoint of a walk in progress: the given one, or one that begins now."""
    return checkpoint if checkpoint.began else replace(checkpoint, began=time_on(clock))


def walk(
    store: EventStore,
    name: str,
    checkpoint: Checkpoint,
    work: Work,
    on_progress: OnProgress = silent,
    summary: Summary = unusable,
    jobs: int = 1,
    consistency: Consistency = Consistency.EVERYWHERE,
) -> Walked:
    """Call `work` for each customer after the checkpoint, in the store's order, and save the checkpoint as it advances.

    `work` returns the number of rows that it wrote. If it raises `Damaged` or `Unreadable`, the walk goes on with the
    next customer, and raises `Unreadable` at its end with all that was found, after the `summary`; the next walk begins
    at the first customer. Any other error ends the walk, which can be resumed. The customers are listed
    with this consistency: while a region can't be reached, this raises `StoreUnavailable`. At the end it is for the
    caller to save what the whole walk has reached: until then, the last customers would be done again.

    With `jobs`, so many threads call `work`; `on_progress` is called by the caller's thread, in the store's order.
    """
    check_jobs(jobs)
    customers = 0
    rows = 0
    problems = Problems(checkpoint)
    save_checkpoint(store, name, checkpoint)
    listed = store.customers(checkpoint.after, consistency)
    with closing(in_order(listed, partial(_visit, work), jobs)) as visits:
        try:
            for customer, visit in visits:
                problems.extend(visit.problems)
                customers += 1
                rows += visit.rows
                on_progress(visit.rows)
                if customers % CUSTOMERS_PER_CHECKPOINT == 0:
                    save_checkpoint(store, name, problems.noted_in(replace(checkpoint, after=customer)))
        except Unreadable as error:  # in the list of customers
            problems.add(error)
    if problems:
        save_checkpoint(store, name, Checkpoint(checkpoint.complete))
        raise incomplete(summary(name, len(problems), Walked(customers, rows)), problems)
    return Walked(customers, rows)


def walk_or_visit(
    store: EventStore,
    clock: Clock,
    name: str,
    work: Work,
    on_progress: OnProgress,
    summary: Summary,
    customer_id: str | None,
    jobs: int,
    consistency: Consistency = Consistency.EVERYWHERE,
) -> Walked:
    """Do the work for one customer, or walk over all; a call after a crash resumes, and one after the end begins anew.

    For work that is never called complete: a rebuild keeps checkpoints of its own.
    """
    if customer_id is not None:
        return _visit_alone(name, check_id("customer id", customer_id), work, summary)
    checkpoint = start(load_checkpoint(store, name), clock)
    walked = walk(store, name, checkpoint, work, on_progress, summary, jobs, consistency)
    save_checkpoint(store, name, Checkpoint())
    return walked


def _visit_alone(name: str, customer: str, work: Work, summary: Summary) -> Walked:
    """Do the work of a walk for one customer, without a checkpoint; raises what a walk would."""
    visit = _visit(work, customer)
    walked = Walked(1, visit.rows)
    if visit.problems:
        raise incomplete(summary(name, len(visit.problems), walked), visit.problems)
    return walked


class _Visit(NamedTuple):
    """The outcome of the work on one customer."""

    rows: int
    problems: Problems


def _visit(work: Work, customer: str) -> _Visit:
    problems = Problems(Checkpoint())
    try:
        rows = work(customer)
    except Damaged as damaged:
        rows = damaged.rows
        for problem in damaged.problems:
            problems.add(problem)
    except Unreadable as error:
        rows = 0
        problems.add(error)
    return _Visit(rows, problems)


def incomplete(summary: str, problems: Problems) -> Unreadable:
    """The error that ends a walk which met problems."""
    first = problems.named[0]
    return Unreadable(
        "\n".join([summary, *(problem.message for problem in problems.named)])
        + (f"\nand {problems.unnamed:,} more" if problems.unnamed else ""),
        customer_id=first.customer_id,
        aggregate_id=first.aggregate_id,
        event_time=first.event_time,
    )
