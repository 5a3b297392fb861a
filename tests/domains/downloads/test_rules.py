"""Every rule: given events, when a command, then the rule passes or is broken, with its numbers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from eslab import Event, InvalidInput
from eslab.domains.downloads.commands import (
    DownloadCommand,
    Expire,
    Release,
    Renew,
    RequestDownload,
    Revoke,
    StartPlayback,
)
from eslab.domains.downloads.devices import Devices, DownloadHeld, HoldEnded, HoldExpired, HoldRenewed
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded, DownloadVoided
from eslab.domains.downloads.license import (
    License,
    LicenseExpired,
    LicenseIssued,
    LicenseReleased,
    LicenseRenewed,
    LicenseRevoked,
    PlaybackStarted,
    RenewalVoided,
)
from eslab.domains.downloads.plans import Plan, load_plans
from eslab.domains.downloads.rules import NAMED, RULES, Ask, Check, Refused, allow, explain
from eslab.domains.downloads.studios import StudioRules
from tests.domains.downloads.support import DARK, GLOW, folded, id_at, time_at

GET = RequestDownload("phone", "glow")
L, OTHER, R = id_at(0, "licence"), id_at(0, "another"), id_at(1, "renewal")
ISSUED = LicenseIssued(L, time_at(0), time_at(30), 48, 1)
PLAY, RENEW = StartPlayback("phone", "glow", L), Renew("phone", "glow", L)


def counted(days: float, device: str = "phone") -> DownloadCounted:
    return DownloadCounted(id_at(days, device), device, time_at(days), 1)


def held(device: str, title: str = "glow", key: str = "") -> DownloadHeld:
    return DownloadHeld(id_at(0, f"{device}/{title}{key}"), device, title, time_at(0), "standard", 1, 1)


def renewed(renewal: Any = R, license_id: Any = L, day: float = 1) -> LicenseRenewed:
    return LicenseRenewed(license_id, renewal, time_at(day), time_at(day + 30), 48, 1)


NO_LIMITS = Plan()


class Given:
    """Events that happened to the aggregates that a command touches."""

    def __init__(self, *events: Event) -> None:
        self.events = events

    def when(
        self,
        command: DownloadCommand,
        studio: StudioRules | None = None,
        plan: Plan | None = NO_LIMITS,
        day: float = 1,
        **more: Any,
    ) -> "Asked":
        mine = lambda *kinds: [event for event in self.events if isinstance(event, kinds)]  # noqa: E731
        states = {
            "seen": folded(Downloaded, mine(DownloadCounted, DownloadVoided)),
            "devices": folded(Devices, mine(DownloadHeld, HoldEnded, HoldExpired, HoldRenewed)),
            "licence": folded(License, [e for e in self.events if type(e).__name__.startswith(("Lic", "Play", "Ren"))]),
        }
        asked = {"title": GLOW, "plan": plan, **states, **more}
        return Asked(Ask(command, time_at(day), studio=studio or StudioRules(), **asked))


class Asked:
    """A command before the rules."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    def then_broken(self, rule: str, **numbers: Any) -> None:
        """By this rule first, with these numbers, its own sentence and a reason."""
        with pytest.raises(Refused) as refused:
            allow(self.ask)
        said = refused.value
        assert (said.rule, bool(said.reason), said.sentence) == (rule, True, SENTENCES[rule])
        assert {name: getattr(said, name) for name in numbers} == numbers

    def then_allowed(self) -> None:
        """By every rule; none of them gives a reason against it."""
        assert [rule.name for rule, check in explain(self.ask) if not check.passed or check.reason] == []


SENTENCES = {rule.name: rule.sentence for rule in RULES}
nothing = Given()


def test_every_rule_has_a_name_and_one_sentence_of_its_own() -> None:
    """People read them at the command desk and in rejections."""
    assert len(SENTENCES) == len({rule.sentence for rule in RULES}) == len(RULES)
    assert [rule.sentence for rule in RULES if rule.sentence.count(".") != 1 or not rule.sentence.endswith(".")] == []
    assert all(rule.check.__doc__ for rule in RULES)


def test_catalogue() -> None:
    """Only a title of the catalogue can be downloaded."""
    nothing.when(GET).then_allowed()
    nothing.when(GET, title=None).then_broken("catalogue", limit=None, count=None, allowed_at=None)


def test_plan() -> None:
    """Only a plan that is offered has downloads."""
    Given(ISSUED).when(RENEW).then_allowed()
    nothing.when(RequestDownload("phone", "glow", "gold"), plan=None).then_broken("plan")
    Given(ISSUED).when(RENEW, plan=None).then_broken("plan")


