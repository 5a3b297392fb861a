"""Reconcile a customer: take back what is one too many, and what only a losing decision wrote.

Two regions that decide at the same time, parted from each other, can grant more than a limit allows together; that is
the price of not locking. What is taken back follows from the rows alone, so when both regions reconcile, in whatever
order, they take back the same. Each is a commit of its own, under `Request.at(now, "reconcile:" + grant id)`.

A request that was decided twice is what its greater digest says, in every aggregate that both decisions touched. Rows
that only the other one wrote stay behind, and are undone here too.
"""

from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from eslab import Aggregate, Command, Event, Request
from eslab.aggregate import Address, address, event_types, serializer_of, type_name
from eslab.domains.downloads.devices import ALL, Devices, DownloadHeld, HoldEnded, HoldExpired, HoldRenewed
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded, DownloadVoided
from eslab.domains.downloads.license import (
    License,
    LicenseIssued,
    LicenseRenewed,
    LicenseRevoked,
    RenewalVoided,
    license_key,
)
from eslab.domains.downloads.overshoot import Judgement, Overshoot
from eslab.payload.serializer import Envelope, decode_envelope
from eslab.store import Commit

if TYPE_CHECKING:
    from eslab.domains.downloads.service import DownloadService

Policy = Literal["let it stand", "revoke the newest"]
REASON = "reconciled"
TYPES: tuple[type[Aggregate], ...] = (Downloaded, License, Devices)


class TakeBack(Command):
    """Undo what should not be: events that name a grant or a renewal, in the aggregates that it touched."""

    name: UUID
    aggregates: list[str]


@dataclass(frozen=True)
class Stray:
    """A row that only a losing decision of a request wrote."""

    aggregate_id: str
    request: Request
    events: Sequence[Event]


@dataclass(frozen=True)
class Reconciled:
    """What was found, and how many commits took it back."""

    overshoots: Sequence[Overshoot]
    strays: Sequence[Stray]
    commits: int

    def __repr__(self) -> str:
        found = [f"{each.rule}: {each.title} on {each.device}" for each in self.overshoots]
        return f"{len(found)} too many, {len(self.strays)} stray, {self.commits} commits; {'; '.join(found) or 'fine'}"


def reconcile(service: "DownloadService", customer: str, policy: Policy) -> Reconciled:
    """Find what is too many, and take it back if the policy says so; done again it finds nothing more to do.

    Reads every row of the customer once, then every aggregate; one append for each grant that is taken back.
    """
    strays = find_strays(service, customer)
    commits = sum(_undo_stray(service, customer, stray) for stray in strays) if policy != "let it stand" else 0
    overshoots = find_overshoots(service, customer)
    if policy != "let it stand":
        commits += sum(_take_back(service, customer, each) for each in overshoots)
    return Reconciled(overshoots, strays, commits)


def find_overshoots(service: "DownloadService", customer: str) -> list[Overshoot]:
    """What is one too many; a function of the customer's rows."""
    repository = service.repository
    seen, licences = repository.load_all(customer, Downloaded), repository.load_all(customer, License)
    devices = repository.load(customer, Devices, ALL)
    return Judgement(service.catalogue, service.rules, service.plans).overshoots(seen, licences, devices)


def find_strays(service: "DownloadService", customer: str) -> list[Stray]:
    """The rows of a losing decision where the greater one wrote none, unless they are undone already."""
    store, by_request = service.repository.store, defaultdict(list)
    ids = [id for each in TYPES for id in store.heads_of_type(customer, f"{type_name(each)}:")]
    for row in chain.from_iterable(store.rows(customer, id) for id in ids):
        by_request[row.event_time].append((row, decode_envelope(row.payload)))
    found = [_stray(row) for decided in by_request.values() for row in _lost(decided)]
    return [stray for stray in found if _changing(service, customer, stray)]


def _lost(decided: list[tuple[Commit, Envelope]]) -> list[Commit]:
    """The losing rows; none while the winner's are not all seen, since one of them may yet replace such a row."""
    greatest = max((envelope for _, envelope in decided), key=lambda envelope: envelope.digest)
    lost = [row for row, envelope in decided if envelope.digest != greatest.digest]
    return lost if len(decided) - len(lost) == greatest.commits else []


def _stray(row: Commit) -> Stray:
    aggregate_type, _ = _address(row.aggregate_id)
    events = serializer_of(aggregate_type).events(row.payload)
    return Stray(row.aggregate_id, Request.from_event_time(row.event_time), events)


def _changing(service: "DownloadService", customer: str, stray: Stray) -> bool:
    """Would undoing it change anything?"""
    state = service.repository.load(customer, *_address(stray.aggregate_id))
    return any(_changes(state, undo) for undo in _undoing(stray.events, service.repository.clock()))


def _take_back(service: "DownloadService", customer: str, over: Overshoot) -> bool:
    now = service.repository.clock()
    licence_at: Address = (License, license_key(over.device, over.title))
    if over.renewal:
        return _write(
            service, customer, over.name, [licence_at, (Devices, ALL)],
            [RenewalVoided(over.license_id, over.name), HoldExpired(over.license_id, over.name)],
        )  # fmt: skip
    seen = service.repository.load(customer, Downloaded, over.title)
    return _write(
        service, customer, over.name, [(Downloaded, over.title), licence_at, (Devices, ALL)],
        [seen.void(over.name), LicenseRevoked(over.name, now, REASON), HoldEnded(over.name)],
    )  # fmt: skip


def _undo_stray(service: "DownloadService", customer: str, stray: Stray) -> bool:
    undoing = _undoing(stray.events, service.repository.clock())
    return _write(service, customer, stray.request.id, [_address(stray.aggregate_id)], undoing, "stray:")


def _write(
    service: "DownloadService", customer: str, name: UUID, touched: Sequence[Address], events: Sequence[Event],
    kind: str = "",
) -> bool:  # fmt: skip
    """One commit under a request that names the grant; False if nothing of it is needed."""
    request = Request.at(service.repository.clock(), f"reconcile:{kind}{name}")
    work = service.repository.begin(customer, request, TakeBack(name, [f"{type_name(t)}:{key}" for t, key in touched]))
    states = work.load(*touched)
    needed = [
        (state, event) for state in states for event in events
        if type(event) in event_types(type(state)) and _changes(state, event)
    ]  # fmt: skip
    if work.recorded or not needed:
        return False
    for state, event in needed:
        work.add(state, event)
    work.append()
    return True


def _undoing(events: Sequence[Event], time: datetime) -> list[Event]:
    """What undoes events; a play can't be undone, nor need what ended something."""
    return [undo for event in events if (undo := _undo(event, time))]


def _undo(event: Event, time: datetime) -> Event | None:
    match event:
        case DownloadCounted(request_id=name, studio=studio):
            return DownloadVoided(name, studio)
        case LicenseIssued(license_id=name):
            return LicenseRevoked(name, time, REASON)
        case LicenseRenewed(license_id=name, renewal_id=renewal):
            return RenewalVoided(name, renewal)
        case DownloadHeld(license_id=name):
            return HoldEnded(name)
        case HoldRenewed(license_id=name, renewal_id=renewal):
            return HoldExpired(name, renewal)
    return None


def _changes(state: Aggregate, event: Event) -> bool:
    after = deepcopy(state)
    after.apply(event)
    return after != state


def _address(aggregate_id: str) -> Address:
    name = aggregate_id.partition(":")[0]
    return next(address(each, aggregate_id) for each in TYPES if type_name(each) == name)
