"""The rules: small pure functions in one table, each with the sentence that people are shown.

A rule takes an `Ask` and returns a `Check`: passed or not, and its numbers. A limit is broken when the others that
count are as many as it allows. The same functions decide commands, explain themselves at the command desk, and find
grants that exceed a limit because their decisions overlapped (overshoot.py).
"""

from collections.abc import Callable, Iterator, Sized
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from eslab import Rejected, display
from eslab.display import quantity
from eslab.domains.downloads.catalogue import Title
from eslab.domains.downloads.commands import (
    DownloadCommand,
    Expire,
    Release,
    Renew,
    RequestDownload,
    Revoke,
    StartPlayback,
)
from eslab.domains.downloads.devices import Devices
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.license import License
from eslab.domains.downloads.plans import Plan
from eslab.domains.downloads.studios import StudioRules

NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Ask:
    """A command, and everything that the rules may look at; they read neither a clock nor a file."""

    command: DownloadCommand
    time: datetime  # of the request
    title: Title | None  # None: not in the catalogue
    _: KW_ONLY
    studio: StudioRules
    rules_version: int = 0  # the version in force, which the deciding event carries
    plan: Plan | None = None  # None: no such plan
    plans_version: int = 0
    seen: Downloaded = field(default_factory=Downloaded)
    licence: License = field(default_factory=License)
    devices: Devices = field(default_factory=Devices)

    @property
    def studio_name(self) -> str:
        """The studio whose rules decide; empty for a title that left the catalogue, where the default rules do."""
        return self.title.studio if self.title else ""

    @property
    def license_id(self) -> UUID:
        """The licence that the command names; a request for a download names none yet."""
        return NOBODY if isinstance(self.command, RequestDownload) else self.command.license_id


@dataclass(frozen=True)
class Check:
    """The result of a rule; if it is broken, why, and from when the command is allowed, if that is known."""

    passed: bool = True
    reason: str = ""
    limit: int | None = None
    count: int | None = None
    allowed_at: datetime | None = None


class Refused(Rejected):
    """A rejection with the rule's sentence, and the moment from which the command is allowed, if that is known."""

    def __init__(self, rule: "Rule", check: Check) -> None:
        super().__init__(rule.name, check.reason, limit=check.limit, count=check.count)
        self.sentence = rule.sentence
        self.allowed_at = check.allowed_at

    def __str__(self) -> str:
        when = f"; allowed from {self.allowed_at:%Y-%m-%d %H:%M} UTC" if self.allowed_at else ""
        return f"{super().__str__()}{when}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = {
            "rule": self.rule,
            "says": self.sentence,
            "reason": self.reason,
            "limit": self.limit,
            "count": self.count,
            "allowed from": self.allowed_at,
        }
        return display.table("Rejected", rows, mark="✗")


@dataclass(frozen=True)
class Rule:
    """One rule: its name, the sentence that explains it, the function that checks it, the commands that it is for."""

    name: str
    sentence: str
    check: Callable[[Ask], Check]
    commands: tuple[type, ...]


def broken(ask: Ask) -> tuple[Rule, Check] | None:
    """The first rule of the table that forbids the command, and its check; None if every rule allows it."""
    return next(((rule, check) for rule, check in _checks(ask) if not check.passed), None)


def allow(ask: Ask) -> None:
    """Raise `Refused` by the first rule that forbids the command."""
    if refusal := broken(ask):
        raise Refused(*refusal)


def explain(ask: Ask) -> list[tuple[Rule, Check]]:
    """Every rule that the command must pass, in order, and its check."""
    return list(_checks(ask))


def in_catalogue(ask: Ask) -> Check:
    """Is there such a title?"""
    return _unless(ask.title is not None, "there is no such title in the catalogue")


def plan_known(ask: Ask) -> Check:
    """Is there such a plan?"""
    return _unless(ask.plan is not None, f"there is no plan {_field(ask, 'plan')!r}")


def offered_here(ask: Ask) -> Check:
    """Is the title offered in the customer's country?"""
    countries = ask.title.countries if ask.title else frozenset()
    return _unless(
        not countries or _field(ask, "country") in countries,
        f"it is offered in {', '.join(sorted(countries))}, not in {_field(ask, 'country')}",
    )


def not_blocked(ask: Ask) -> Check:
    """Does the studio allow downloads in the customer's country?"""
    allowed = _field(ask, "country") not in ask.studio.blocked_countries
    return _unless(allowed, f"{_studio(ask)} allows no downloads in {_field(ask, 'country')}")


def downloads_per_year(ask: Ask) -> Check:
    """Do fewer downloads of the title, on any device, count in the year than the studio allows?"""
    limit = ask.studio.downloads_per_title_per_year
    used = ask.studio.years.count(ask.seen.times, ask.time)
    name = ask.title.title if ask.title else ask.command.title
    reason = f"{_studio(ask)} allows {quantity(limit or 0, 'download')} of {name} a year, and {used} {_are(used)} used"
    return _in_year(ask, limit, used, ask.seen.times, reason)


def devices_per_title(ask: Ask) -> Check:
    """Is the title on fewer other devices than the studio allows?"""
    others = {hold.device for hold in ask.devices.held if hold.title == ask.command.title} - {ask.command.device}
    return _below(ask.studio.devices_per_title, others, f"it is on {quantity(len(others), 'other device')}")


def devices_with_downloads(ask: Ask) -> Check:
    """Do fewer other devices have downloads than the plan allows?"""
    others = {hold.device for hold in ask.devices.held} - {ask.command.device}
    return _below(_plan(ask).devices, others, f"downloads are on {quantity(len(others), 'other device')}")