@pytest.mark.parametrize(("country", "ok"), [("DE", True), ("US", False)])
def test_countries(country: str, ok: bool) -> None:
    """A title may be kept only where it is offered; one without countries is offered everywhere."""
    nothing.when(RequestDownload("phone", "glow", country=country)).then_allowed()
    asked = nothing.when(RequestDownload("phone", "dark", country=country), title=DARK)
    asked.then_allowed() if ok else asked.then_broken("countries")


def test_blocked_countries() -> None:
    """A studio may allow no downloads in some countries."""
    studio = StudioRules(blocked_countries=frozenset({"AQ"}))
    nothing.when(GET, studio).then_allowed()
    nothing.when(RequestDownload("phone", "glow", country="AQ"), studio).then_broken("blocked countries")
    Given(ISSUED).when(Renew("phone", "glow", L, country="AQ"), studio).then_broken("blocked countries")


THREE = StudioRules(downloads_per_title_per_year=3)


def test_downloads_per_title_per_year() -> None:
    """The fourth in 365 days is one too many, on whatever device; it is allowed when the first has left the year."""
    past = [counted(0), counted(10, "tablet"), counted(20, "laptop")]
    Given(*past[:2]).when(GET, THREE, day=30).then_allowed()
    Given(*past).when(GET, THREE, day=30).then_broken(
        "downloads per title per year", limit=3, count=3, allowed_at=time_at(365)
    )
    Given(*past).when(GET, THREE, day=364.999).then_broken("downloads per title per year")
    Given(*past).when(GET, THREE, day=365).then_allowed()


def test_a_late_request_does_not_slip_in_behind_later_downloads() -> None:
    """Grants later than the request count too."""
    Given(counted(2), counted(3), counted(4)).when(GET, THREE, day=1).then_broken(
        "downloads per title per year", limit=3, count=3, allowed_at=time_at(2 + 365)
    )


def test_a_download_that_was_taken_back_does_not_count() -> None:
    """Reconciling gives the year its place back."""
    past = [counted(0), counted(10), counted(20)]
    Given(*past, DownloadVoided(past[1].request_id)).when(GET, THREE, day=30).then_allowed()


def test_a_limit_of_none_at_all() -> None:
    """It is never allowed."""
    studio = StudioRules(downloads_per_title_per_year=0)
    nothing.when(GET, studio).then_broken("downloads per title per year", limit=0, count=0, allowed_at=None)


def test_renewals_per_licence() -> None:
    """A studio may limit how often a licence is renewed; other licences don't count, nor what was taken back."""
    studio = StudioRules(renewals_per_licence=1)
    Given(ISSUED).when(RENEW, studio).then_allowed()
    Given(ISSUED, renewed()).when(RENEW, studio).then_broken("renewals per licence", limit=1, count=1)
    Given(ISSUED, renewed(license_id=OTHER)).when(RENEW, studio).then_allowed()
    Given(ISSUED, renewed(), RenewalVoided(L, R)).when(RENEW, studio).then_allowed()


def test_renewals_per_year() -> None:
    """A studio may limit how often a title on a device is renewed in a year, over all its licences."""
    studio = StudioRules(renewals_per_year=2)
    past = [ISSUED, renewed(), renewed(id_at(5), OTHER, 5)]
    Given(*past[:2]).when(RENEW, studio, day=9).then_allowed()
    Given(*past).when(RENEW, studio, day=9).then_broken(
        "renewals per year", limit=2, count=2, allowed_at=time_at(1 + 365)
    )
    Given(*past).when(RENEW, studio, day=1 + 365).then_allowed()


def test_devices_per_title() -> None:
    """A studio may limit how many devices hold a title at once; the device itself is not another."""
    studio = StudioRules(devices_per_title=2)
    Given(held("phone"), held("tablet"), held("tv", "mad-max")).when(GET, studio).then_allowed()
    Given(held("tablet"), held("laptop")).when(GET, studio).then_broken("devices per title", limit=2, count=2)


def test_devices_with_downloads() -> None:
    """A plan limits how many devices have downloads."""
    plan = Plan(devices=2)
    Given(held("phone"), held("tablet"), held("tablet", "mad-max")).when(GET, plan=plan).then_allowed()
    Given(held("tv"), held("tablet", "mad-max")).when(GET, plan=plan).then_broken(
        "devices with downloads", limit=2, count=2
    )


def test_downloads_per_device() -> None:
    """A plan limits how many titles are on a device; a second licence for a title is not another one."""
    plan = Plan(downloads_per_device=2)
    Given(held("phone"), held("phone", key="again"), held("tv", "dark")).when(GET, plan=plan).then_allowed()
    Given(held("phone", "dark"), held("phone", "mad-max")).when(GET, plan=plan).then_broken(
        "downloads per device", limit=2, count=2
    )


