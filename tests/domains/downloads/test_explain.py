"""The support question: "why was this refused at 14:02, and what if the second download had not happened?"."""

from datetime import date, timedelta

import pytest

from eslab import EventStore, HistoryGone, ManualClock, Rejected, Request
from eslab.domains.downloads.commands import Release, RequestDownload
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.plans import Plan
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import StudioRules
from eslab.domains.downloads.versions import Versions
from eslab.operations.fork import fork
from tests.domains.downloads.support import at, plans, rules, service, stored, time_at
from tests.support.sample import START

TWO = StudioRules(downloads_per_title_per_year=2)
GLOW = RequestDownload("tv", "glow")


def refused_by(downloads: DownloadService, request: Request, **options: object) -> list[str]:
    """The names of the rules that forbid another download of Glow."""
    explained = downloads.explain("ann", GLOW, request, **options)  # type: ignore[arg-type]
    return [rule.name for rule, check in explained if not check.passed]


@pytest.fixture
def lived(store: EventStore) -> DownloadService:
    """Two downloads, a refused one, and years of other things afterwards."""
    clock = ManualClock(START)
    downloads = service(store, clock, TWO)
    for day in (1, 2):
        clock.now = time_at(day)
        assert isinstance(downloads.request_download("ann", "phone", "glow", at(day)), Granted)
    clock.now = time_at(3)
    assert isinstance(downloads.request_download("ann", "tv", "glow", at(3)), Rejected)
    clock.now = time_at(900)
    assert isinstance(downloads.request_download("ann", "phone", "glow", at(900)), Granted)
    return downloads


def test_a_refusal_of_years_ago_is_explained(lived: DownloadService) -> None:
    """As of its moment, although it could not be decided any more; nothing is written."""
    before = stored(lived.repository.store)
    assert refused_by(lived, at(3), as_of=time_at(3)) == ["downloads per title per year"]
    assert refused_by(lived, at(3), as_of=time_at(1)) == []
    assert stored(lived.repository.store) == before


def test_what_if_the_second_download_had_not_happened(lived: DownloadService) -> None:
    """The same service on a fork, on the fork's clock: explained, and decided."""
    store = lived.repository.store
    before = stored(store)
    then = fork(store, "ann", as_of=time_at(3))
    other = fork(store, "ann", as_of=time_at(3), without=[at(2)])
    assert refused_by(DownloadService(then, then.clock, lived.policies), at(3)) == ["downloads per title per year"]
    if_not = DownloadService(other, other.clock, lived.policies)
    assert refused_by(if_not, at(3)) == []
    answer = if_not.request_download("ann", "tv", "glow", at(3))
    assert isinstance(answer, Granted) and (answer.used, answer.limit) == (2, 2)
    assert stored(store) == before


def test_a_request_is_explained_without_its_own_events(lived: DownloadService) -> None:
    """A granted one would else be counted against itself, as of any moment."""
    for as_of in (time_at(1), time_at(2), time_at(5)):
        assert refused_by(lived, at(2), as_of=as_of) == []
    checks = {rule.name: check for rule, check in lived.explain("ann", GLOW, at(2), time_at(2))}
    assert checks["downloads per title per year"].count == 1


def test_a_refused_request_that_was_granted_on_a_retry_is_explained(store: EventStore) -> None:
    """Its row carries the time of the request, but the refusal was decided without it."""
    clock = ManualClock(time_at(1))
    downloads = service(store, clock, plan=Plan(devices=1))
    first = downloads.request_download("ann", "phone", "glow", at(1))
    assert isinstance(first, Granted)
    clock.now = time_at(1.1)
    assert isinstance(downloads.request_download("ann", "tv", "glow", at(1.1)), Rejected)
    clock.now = time_at(1.2)
    downloads.release("ann", "phone", "glow", first.license_id, at(1.2))
    assert isinstance(downloads.request_download("ann", "tv", "glow", at(1.1)), Granted)
    assert refused_by(downloads, at(1.1), as_of=time_at(1.1)) == ["devices with downloads"]
    assert refused_by(downloads, at(1.1)) == []


def test_the_rules_and_plans_of_the_requests_time_explain_it(store: EventStore) -> None:
    """Whatever was adopted since."""
    versions = Versions((rules(TWO), rules(StudioRules(), 2, date(2026, 2, 1))))
    of_plans = Versions((plans(Plan(devices=1)), plans(Plan(devices=5), 2, date(2026, 2, 1))))
    downloads = service(store, ManualClock(time_at(400)), rules=versions, plans=of_plans)
    explained = {rule.name: check.limit for rule, check in downloads.explain("ann", GLOW, at(3))}
    assert (explained["downloads per title per year"], explained["devices with downloads"]) == (2, 1)
    explained = {rule.name: check.limit for rule, check in downloads.explain("ann", GLOW, at(60))}
    assert (explained["downloads per title per year"], explained["devices with downloads"]) == (None, 5)


def test_a_command_that_names_a_licence_is_explained(lived: DownloadService) -> None:
    """Of any age too."""
    issued = lived.explain("ann", Release("phone", "glow", at(1).id), at(1.5), time_at(1.5))
    assert [(rule.name, check.passed) for rule, check in issued] == [("licence", True)]
    issued = lived.explain("ann", Release("phone", "glow", at(1).id), at(0.5), time_at(0.5))
    assert [(rule.name, check.passed) for rule, check in issued] == [("licence", False)]


def test_below_the_floor_there_is_no_explanation(lived: DownloadService) -> None:
    """A guess would be worse."""
    lived.repository.store.mark("ann", "downloaded:glow", floor=at(2).event_time)
    with pytest.raises(HistoryGone):
        lived.explain("ann", GLOW, at(3), START + timedelta(days=1))
