"""The download service: one method for each command; the studio's rules and the customer's plan decide.

The path is the talk's: check `Downloaded`, make a new `License`, persist everything as one atomic append, and then the
DRM server signs. If it can't, the licence remains unsigned, and repeating the request signs the same one.

A retry sends the same request with the same command: also plan and country stay as they were when it was made.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

from eslab import Aggregate, Clock, Event, EventStore, Rejected, Repository, Request, TimeBounds
from eslab.aggregate import Address, aggregate_id, check_id, event_types
from eslab.domains.downloads import decisions
from eslab.domains.downloads.catalogue import Catalogue
from eslab.domains.downloads.commands import (
    Deliver,
    DownloadCommand,
    Expire,
    Release,
    Renew,
    RequestDownload,
    Revoke,
    StartPlayback,
)
from eslab.domains.downloads.delivery import REASON, Undelivered, record_delivery
from eslab.domains.downloads.devices import ALL, Devices
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.drm import Claims, DrmServer, DrmUnavailable, sign
from eslab.domains.downloads.license import License, Status, license_key
from eslab.domains.downloads.outcome import Granted, Usage
from eslab.domains.downloads.overshoot import Judgement
from eslab.domains.downloads.plans import Plans
from eslab.domains.downloads.policies import Policies
from eslab.domains.downloads.read_tables import READ_TABLES
from eslab.domains.downloads.reconcile import Reconciled, reconcile, take_back
from eslab.domains.downloads.rules import Ask, Check, Rule, allow, explain
from eslab.domains.downloads.studios import Rules
from eslab.errors import expect
from eslab.operations.fork import fork
from eslab.read_table import ReadTable

SIGNED = (RequestDownload, StartPlayback, Renew, Deliver)  # the commands that are answered with a token
log = logging.getLogger(__name__)
LicenceCommand = StartPlayback | Renew | Release | Revoke | Expire


class DownloadService:
    """Decides commands about downloads; safe to share between threads, since it keeps no state of customers.

        downloads = DownloadService(store, clock)
        downloads = DownloadService(store, clock, Policies(rules=load_rules(path)), drm=LocalSigner(load_keys(path)))

    Every command costs one wait on the store and, if it needs events, one append; the first token of a grant or a
    renewal costs as much again (delivery.py). A rejection writes nothing (G7). A repeat of a request gets the same
    licence and counts once (G3). The methods raise the errors that `AggregateService.send` raises; after
    `OutcomeUnknown` and `StoreError` send the same request again.
    """

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        policies: Policies | None = None,
        *,
        drm: DrmServer | None = None,
        bounds: TimeBounds | None = None,
        read_tables: Sequence[ReadTable] = READ_TABLES,
    ) -> None:
        """Without a DRM server no token is signed.

        Give all services of a store the same `read_tables`: rows that one of them doesn't write are missing there.
        """
        self.repository = Repository(store, clock, bounds, read_tables=read_tables)
        self.policies = policies or Policies()
        self.drm = drm

    @property
    def catalogue(self) -> Catalogue:
        """The titles that are offered, by title id."""
        return self.policies.catalogue

    @property
    def rules(self) -> Rules:
        """The studio rules in all their versions."""
        return self.policies.rules

    def request_download(
        self, customer: str, device: str, title: str, request: Request, *, plan: str = "standard", country: str = "US"
    ) -> Granted | Rejected:
        """Keep a title on a device; plan and country are those that the edge knew when it made the request."""
        command = RequestDownload(device, title, plan, country)
        work = self.repository.begin(customer, request, command)
        seen, licence, devices = work.load(
            (Downloaded, title), (License, license_key(device, title)), (Devices, ALL)
        )  # fmt: skip
        if not work.recorded:
            ask = self._ask(command, request.time, seen, licence, devices)
            try:
                allow(ask)  # check Downloaded, and every other rule
            except Rejected as rejected:
                return rejected
            work.add(seen, decisions.counted(ask, request))
            work.add(licence, decisions.issued(ask, request))  # a new License
            work.add(devices, decisions.held(ask, request))
            work.append()  # persist: one batch, one digest
        usage = self._usage(title, seen, request, repeated=work.recorded)
        # The DRM server signs.
        return self._granted(customer, command, request.id, licence, usage=usage, repeated=work.recorded)

    def start_playback(
        self, customer: str, device: str, title: str, license_id: UUID, request: Request
    ) -> Granted | Rejected:
        """Play a title; the first play in a period of the licence starts its hours."""
        return self._decide(customer, StartPlayback(device, title, license_id), request, decisions.play)

    def renew(
        self,
        customer: str,
        device: str,
        title: str,
        license_id: UUID,
        request: Request,
        *,
        plan: str = "standard",
        country: str = "US",
    ) -> Granted | Rejected:
        """Extend a licence by another period, which begins with the request."""
        command = Renew(device, title, license_id, plan, country)
        return self._decide(customer, command, request, decisions.renew)

    def release(self, customer: str, device: str, title: str, license_id: UUID, request: Request) -> Granted | Rejected:
        """Delete a title from a device: its licence and those issued there before it end and free their places."""
        return self._decide(customer, Release(device, title, license_id), request, decisions.release)

    def revoke(
        self,
        customer: str,
        device: str,
        title: str,
        license_id: UUID,
        request: Request,
        reason: str = "left the plan",
    ) -> Granted | Rejected:
        """Take a licence back for good: it is neither renewed nor signed any more. Tokens play until they expire."""
        return self._decide(customer, Revoke(device, title, license_id, reason), request, decisions.revoke)

    def expire(self, customer: str, device: str, title: str, license_id: UUID, request: Request) -> Granted | Rejected:
        """Record that a licence has ended by time, so that its place on the device is free."""
        return self._decide(customer, Expire(device, title, license_id), request, decisions.expire)

    def deliver(self, customer: str, device: str, title: str, license_id: UUID) -> Granted:
        """Sign a licence without the request that asked for it, for a device that can't send that again."""
        licence = self.repository.load(customer, License, license_key(device, title))
        return self._granted(customer, Deliver(device, title, license_id), license_id, licence, repeated=True)

    def take_back(self, customer: str, grant: Undelivered) -> bool:
        """Take back a grant that was never delivered, so that it no longer counts. Was anything written?"""
        return take_back(self.repository, customer, grant, REASON)

    def reconcile(self, customer: str) -> Reconciled:
        """Find grants that exceed a limit because decisions overlapped, and apply the policy to them (reconcile.py)."""
        policies = self.policies
        judgement = Judgement(policies.rules, policies.plans)
        return reconcile(self.repository, judgement, customer, policies.on_overshoot)

    def explain(
        self, customer: str, command: DownloadCommand, request: Request, as_of: datetime | None = None
    ) -> list[tuple[Rule, Check]]:
        """Every rule that the command must pass, in order, and its check; decides and writes nothing.

        By the rules and plans in force at the request's time, and the state now or as of a past moment, without the
        request's own events. A request of any age is explained. For "what if" see `eslab.operations.fork`.
        """
        check_id("customer id", customer)
        expect(get_args(DownloadCommand), "command", command)
        expect(Request, "request", request)
        addresses: list[Address] = [
            (Downloaded, command.title), (License, license_key(command.device, command.title)), (Devices, ALL),
        ]  # fmt: skip
        ids = [aggregate_id(address) for address in addresses]
        heads = self.repository.store.heads(customer, ids, request.event_time)
        own = [request] if any(head.recorded for head in heads.values()) else []
        before = fork(self.repository.store, customer, as_of=as_of, without=own, aggregates=ids)
        states = [Repository(before, before.clock).load(customer, *address) for address in addresses]
        return explain(self._ask(command, request.time, *states))

    def adopt(self, *, rules: Rules | None = None, plans: Plans | None = None) -> None:
        """Go on with newer rules or plans, if they only add versions that start more than a day from now."""
        now = self.repository.clock()
        known = self.policies
        self.policies = replace(
            known,
            rules=known.rules.grown_to(rules, now) if rules else known.rules,
            plans=known.plans.grown_to(plans, now) if plans else known.plans,
        )

    def limit(self, title: str, time: datetime) -> int | None:
        """The number of downloads of a title that its studio allows in a year, by the rules in force at `time`."""
        if title not in self.catalogue:
            return None
        return self.rules.at(time).for_studio(self.catalogue[title].studio).downloads_per_title_per_year

    def _decide(
        self,
        customer: str,
        command: LicenceCommand,
        request: Request,
        handle: Callable[[Ask, Request], Sequence[Event]],
    ) -> Granted | Rejected:
        """Decide a command that names a licence: load, let the handler decide, append, sign."""
        work = self.repository.begin(customer, request, command)
        states = work.load(*_touched(command))
        if not work.recorded:
            try:
                events = handle(self._ask(command, request.time, *states), request)
            except Rejected as rejected:
                return rejected
            for state in states:
                work.add(state, *(event for event in events if type(event) in event_types(type(state))))
            work.append()
        return self._granted(customer, command, command.license_id, states[0], repeated=work.recorded)

    def _ask(self, command: DownloadCommand, time: datetime, *states: Aggregate) -> Ask:
        """The command, the states that it touches, and the rules and plans in force at the time of the request."""
        policies = self.policies
        title = policies.catalogue.get(command.title)
        rules = policies.rules.at(time)
        plans = policies.plans.at(time)
        loaded: dict[type[Aggregate], Any] = {type(state): state for state in states}
        return Ask(
            command,
            time,
            title,
            studio=rules.for_studio(title.studio if title else ""),
            rules_version=rules.version,
            plan=plans.plans.get(command.plan) if isinstance(command, RequestDownload | Renew) else None,
            plans_version=plans.version,
            seen=loaded.get(Downloaded) or Downloaded(),
            licence=loaded[License],
            devices=loaded.get(Devices) or Devices(),
        )

    def _usage(self, title: str, seen: Downloaded, request: Request, *, repeated: bool) -> Usage | None:
        """The downloads that are used in the year of the request, or, in the answer to a repeat, in the year of now."""
        if title not in self.catalogue:  # a repeat, and the title has left the catalogue since
            return None
        counted = seen.downloads.get(request.id)
        # The studio that granted it: the title may belong to another one since.
        studio = self.rules.at(request.time).for_studio((counted and counted.studio) or self.catalogue[title].studio)
        moment = self.repository.clock() if repeated else request.time
        return Usage(studio.years.count(seen.times, moment), studio.downloads_per_title_per_year)

    def _granted(
        self,
        customer: str,
        command: DownloadCommand | Deliver,
        license_id: UUID,
        licence: License,
        *,
        repeated: bool,
        usage: Usage | None = None,
    ) -> Granted:
        """The answer, with a token if the command needs one, the licence is active now, and the DRM server answers."""
        now = self.repository.clock()
        status = licence.status(license_id, now)
        ends = licence.end(license_id)
        token = None
        unsigned = self._why_unsigned(command, status)
        if self.drm and not unsigned:
            # Bounded by the token's lifetime too, since a device can play for that long after a revocation.
            latest = now + self.policies.token_lifetime
            begins = licence.periods[license_id].begins
            claims = Claims(customer, command.device, command.title, license_id, begins, min(ends or latest, latest))
            token, unsigned = _signed(self.drm, claims)
        if token and not licence.is_delivered(license_id):
            record_delivery(self.repository, customer, Deliver(command.device, command.title, license_id))
        return Granted(license_id, command.title, command.device, status, ends, token, unsigned, usage, repeated)

    def _why_unsigned(self, command: DownloadCommand | Deliver, status: Status) -> str | None:
        """The reason not to ask the DRM server for a token; None if it is to be asked."""
        if status.state != "active":
            return f"the licence is {status}"
        if not isinstance(command, SIGNED):
            return "this command needs none"
        return None if self.drm else "there is no DRM server here"


def _signed(drm: DrmServer, claims: Claims) -> tuple[str | None, str | None]:
    """The token, or the reason for having none."""
    try:
        return sign(drm, claims), None
    except DrmUnavailable as error:
        # With a traceback, if somebody else's error is behind it.
        log.warning("No token for licence %s: %s", claims.license_id, error, exc_info=error.__cause__)
        return None, f"{error}; the licence is recorded: send the same request again"


def _touched(command: LicenceCommand) -> tuple[Address, ...]:
    """The aggregates that a command which names a licence touches; a play changes no place on a device."""
    licence = (License, license_key(command.device, command.title))
    return (licence,) if isinstance(command, StartPlayback) else (licence, (Devices, ALL))
