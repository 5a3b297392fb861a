"""Downloaded: one customer's downloads of one title. Its id is `downloaded:TITLE`.

It keeps the requests that it counted, so a download counts once, however often its event arrives.
"""

from datetime import datetime
from uuid import UUID

from eslab import Aggregate, Event


# The names of events and fields are stored; rename a class only with tag= holding the old name.
class DownloadCounted(Event):
    """A download of the title was granted, and counts towards the studio's limit."""

    request_id: UUID
    device: str
    time: datetime
    rules: int = 0  # the version of the studio rules that decided; 0: from before it was kept
    studio: str = ""  # the title's studio at that time; empty: from before it was kept


class DownloadVoided(Event):
    """A download that exceeded a limit was taken back; it no longer counts, even if its grant arrives later."""

    request_id: UUID
    studio: str = ""  # as in its grant, so that both are in the same partition of a read table


class Downloaded(Aggregate):
    """The granted downloads of a title, by request."""

    fold_version = 2

    downloads: dict[UUID, DownloadCounted] = {}
    voided: set[UUID] = set()

    def apply(self, event: DownloadCounted | DownloadVoided) -> None:
        match event:
            case DownloadCounted():
                self.downloads[event.request_id] = event
            case DownloadVoided():
                self.voided.add(event.request_id)

    @property
    def counted(self) -> dict[UUID, DownloadCounted]:
        """The downloads that count: all except those taken back."""
        return {id: download for id, download in self.downloads.items() if id not in self.voided}

    @property
    def times(self) -> list[datetime]:
        """The times at which the downloads that count were granted."""
        return [download.time for download in self.counted.values()]

    def void(self, request_id: UUID, studio: str) -> DownloadVoided:
        """The event that takes a download back; `studio` is for one whose grant has not arrived here."""
        download = self.downloads.get(request_id)
        return DownloadVoided(request_id, (download and download.studio) or studio)