def downloads_per_device(ask: Ask) -> Check:
    """Are fewer other titles on the device than the plan allows?"""
    others = {hold.title for hold in ask.devices.held if hold.device == ask.command.device} - {ask.command.title}
    return _below(_plan(ask).downloads_per_device, others, f"the device has {quantity(len(others), 'other title')}")


def downloads_in_total(ask: Ask) -> Check:
    """Are fewer other downloads on all devices than the plan allows?"""
    others = {(hold.device, hold.title) for hold in ask.devices.held} - {(ask.command.device, ask.command.title)}
    return _below(_plan(ask).downloads, others, f"the devices have {quantity(len(others), 'other download')}")


def licence_known(ask: Ask) -> Check:
    """Was the licence issued to this device for this title?"""
    return _unless(ask.licence.issued(ask.license_id), f"no licence {ask.license_id} was issued to this device")


def not_given_back(ask: Ask) -> Check:
    """Is the licence neither revoked nor released? Both are for good, whenever the request was made."""
    over = ask.licence.over(ask.license_id)
    return _unless(over is None, f"the licence is {over}")


def not_ended(ask: Ask) -> Check:
    """Is the licence's end later than the request?"""
    end = ask.licence.end(ask.license_id)
    return _unless(end is None or end > ask.time, f"it ended at {_moment(end)}; it may be renewed")


def has_ended(ask: Ask) -> Check:
    """Is the licence's end at or before the time of the request?"""
    end = ask.licence.end(ask.license_id)
    return _unless(end is not None and end <= ask.time, f"it ends at {_moment(end)}", allowed_at=end)


def renewals_per_licence(ask: Ask) -> Check:
    """Was the licence renewed less often than the studio allows?"""
    renewals = ask.licence.renewals(ask.license_id)
    return _below(ask.studio.renewals_per_licence, renewals, f"it was renewed {quantity(len(renewals), 'time')}")


def renewals_per_year(ask: Ask) -> Check:
    """Were licences for the title on this device renewed less often in the year than the studio allows?"""
    limit = ask.studio.renewals_per_year
    times = [ask.licence.periods[name].begins for name in ask.licence.renewals()]
    used = ask.studio.years.count(times, ask.time)
    reason = f"{_studio(ask)} allows {quantity(limit or 0, 'renewal')} a year, and {used} {_are(used)} used"
    return _in_year(ask, limit, used, times, reason)


DOWNLOAD = (RequestDownload,)
KEEP = (RequestDownload, Renew)
USE = (StartPlayback, Renew)
NAMED = (StartPlayback, Renew, Release, Revoke, Expire)  # the commands that name a licence

# In the order in which they are checked: the first broken rule is the answer.
RULES = (
    Rule("catalogue", "Only a title of the catalogue can be downloaded.", in_catalogue, DOWNLOAD),
    Rule("licence", "Only a licence that was issued can be used.", licence_known, NAMED),
    Rule("given back", "What was released or revoked stays so.", not_given_back, USE),
    Rule("plan", "Only a plan that is offered has downloads.", plan_known, KEEP),
    Rule("countries", "A title may be kept only where it is offered.", offered_here, KEEP),
    Rule("blocked countries", "A studio may allow no downloads in some countries.", not_blocked, KEEP),
    Rule("downloads per title per year", "A studio may limit how often a title is downloaded in a year.",
         downloads_per_year, DOWNLOAD),
    Rule("renewals per licence", "A studio may limit how often a licence is renewed.", renewals_per_licence, (Renew,)),
    Rule("renewals per year", "A studio may limit how often a title on a device is renewed in a year.",
         renewals_per_year, (Renew,)),
    Rule("devices per title", "A studio may limit how many devices hold a title at once.", devices_per_title, KEEP),
    Rule("devices with downloads", "A plan limits how many devices have downloads.", devices_with_downloads, KEEP),
    Rule("downloads per device", "A plan limits how many titles are on a device.", downloads_per_device, KEEP),
    Rule("downloads in total", "A plan limits how many downloads are on all devices.", downloads_in_total, KEEP),
    Rule("ended", "A licence plays until it ends.", not_ended, (StartPlayback,)),
    Rule("not yet ended", "Only a licence whose end is past can expire.", has_ended, (Expire,)),
)  # fmt: skip


def _checks(ask: Ask) -> Iterator[tuple[Rule, Check]]:
    return ((rule, rule.check(ask)) for rule in RULES if isinstance(ask.command, rule.commands))


def _unless(passed: bool, reason: str, **numbers: Any) -> Check:
    return Check(passed, "" if passed else reason, **numbers)


def _below(limit: int | None, others: Sized, words: str) -> Check:
    count = len(others)
    passed = limit is None or count < limit
    return _unless(passed, f"{words}, and {limit} is the limit", limit=limit, count=count)


def _in_year(ask: Ask, limit: int | None, used: int, times: list[datetime], reason: str) -> Check:
    """The check of a limit for a year; if it is broken, with the moment at which one of these times falls out of it."""
    if limit is None or used < limit:
        return Check(limit=limit, count=used)
    return Check(False, reason, limit, used, ask.studio.years.free_at(times, limit, ask.time))


def _are(count: int) -> str:
    """The verb behind a count."""
    return "is" if count == 1 else "are"


def _plan(ask: Ask) -> Plan:
    return ask.plan or Plan()


def _field(ask: Ask, name: str) -> Any:
    return getattr(ask.command, name, None)


def _studio(ask: Ask) -> str:
    """The studio's name, for people."""
    return ask.studio_name or "the studio"


def _moment(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "no time"
