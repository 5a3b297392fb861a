"""The download service: a customer wishes to keep a title on a device; the studio's rules decide.

The path is the talk's: check `Downloaded`, make a new `License`, persist both as one atomic append.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from eslab import Clock, Command, EventStore, Rejected, Repository, Request, TimeBounds, display
from eslab.domains.downloads.catalogue import Catalogue, Title, load_catalogue
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded
from eslab.domains.downloads.license import License, LicenseIssued, license_key
from eslab.domains.downloads.rules import Rules, load_rules

YEAR = timedelta(days=365)  # a rolling year; calendar years and time zones are the studio's to ask for


class RequestDownload(Command):
    """Keep a title on a device, to watch it without a network."""

    device: str
    title: str


@dataclass(frozen=True)
class Granted:
    """The download is granted: the licence, and how many of the year's downloads are used."""

    license_id: UUID
    title: str
    device: str
    used: int
    limit: int | None  # None: the studio sets no limit
    repeated: bool  # True if the same request had been granted before; nothing was written now

    def __repr__(self) -> str:
        how = "Granted before" if self.repeated else "Granted"
        limit = "any number" if self.limit is None else self.limit
        return f"{how}: {self.title} on {self.device}, {self.used} of {limit} this year, licence {self.license_id}"

    def _repr_html_(self) -> str:
        limit = "any number" if self.limit is None else self.limit
        rows = {
            "title": self.title,
            "device": self.device,
            "used this year": f"{self.used} of {limit}",
            "licence": self.license_id,
        }
        return display.table("Granted before" if self.repeated else "Granted", rows, mark="✓")


class DownloadService:
    """Decides downloads; safe to share between threads, since it keeps no state."""

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        catalogue: Catalogue | None = None,
        rules: Rules | None = None,
        bounds: TimeBounds | None = None,
    ) -> None:
        self.repository = Repository(store, clock, bounds)
        self.catalogue = catalogue or load_catalogue()
        self.rules = rules or load_rules()

    def request_download(self, customer: str, device: str, title: str, request: Request) -> Granted | Rejected:
        """Grant or reject a download; a repeat of the request gets the same licence and counts once (G3).

        Costs two waits and one append of two commits. A rejection writes nothing (G7). Raises what
        `AggregateService.send` raises; `OutOfTime` only where no row of the request exists any more.
        """
        wish = self.repository.begin(customer, request, RequestDownload(device, title))
        seen, licence = wish.load((Downloaded, title), (License, license_key(device, title)))
        limit = self.limit(title, request.time)
        if wish.recorded:
            used_now = seen.count_since(self.repository.clock(), YEAR)
            return Granted(request.id, title, device, used_now, limit, repeated=True)
        used = seen.count_since(request.time, YEAR)
        try:
            allow(self.catalogue.get(title), used, limit)
        except Rejected as rejected:
            return rejected
        wish.add(seen, DownloadCounted(request.id, device, request.time))
        wish.add(licence, LicenseIssued(request.id, request.time))
        wish.append()
        return Granted(request.id, title, device, used + 1, limit, repeated=False)

    def limit(self, title: str, time: datetime) -> int | None:
        """How many downloads of the title its studio allows in a year, by the rules in force at `time`."""
        if title not in self.catalogue:
            return None
        return self.rules.at(time).for_studio(self.catalogue[title].studio).downloads_per_title_per_year


def allow(title: Title | None, used: int, limit: int | None) -> None:
    """Only titles of the catalogue, and of each only as many in a year as its studio allows; raises `Rejected`."""
    if title is None:
        raise Rejected("catalogue", "there is no such title in the catalogue")
    if limit is not None and used >= limit:
        reason = f"{title.studio} allows {limit} downloads of {title.title} a year, and {used} are used"
        raise Rejected("downloads per title per year", reason, limit=limit, count=used)
