"""Years as studios count them: the past 365 days, or the calendar year in a named time zone.

A rolling year is 365 days of 24 hours, leap day or not, and needs no time zone. It counts every grant later than the
moment minus the year, including grants later than the moment: a late request must not slip in behind grants that were
made before it arrived. A calendar year counts the grants of the same year; the time zone says when it begins.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

ROLLING = timedelta(days=365)


@dataclass(frozen=True)
class Year:
    """A studio's way of counting years."""

    kind: Literal["rolling", "calendar"] = "rolling"
    time_zone: ZoneInfo | None = None  # None: UTC

    def count(self, times: Iterable[datetime], moment: datetime) -> int:
        """The number of times that count in the year of the moment."""
        if self.kind == "rolling":
            return sum(time > moment - ROLLING for time in times)
        return sum(self._number(time) == self._number(moment) for time in times)

    def free_at(self, times: Iterable[datetime], limit: int, moment: datetime) -> datetime | None:
        """The first moment at which fewer than `limit` of the times count; None if there is none.

        `moment` is one at which at least `limit` of them count.
        """
        if limit < 1:
            return None
        if self.kind == "rolling":
            return sorted(times, reverse=True)[limit - 1] + ROLLING
        numbers = [self._number(time) for time in times]
        year = self._number(moment) + 1
        # Some of the times may be later than the moment, so the next year may be full as well.
        while numbers.count(year) >= limit:
            year += 1
        return datetime(year, 1, 1, tzinfo=self.time_zone or UTC).astimezone(UTC)

    def _number(self, time: datetime) -> int:
        return time.astimezone(self.time_zone or UTC).year
