"""The resumable walk over all customers: long work that may be killed at any moment, and resumes at its checkpoint.

The work on one customer must be idempotent: after a crash, the customers since the last checkpoint are done again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from eslab.payload.decoding import built
from eslab.store import Consistency, EventStore

CUSTOMERS_PER_CHECKPOINT = 50  # a crash repeats the work on at most this many customers
OnProgress = Callable[[int], None]  # is called after each customer, with the number of rows that were written


def silent(rows: int) -> None:
    """Report no progress."""


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a walk has come. All fields are empty before the first walk."""

    complete: datetime | None = None  # the walk that began at this moment reached its end
    began: datetime | None = None  # when the walk in progress began
    after: str = ""  # the last customer whose work is done in it


class Walked(NamedTuple):
    """The customers visited and the rows written by one call."""

    customers: int
    rows: int


def load_checkpoint(store: EventStore, name: str) -> Checkpoint:
    """The checkpoint of a walk; an empty one if there is none."""
    text = store.checkpoint(name)
    return msgspec.json.decode(text, type=built(Checkpoint)) if text else Checkpoint()


def save_checkpoint(store: EventStore, name: str, checkpoint: Checkpoint) -> None:
    """Keep how far a walk has come."""
    store.set_checkpoint(name, msgspec.json.encode(checkpoint).decode())


def walk(
    store: EventStore, name: str, checkpoint: Checkpoint, work: Callable[[str], int], on_progress: OnProgress = silent
) -> Walked:
    """Call `work` for each customer after the checkpoint, in the store's order, and save the checkpoint as it advances.

    `work` returns the number of rows that it wrote; an error that it raises ends the walk, which can be resumed. The
    customers are read EVERYWHERE: while a region can't be reached, this raises `StoreUnavailable`. At the end it is
    for the caller to save what the whole walk has reached: until then, the last customers would be done again.
    """
    customers = 0
    rows = 0
    save_checkpoint(store, name, checkpoint)
    for customer in store.customers(checkpoint.after, Consistency.EVERYWHERE):
        written = work(customer)
        customers += 1
        rows += written
        on_progress(written)
        if customers % CUSTOMERS_PER_CHECKPOINT == 0:
            save_checkpoint(store, name, replace(checkpoint, after=customer))
    return Walked(customers, rows)
