"""Overshoot: grants that exceed a limit because their decisions overlapped.

Which grants exceed a limit follows from the rows alone, so every region finds the same. Grants are looked at in the
order of their requests. One exceeds a limit if it and those kept before that count for it can't have been decided one
after another, in any order: whichever came last, the rule would have met too many others. A history whose decisions did
not overlap has no such grant, however late its requests arrived. The rules are those that decide commands.

A grant is judged by the terms that its events name: the studio, the plan, and the versions of rules and plans. The
catalogue of today says nothing about it. Terms that the events don't name, or that this service doesn't know, limit
nothing: such a grant is never taken back, but counts for others.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from msgspec.structs import replace

from eslab import Request
from eslab.domains.downloads import rules
from eslab.domains.downloads.commands import Renew, RequestDownload
from eslab.domains.downloads.devices import Devices, DownloadHeld, HoldEnded, HoldExpired, HoldRenewed
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded
from eslab.domains.downloads.license import License
from eslab.domains.downloads.plans import Plans
from eslab.domains.downloads.rules import Ask, Check, Rule
from eslab.domains.downloads.studios import Rules, StudioRules
from eslab.request import sort_key

Item = TypeVar("Item")
Judge = Callable[[Rule, Any, Sequence[Any]], Check]  # checks a rule for one grant, given the others
NO_LIMITS = StudioRules()  # of terms that are not known

YEAR_RULES = [rule for rule in rules.RULES if rule.check is rules.downloads_per_year]
RENEWAL_RULES = [rule for rule in rules.RULES if rule.check in (rules.renewals_per_licence, rules.renewals_per_year)]
DEVICE_RULES = [
    rule for rule in rules.RULES
    if rule.check in (rules.devices_per_title, rules.devices_with_downloads, rules.downloads_per_device,
                      rules.downloads_in_total)
]  # fmt: skip


@dataclass(frozen=True)
class Grant:
    """A download or a renewal that was granted."""

    name: UUID  # the request that was granted
    license_id: UUID
    device: str
    title: str
    studio: str  # by whose rules it was granted; empty if its events don't name it

    @property
    def renewal(self) -> bool:
        """Is it a renewal, so that its licence may stay?"""
        return self.name != self.license_id

    @property
    def freeing(self) -> HoldExpired | HoldEnded:
        """The event that frees its place on the device."""
        return HoldExpired(self.license_id, self.name) if self.renewal else HoldEnded(self.license_id)


@dataclass(frozen=True)
class Overshoot(Grant):
    """A grant that exceeds a limit, and the rule that it breaks."""

    rule: str
    limit: int | None
    count: int | None  # of the others that count


@dataclass(frozen=True)
class Judgement:
    """The rules and plans by which grants are judged: each by the studio, plan and versions that its event names."""

    rules: Rules
    plans: Plans

    def overshoots(
        self, seen: Mapping[str, Downloaded], licences: Mapping[str, License], devices: Devices
    ) -> list[Overshoot]:
        """Every grant of a customer that exceeds a limit; one found by a rule no longer counts for the next rule."""
        overshoots = [
            overshoot for title, downloaded in seen.items() for overshoot in self._downloads(title, downloaded)
        ]
        for key, licence in licences.items():
            device, _, title = key.partition("/")
            overshoots += self._renewals(device, title, licence)
        left = deepcopy(devices)
        for overshoot in overshoots:
            left.apply(overshoot.freeing)
        studios = {id: download.studio for downloaded in seen.values() for id, download in downloaded.downloads.items()}
        return overshoots + self._holds(left, studios)

    def _downloads(self, title: str, seen: Downloaded) -> list[Overshoot]:
        def judge(rule: Rule, grant: DownloadCounted, others: Sequence[DownloadCounted]) -> Check:
            before = Downloaded({other.request_id: other for other in others})
            studio = self._studio(grant.studio, grant.rules, grant.time)
            return rule.check(Ask(RequestDownload(grant.device, title), grant.time, None, studio=studio, seen=before))

        return [
            Overshoot(id, id, grant.device, title, grant.studio, rule.name, check.limit, check.count)
            for rule, id, grant, check in _excess(YEAR_RULES, seen.counted, judge)
        ]

    def _renewals(self, device: str, title: str, licence: License) -> list[Overshoot]:
        def judge(rule: Rule, name: UUID, others: Sequence[UUID]) -> Check:
            period = licence.periods[name]
            command = Renew(device, title, period.license_id)
            studio = self._studio(period.studio, period.rules, period.begins)
            before = License(periods={other: licence.periods[other] for other in others})
            return rule.check(Ask(command, period.begins, None, studio=studio, licence=before))

        return [
            Overshoot(
                name,
                licence.periods[name].license_id,
                device,
                title,
                licence.periods[name].studio or "",
                rule.name,
                check.limit,
                check.count,
            )
            for rule, name, _, check in _excess(RENEWAL_RULES, {name: name for name in licence.renewals()}, judge)
        ]

    def _holds(self, devices: Devices, studios: Mapping[UUID, str]) -> list[Overshoot]:
        """`studios` are those of the grants, for holds from before they named it."""
        holds = {hold.license_id: _with_studio(hold, studios) for hold in devices.held}

        def judge(rule: Rule, hold: DownloadHeld, others: Sequence[DownloadHeld]) -> Check:
            """Judge by the terms of the grant or of any renewal, since each of them was a decision."""
            before = Devices({other.license_id: other for other in others})
            renewals = [renewal for renewal in devices.renewals.values() if renewal.license_id == hold.license_id]
            checks = [rule.check(self._ask(hold, terms, before)) for terms in (hold, *renewals)]
            return next((check for check in checks if check.passed), checks[0])

        return [
            Overshoot(id, id, hold.device, hold.title, hold.studio or "", rule.name, check.limit, check.count)
            for rule, id, hold, check in _excess(DEVICE_RULES, holds, judge)
        ]

    def _ask(self, hold: DownloadHeld, terms: DownloadHeld | HoldRenewed, before: Devices) -> Ask:
        plans = self.plans.numbered(terms.plans, terms.time)
        plan = plans.plans.get(terms.plan) if plans else None
        studio = self._studio(terms.studio, terms.rules, terms.time)
        command = RequestDownload(hold.device, hold.title, terms.plan)
        return Ask(command, terms.time, None, studio=studio, plan=plan, devices=before)

    def _studio(self, studio: str | None, version: int, time: datetime) -> StudioRules:
        rules = self.rules.numbered(version, time)
        return NO_LIMITS if rules is None or studio is None else rules.for_studio(studio)


def _with_studio(hold: DownloadHeld, studios: Mapping[UUID, str]) -> DownloadHeld:
    """The hold with its studio, which the same request wrote into the event that counts the download."""
    return hold if hold.studio is not None else replace(hold, studio=studios.get(hold.license_id) or None)


def _excess(limits: Sequence[Rule], granted: Mapping[UUID, Item], judge: Judge) -> list[tuple[Rule, UUID, Item, Check]]:
    """The grants that exceed one of the limits; one found by a limit no longer counts for the next."""
    excess = []
    left = sorted(granted, key=lambda name: sort_key(Request(name).event_time))
    for rule in limits:
        kept: list[UUID] = []
        for name in left:
            grant = granted[name]
            # Without a limit there is nothing to compare, however many others there are.
            others = [] if judge(rule, grant, []).limit is None else [granted[other] for other in kept]
            # Only those that count for this grant by this rule, such as the downloads of the same year.
            near = [] if judge(rule, grant, others).passed else _counting(rule, grant, others, judge)
            if _one_after_another(rule, [grant, *near], judge):
                kept.append(name)
            else:
                excess.append((rule, name, grant, judge(rule, grant, near)))
        left = kept
    return excess


def _counting(rule: Rule, grant: Item, others: Sequence[Item], judge: Judge) -> list[Item]:
    """The others that count for a grant by a rule."""
    return [other for other in others if judge(rule, grant, [other]).count]


def _one_after_another(rule: Rule, grants: Sequence[Item], judge: Judge) -> bool:
    """Can the grants have been decided one after another, in some order, each by its own terms?"""
    left = list(grants)
    while left:
        # Fewer others never break a rule, so any that can have been the last may go first, and no search is needed.
        last = next((at for at in range(len(left)) if judge(rule, left[at], left[:at] + left[at + 1 :]).passed), None)
        if last is None:
            return False
        del left[last]
    return True
