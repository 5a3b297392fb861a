"""What the snippets of each page take for granted: names, files, rows of a store. Each is for a folder of its own."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eslab import Event, EventStore, ManualClock, OutOfTime, Request, open_store, system_clock
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.delivery import find_undelivered
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.rules import Refused
from eslab.domains.downloads.service import DownloadService
from eslab.stores.keys import make_master
from tests.operations.test_restore import damage
from tests.support.pages import Given
from tests.support.sample import ROOT, START, at, handle, rows

DAYS = 24 * 60


class Diagnosed(Event):
    """The event of docs/encryption.md's chart."""

    illness: str


@contextmanager
def downloads(folder: Path) -> Iterator[Given]:
    """Two licences that were never delivered, and a newer file of rules."""
    shutil.copy(ROOT / "data" / "studio_rules.toml", folder / "rules.toml")
    url = f"sqlite:///{folder}/lab.db"
    an_hour_ago = ManualClock(datetime.now(UTC) - timedelta(hours=1))
    with closing(open_store(url)) as store:
        service = DownloadService(store, an_hour_ago)
        for title in "glow", "bolt":
            service.request_download("ann", "tablet", title, Request.at(an_hour_ago(), title))
        licence, other = (str(grant.license_id) for grant in find_undelivered(service.repository, "ann"))
    yield Given(variables={"STORE": url, "LICENCE": licence, "OTHER": other})


@contextmanager
def encryption(folder: Path) -> Iterator[Given]:
    """An event, a handler, a store, and a master key."""
    make_master(folder / "master.key")
    yield Given({"Diagnosed": Diagnosed, "store": open_store("memory:"), "handle": handle, "clock": system_clock})


@contextmanager
def read_tables(folder: Path) -> Iterator[Given]:
    """A store in which Ann's phone holds one licence."""
    url = f"sqlite:///{folder}/lab.db"
    with closing(open_store(url)) as store:
        service = DownloadService(store, system_clock)
        service.request_download("ann", "phone", "glow", Request.at(system_clock(), "glow"))
        yield Given({"store": store, "clock": system_clock}, {"STORE": url})


@contextmanager
def downloads_to_the_limit(folder: Path) -> Iterator[dict[str, Any]]:
    """A store in which Ann downloaded as often as she may, and what docs/troubleshooting.md calls by name."""
    clock = ManualClock(START)
    with closing(open_store(f"sqlite:///{folder}/lab.db")) as store:
        downloads = DownloadService(store, clock)
        limit = downloads.limit("glow", START)
        assert limit and limit >= 2
        requests = [at(day * DAYS, "a download") for day in range(limit + 1)]
        for request in requests[:-1]:
            clock.now = request.time
            downloads.request_download("ann", "phone", "glow", request)
        clock.now = requests[-1].time
        assert isinstance(downloads.request_download("ann", "tv", "glow", requests[-1]), Refused)
        clock.advance(timedelta(days=100))
        yield {
            "store": store, "downloads": downloads, "request": requests[-1], "second": requests[1],
            "refused_at": requests[-1].time, "too_old": at(0, "another"), "OutOfTime": OutOfTime,
            "RequestDownload": RequestDownload, "DownloadService": DownloadService,
        }  # fmt: skip


def break_row(store: EventStore, aggregate_id: str, request: Request) -> None:
    """Damage the row that a request of Ann's left in an aggregate."""
    damage(store, next(row for row in rows(store, aggregate_id) if row.event_time == request.event_time), b"broken")


@contextmanager
def troubleshooting(folder: Path) -> Iterator[Given]:
    """The same store, in which one row is broken that has a copy, and one that has none."""
    with downloads_to_the_limit(folder) as names:
        store, downloads = names["store"], names["downloads"]
        lost = Request.at(downloads.repository.clock(), "lost")
        assert isinstance(downloads.request_download("ann", "tv", "bolt", lost), Granted)
        break_row(store, "license:phone/glow", names["second"])
        break_row(store, "devices:all", lost)
        variables = {"ROW": str(names["second"].event_time), "LOST": str(lost.event_time)}
        inspect = "eslab inspect --store sqlite:///lab.db --customer ann"
        yield Given(
            names, variables, [f"{inspect} --aggregate license:", f"{inspect} --module eslab.domains.downloads"]
        )


@contextmanager
def operations(folder: Path) -> Iterator[Given]:
    """The same store, with nothing to find."""
    with downloads_to_the_limit(folder):
        yield Given()


@contextmanager
def simulator(folder: Path) -> Iterator[Given]:
    """A core that is broken on purpose."""
    yield Given(finding=["eslab simulate --variant \"refusal first\" --replay 'story/5=1'"])


GIVENS: dict[str, Callable[[Path], AbstractContextManager[Given]]] = {
    "downloads.md": downloads,
    "encryption.md": encryption,
    "operations.md": operations,
    "read_tables.md": read_tables,
    "simulator.md": simulator,
    "troubleshooting.md": troubleshooting,
}
