"""Lesson 06: snapshots deleted, folded by other code, renamed and damaged; and what of it a reader notices."""

import logging
from collections.abc import Callable
from typing import ClassVar, TypeVar

import msgspec
import pandas

from eslab import Aggregate, Repository, snapshot
from eslab.aggregate import SnapshotPolicy
from eslab.clock import MILLISECOND
from eslab.domains.ledger import Account, Deposited, Reversed, Withdrawn
from eslab.lab.lessons.serializer import flipped
from eslab.operations.snapshots import discard
from eslab.request import time_of
from eslab.store import StoredSnapshot

STATE = 4  # the place of the state in the array that a snapshot's payload is
Booked = Deposited | Withdrawn | Reversed
Answer = TypeVar("Answer")


class CountingAccount(Account):
    """The account of the next release: it also counts its bookings."""

    stored_as: ClassVar[str] = "account"
    fold_version: ClassVar[int] = 2
    bookings: int = 0

    def apply(self, event: Booked) -> None:
        super().apply(event)
        self.bookings += 1


class RenamedAccount(Aggregate):
    """Somebody renamed the field `cents` to `amounts`, and left `fold_version` as it was."""

    stored_as: ClassVar[str] = "account"
    snapshot_policy: ClassVar[SnapshotPolicy | None] = None
    amounts: dict[str, int] = {}

    def apply(self, event: Booked) -> None:
        sign = -1 if isinstance(event, Withdrawn) else 1
        self.amounts[event.currency] = self.amounts.get(event.currency, 0) + sign * event.cents

    def balance(self, currency: str) -> int:
        """The cents that the account holds in a currency."""
        return self.amounts.get(currency, 0)


class LenientAccount(msgspec.Struct):
    """The renamed account for a decoder that ignores what it doesn't know, as most do."""

    amounts: dict[str, int] = {}


def snapshots_of(repository: Repository, customer: str, id: str) -> list[StoredSnapshot]:
    """The stored snapshots of an aggregate, newest first."""
    return [*repository.store.heads(customer, [id])[id].snapshots]


def snapshot_table(repository: Repository, customer: str, id: str) -> pandas.DataFrame:
    """The stored snapshots of an aggregate as a table."""
    return pandas.DataFrame(
        {
            "up to": f"{time_of(each.up_to):%Y-%m-%d %H:%M:%S}",
            "fold": each.fold,
            "bytes": len(each.payload),
            "state": str(state_in(each)),
        }
        for each in snapshots_of(repository, customer, id)
    )


def state_in(stored: StoredSnapshot) -> dict[str, object]:
    """The state in a snapshot as a plain map, read without its checksum and without any class."""
    return msgspec.msgpack.decode(stored.payload)[STATE]


def read_leniently(stored: StoredSnapshot) -> LenientAccount:
    """The state in a snapshot, by a class that ignores fields which it doesn't know."""
    return msgspec.convert(state_in(stored), LenientAccount)


def delete_snapshots(repository: Repository, customer: str, id: str) -> int:
    """Delete all snapshots of an aggregate; returns how many there were."""
    found = snapshots_of(repository, customer, id)
    for stored in found:
        discard(repository, customer, id, stored)
    return len(found)


def flip_a_bit(repository: Repository, customer: str, id: str, fold: int = 1) -> StoredSnapshot:
    """Flip one bit in the newest snapshot of a fold, and return it as it was."""
    newest = next(each for each in snapshots_of(repository, customer, id) if each.fold == fold)
    damaged = newest._replace(payload=flipped(newest.payload, len(newest.payload) // 2))
    repository.store.save_snapshot(customer, id, damaged, repository.clock() + MILLISECOND)
    return newest


def with_its_warnings(act: Callable[[], Answer]) -> tuple[Answer, list[str]]:
    """The answer of a call, and what the reader of snapshots logged meanwhile, which goes nowhere else."""
    lines: list[str] = []
    log = logging.getLogger(snapshot.__name__)
    keep = logging.Handler()
    keep.emit = lambda record: lines.append(record.getMessage())
    log.addHandler(keep)
    before, log.propagate = log.propagate, False
    try:
        return act(), lines
    finally:
        log.removeHandler(keep)
        log.propagate = before
