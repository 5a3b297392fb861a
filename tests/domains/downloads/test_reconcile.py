"""Reconcile: grants by which parted regions exceed a limit together are found, and both regions find the same."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import EventStore, ManualClock, Repository, Request, Unreadable, open_store
from eslab.domains.bakery import ColorAdded
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.devices import ALL, Devices
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded
from eslab.domains.downloads.license import License, LicenseIssued
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.plans import Plan
from eslab.domains.downloads.policies import Policy
from eslab.domains.downloads.reconcile import Reconciled
from eslab.domains.downloads.rules import Refused
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import StudioRules
from eslab.domains.downloads.versions import Versions
from eslab.operations.restore import skip
from eslab.payload.encoding import encode
from eslab.payload.serializer import command_hash
from tests.domains.downloads.support import at, rules, service, stored
from tests.support.sample import DAY, HOUR, MINUTE, START, Faulty, commits

THREE = StudioRules(downloads_per_title_per_year=3)
LATER = START + 10 * HOUR


class Region:
    """A store of its own, and a service on it, whose clock is a little off."""

    def __init__(self, studio: StudioRules = THREE, plan: Plan | None = None, off: int = 0, **more: Any) -> None:
        self.store, self.clock = open_store("memory:"), ManualClock(START + off * MINUTE)
        self.service: DownloadService = service(self.store, self.clock, studio, plan, **more)

    def ask(self, request: Request, device: str = "phone", title: str = "glow") -> Granted | Any:
        return self.service.request_download("ann", device, title, request)

    def revoked(self, device: str = "phone", title: str = "glow") -> set:
        return set(self.service.repository.load("ann", License, f"{device}/{title}").revoked)


def meet(*regions: Region) -> None:
    """The links are up again: all rows reach every region."""
    rows = [set(stored(region.store)) for region in regions]
    for region, known in zip(regions, rows, strict=True):
        region.store.append("ann", sorted(set().union(*rows) - known))


def states(store: EventStore) -> bytes:
    """All that the rows of a store add up to."""
    repository = Repository(store, ManualClock(START))
    return encode([repository.load_all("ann", aggregate_type) for aggregate_type in (Downloaded, License, Devices)])


def names(reconciled: Reconciled) -> list[UUID]:
    """The grants that exceed a limit."""
    return [overshoot.name for overshoot in reconciled.overshoots]


def request_at(hours: float) -> Request:
    return at(hours / 24, f"request of {float(hours)}")


@pytest.fixture
def parted() -> tuple[Region, Region]:
    """Ann asked four times, of which two in Europe while the regions were parted; then they met."""
    us, europe = Region(), Region(off=1)
    for region, hours in ((us, 1), (us, 2), (us, 4), (europe, 3), (europe, 5)):
        region.clock.now = START + 6 * HOUR
        assert isinstance(region.ask(request_at(hours)), Granted)
    meet(us, europe)
    us.clock.now, europe.clock.now = LATER, LATER + MINUTE
    return us, europe


def test_what_is_too_many_is_taken_back(parted: tuple[Region, Region]) -> None:
    """Five were granted, three are allowed; the two newest by their requests go, with rule, limit and count."""
    us, _ = parted
    reconciled = us.service.reconcile("ann")
    assert names(reconciled) == [request_at(4).id, request_at(5).id]
    assert {(overshoot.rule, overshoot.limit, overshoot.count) for overshoot in reconciled.overshoots} == {
        ("downloads per title per year", 3, 3)
    }
    assert (us.revoked(), reconciled.commits) == ({request_at(4).id, request_at(5).id}, 2)
    assert "2 too many" in repr(reconciled)


def test_both_regions_take_back_the_same(parted: tuple[Region, Region]) -> None:
    """On their own, at different times; after they meet again there is nothing more to do."""
    us, europe = parted
    assert us.service.reconcile("ann").overshoots == europe.service.reconcile("ann").overshoots
    meet(us, europe)
    assert us.revoked() == europe.revoked() == {request_at(4).id, request_at(5).id}
    assert states(us.store) == states(europe.store)
    for region in parted:
        again = region.service.reconcile("ann")
        assert (again.overshoots, again.commits) == ([], 0)


def test_at_the_same_moment_it_is_the_same_row(parted: tuple[Region, Region]) -> None:
    """The request of a taking back follows from the grant and the time, so both regions write the same bytes."""
    us, europe = parted
    europe.clock.now = us.clock.now
    us.service.reconcile("ann")
    europe.service.reconcile("ann")
    assert stored(us.store) == stored(europe.store)


def test_what_was_taken_back_gives_the_year_its_place(parted: tuple[Region, Region]) -> None:
    """Three count, so a fourth is rejected with that count, and a year later there is room."""
    us, _ = parted
    us.service.reconcile("ann")
    rejected = us.ask(Request.at(us.clock(), "once more"))
    assert isinstance(rejected, Refused) and (rejected.count, rejected.allowed_at) == (
        3,
        request_at(1).time + 365 * DAY,
    )
    us.clock.now = request_at(1).time + 365 * DAY
    assert isinstance(us.ask(Request.at(us.clock(), "a year later")), Granted)
    assert us.service.reconcile("ann").overshoots == []


def test_a_region_that_has_not_all_rows_finds_less() -> None:
    """The rest is found when they have met."""
    us, europe = Region(), Region()
    for hours in (1, 2, 4, 5):
        granted = service(open_store("memory:"), us.clock, THREE)
        us.clock.now = START + 6 * HOUR
        granted.request_download("ann", "phone", "glow", request_at(hours))
        us.store.append("ann", stored(granted.repository.store))
    assert names(us.service.reconcile("ann")) == [request_at(5).id]
    europe.clock.now = us.clock.now
    europe.ask(request_at(3))
    meet(us, europe)
    assert names(europe.service.reconcile("ann")) == [request_at(4).id]
    assert names(us.service.reconcile("ann")) == [request_at(4).id]


def test_the_policy_may_let_it_stand() -> None:
    """The overshoot is found and reported, and nothing is written."""
    us, europe = Region(StudioRules(1), on_overshoot=Policy.LET_IT_STAND), Region(StudioRules(1))
    us.ask(request_at(0))
    europe.ask(request_at(0.01), "tablet")
    meet(us, europe)
    before = stored(us.store)
    reconciled = us.service.reconcile("ann")
    assert [(overshoot.name, overshoot.device) for overshoot in reconciled.overshoots] == [
        (request_at(0.01).id, "tablet")
    ]
    assert reconciled.commits == 0 and stored(us.store) == before


@pytest.mark.parametrize(
    ("plan", "studio", "asked", "rule"),
    [
        (Plan(devices=1), StudioRules(), [("phone", "glow"), ("tv", "mad-max")], "devices with downloads"),
        (
            Plan(downloads_per_device=1),
            StudioRules(),
            [("phone", "glow"), ("phone", "mad-max")],
            "downloads per device",
        ),
        (Plan(downloads=1), StudioRules(), [("phone", "glow"), ("tv", "glow")], "downloads in total"),
        (Plan(), StudioRules(devices_per_title=1), [("phone", "glow"), ("tv", "glow")], "devices per title"),
    ],
)
def test_every_limit_can_be_overshot_and_found(plan: Plan, studio: StudioRules, asked: list, rule: str) -> None:
    """Two grants that are allowed in their own regions; the newer one is taken back, and its place is free."""
    regions = [Region(studio, plan), Region(studio, plan)]
    for hours, (region, where) in enumerate(zip(regions, asked, strict=True)):
        assert isinstance(region.ask(request_at(hours / 100), *where), Granted)
    meet(*regions)
    for reconciled in [region.service.reconcile("ann") for region in regions]:
        assert [(overshoot.rule, overshoot.name) for overshoot in reconciled.overshoots] == [
            (rule, request_at(0.01).id)
        ]
    devices = regions[0].service.repository.load("ann", Devices, ALL)
    assert [hold.license_id for hold in devices.held] == [request_at(0).id]


def test_renewals_too_many_are_taken_back_and_the_licence_stays() -> None:
    """The newer renewal's period counts no more."""
    studio = StudioRules(licence_days=1, renewals_per_licence=1)
    us, europe = Region(studio), Region(studio)
    us.ask(request_at(0))
    meet(us, europe)
    for hours, region in ((0.001, us), (0.002, europe)):
        region.clock.now = START + 0.002 * HOUR
        region.service.renew("ann", "phone", "glow", request_at(0).id, request_at(hours))
    meet(us, europe)
    for region in (us, europe):
        (overshoot,) = region.service.reconcile("ann").overshoots
        assert (overshoot.rule, overshoot.name, overshoot.renewal) == (
            "renewals per licence",
            request_at(0.002).id,
            True,
        )
    licence = us.service.repository.load("ann", License, "phone/glow")
    assert licence.end(request_at(0).id) == request_at(0.001).time + DAY
    assert us.revoked() == set()


