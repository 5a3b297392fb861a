"""Reconcile a customer: take back grants that exceed a limit, and rows that only a losing decision wrote.

Two regions that are parted and decide at the same time can together grant more than a limit allows; that is the price
of not locking. What is taken back follows from the rows alone, so both regions take back the same, in whatever order
they reconcile. Every grant is taken back by a commit of its own, under `Request.at(now, "reconcile:" + grant id)`.

Where a request was decided twice, the decision with the greater digest wins, in every aggregate that both touched. Rows
that only the losing decision wrote remain (eslab.operations.audit finds them), and are undone here too.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from eslab import Aggregate, Event, Repository, Request
from eslab.aggregate import Address, aggregate_id, event_types
from eslab.display import quantity
from eslab.domains.downloads.commands import TakeBack
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
from eslab.domains.downloads.overshoot import Grant, Judgement, Overshoot
from eslab.domains.downloads.policies import Policy
from eslab.errors import Unreadable
from eslab.operations.audit import Stray, find_strays

REASON = "reconciled"
TYPES: tuple[type[Aggregate], ...] = (Downloaded, License, Devices)


@dataclass(frozen=True)
class Reconciled:
    """The grants that exceed a limit, the stray rows, and the number of commits that took them back."""

    overshoots: Sequence[Overshoot]
    strays: Sequence[Stray]
    commits: int

    def __repr__(self) -> str:
        named = "; ".join(f"{over.rule}: {over.title} on {over.device}" for over in self.overshoots)
        counts = f"{len(self.overshoots)} too many, {len(self.strays)} stray, {quantity(self.commits, 'commit')}"
        return f"{counts}; {named or 'fine'}"


def reconcile(repository: Repository, judgement: Judgement, customer: str, policy: Policy) -> Reconciled:
    """Find the grants of a customer that exceed a limit, and take them back if the policy says so. Idempotent.

    Reads all rows of the customer once, then every aggregate; one append for each grant that is taken back. Raises
    `Unreadable` if a row was skipped: a lost event that freed a place would make a legitimate grant one too many.
    """
    strays = [stray for stray in find_strays(repository, customer, TYPES) if _has_effect(repository, customer, stray)]
    if policy is Policy.LET_IT_STAND:
        return Reconciled(find_overshoots(repository, judgement, customer), strays, 0)
    commits = sum(_undo_stray(repository, customer, stray) for stray in strays)
    # Only now, since a stray may count towards a limit.
    overshoots = find_overshoots(repository, judgement, customer)
    commits += sum(take_back(repository, customer, overshoot, REASON) for overshoot in overshoots)
    return Reconciled(overshoots, strays, commits)


def find_overshoots(repository: Repository, judgement: Judgement, customer: str) -> list[Overshoot]:
    """The customer's grants that exceed a limit: a function of their rows."""
    seen = repository.load_all(customer, Downloaded)
    licences = repository.load_all(customer, License)
    devices = repository.load(customer, Devices, ALL)
    for state in (*seen.values(), *licences.values(), devices):
        if state.skipped_rows:
            raise Unreadable(
                f"Expected all events of customer {customer!r}, found skipped rows in {state!r}: no grant can be "
                "judged. Nothing was taken back; restore the rows: docs/troubleshooting.md.",
                customer_id=customer,
            )
    return judgement.overshoots(seen, licences, devices)


def _has_effect(repository: Repository, customer: str, stray: Stray) -> bool:
    """Does the stray row still have an effect that can be undone?"""
    state = repository.load(customer, *stray.address)
    return any(_changes(state, undo) for undo in _undoing(stray.events, repository.clock()))


def _undo_stray(repository: Repository, customer: str, stray: Stray) -> bool:
    undoing = _undoing(stray.events, repository.clock())
    # Strays of one request are undone one by one, so each needs a request of its own.
    return _write(repository, customer, stray.request.id, [stray.address], undoing, f"stray {stray.aggregate_id}:")


def take_back(repository: Repository, customer: str, grant: Grant, reason: str) -> bool:
    """Take a download or a renewal back: it no longer counts, and frees its place. Was anything written?"""
    now = repository.clock()
    name = grant.name
    licence_at: Address = (License, license_key(grant.device, grant.title))
    devices_at: Address = (Devices, ALL)
    if grant.renewal:
        undoing = [RenewalVoided(grant.license_id, name), grant.freeing]
        return _write(repository, customer, name, [licence_at, devices_at], undoing)
    seen = repository.load(customer, Downloaded, grant.title)
    undoing = [seen.void(name, grant.studio), LicenseRevoked(name, now, reason), grant.freeing]
    return _write(repository, customer, name, [(Downloaded, grant.title), licence_at, devices_at], undoing)


def _write(
    repository: Repository,
    customer: str,
    name: UUID,
    touched: Sequence[Address],
    events: Sequence[Event],
    kind: str = "",
) -> bool:
    """Write the events that change something, as one commit under a request that names the grant; was any written?"""
    request = Request.at(repository.clock(), f"reconcile:{kind}{name}")
    work = repository.begin(customer, request, TakeBack(name, [aggregate_id(address) for address in touched]))
    states = work.load(*touched)
    if work.recorded:
        return False
    effective = _effective(states, events)
    for state, event in effective:
        work.add(state, event)
    work.append()
    return bool(effective)


def _effective(states: Sequence[Aggregate], events: Sequence[Event]) -> list[tuple[Aggregate, Event]]:
    """The events that change one of the states, each with that state: a repeat writes nothing."""
    return [
        (state, event)
        for state in states
        for event in events
        if type(event) in event_types(type(state)) and _changes(state, event)
    ]


def _undoing(events: Sequence[Event], time: datetime) -> list[Event]:
    """The events that undo these; a play can't be undone, and an event that ended something needn't be."""
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
