"""The life of a licence through the service: play, renew, release, revoke, expire; and the rules in force."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import msgspec
import pytest

from eslab import Command, EventStore, InvalidInput, ManualClock, Rejected, Request, RequestConflict, open_store
from eslab.domains.downloads import decisions
from eslab.domains.downloads.commands import Release, RequestDownload
from eslab.domains.downloads.devices import ALL, Devices, DownloadHeld
from eslab.domains.downloads.license import License, LicenseIssued, LicenseReleased
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.plans import Plan
from eslab.domains.downloads.rules import Ask
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import StudioRules
from eslab.domains.downloads.versions import Versions
from eslab.operations.history import history
from eslab.payload.serializer import command_hash
from tests.domains.downloads.support import Edge, at, folded, id_at, plans, rules, service, stored
from tests.support.sample import DAY, HOUR, MINUTE, START

TERMS = StudioRules(licence_days=30, hours_after_first_play=48, renewals_per_licence=1, downloads_per_title_per_year=3)
TO_GLOW = ("ann", "phone", "glow")


class Desk:
    """A customer at the desk, and a licence that was issued."""

    def __init__(self, store: EventStore) -> None:
        self.clock, self.store = ManualClock(START), store
        self.edge = Edge(self.clock)
        self.service = service(store, self.clock, TERMS)
        self.first = self.edge.request()
        self.issued = self.service.request_download(*TO_GLOW, self.first)

    def command(self, name: str, request: Request | None = None, **more: str) -> Granted | Rejected:
        return getattr(self.service, name)(*TO_GLOW, self.first.id, request or self.edge.request(), **more)

    @property
    def licence(self) -> License:
        return self.service.repository.load("ann", License, "phone/glow")

    @property
    def held(self) -> list:
        return self.service.repository.load("ann", Devices, ALL).held


@pytest.fixture(params=["memory:", "sqlite:"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    store = open_store(request.param)
    yield Desk(store)
    store.close()


def test_a_licence_is_granted_on_the_studios_terms(desk: Desk) -> None:
    """It ends after the days that the studio allows, counted from the request."""
    assert (desk.issued.status.state, desk.issued.ends) == ("active", desk.first.time + 30 * DAY)
    assert desk.issued.used == 1 and desk.issued.limit == 3


def test_the_first_play_lets_its_hours_run(desk: Desk) -> None:
    """A later play of the same period changes nothing and writes nothing."""
    first = desk.edge.request()
    assert desk.command("start_playback", first).ends == first.time + 48 * HOUR
    before = stored(desk.store)
    assert desk.command("start_playback").ends == first.time + 48 * HOUR
    assert stored(desk.store) == before


def test_a_play_that_comes_late_counts_from_when_it_was(desk: Desk) -> None:
    """A phone watched on a train and reports it after a laptop's clock said otherwise."""
    on_the_train = desk.edge.request()
    desk.clock.advance(3 * HOUR)
    desk.command("start_playback")
    assert desk.command("start_playback", on_the_train).ends == on_the_train.time + 48 * HOUR


def test_a_play_counts_in_every_period_that_goes_on(desk: Desk) -> None:
    """Renewing before watching doesn't make the hours after the first play longer."""
    desk.command("renew")
    play = desk.edge.request()
    assert desk.command("start_playback", play).ends == play.time + 48 * HOUR


def test_what_has_ended_plays_no_more_until_it_is_renewed(desk: Desk) -> None:
    """A renewal is a new period from its request on; the studio allows one."""
    desk.clock.advance(31 * DAY)
    assert desk.command("start_playback").rule == "ended"
    renewal = desk.edge.request()
    assert desk.command("renew", renewal).ends == renewal.time + 30 * DAY
    assert desk.command("start_playback").status.state == "active"
    assert desk.command("renew").rule == "renewals per licence"


def test_release_frees_the_device_and_is_for_good(desk: Desk) -> None:
    """Released again it is fine and nothing is written; renewing it is not."""
    assert len(desk.held) == 1
    assert desk.command("release").status.state == "released"
    assert desk.held == []
    before = stored(desk.store)
    assert desk.command("release").status.state == "released"
    assert desk.command("renew").rule == desk.command("start_playback").rule == "given back"
    assert stored(desk.store) == before