def test_downloads_in_total() -> None:
    """A plan limits how many downloads are on all devices."""
    plan = Plan(downloads=2)
    Given(held("phone"), held("tv")).when(GET, plan=plan).then_allowed()
    Given(held("tablet"), held("tv")).when(GET, plan=plan).then_broken("downloads in total", limit=2, count=2)


def test_what_ended_frees_its_place() -> None:
    """Released, revoked, and expired in every period; a renewal takes it again."""
    plan, tablet = Plan(downloads=1), held("tablet")
    id = tablet.license_id
    again = HoldRenewed(id, R, time_at(1), "standard", 1, 1)
    Given(tablet, HoldEnded(id)).when(GET, plan=plan).then_allowed()
    Given(tablet, HoldExpired(id, id)).when(GET, plan=plan).then_allowed()
    Given(tablet, HoldExpired(id, id), again).when(GET, plan=plan).then_broken("downloads in total")
    Given(tablet, HoldExpired(id, id), again, HoldExpired(id, R)).when(GET, plan=plan).then_allowed()


@pytest.mark.parametrize("command", [kind("phone", "glow", L) for kind in NAMED])
def test_licence(command: DownloadCommand) -> None:
    """Only a licence that was issued can be used."""
    nothing.when(command, day=40).then_broken("licence")
    Given(renewed()).when(command, day=40).then_broken("licence")  # its issue is not known here


@pytest.mark.parametrize("command", [PLAY, RENEW])
@pytest.mark.parametrize("over", [LicenseReleased(L, time_at(9)), LicenseRevoked(L, time_at(9), "left the plan")])
def test_given_back(command: DownloadCommand, over: Event) -> None:
    """A licence that was released or revoked stays so, also for a late request from before."""
    Given(ISSUED).when(command, day=5).then_allowed()
    Given(ISSUED, over).when(command, day=5).then_broken("given back")


def test_ended() -> None:
    """A licence plays until it ends, by its expiry or by the hours after its first play."""
    Given(ISSUED).when(PLAY, day=29.9).then_allowed()
    Given(ISSUED).when(PLAY, day=30).then_broken("ended")
    Given(ISSUED, PlaybackStarted(L, L, time_at(1))).when(PLAY, day=2.9).then_allowed()
    Given(ISSUED, PlaybackStarted(L, L, time_at(1))).when(PLAY, day=3).then_broken("ended")
    Given(ISSUED, renewed(day=20)).when(PLAY, day=49).then_allowed()
    Given(ISSUED).when(RENEW, day=30).then_allowed()


def test_not_yet_ended() -> None:
    """Only a licence whose end is past can expire; the rejection says when it will be."""
    expire = Expire("phone", "glow", L)
    Given(ISSUED).when(expire, day=29).then_broken("not yet ended", allowed_at=time_at(30))
    Given(ISSUED).when(expire, day=30).then_allowed()
    Given(LicenseIssued(L, time_at(0))).when(expire, day=3000).then_broken("not yet ended", allowed_at=None)


@pytest.mark.parametrize("command", [Release("phone", "glow", L), Revoke("phone", "glow", L)])
def test_release_and_revoke_meet_no_other_rule(command: DownloadCommand) -> None:
    """Giving a licence back is never refused because of a limit."""
    Given(ISSUED, LicenseExpired(L, L, time_at(30))).when(command, day=40, plan=None, title=None).then_allowed()


def test_G7_a_rejection_says_rule_sentence_limit_count_and_when() -> None:
    """In words, and as a table for a notebook."""
    with pytest.raises(Refused) as refused:
        allow(Given(counted(0), counted(1), counted(2)).when(GET, THREE, day=3).ask)
    assert str(refused.value) == (
        "Rejected by downloads per title per year: Netflix allows 3 downloads of Glow a year, and 3 are used "
        "(limit 3, count 3); allowed from 2027-01-05 09:00 UTC"
    )
    assert "A studio may limit how often a title is downloaded in a year." in refused.value._repr_html_()


def test_a_check_that_passes_still_shows_its_numbers() -> None:
    """So the command desk can show how much is left."""
    checks = {rule.name: check for rule, check in explain(Given(counted(0)).when(GET, THREE).ask)}
    assert checks["downloads per title per year"] == Check(limit=3, count=1)
    assert checks["devices with downloads"] == Check(limit=None, count=0)


def test_the_plans_of_the_file_are_invented_and_grow() -> None:
    """A larger plan allows more downloads."""
    plans = load_plans()
    assert plans.invented
    basic, standard, premium = plans.at(datetime(2026, 1, 1, tzinfo=UTC)).plans.values()
    assert basic.downloads < standard.downloads < premium.downloads
    with pytest.raises(InvalidInput, match="Expected a time from 2010-01-01 on"):
        plans.at(datetime(2009, 1, 1, tzinfo=UTC))
