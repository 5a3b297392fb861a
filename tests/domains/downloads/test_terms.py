"""A grant is judged by the terms that its events name, whatever became of catalogue, plans and rules since."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from eslab import Event, ManualClock, Rejected, Repository, open_store
from eslab.domains.downloads.catalogue import Title
from eslab.domains.downloads.devices import ALL, Devices, DownloadHeld
from eslab.domains.downloads.downloaded import DownloadCounted
from eslab.domains.downloads.license import License, LicenseIssued
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.plans import Plan, PlanSet
from eslab.domains.downloads.policies import Policies
from eslab.domains.downloads.read_tables import downloads_of
from eslab.domains.downloads.reconcile import Reconciled
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import RuleSet, StudioRules
from eslab.domains.downloads.versions import Versions
from tests.domains.downloads.support import at, id_at, stored, time_at
from tests.domains.downloads.test_reconcile import meet
from tests.support.sample import START, commits

STRICT = StudioRules(
    downloads_per_title_per_year=1, licence_days=1, renewals_per_licence=1, renewals_per_year=1, devices_per_title=1
)
KIND = StudioRules(licence_days=2)
ONE = Plan(devices=1, downloads_per_device=1, downloads=1)
DAY_TWO, DAY_THREE = date(2026, 1, 6), date(2026, 1, 7)
RULES = Versions((RuleSet(1, date(2020, 1, 1), KIND, {"Strict": STRICT}),))
PLANS = Versions((PlanSet(1, date(2020, 1, 1), {"large": Plan(), "small": ONE}),))
# Rules and plans of a file that forbids what the first one allows, under numbers of its own and from the beginning.
STRICTER = Versions((RuleSet(1, date(2020, 1, 1), STRICT, {}), RuleSet(2, date(2020, 1, 2), STRICT, {})))
NO_PLANS = Versions((PlanSet(2, date(2020, 1, 1), {"large": ONE}),))


def title(name: str, studio: str) -> Title:
    return Title(name, name.title(), "film", studio, 2017)


def catalogue(studio: str, *names: str) -> dict[str, Title]:
    return {name: title(name, studio) for name in names or ("glow", "dark")}


class Region:
    """A store of its own, and a service on it, whose policies can be changed between two commands."""

    def __init__(self, **policies: Any) -> None:
        self.store, self.clock = open_store("memory:"), ManualClock(START)
        offered = Policies(**{"catalogue": catalogue("Kind"), "rules": RULES, "plans": PLANS, **policies})
        self.service = DownloadService(self.store, self.clock, offered)

    def change(self, **policies: Any) -> None:
        self.service.policies = replace(self.service.policies, **policies)

    def ask(self, days: float, device: str = "phone", title: str = "glow", plan: str = "large") -> Granted | Rejected:
        self.clock.now = max(self.clock.now, time_at(days))
        return self.service.request_download("ann", device, title, at(days, f"{device}/{title}"), plan=plan)

    def renew(self, days: float, of: float, device: str = "phone", title: str = "glow", plan: str = "large") -> Any:
        self.clock.now = max(self.clock.now, time_at(days))
        licence = id_at(of, f"{device}/{title}")
        return self.service.renew("ann", device, title, licence, at(days, f"renew {device}/{title}"), plan=plan)

    def reconcile(self) -> Reconciled:
        return self.service.reconcile("ann")


def four_downloads(region: Region) -> None:
    for days in range(4):
        assert isinstance(region.ask(days), Granted)


def four_devices(region: Region) -> None:
    for days, device in enumerate(("phone", "tablet", "tv", "laptop")):
        assert isinstance(region.ask(days / 10, device), Granted)


def many_titles(region: Region) -> None:
    assert isinstance(region.ask(0, "phone", "glow"), Granted)
    assert isinstance(region.ask(0.1, "phone", "dark"), Granted)


def renewals(region: Region) -> None:
    region.ask(0)
    for days in (0.5, 1, 1.5):
        assert isinstance(region.renew(days, 0), Granted)


CHANGES: dict[str, Callable[[Region], None]] = {
    "moves to a stricter studio": lambda region: region.change(catalogue=catalogue("Strict")),
    "leaves the catalogue": lambda region: region.change(
        catalogue={}, rules=Versions((RuleSet(1, date(2020, 1, 1), STRICT, {"Kind": KIND}),))
    ),
    "its plan shrinks": lambda region: region.change(
        plans=Versions((*PLANS.versions, PlanSet(2, DAY_TWO, {"large": ONE})))
    ),
    "its plan is gone": lambda region: region.change(plans=NO_PLANS),
    "rules are added": lambda region: region.change(
        rules=Versions((*RULES.versions, RuleSet(2, DAY_TWO, STRICT, {"Kind": STRICT})))
    ),
    "its rules are gone": lambda region: region.change(
        rules=Versions((RuleSet(2, date(2020, 1, 1), STRICT, {"Kind": STRICT}),))
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("granted", [four_downloads, four_devices, many_titles, renewals])
def test_grants_that_never_overlapped_stay(granted: Callable[[Region], None], change: Callable[[Region], None]) -> None:
    """One after the other, by the terms of their day; the terms of today take none of them back."""
    region = Region()
    granted(region)
    change(region)
    before = stored(region.store)
    reconciled = region.reconcile()
    assert (reconciled.overshoots, reconciled.strays, reconciled.commits) == ([], [], 0)
    assert stored(region.store) == before


def test_a_grant_under_strict_terms_is_still_too_many_after_the_title_moved() -> None:
    """Both regions granted the one download that the studio allowed; a kinder studio of today makes neither right."""
    us, europe = Region(catalogue=catalogue("Strict")), Region(catalogue=catalogue("Strict"))
    us.ask(0)
    europe.ask(0.01, "tv")
    meet(us, europe)
    for region in (us, europe):
        region.change(catalogue=catalogue("Kind"))
        (overshoot,) = region.reconcile().overshoots
        assert (overshoot.name, overshoot.rule) == (id_at(0.01, "tv/glow"), "downloads per title per year")


def test_a_late_grant_under_kind_terms_hides_no_strict_ones() -> None:
    """It may have been decided last, but what is left was still too many."""
    us, europe = Region(catalogue=catalogue("Strict")), Region(catalogue=catalogue("Strict"))
    us.ask(0.1)
    europe.ask(0.2, "tv")
    meet(us, europe)
    us.change(catalogue=catalogue("Kind"))
    assert isinstance(us.ask(0, "laptop"), Granted)  # late
    assert [overshoot.name for overshoot in us.reconcile().overshoots] == [id_at(0.2, "tv/glow")]


def test_a_renewal_after_a_move_is_judged_by_the_new_studio() -> None:
    """Two regions each granted the one renewal that the new studio allows; the licence itself stays."""
    us, europe = Region(), Region()
    us.ask(0)
    meet(us, europe)
    for region, days in ((us, 0.5), (europe, 0.6)):
        region.change(catalogue=catalogue("Strict"))
        assert isinstance(region.renew(days, 0), Granted)
    meet(us, europe)
    (overshoot,) = us.reconcile().overshoots
    assert (overshoot.rule, overshoot.name) == ("renewals per licence", at(0.6, "renew phone/glow").id)
    assert us.service.repository.load("ann", License, "phone/glow").revoked == {}


def test_a_renewal_that_brings_a_licence_back_is_judged_by_its_own_plan() -> None:
    """The place was free when the television took it, and the larger plan of the renewal has room for both."""
    region = Region(rules=Versions((RuleSet(1, date(2020, 1, 1), StudioRules(licence_days=1), {}),)))
    region.ask(0, plan="small")
    region.clock.now = time_at(2)
    region.service.expire("ann", "phone", "glow", id_at(0, "phone/glow"), at(2, "expire"))
    assert isinstance(region.ask(2.1, "tv", "dark", plan="small"), Granted)
    assert isinstance(region.renew(2.2, 0, plan="large"), Granted)
    assert region.reconcile().overshoots == []


def test_a_renewal_that_is_taken_back_holds_no_place_against_others() -> None:
    """It alone brought the ended licence back to the phone, so the television's download needs no place of its own."""
    strict = StudioRules(renewals_per_licence=1, licence_days=1)
    policies = {"rules": Versions((RuleSet(1, date(2020, 1, 1), strict, {}),))}
    us, europe = Region(**policies), Region(**policies)
    us.ask(0, plan="small")
    us.renew(0.1, 0, plan="small")
    us.clock.now = time_at(2)
    us.service.expire("ann", "phone", "glow", id_at(0, "phone/glow"), at(2, "expire"))
    meet(us, europe)
    us.change(rules=Versions((RuleSet(1, date(2020, 1, 1), StudioRules(renewals_per_licence=2), {}),)))
    assert isinstance(us.renew(2.1, 0, plan="small"), Granted)  # by a service with another file: more than one allows
    assert isinstance(europe.ask(2.2, "tv", "dark", plan="small"), Granted)
    meet(us, europe)
    assert [overshoot.rule for overshoot in europe.reconcile().overshoots] == ["renewals per licence"]


