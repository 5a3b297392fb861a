"""What is one too many: wishes whose decisions overlapped may have overshot a limit together.

Which of them are too many follows from the rows alone, so every region finds the same. In the order of their requests,
one is too many if, of it and those kept before that count for it, none can have been decided last: whichever was,
its rule would have met too many others. A history whose decisions did not overlap never has one, however late its
wishes came and whatever version of the rules was in force. The rules are those that decide wishes.
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

One = TypeVar("One")
Judge = Callable[[Rule, Any, Sequence[Any]], Check]  # what a rule says to one, given the others

YEAR_RULES = [rule for rule in rules.RULES if rule.check is rules.downloads_per_year]
RENEWAL_RULES = [rule for rule in rules.RULES if rule.check in (rules.renewals_per_licence, rules.renewals_per_year)]
DEVICE_RULES = [
    rule for rule in rules.RULES
    if rule.check in (rules.devices_per_title, rules.devices_with_downloads, rules.downloads_per_device,
                      rules.downloads_in_total)
]  # fmt: skip


@dataclass(frozen=True)
class Overshoot:
    """A grant or a renewal that is one too many, and the rule that says so."""

    rule: str
    name: UUID  # the request that was granted
    license_id: UUID
    device: str
    title: str
    limit: int | None
    count: int | None  # the others that count

    @property
    def renewal(self) -> bool:
        """Is it a renewal, whose licence may stay?"""
        return self.name != self.license_id


@dataclass(frozen=True)
class Judgement:
    """The rules and plans by which grants were decided, each by the versions that its event names."""

    catalogue: Catalogue
    rules: Rules
    plans: Plans

    def overshoots(
        self, seen: Mapping[str, Downloaded], licences: Mapping[str, License], devices: Devices
    ) -> list[Overshoot]:
        """All that is one too many of a customer; what one rule takes out no longer counts for the next."""
        found = [each for title, downloaded in seen.items() for each in self._downloads(title, downloaded)]
        for key, licence in licences.items():
            device, _, title = key.partition("/")
            found += self._renewals(device, title, licence)
        gone = {each.license_id for each in found if not each.renewal}
        return found + self._holds(devices, gone)

    def _downloads(self, title: str, seen: Downloaded) -> list[Overshoot]:
        def judge(rule: Rule, one: DownloadCounted, others: Sequence[DownloadCounted]) -> Check:
            before = Downloaded({other.request_id: other for other in others})
            studio = self._studio(title, one.rules, one.time)
            return rule.check(Ask(RequestDownload(one.device, title), one.time, None, studio, seen=before))

        return [
            Overshoot(rule.name, one.request_id, one.request_id, one.device, title, check.limit, check.count)
            for rule, one, check in _too_many(YEAR_RULES, seen.counted, judge)
        ]

    def _renewals(self, device: str, title: str, licence: License) -> list[Overshoot]:
        def judge(rule: Rule, one: UUID, others: Sequence[UUID]) -> Check:
            period = licence.periods[one]
            command = Renew(device, title, period.license_id)
            studio = self._studio(title, period.rules, period.begins)
            before = License(periods={other: licence.periods[other] for other in others})
            return rule.check(Ask(command, period.begins, None, studio, licence=before))

        return [
            Overshoot(rule.name, one, licence.periods[one].license_id, device, title, check.limit, check.count)
            for rule, one, check in _too_many(RENEWAL_RULES, {name: name for name in licence.renewals()}, judge)
        ]

    def _holds(self, devices: Devices, gone: set[UUID]) -> list[Overshoot]:
        def judge(rule: Rule, one: DownloadHeld, others: Sequence[DownloadHeld]) -> Check:
            """By the terms of the grant or of any renewal, since each of them was a decision."""
            before = Devices({other.license_id: other for other in others})
            renewals = [each for each in devices.renewals.values() if each.license_id == one.license_id]
            checks = [rule.check(self._ask(one, terms, before)) for terms in (one, *renewals)]
            return next((check for check in checks if check.passed), checks[0])

        holds = {hold.license_id: hold for hold in devices.held if hold.license_id not in gone}
        return [
            Overshoot(rule.name, one.license_id, one.license_id, one.device, one.title, check.limit, check.count)
            for rule, one, check in _too_many(DEVICE_RULES, holds, judge)
        ]

    def _ask(self, hold: DownloadHeld, terms: DownloadHeld | HoldRenewed, before: Devices) -> Ask:
        plan = self.plans.numbered(terms.plans, terms.time).plans.get(terms.plan)
        studio = self._studio(hold.title, terms.rules, terms.time)
        return Ask(RequestDownload(hold.device, hold.title, terms.plan), terms.time, None, studio, plan, devices=before)

    def _studio(self, title: str, version: int, time: datetime) -> StudioRules:
        studio = self.catalogue[title].studio if title in self.catalogue else ""
        return self.rules.numbered(version, time).for_studio(studio)


def _too_many(limits: Sequence[Rule], granted: Mapping[UUID, One], judge: Judge) -> list[tuple[Rule, One, Check]]:
    """Those of the grants that are one too many by one of the limits; what one takes out no longer counts."""
    found, left = [], sorted(granted, key=lambda name: sort_key(Request(name).event_time))
    for rule in limits:
        kept: list[UUID] = []
        for name in left:
            near = [granted[other] for other in kept if judge(rule, granted[name], [granted[other]]).count]
            if _fits(rule, [*near, granted[name]], judge):
                kept.append(name)
            else:
                found.append((rule, granted[name], judge(rule, granted[name], near)))
        left = kept
    return found


def _fits(rule: Rule, together: Sequence[One], judge: Judge) -> bool:
    """Can one of them have been decided last, by its rule and after all the others?"""
    return any(
        judge(rule, one, [*together[:at], *together[at + 1 :]]).passed for at, one in enumerate(together)
    )  # fmt: skip