def test_release_takes_the_licences_before_it_along(desk: Desk) -> None:
    """Bob's app asked three times under three ids; what it deletes is one file on one phone."""
    again = desk.edge.request()
    desk.service.request_download(*TO_GLOW, again)
    later = desk.edge.request()
    desk.service.request_download(*TO_GLOW, later)
    desk.service.release(*TO_GLOW, again.id, desk.edge.request())
    assert set(desk.licence.released) == {desk.first.id, again.id}
    assert [hold.license_id for hold in desk.held] == [later.id]


def test_a_command_about_thousands_records_a_thousand_at_a_time() -> None:
    """An append holds no more; the next command goes on with the others."""
    names = [id_at(0, f"licence {number}") for number in range(1_005)]
    devices = folded(Devices, [DownloadHeld(id, "phone", "glow", START, "standard", 1, 1) for id in names])
    licence = folded(License, [LicenseIssued(id, START, START, None, 1) for id in names])
    newest = licence.licences[-1]
    ask = Ask(Release("phone", "glow", newest), START, None, studio=TERMS, licence=licence, devices=devices)
    left = []
    for _ in range(3):
        events = decisions.release(ask, at(0))
        left.append(len(events))
        for event in events:
            (licence if isinstance(event, LicenseReleased) else devices).apply(event)
    assert left == [2_000, 10, 0] and devices.held == []


def test_revoke_wins_over_what_comes_late(desk: Desk) -> None:
    """A renewal made before and met after it is rejected; the reason stands in the history."""
    late = desk.edge.request()
    assert desk.command("revoke", reason="fraud").status.state == "revoked"
    assert desk.command("renew", late).rule == "given back"
    assert desk.command("release").status.state == "revoked"
    licence = history(desk.service.repository, "ann", License, "phone/glow")
    assert "fraud" in set(licence["reason"])


def test_expire_frees_the_place_of_what_has_ended(desk: Desk) -> None:
    """Not before; twice is fine; and a renewal takes the place again."""
    assert desk.command("expire").rule == "not yet ended"
    desk.clock.advance(31 * DAY)
    assert len(desk.held) == 1
    assert desk.command("expire").status.state == "expired"
    assert desk.held == []
    before = stored(desk.store)
    assert desk.command("expire").status.state == "expired"
    assert stored(desk.store) == before
    desk.command("renew")
    assert len(desk.held) == 1


def test_a_place_that_was_freed_may_be_taken(desk: Desk) -> None:
    """A renewal finds the plan's places as they are now."""
    small = service(desk.store, desk.clock, TERMS, Plan(downloads=1))
    desk.clock.advance(31 * DAY)
    assert small.request_download("ann", "tv", "glow", desk.edge.request()).rule == "downloads in total"
    desk.command("expire")
    assert isinstance(small.request_download("ann", "tv", "glow", desk.edge.request()), Granted)
    assert small.renew(*TO_GLOW, desk.first.id, desk.edge.request()).rule == "downloads in total"


@pytest.mark.parametrize("name", ["start_playback", "renew", "release", "revoke"])
def test_G3_every_command_repeated_is_the_same(desk: Desk, name: str) -> None:
    """The same answer, the same rows; days later too."""
    request = desk.edge.request()
    first = desk.command(name, request)
    before = stored(desk.store)
    desk.clock.advance(DAY + HOUR)
    repeated = desk.command(name, request)
    assert (repeated.repeated, repeated.status, repeated.ends) == (True, first.status, first.ends)
    assert stored(desk.store) == before


def test_a_request_id_stands_for_one_command(desk: Desk) -> None:
    """Another command under the same id is a conflict, even if only its plan differs; nothing is written."""
    before = stored(desk.store)
    with pytest.raises(RequestConflict):
        desk.command("renew", desk.first)
    with pytest.raises(RequestConflict):
        desk.service.request_download(*TO_GLOW, desk.first, plan="small")
    assert stored(desk.store) == before


def test_G9_a_repeat_of_the_first_releases_request_is_no_conflict() -> None:
    """Its command had neither plan nor country; with their defaults it is the same command."""
    first = msgspec.defstruct(
        "RequestDownload", [("device", str), ("title", str)], bases=(Command,), tag=True, omit_defaults=True
    )
    assert command_hash(first("phone", "glow")) == command_hash(RequestDownload("phone", "glow", "standard", "US"))
    assert command_hash(first("phone", "glow")) != command_hash(RequestDownload("phone", "glow", "standard", "DE"))


