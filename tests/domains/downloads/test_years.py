"""Years as studios count them: rolling, or calendar years in a zone, across leap days and changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab.domains.downloads.years import ROLLING, Year

MOMENTS = st.datetimes(datetime(2019, 1, 1), datetime(2030, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))
ZONES = ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Australia/Sydney", "Pacific/Kiritimati", "America/St_Johns"]
YEARS = st.sampled_from([Year(), *(Year("calendar", ZoneInfo(zone)) for zone in ZONES)])
SECOND = timedelta(seconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("first", ["2023-03-01 12:00", "2024-02-29 12:00", "2024-12-31 23:59:59"])
def test_a_rolling_year_is_365_days_leap_day_or_not(first: str) -> None:
    """A download leaves it to the second, 365 days after it was granted."""
    time = utc(first)
    assert Year().count([time], time + ROLLING - SECOND) == 1
    assert Year().count([time], time + ROLLING) == 0
    assert Year().free_at([time], 1, time) == time + timedelta(days=365)


def test_a_leap_year_is_longer_than_a_rolling_year() -> None:
    """From New Year to New Year a customer of a leap year gets their downloads back a day early."""
    assert Year().count([utc("2024-01-01")], utc("2024-12-31")) == 0
    assert Year("calendar").count([utc("2024-01-01")], utc("2024-12-31")) == 1


@pytest.mark.parametrize(
    ("zone", "last_of_2026"),
    [
        ("UTC", "2026-12-31 23:59:59"),
        ("Asia/Tokyo", "2026-12-31 14:59:59"),  # nine hours ahead, all year
        ("America/Los_Angeles", "2027-01-01 07:59:59"),  # winter
        ("Australia/Sydney", "2026-12-31 12:59:59"),  # summer, so eleven hours ahead
        ("Pacific/Kiritimati", "2026-12-31 09:59:59"),  # the first of all
        ("America/St_Johns", "2027-01-01 03:29:59"),  # half an hour off
    ],
)
def test_a_calendar_year_begins_in_its_zone(zone: str, last_of_2026: str) -> None:
    """At midnight there, summer time or not."""
    year, last = Year("calendar", ZoneInfo(zone)), utc(last_of_2026)
    assert year.count([last], utc("2026-06-01")) == 1
    assert year.count([last + SECOND], utc("2026-06-01")) == 0
    assert year.free_at([last], 1, last) == last + SECOND


@pytest.mark.parametrize("moment", ["2026-03-29 00:59:59", "2026-03-29 01:00", "2026-10-25 00:30", "2026-10-25 01:30"])
def test_changes_of_the_clock_move_no_download(moment: str) -> None:
    """The hour that Berlin skips or has twice belongs to its year like any other."""
    time = utc(moment)
    assert Year("calendar", ZoneInfo("Europe/Berlin")).count([time], time) == 1
    assert Year().free_at([time], 1, time) == time + ROLLING


def test_a_zone_that_skipped_a_day() -> None:
    """Samoa had no 30 December 2011; its year is a day shorter."""
    samoa = Year("calendar", ZoneInfo("Pacific/Apia"))
    assert samoa.count([utc("2011-12-30 09:59"), utc("2011-12-30 10:00")], utc("2011-06-01")) == 2
    assert samoa.free_at([utc("2011-12-30 10:00")], 1, utc("2011-12-30 10:00")) == utc("2011-12-31 10:00")


@given(YEARS, st.lists(MOMENTS, max_size=8), st.integers(1, 4), MOMENTS)
def test_G4_when_it_is_free_it_is_free_and_not_before(
    year: Year, times: list[datetime], limit: int, moment: datetime
) -> None:
    """At `free_at` fewer than the limit count, and a second earlier they still were as many."""
    if year.count(times, moment) >= limit:
        free = year.free_at(times, limit, moment)
        assert free and free > moment
        assert year.count(times, free) < limit <= year.count(times, free - timedelta(microseconds=1))