def test_a_newer_version_of_the_rules_makes_no_old_grant_too_many() -> None:
    """A late request from before the limit was lowered, decided after a newer one: both decisions were right."""
    versions = Versions((rules(StudioRules(3)), rules(StudioRules(2), 2, date(2026, 1, 6))))
    us = Region(rules=versions)
    us.ask(request_at(0))
    us.clock.now = START + 20 * HOUR
    assert isinstance(us.ask(request_at(19)), Granted)
    assert isinstance(us.ask(request_at(14)), Granted)  # of the fifth, when three were allowed
    assert us.service.reconcile("ann").overshoots == []


STEP = st.tuples(st.integers(0, 1), st.integers(0, 1300), st.sampled_from(["phone", "tv"]), st.booleans())


@given(st.lists(STEP, max_size=14))
def test_G4_two_regions_reconcile_alike_and_no_limit_stays_overshot(steps: list[tuple[int, int, str, bool]]) -> None:
    """In whatever order they were asked and met: afterwards every limit holds, and nothing more is found."""
    studio, plan = StudioRules(downloads_per_title_per_year=2), Plan(devices=1)
    regions = [Region(studio, plan), Region(studio, plan)]
    for region in regions:
        region.clock.now = START + 23 * HOUR
    for number, (where, minutes, device, meeting) in enumerate(steps):
        request = Request.at(START + minutes * MINUTE, f"step {number}")
        regions[where].ask(request, device)
        if meeting:
            meet(*regions)
    meet(*regions)
    mine, theirs = [region.service.reconcile("ann").overshoots for region in regions]
    assert mine == theirs
    meet(*regions)
    assert states(regions[0].store) == states(regions[1].store)
    repository = regions[0].service.repository
    assert len(repository.load("ann", Downloaded, "glow").counted) <= 2
    assert len({hold.device for hold in repository.load("ann", Devices, ALL).held}) <= 1
    assert regions[0].service.reconcile("ann").overshoots == []