def test_events_name_the_studio_that_decided() -> None:
    """The grant by the first studio, the renewal by the second; the count of a repeat goes on with the first."""
    region = Region()
    region.ask(0)
    region.change(catalogue=catalogue("Strict"))
    region.renew(0.5, 0)
    repository = region.service.repository
    licence, devices = repository.load("ann", License, "phone/glow"), repository.load("ann", Devices, ALL)
    assert [licence.periods[name].studio for name in licence.names(id_at(0, "phone/glow"))] == ["Kind", "Strict"]
    assert [hold.studio for hold in devices.holds.values()] == ["Kind"]
    assert [renewal.studio for renewal in devices.renewals.values()] == ["Strict"]
    assert region.ask(0).limit is None  # a repeat


def test_what_is_taken_back_counts_in_the_month_of_its_own_studio() -> None:
    """Also where the title moved, and where only a rule about devices found it."""
    us, europe = Region(), Region()
    us.ask(0, plan="small")
    europe.ask(0.01, "tv", plan="small")
    meet(us, europe)
    us.change(catalogue=catalogue("Strict"))
    assert us.reconcile().commits == 1
    repository = Repository(us.store, us.clock)
    assert downloads_of(repository, "Kind", "2026-01") == {"glow": 1}
    assert downloads_of(repository, "Strict", "2026-01") == downloads_of(repository, "(unknown)", "2026-01") == {}


def old_grant(days: float, device: str, studio: str) -> dict[str, list[Event]]:
    """The commits of a service from before holds and licences named their studio."""
    name, time = id_at(days, device), time_at(days)
    return {
        "downloaded:glow": [DownloadCounted(name, device, time, 1, studio)],
        f"license:{device}/glow": [LicenseIssued(name, time, None, None, 1)],
        "devices:all": [DownloadHeld(name, device, "glow", time, "large", 1, 1)],
    }


@pytest.mark.parametrize(("studio", "found"), [("Strict", 1), ("Kind", 0), ("", 0)])
def test_an_older_hold_has_the_studio_of_its_download(studio: str, found: int) -> None:
    """The same request wrote both; where neither names one, nothing is taken back by a studio's rule."""
    region = Region(catalogue=catalogue("Strict"))
    rules = Versions((RuleSet(1, date(2020, 1, 1), StudioRules(devices_per_title=1), {"Kind": StudioRules()}),))
    region.change(rules=rules)
    for days, device in ((0, "phone"), (0.1, "tv")):
        region.store.append("ann", commits(at(days, device), old_grant(days, device, studio)))
    assert [overshoot.rule for overshoot in region.reconcile().overshoots] == ["devices per title"] * found
