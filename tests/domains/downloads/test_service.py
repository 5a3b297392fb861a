"""The download service: three times Glow, and a fourth."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from eslab import EventStore, InvalidInput, ManualClock, OutOfTime, Rejected, Request, RequestConflict, open_store
from eslab.domains.downloads.license import License
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.years import ROLLING

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DEVICES = ["phone", "tablet", "laptop", "tv"]


class Counter:
    """A customer at the counter: every call is a new request, a minute later."""

    def __init__(self, store: EventStore) -> None:
        self.clock, self.random, self.store = ManualClock(START), Random(7), store
        self.service = DownloadService(store, self.clock)

    def request(self) -> Request:
        self.clock.advance(timedelta(minutes=1))
        return Request.new(self.clock, self.random)

    def ask(self, device: str, title: str = "glow", request: Request | None = None) -> Granted | Rejected:
        return self.service.request_download("ann", device, title, request or self.request())

    def rows(self) -> list:
        return [commit for id in self.store.heads_of_type("ann", "") for commit in self.store.rows("ann", id)]


@pytest.fixture(params=["memory:", "sqlite:"])
def counter(request: pytest.FixtureRequest) -> Iterator[Counter]:
    store = open_store(request.param)
    yield Counter(store)
    store.close()


def test_the_fourth_download_of_a_title_in_a_year_is_rejected(counter: Counter) -> None:
    """Netflix allows three downloads of a title a year, whatever the device."""
    answers = [counter.ask(device) for device in DEVICES]
    assert [a.used for a in answers[:3]] == [1, 2, 3]
    assert isinstance(answers[3], Rejected)
    assert (answers[3].rule, answers[3].limit, answers[3].count) == ("downloads per title per year", 3, 3)


def test_a_granted_download_is_one_append_of_three_commits(counter: Counter) -> None:
    """Downloaded counts it, License is issued and Devices holds it, at the same event time."""
    answer = counter.ask("phone")
    rows = counter.rows()
    assert [row.aggregate_id for row in rows] == ["devices:all", "downloaded:glow", "license:phone/glow"]
    assert {Request.from_event_time(row.event_time).id for row in rows} == {answer.license_id}


def test_G7_a_rejection_writes_nothing(counter: Counter) -> None:
    """The rows before and after a rejection are the same."""
    for device in DEVICES[:3]:
        counter.ask(device)
    before = counter.rows()
    assert isinstance(counter.ask("tv"), Rejected)
    assert counter.rows() == before


def test_G3_a_repeated_request_gets_the_same_licence_and_counts_once(counter: Counter) -> None:
    """A week later, with all three downloads used, the first request still has its answer."""
    first = counter.request()
    granted = counter.ask("phone", request=first)
    counter.ask("tablet"), counter.ask("laptop")
    before = counter.rows()
    counter.clock.advance(timedelta(days=7))
    repeated = counter.ask("phone", request=first)
    assert (repeated.license_id, repeated.repeated, repeated.used) == (granted.license_id, True, 3)
    assert counter.rows() == before


def test_a_new_id_is_a_new_request(counter: Counter) -> None:
    """Three tries under three ids use three downloads."""
    for _ in range(3):
        counter.ask("phone")
    assert isinstance(counter.ask("phone"), Rejected)


def test_a_late_request_without_rows_is_out_of_time(counter: Counter) -> None:
    """A first decision is made only for requests up to a day old."""
    with pytest.raises(OutOfTime):
        counter.ask("phone", request=Request.at(START - timedelta(days=7), "mountains"))
    assert counter.rows() == []


def test_a_request_id_used_for_another_device_is_a_conflict(counter: Counter) -> None:
    """One id for two commands is an error, and nothing is written."""
    first = counter.request()
    counter.ask("phone", request=first)
    before = counter.rows()
    with pytest.raises(RequestConflict, match="used before for another command"):
        counter.ask("laptop", request=first)
    assert counter.rows() == before


def test_a_title_that_is_not_in_the_catalogue_is_rejected(counter: Counter) -> None:
    """The catalogue is a rule like any other."""
    answer = counter.ask("phone", "no-such-title")
    assert isinstance(answer, Rejected) and answer.rule == "catalogue"


def test_a_device_with_a_slash_is_refused(counter: Counter) -> None:
    """Two licences could share a key."""
    with pytest.raises(InvalidInput, match="without '/'"):
        counter.ask("a/b")


def test_a_download_leaves_the_window_after_a_year(counter: Counter) -> None:
    """The count is of the year before the request."""
    for device in DEVICES[:3]:
        counter.ask(device)
    counter.clock.advance(ROLLING - timedelta(minutes=4))
    assert isinstance(counter.ask("tv"), Rejected)
    assert counter.ask("tv").used == 3


def test_a_late_request_does_not_slip_in_behind_later_ones(counter: Counter) -> None:
    """Downloads later than the request count too."""
    late = counter.request()
    counter.clock.advance(timedelta(hours=1))
    for device in DEVICES[:3]:
        counter.ask(device)
    assert isinstance(counter.ask("tv", request=late), Rejected)


def test_the_licence_is_the_devices(counter: Counter) -> None:
    """License is kept per device and title, under the request's id."""
    answer = counter.ask("phone")
    license = counter.service.repository.load("ann", License, "phone/glow")
    assert list(license.periods) == [answer.license_id]