def older_decision(request: Request) -> dict[str, list]:
    """The two commits that a service from before devices and terms decides for the same command."""
    return {
        "downloaded:glow": [DownloadCounted(request.id, "phone", request.time)],
        "license:phone/glow": [LicenseIssued(request.id, request.time)],
    }


def test_rows_that_only_a_losing_decision_wrote_are_undone() -> None:
    """Decided twice, by two versions of the service; where the greater digest wrote nothing, nothing stays."""
    us = Region()
    for request in (request_at(hours / 100) for hours in range(40)):
        us.clock.now = START + HOUR
        region = Region()
        region.clock.now = us.clock.now
        region.ask(request)
        mine = stored(region.store)
        old = commits(request, older_decision(request), command_hash(RequestDownload("phone", "glow")))
        if max(mine[1].payload, old[0].payload) == old[0].payload:
            break
    else:
        raise AssertionError("Expected one of 40 requests whose older decision wins.")
    us.store.append("ann", [*mine, *old, *commits(request, {"frosting:1": [ColorAdded("red")]})])  # another domain's
    reconciled = us.service.reconcile("ann")
    assert [(stray.aggregate_id, stray.request) for stray in reconciled.strays] == [("devices:all", request)]
    assert us.service.repository.load("ann", Devices, ALL).held == []
    assert us.revoked() == set()
    again = us.service.reconcile("ann")
    assert (again.strays, again.commits) == ([], 0)


def test_a_losing_row_is_no_stray_while_the_winners_are_not_all_seen() -> None:
    """One of those on their way may yet replace it."""
    us, request = Region(), request_at(0)
    us.ask(request)
    mine = stored(us.store)
    old = commits(request, older_decision(request), command_hash(RequestDownload("phone", "glow")))
    top, low = (mine, old) if mine[1].payload > old[0].payload else (old, mine)
    part = open_store("memory:")
    part.append("ann", [top[-1], *[row for row in low if row.aggregate_id != top[-1].aggregate_id]])
    desk = service(part, us.clock, THREE)
    assert desk.reconcile("ann").strays == []


def test_the_overshoot_is_bounded_by_the_regions() -> None:
    """Three regions that never hear of each other grant three times the limit, and not one more."""
    regions = [Region(), Region(), Region()]
    for region in regions:
        region.clock.now = START + HOUR
    answers = [region.ask(request_at(n / 100 + r / 1000)) for r, region in enumerate(regions) for n in range(5)]
    meet(*regions)
    assert sum(isinstance(answer, Granted) for answer in answers) == 3 * 3
    assert len(regions[0].service.reconcile("ann").overshoots) == 2 * 3


def test_the_overshoot_is_bounded_by_the_decisions_that_overlap() -> None:
    """Eight commands are decided before any is written: all are granted; the ninth comes after and is not."""
    us = Region()
    us.clock.now = START + HOUR
    slow: Any = Faulty(us.store)
    slow.before = Barrier(8).wait  # nobody writes until all have read
    desk = service(slow, us.clock, THREE)
    with ThreadPoolExecutor(8) as threads:
        requests = [request_at(n / 100) for n in range(8)]
        answers = list(threads.map(lambda request: desk.request_download("ann", "phone", "glow", request), requests))
    assert [type(answer) for answer in answers] == [Granted] * 8
    assert us.ask(request_at(0.5)).count == 8
    assert names(us.service.reconcile("ann")) == [request_at(n / 100).id for n in range(3, 8)]


def test_a_customer_with_a_skipped_row_is_refused() -> None:
    """The row may have given a place back, and then a legitimate grant would be one too many."""
    region = Region()
    request = at(0)
    region.ask(request)
    store: Any = region.store
    broken = store._logs["ann"]["devices:all"].commits
    broken.update({key: commit._replace(payload=b"broken") for key, commit in broken.items()})
    skip(store, "ann", "devices:all", request.event_time, "ticket 17")
    before = stored(store)
    with pytest.raises(Unreadable, match="skipped rows in Devices"):
        region.service.reconcile("ann")
    assert stored(store) == before
