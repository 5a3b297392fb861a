"""The download service: one method for each wish; the studio's rules and the customer's plan decide.

The path is the talk's: check `Downloaded`, make a new `License`, persist all as one atomic append, and then the DRM
server signs. If it can't, the licence stands unsigned, and repeating the request signs the same one.

Who makes a request keeps it with its wish through every retry: its id, and also plan and country as they were then.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from eslab import Aggregate, Clock, Event, EventStore, Rejected, Repository, Request, TimeBounds
from eslab.aggregate import Address, event_types
from eslab.domains.downloads import decisions
from eslab.domains.downloads.catalogue import Catalogue, load_catalogue
from eslab.domains.downloads.commands import (
    DownloadCommand,
    Expire,
    Release,
    Renew,
    RequestDownload,
    Revoke,
    StartPlayback,
)
from eslab.domains.downloads.devices import ALL, Devices
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.drm import Claims, DrmServer, DrmUnavailable
from eslab.domains.downloads.license import License, license_key
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.plans import Plans, load_plans
from eslab.domains.downloads.read_tables import READ_TABLES
from eslab.domains.downloads.reconcile import Policy, Reconciled, reconcile
from eslab.domains.downloads.rules import Ask, Check, Rule, allow, explain
from eslab.domains.downloads.studios import Rules, load_rules
from eslab.read_table import ReadTable

TOKEN_LIFETIME = timedelta(days=30)  # how long a device may go on playing what was revoked
SIGNED = (RequestDownload, StartPlayback, Renew)  # the wishes that are answered with a token


class DownloadService:
    """Decides wishes about downloads; safe to share between threads, since it keeps no state.

    Every method costs two waits on the store and, where something is to be noted, one append. A rejection writes
    nothing (G7). A repeat of a request gets the same licence and counts once (G3). Each raises what
    `AggregateService.send` raises; after `OutcomeUnknown` and `StoreError` send the same request again.
    """

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        catalogue: Catalogue | None = None,
        rules: Rules | None = None,
        bounds: TimeBounds | None = None,
        plans: Plans | None = None,
        drm: DrmServer | None = None,
        token_lifetime: timedelta = TOKEN_LIFETIME,
        policy: Policy = "revoke the newest",
        read_tables: Sequence[ReadTable] = READ_TABLES,
    ) -> None:
        """All services of a store are given the same `read_tables`; what one doesn't write is missing in them."""
        self.repository = Repository(store, clock, bounds, read_tables=read_tables)
        self.catalogue = catalogue or load_catalogue()
        self.rules, self.plans = rules or load_rules(), plans or load_plans()
        self.drm, self.token_lifetime = drm, token_lifetime
        self.policy: Policy = policy

    def request_download(
        self, customer: str, device: str, title: str, request: Request, *, plan: str = "standard", country: str = "US"
    ) -> Granted | Rejected:
        """Keep a title on a device; plan and country are as the edge knew them when the request was made."""
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
        used = self._used(title, seen, request, repeated=work.recorded)
        return self._signed(customer, command, request.id, licence, repeated=work.recorded, **used)  # DRM signs

    def start_playback(
        self, customer: str, device: str, title: str, license_id: UUID, request: Request
    ) -> Granted | Rejected:
        """Watch a title; the first play in a period of the licence lets its hours run."""
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
        """Keep a title longer: the licence gets another period, from the request on."""
        command = Renew(device, title, license_id, plan, country)
        return self._decide(customer, command, request, decisions.renew)

    def release(self, customer: str, device: str, title: str, license_id: UUID, request: Request) -> Granted | Rejected:
        """Delete a title from a device: the licence and those issued there before it end, and their place is free."""
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
        """Take a licence back for good. No renewal or new token follows; one that is out plays until it expires."""
        return self._decide(customer, Revoke(device, title, license_id, reason), request, decisions.revoke)

    def expire(self, customer: str, device: str, title: str, license_id: UUID, request: Request) -> Granted | Rejected:
        """Note that a licence has ended by time, so that its place on the device is free."""
        return self._decide(customer, Expire(device, title, license_id), request, decisions.expire)

    def reconcile(self, customer: str) -> Reconciled:
        """Find what overlapping decisions granted too much, and do with it what the policy says (reconcile.py)."""
        return reconcile(self, customer, self.policy)

    def explain(self, customer: str, command: DownloadCommand, request: Request) -> list[tuple[Rule, Check]]:
        """Every rule that the wish must pass, in order, and what it finds; decides and writes nothing."""
        loaded = self.repository.begin(customer, request, command).load(
            (Downloaded, command.title), (License, license_key(command.device, command.title)), (Devices, ALL)
        )  # fmt: skip
        return explain(self._ask(command, request.time, *loaded))

    def adopt(self, *, rules: Rules | None = None, plans: Plans | None = None) -> None:
        """Go on with newer rules or plans, if they only add versions that start in the future."""
        now = self.repository.clock()
        self.rules = self.rules.grown_to(rules, now) if rules else self.rules
        self.plans = self.plans.grown_to(plans, now) if plans else self.plans

    def limit(self, title: str, time: datetime) -> int | None:
        """How many downloads of the title its studio allows in a year, by the rules in force at `time`."""
        if title not in self.catalogue:
            return None
        return self.rules.at(time).for_studio(self.catalogue[title].studio).downloads_per_title_per_year

    def _decide(
        self,
        customer: str,
        command: StartPlayback | Renew | Release | Revoke | Expire,
        request: Request,
        handle: Callable[[Ask, Request], Sequence[Event]],
    ) -> Granted | Rejected:
        """The same path for every wish that names a licence."""
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
        return self._signed(customer, command, command.license_id, states[0], repeated=work.recorded)

    def _ask(self, command: DownloadCommand, time: datetime, *states: Aggregate) -> Ask:
        """The wish, what it touches, and the rules and plans in force at the time of the request."""
        title = self.catalogue.get(command.title)
        found: dict[type[Aggregate], Any] = {type(state): state for state in states}
        rules, plans = self.rules.at(time), self.plans.at(time)
        return Ask(
            command,
            time,
            title,
            rules.for_studio(title.studio if title else ""),
            plans.plans.get(command.plan) if isinstance(command, RequestDownload | Renew) else None,
            found.get(Downloaded) or Downloaded(),
            found[License],
            found.get(Devices) or Devices(),
            rules.version,
            plans.version,
        )

    def _used(self, title: str, seen: Downloaded, request: Request, *, repeated: bool) -> dict[str, int | None]:
        """How many of the year's downloads are used; a repeat is told how many are by now."""
        if title not in self.catalogue:  # a repeat, and the title has left the catalogue since
            return {}
        studio = self.rules.at(request.time).for_studio(self.catalogue[title].studio)
        moment = self.repository.clock() if repeated else request.time
        return {"used": studio.years.count(seen.times, moment), "limit": studio.downloads_per_title_per_year}

    def _signed(
        self,
        customer: str,
        command: DownloadCommand,
        license_id: UUID,
        licence: License,
        *,
        repeated: bool,
        **used: Any,
    ) -> Granted:
        """The answer, with a token if the wish wants one, the licence is active now, and the DRM server answers."""
        now = self.repository.clock()
        status, ends = licence.status(license_id, now), licence.end(license_id)
        token = unsigned = None
        if status.state != "active":
            unsigned = f"the licence is {status}"
        elif not isinstance(command, SIGNED):
            unsigned = "this wish needs none"
        elif self.drm is None:
            unsigned = "there is no DRM server here"
        else:
            latest = now + self.token_lifetime
            begins, until = licence.periods[license_id].begins, min(ends or latest, latest)
            try:
                token = self.drm.sign(Claims(customer, command.device, command.title, license_id, begins, until))
            except DrmUnavailable as error:
                unsigned = f"{error}; send the same request again"
        return Granted(
            license_id, command.title, command.device, status, ends, token, unsigned, repeated=repeated, **used
        )


def _touched(command: DownloadCommand) -> tuple[Address, ...]:
    """The aggregates of a wish that names a licence; playing moves nothing between devices."""
    licence = (License, license_key(command.device, command.title))
    return (licence,) if isinstance(command, StartPlayback) else (licence, (Devices, ALL))
