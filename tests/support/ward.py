"""A hospital ward: the domain in which the tests of encryption and forgetting are told."""

from collections.abc import Callable
from typing import Any, ClassVar

from msgspec import Raw

from eslab import (
    Aggregate,
    AggregateService,
    Command,
    Event,
    EventStore,
    ManualClock,
    Repository,
    Request,
    SnapshotPolicy,
)
from eslab.operations.history import history
from eslab.operations.snapshots import build_snapshot
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import HIDDEN, CustomerCipher, place_of_commit
from eslab.payload.serializer import Envelope, encode_envelope
from eslab.store import Commit
from tests.support.sample import Card, Stamped, at, envelope_of, everything

NIGHT = SnapshotPolicy(every=1)


class Diagnosed(Event):
    """An illness was found."""

    illness: str


class Chart(Aggregate):
    """What a person suffers from: nobody else's business."""

    encrypted: ClassVar[bool] = True
    illnesses: set[str] = set()

    def apply(self, event: Diagnosed) -> None:
        self.illnesses.add(event.illness)


class PlainChart(Aggregate):
    """The same before it was declared encrypted."""

    stored_as: ClassVar[str] = "chart"
    illnesses: set[str] = set()

    def apply(self, event: Diagnosed) -> None:
        self.illnesses.add(event.illness)


class Diagnose(Command):
    """Write an illness down."""

    illness: str


def handle(chart: Chart, command: Diagnose, request: Request) -> list[Event]:
    """Once is enough."""
    return [] if command.illness in chart.illnesses else [Diagnosed(command.illness)]


def diagnose(repository: Repository, illness: str, request: Request | None = None, customer: str = "ann") -> None:
    """One event in one encrypted aggregate."""
    work = repository.begin(customer, request or at(), Diagnose(illness))
    (chart,) = work.load((Chart, "1"))
    work.add(chart, Diagnosed(illness))
    work.append()


def both(repository: Repository, illness: str = "measles", place: int = 1) -> None:
    """One wish over an encrypted aggregate and a plain one."""
    work = repository.begin("ann", at(), Diagnose("measles"))
    chart, card = work.load((Chart, "1"), (Card, "1"))
    if not work.recorded:
        work.add(chart, Diagnosed(illness))
        work.add(card, Stamped(place))
        work.append()


def encrypted(cipher: CustomerCipher, commit: Commit) -> Commit:
    """A commit as a unit of work would have encrypted it."""
    place = place_of_commit(commit.aggregate_id, commit.event_time)
    checksum = Checksum.of_commits(cipher.customer_id, commit.aggregate_id)
    payload = encode_envelope(cipher.encrypt(place, envelope_of(commit, cipher.customer_id)), checksum)
    return Commit(commit.aggregate_id, commit.event_time, *HIDDEN, payload)


def decrypted(cipher: CustomerCipher, commit: Commit) -> Envelope[Raw]:
    """The envelope of a commit with its body in clear."""
    place = place_of_commit(commit.aggregate_id, commit.event_time)
    return cipher.decrypt(place, envelope_of(commit, cipher.customer_id))


def all_bytes(store: EventStore, customer: str = "ann") -> bytes:
    """Whatever the store holds of a customer, in one row."""
    return repr(everything(store, customer)).encode()


def night(clock: ManualClock, repository: Repository) -> None:
    """So much later that a snapshot is worth it."""
    clock.advance(2 * repository.bounds.fold_after)
    assert build_snapshot(repository, "ann", Chart, "1", NIGHT)


ASKED: dict[str, Callable[[Repository], Any]] = {
    "load": lambda ward: ward.load("ann", Chart, "1"),
    "load what never was": lambda ward: ward.load("ann", Chart, "new"),
    "load_all": lambda ward: ward.load_all("ann", Chart),
    "history": lambda ward: history(ward, "ann", Chart, "1"),
    "build_snapshot": lambda ward: build_snapshot(ward, "ann", Chart, "1", NIGHT),
    "a new wish": lambda ward: diagnose(ward, "flu", at(99999)),
    "a repeat": both,
    "send": lambda ward: AggregateService(ward.store, Chart, handle, ward.clock, keys=ward.keys).send(
        "ann", "chart:1", Diagnose("flu"), at(99999)
    ),
}
