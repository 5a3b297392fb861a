"""Random histories of two regions, in which titles move, and plans and rules change: no legitimate grant is taken back.

Two decisions overlapped if neither region had the other's rows when it decided. Where no two overlapped, reconcile
finds nothing; where some did, it takes back a grant only if decisions about the same limit overlapped, the same ones
everywhere, and then nothing more.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import combinations, product
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import Request, RequestConflict
from eslab.domains.downloads.devices import ALL, Devices
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.license import License
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.overshoot import DEVICE_RULES, RENEWAL_RULES, YEAR_RULES, Overshoot
from eslab.domains.downloads.plans import Plan, PlanSet
from eslab.domains.downloads.policies import Policies, Policy
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import RuleSet, StudioRules
from eslab.domains.downloads.versions import Versions
from tests.domains.downloads.support import stored
from tests.domains.downloads.test_reconcile import meet, states
from tests.domains.downloads.test_terms import Region, catalogue
from tests.support.sample import MINUTE, START

DAY = StudioRules(licence_days=1)
STRICT = StudioRules(1, licence_days=1, renewals_per_licence=1, renewals_per_year=1, devices_per_title=1)
KIND = StudioRules(3, year="calendar", licence_days=1, renewals_per_licence=2, devices_per_title=1)
FREE = {"large": Plan(), "small": Plan()}


def limits(strict: StudioRules, kind: StudioRules, *plans: dict[str, Plan]) -> dict[str, Any]:
    """Rules whose second version, from the second day on, makes the strict studio the kind one; and plans."""
    first, second = (
        RuleSet(1, date(2020, 1, 1), DAY, {"Strict": strict, "Kind": kind}),
        {"Strict": kind, "Kind": strict},
    )
    days = [date(2020, 1, 1), date(2026, 1, 6)]
    return {
        "rules": Versions((first, RuleSet(2, days[1], strict, second))),
        "plans": Versions(tuple(PlanSet(at + 1, days[at], plan) for at, plan in enumerate(plans))),
    }


# Few limits at a time, so that commands get far enough to exceed each of them.
LIMITS = [
    limits(StudioRules(1), StudioRules(2, year="calendar"), FREE),
    limits(StudioRules(licence_days=1, renewals_per_licence=1), StudioRules(licence_days=1, renewals_per_year=1), FREE),
    limits(StudioRules(licence_days=1, devices_per_title=1), StudioRules(licence_days=1, devices_per_title=1), FREE),
    limits(
        DAY,
        DAY,
        {"large": Plan(devices=1), "small": Plan(downloads=2)},
        {"large": Plan(devices=1), "small": Plan(downloads_per_device=1)},
    ),
    limits(DAY, DAY, {"large": Plan(downloads=1), "small": Plan(downloads=2)}, FREE),
    limits(STRICT, KIND, {"large": Plan(downloads=3), "small": Plan(devices=1, downloads_per_device=1)}, FREE),
]
CATALOGUES = [catalogue("Strict"), catalogue("Kind"), {**catalogue("Kind", "glow"), **catalogue("Strict", "dark")}]


class Step(NamedTuple):
    """A command as it reaches a region, and what happens around it."""

    region: int
    passed: int  # minutes since the step before
    age: int  # minutes since the request was made
    command: str
    device: str
    title: str
    which: int  # of the licences granted on the device for the title
    plan: str
    catalogue: int  # the region's, from now on
    meets: bool  # do the regions meet afterwards?
    elsewhere: bool = False  # is the command repeated in the other region at the same time?


TOGETHER = 3  # steps before the regions part, so that both know some licences
PASSED = [0, 1, 30, 90, 720]
COMMANDS = ["request_download"] * 6 + ["renew"] * 5 + ["expire", "release", "start_playback", "reconcile"]
TITLES = ["glow", "glow", "glow", "dark"]
STEPS = st.lists(
    st.builds(
        Step,
        st.integers(0, 1),
        st.sampled_from(PASSED),
        st.sampled_from([0, 0, 0, 30, 700]),
        st.sampled_from(COMMANDS),
        st.sampled_from(["phone", "tv"]),
        st.sampled_from(TITLES),
        st.integers(0, 1),
        st.sampled_from(["large", "large", "small"]),
        st.sampled_from([0, 0, 0, 1, 2]),
        st.sampled_from([True, *[False] * 9]),
        st.sampled_from([True, False, False]),
    ),
    max_size=16,
)


class History:
    """Two regions through which steps are played; `seen` has the requests that were known where each was decided."""

    def __init__(self, steps: Iterable[Step], limits: dict[str, Any], *, parted: bool) -> None:
        self.limits = limits
        self.regions = [Region(**limits) for _ in range(2)]
        self.seen: dict[UUID, set[UUID]] = {}
        self.commits = 0  # by which something was taken back
        self.found: set[str] = set()  # the rules by which it was
        self._granted: dict[tuple[str, str], list[UUID]] = {}
        self._now = START
        for number, step in enumerate(steps):
            self._play(number, step)
            if step.elsewhere and parted:
                self._play(number, step._replace(region=1 - step.region, passed=0))
            if step.meets or not parted or number < TOGETHER:
                meet(*self.regions)
        meet(*self.regions)

    def _play(self, number: int, step: Step) -> None:
        region = self.regions[step.region]
        self._now += step.passed * MINUTE
        region.clock.now = self._now
        region.change(catalogue=CATALOGUES[step.catalogue])
        if step.command == "reconcile":
            reconciled = region.reconcile()
            self.commits += reconciled.commits
            self.found |= {overshoot.rule for overshoot in reconciled.overshoots}
            return
        request = Request.at(self._now - step.age * MINUTE, f"step {number}")
        known = self._granted.setdefault((step.device, step.title), [])
        if step.command != "request_download" and not known:
            return
        licence = [] if step.command == "request_download" else [known[step.which % len(known)]]
        plan = {"plan": step.plan} if step.command in ("request_download", "renew") else {}
        before = {Request.from_event_time(commit.event_time).id for commit in stored(region.store)}
        answer = getattr(region.service, step.command)("ann", step.device, step.title, *licence, request, **plan)
        if isinstance(answer, Granted):
            # Decided in both regions, it knew what both knew.
            self.seen[request.id] = before & self.seen.get(request.id, before)
            if step.command == "request_download" and request.id not in known:
                known.append(request.id)

    def overlapped(self, names: Iterable[UUID]) -> bool:
        """Did any two of these decisions overlap?"""
        return any(a not in self.seen[b] and b not in self.seen[a] for a, b in combinations(names, 2))

    def overshoots(self) -> Sequence[Overshoot]:
        """What a reconcile of the first region will find, by a service that offers no title any more."""
        region = self.regions[0]
        offered = Policies(catalogue={}, on_overshoot=Policy.LET_IT_STAND, **self.limits)
        return DownloadService(region.store, region.clock, offered).reconcile("ann").overshoots

    def about(self, overshoot: Overshoot) -> list[UUID]:
        """The decisions that count for the same limit as a grant that exceeds it."""
        repository = self.regions[0].service.repository
        if overshoot.rule == "downloads per title per year":
            return list(repository.load("ann", Downloaded, overshoot.title).counted)
        if overshoot.renewal:
            return repository.load("ann", License, f"{overshoot.device}/{overshoot.title}").renewals()
        devices = repository.load("ann", Devices, ALL)
        held = {hold.license_id for hold in devices.held}
        return [*held, *(name for name, renewal in devices.renewals.items() if renewal.license_id in held)]


NOTHING = StudioRules(0, renewals_per_licence=0, renewals_per_year=0, devices_per_title=0)
NO_PLAN = dict.fromkeys(FREE, Plan(0, 0, 0))


def added(versions: Versions[Any], newer: Any) -> Versions[Any]:
    return Versions((*versions.versions, newer))


TODAY: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
    lambda known: {},
    lambda known: {"catalogue": {}},
    lambda known: {"catalogue": catalogue("Nobody")},
    lambda known: {"rules": added(known["rules"], RuleSet(3, date(2026, 1, 7), NOTHING, {}))},
    lambda known: {"plans": added(known["plans"], PlanSet(3, date(2026, 1, 7), NO_PLAN))},
    lambda known: {"rules": Versions((RuleSet(9, date(2020, 1, 1), NOTHING, {}),))},
    lambda known: {"plans": Versions((PlanSet(9, date(2020, 1, 1), NO_PLAN),))},
]


@given(STEPS, st.sampled_from(LIMITS), st.sampled_from(TODAY))
def test_G4_grants_that_never_overlapped_are_never_taken_back(
    steps: list[Step], limits: dict[str, Any], today: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """However late they came, wherever they were decided, and whatever became of catalogue, rules and plans since."""
    history = History(steps, limits, parted=False)
    assert history.commits == 0
    for region in history.regions:
        before = stored(region.store)
        region.change(**today(limits))
        reconciled = region.reconcile()
        assert (reconciled.overshoots, reconciled.strays, reconciled.commits) == ([], [], 0)
        assert stored(region.store) == before


@given(STEPS, st.sampled_from(LIMITS))
def test_G4_parted_regions_take_back_the_same_and_only_where_decisions_overlapped(
    steps: list[Step], limits: dict[str, Any]
) -> None:
    """Each on its own, by its own catalogue; after they have met there is nothing more to do."""
    history = History(steps, limits, parted=True)
    us, europe = history.regions
    about = [history.about(overshoot) for overshoot in history.overshoots()]
    mine, theirs = us.reconcile(), europe.reconcile()
    assert list(mine.overshoots) == list(theirs.overshoots)
    assert mine.strays == theirs.strays == []
    assert all(history.overlapped(names) for names in about)
    meet(us, europe)
    assert states(us.store) == states(europe.store)
    for region in history.regions:
        again = region.reconcile()
        assert (again.overshoots, again.commits) == ([], 0)


def random_steps(random: Random) -> list[Step]:
    """A long life of both regions."""
    return [
        Step(
            random.randint(0, 1),
            random.choice(PASSED),
            random.choice([0, 0, 30, 700]),
            random.choice(COMMANDS),
            random.choice(["phone", "tv"]),
            random.choice(TITLES),
            random.randint(0, 1),
            random.choice(["large", "small"]),
            random.choice([0, 0, 0, 1, 2]),
            random.random() < 0.05,
            random.random() < 0.2,
        )
        for _ in range(24)
    ]


@pytest.mark.full
def test_the_histories_meet_every_limit() -> None:
    """So that the laws above are about something."""
    random = Random(7)
    missing = {rule.name for rule in (*YEAR_RULES, *RENEWAL_RULES, *DEVICE_RULES)}
    for _, limits in product(range(300), LIMITS):
        history = History(random_steps(random), limits, parted=True)
        missing -= {*history.found, *(overshoot.rule for overshoot in history.overshoots())}
        if not missing:
            return
    assert missing == set()


@pytest.mark.parametrize("number", range(40))
@pytest.mark.parametrize("first", ["download", "play"])
def test_one_request_id_for_a_download_and_an_unrelated_play(number: int, first: str) -> None:
    """Both are granted, since they touch no aggregate in common; reconcile undoes neither, whatever their digests."""
    region = Region(catalogue=catalogue("Kind"))
    region.ask(0, "tv", "dark")
    request = Request.at(START + MINUTE, f"used twice {number}")
    region.clock.now = START + MINUTE
    licence = next(iter(region.service.repository.load("ann", License, "tv/dark").periods))
    commands = {
        "download": lambda: region.service.request_download("ann", "phone", "glow", request, plan="large"),
        "play": lambda: region.service.start_playback("ann", "tv", "dark", licence, request),
    }
    for name in (first, *(commands.keys() - {first})):
        assert isinstance(commands[name](), Granted)
    before = stored(region.store)
    reconciled = region.reconcile()
    assert (reconciled.strays, reconciled.commits) == ([], 0)
    assert stored(region.store) == before
    assert all(commands[name]().repeated for name in commands)


def test_one_request_id_for_two_commands_about_the_same_licence_is_a_conflict() -> None:
    """They have an aggregate in common, so it is known, and nothing is written."""
    region = Region(catalogue=catalogue("Kind"))
    granted = region.ask(0)
    assert isinstance(granted, Granted)
    before = stored(region.store)
    request = Request(granted.license_id)
    for name in ("start_playback", "renew", "release", "revoke", "expire"):
        with pytest.raises(RequestConflict):
            getattr(region.service, name)("ann", "phone", "glow", request.id, request)
    assert stored(region.store) == before
