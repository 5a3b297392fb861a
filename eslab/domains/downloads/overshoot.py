"""Overshoot: grants that exceed a limit because their decisions overlapped.

Which grants exceed a limit follows from the rows alone, so every region finds the same. Grants are looked at in the
order of their requests. One exceeds a limit if, of it and those kept before that count for it, none can have been
decided last: the rule would have met too many others. A history whose decisions did not overlap has no such grant,
however late its requests arrived and whatever version of the rules was in force. The rules are those that decide
commands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from eslab import Request
from eslab.domains.downloads import rules
from eslab.domains.downloads.catalogue import Catalogue
from eslab.domains.downloads.commands import Renew, RequestDownload
from eslab.domains.downloads.devices import Devices, DownloadHeld, HoldRenewed
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded
from eslab.domains.downloads.license import License
from eslab.domains.downloads.plans import Plans
from eslab.domains.downloads.rules import Ask, Check, Rule
from eslab.domains.downloads.studios import Rules, StudioRules
from eslab.request import sort_key

Grant = TypeVar("Grant")
Judge = Callable[[Rule, Any, Sequence[Any]], Check]  # checks a rule for one grant, given the others

YEAR_RULES = [rule for rule in rules.RULES if rule.check is rules.downloads_per_year]
RENEWAL_RULES = [rule for rule in rules.RULES if rule.check in (rules.renewals_per_licence, rules.renewals_per_year)]
DEVICE_RULES = [
    rule for rule in rules.RULES
    if rule.check in (rules.devices_per_title, rules.devices_with_downloads, rules.downloads_per_device,
                      rules.downloads_in_total)
]  # fmt: skip


@dataclass(frozen=True)
class Overshoot:
    """A grant or a renewal that exceeds a limit, and the rule that it breaks."""

    rule: str
    name: UUID  # the request that was granted
    license_id: UUID
    device: str
    title: str
    limit: int | None
    count: int | None  # of the others that count

    @property
    def renewal(self) -> bool:
        """Is it a renewal, so that its licence may stay?"""
        return self.name != self.license_id


@dataclass(frozen=True)
class Judgement:
    """The catalogue, rules and plans by which grants are judged: each by the versions that its event names."""

    catalogue: Catalogue
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
        gone = {overshoot.license_id for overshoot in overshoots if not overshoot.renewal}
        return overshoots + self._holds(devices, gone)

    def _downloads(self, title: str, seen: Downloaded) -> list[Overshoot]:
        def judge(rule: Rule, grant: DownloadCounted, others: Sequence[DownloadCounted]) -> Check:
            before = Downloaded({other.request_id: other for other in others})
            studio = self._studio(title, grant.rules, grant.time)
            return rule.check(Ask(RequestDownload(grant.device, title), grant.time, None, studio=studio, seen=before))

        return [
            Overshoot(rule.name, grant.request_id, grant.request_id, grant.device, title, check.limit, check.count)
            for rule, grant, check in _excess(YEAR_RULES, seen.counted, judge)
        ]

    def _renewals(self, device: str, title: str, licence: License) -> list[Overshoot]:
        def judge(rule: Rule, name: UUID, others: Sequence[UUID]) -> Check:
            period = licence.periods[name]
            command = Renew(device, title, period.license_id)
            studio = self._studio(title, period.rules, period.begins)
            before = License(periods={other: licence.periods[other] for other in others})
            return rule.check(Ask(command, period.begins, None, studio=studio, licence=before))

        return [
            Overshoot(rule.name, name, licence.periods[name].license_id, device, title, check.limit, check.count)
            for rule, name, check in _excess(RENEWAL_RULES, {name: name for name in licence.renewals()}, judge)
        ]

    def _holds(self, devices: Devices, gone: set[UUID]) -> list[Overshoot]:
        def judge(rule: Rule, hold: DownloadHeld, others: Sequence[DownloadHeld]) -> Check:
            """Judge by the terms of the grant or of any renewal, since each of them was a decision."""
            before = Devices({other.license_id: other for other in others})
            renewals = [renewal for renewal in devices.renewals.values() if renewal.license_id == hold.license_id]
            checks = [rule.check(self._ask(hold, terms, before)) for terms in (hold, *renewals)]
            return next((check for check in checks if check.passed), checks[0])

        holds = {hold.license_id: hold for hold in devices.held if hold.license_id not in gone}
        return [
            Overshoot(rule.name, hold.license_id, hold.license_id, hold.device, hold.title, check.limit, check.count)
            for rule, hold, check in _excess(DEVICE_RULES, holds, judge)
        ]

    def _ask(self, hold: DownloadHeld, terms: DownloadHeld | HoldRenewed, before: Devices) -> Ask:
        plan = self.plans.numbered(terms.plans, terms.time).plans.get(terms.plan)
        studio = self._studio(hold.title, terms.rules, terms.time)
        command = RequestDownload(hold.device, hold.title, terms.plan)
        return Ask(command, terms.time, None, studio=studio, plan=plan, devices=before)

    def _studio(self, title: str, version: int, time: datetime) -> StudioRules:
        studio = self.catalogue[title].studio if title in self.catalogue else ""
        return self.rules.numbered(version, time).for_studio(studio)


def _excess(limits: Sequence[Rule], granted: Mapping[UUID, Grant], judge: Judge) -> list[tuple[Rule, Grant, Check]]:
    """The grants that exceed one of the limits; one found by a limit no longer counts for the next."""
    excess = []
    left = sorted(granted, key=lambda name: sort_key(Request(name).event_time))
    for rule in limits:
        kept: list[UUID] = []
        for name in left:
            grant = granted[name]
            # Only those that count for this grant by this rule, such as the downloads of the same year.
            near = [granted[other] for other in kept if judge(rule, grant, [granted[other]]).count]
            if _fits(rule, [*near, grant], judge):
                kept.append(name)
            else:
                excess.append((rule, grant, judge(rule, grant, near)))
        left = kept
    return excess


def _fits(rule: Rule, together: Sequence[Grant], judge: Judge) -> bool:
    """Can one of the grants have been decided last, after all the others, by its rule?"""
    return any(
        judge(rule, grant, [*together[:at], *together[at + 1 :]]).passed for at, grant in enumerate(together)
    )  # fmt: skip
