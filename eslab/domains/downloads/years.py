"""Years as studios count them: the past 365 days, or the calendar year in a named time zone.

A rolling year is 365 days of 24 hours, leap day or not, and needs no zone. It counts every grant later than the
moment minus the year, those later than the moment included: a late wish must not slip in behind grants that were made
before it arrived. A calendar year counts the grants of the same year; the zone says when it begins.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

ROLLING = timedelta(days=365)


@dataclass(frozen=True)
class Year:
    """How a studio counts years."""

    kind: Literal["rolling", "calendar"] = "rolling"
    time_zone: ZoneInfo | None = None  # None: UTC

    def count(self, times: Iterable[datetime], moment: datetime) -> int:
        """How many of the times count in the year of the moment."""
        if self.kind == "rolling":
            return sum(time > moment - ROLLING for time in times)
        return sum(self._number(time) == self._number(moment) for time in times)

    def free_at(self, times: Iterable[datetime], limit: int, moment: datetime) -> datetime | None:
        """When fewer than `limit` of the times will count, for a moment when that many do; None if never."""
        if limit < 1:
            return None
        if self.kind == "rolling":
            return sorted(times, reverse=True)[limit - 1] + ROLLING
        year, numbers = self._number(moment) + 1, [self._number(time) for time in times]
        while numbers.count(year) >= limit:
            year += 1
        return datetime(year, 1, 1, tzinfo=self.time_zone or UTC).astimezone(UTC)

    def _number(self, time: datetime) -> int:
        return time.astimezone(self.time_zone or UTC).year