def test_G7_no_rejection_of_any_command_writes(desk: Desk) -> None:
    """The rows before and after a rejection are the same."""
    desk.command("revoke")
    before = stored(desk.store)
    for name in ("start_playback", "renew", "expire"):
        assert isinstance(desk.command(name), Rejected)
    assert desk.service.request_download(*TO_GLOW, desk.edge.request(), plan="gold").rule == "plan"
    assert stored(desk.store) == before


def two_versions(store: EventStore, clock: ManualClock) -> DownloadService:
    """From 6 January on one download a year, and one device."""
    newer = date(2026, 1, 6)
    studios = Versions((rules(StudioRules(3)), rules(StudioRules(1), 2, newer)))
    return service(store, clock, rules=studios, plans=Versions((plans(), plans(Plan(devices=1), 2, newer))))


def test_the_version_in_force_at_the_requests_time_decides() -> None:
    """A request from before midnight that arrives after it is decided by the old rules and plans, and says so."""
    store, clock = open_store("memory:"), ManualClock(START)
    service, edge = two_versions(store, clock), Edge(clock)
    service.request_download(*TO_GLOW, edge.request())
    before_midnight = Request.at(START.replace(hour=23, minute=59), "late")
    clock.advance(20 * HOUR)
    assert service.request_download("ann", "tv", "glow", edge.request()).limit == 1
    assert isinstance(service.request_download("ann", "tv", "glow", before_midnight), Granted)
    held = service.repository.load("ann", Devices, ALL).holds.values()
    assert {(hold.rules, hold.plans) for hold in held} == {(1, 1)}
    service.request_download("ann", "tv", "mad-max", edge.request())  # MGM sets no limit, and it is the same device...
    later = service.request_download("bob", "tv", "mad-max", edge.request())
    assert isinstance(later, Granted)
    (hold,) = service.repository.load("bob", Devices, ALL).holds.values()
    assert (hold.rules, hold.plans) == (2, 2)


def test_a_service_adopts_rules_that_start_later() -> None:
    """And refuses those that would have decided otherwise already."""
    store, clock = open_store("memory:"), ManualClock(START)
    known = rules(StudioRules(3))
    desk = service(store, clock, rules=Versions((known,)))
    with pytest.raises(InvalidInput, match="Expected version 2 to start after"):
        desk.adopt(rules=Versions((known, rules(StudioRules(1), 2, date(2026, 1, 6)))))
    desk.adopt(rules=Versions((known, rules(StudioRules(1), 2, date(2026, 1, 7)))))
    assert desk.limit("glow", START) == 3
    assert desk.limit("glow", START + 2 * DAY) == 1


def test_explain_shows_every_rule_and_writes_nothing(desk: Desk) -> None:
    """As the command desk shows it before a command is sent."""
    before = stored(desk.store)
    explained = desk.service.explain("ann", RequestDownload("tv", "glow"), desk.edge.request())
    numbers = {rule.name: (check.passed, check.count, check.limit) for rule, check in explained}
    assert numbers["downloads per title per year"] == (True, 1, 3)
    assert stored(desk.store) == before


def test_an_answer_says_itself_in_a_line(desk: Desk) -> None:
    """And as a table in a notebook."""
    assert repr(desk.issued) == (
        f"Granted: glow on phone, 1 of 3 this year, licence {desk.first.id}, active, "
        "no token: there is no DRM server here"
    )
    assert "1 of 3" in desk.issued._repr_html_()
    desk.clock.advance(MINUTE)
    assert repr(desk.command("release")).startswith("Granted: glow on phone, licence")


def test_a_title_that_left_the_catalogue_still_answers(desk: Desk) -> None:
    """A repeat gets its licence; its year is no longer counted."""
    desk.service.policies = replace(desk.service.policies, catalogue={})
    repeated = desk.service.request_download(*TO_GLOW, desk.first)
    assert (repeated.license_id, repeated.used) == (desk.first.id, None)
    assert desk.service.limit("glow", START + timedelta(days=1)) is None
