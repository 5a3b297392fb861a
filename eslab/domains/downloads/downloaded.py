"""Downloaded: what one customer has downloaded of one title. Its id is `downloaded:TITLE`.

It keeps the requests that it counted, so a download counts once however often its event is met.
"""

from datetime import datetime, timedelta
from uuid import UUID

from eslab import Aggregate, Event


# The names of events and fields are stored; rename a class only with tag= holding the old name.
class DownloadCounted(Event):
    """A download of the title was granted, and counts against the studio's limit."""

    request_id: UUID
    device: str
    time: datetime


class Downloaded(Aggregate):
    """The granted downloads of a title, by request."""

    downloads: dict[UUID, DownloadCounted] = {}

    def apply(self, event: DownloadCounted) -> None:
        self.downloads[event.request_id] = event

    def count_since(self, time: datetime, window: timedelta) -> int:
        """How many downloads are later than `time - window`, those later than `time` included.

        A late wish must not slip in behind downloads that were granted before it arrived.
        """
        return sum(download.time > time - window for download in self.downloads.values())
