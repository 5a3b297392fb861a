"""The read tables of downloads, and the three questions that they answer with one read each.

    licences_by_device    which licences does a device hold?           a part of the customer's partition
    customer_pages        what is on a customer's page?                the customer's partition
    downloads_by_studio   how often were a studio's titles downloaded? a partition for studio, month and shard

The rows of the first two are part of the append; those of the third are written right after it (docs/read_tables.md).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from eslab import Event, Repository, Request
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded, DownloadVoided
from eslab.domains.downloads.license import License, Status
from eslab.errors import InvalidInput
from eslab.layout import Layout
from eslab.read_table import Found, ReadTable

SHARDS = 8  # partitions of a studio's month, so that a premiere is spread over the nodes
UNKNOWN = "(unknown)"  # the studio of a download from before it was kept
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
Key = tuple[str, ...]


class Licence(NamedTuple):
    """One licence in a list."""

    title: str
    device: str
    license_id: UUID
    status: Status
    ends: datetime | None  # None: never
    renewals: int


@dataclass(frozen=True)
class TitleOnPage:
    """One title on a customer's page: the number of downloads that count, and its licences, the newest first."""

    title: str
    downloads: int
    licences: Sequence[Licence]


def licences_on(repository: Repository, customer: str, device: str) -> list[Licence]:
    """The licences of a device, by title and then in order; one read."""
    aggregates = repository.read(LICENCES_BY_DEVICE, (customer, device))
    return [licence for aggregate in aggregates for licence in _licences(aggregate, repository.clock())]


def page_of(repository: Repository, customer: str) -> list[TitleOnPage]:
    """All titles that a customer ever downloaded, in order of their ids; one read."""
    licences: defaultdict[str, list[Licence]] = defaultdict(list)
    downloads: Counter[str] = Counter()
    for aggregate in repository.read(CUSTOMER_PAGES, (customer,)):
        if isinstance(aggregate.state, Downloaded):
            downloads[aggregate.key] = len(aggregate.state.counted)
        else:
            for licence in _licences(aggregate, repository.clock()):
                licences[licence.title].append(licence)
    # A licence is named by its request, a UUIDv7, so the order of ids is the order of requests.
    return [
        TitleOnPage(title, downloads[title], sorted(licences[title], key=attrgetter("license_id"), reverse=True))
        for title in sorted(downloads.keys() | licences.keys())
    ]


def downloads_of(repository: Repository, studio: str, month: str) -> Counter[str]:
    """The number of downloads of each title of a studio in a month such as "2026-03" (UTC); one read of each shard.

    A download that was taken back, at any time, doesn't count.
    """
    if not MONTH.fullmatch(month):
        raise InvalidInput(f"Expected a month such as 2026-03, got {month!r}.")
    shards = [(studio, month, str(shard)) for shard in range(SHARDS)]
    counted: Counter[str] = Counter()
    for title in repository.read(DOWNLOADS_BY_STUDIO, *shards):
        # A row carries its whole commit, which may hold downloads of other months.
        counted[title.key] += sum(_month_of(download) == (studio, month) for download in title.state.counted.values())
    return counted


def _of_device(customer: str, key: str, events: Sequence[Event]) -> list[Key]:
    device, _, _ = key.partition("/")
    return [(customer, device)]


def _of_licence(customer: str, key: str, events: Sequence[Event]) -> list[Key]:
    _, _, title = key.partition("/")
    return [(customer, title)]


def _of_title(customer: str, key: str, events: Sequence[Event]) -> list[Key]:
    return [(customer, key)]


def _of_studio(customer: str, key: str, events: Sequence[Event]) -> Iterator[Key]:
    """The partition of a grant: its studio and the month of its request; the event that takes it back gets the same."""
    for event in events:
        if isinstance(event, DownloadCounted | DownloadVoided):
            yield *_month_of(event), str(event.request_id.int % SHARDS)


def _month_of(event: DownloadCounted | DownloadVoided) -> Key:
    """The studio of a download, and the month of its request."""
    return event.studio or UNKNOWN, f"{Request(event.request_id).time:%Y-%m}"


def _licences(aggregate: Found, now: datetime) -> list[Licence]:
    device, _, title = aggregate.key.partition("/")
    licence: License = aggregate.state
    return [
        Licence(title, device, name, licence.status(name, now), licence.end(name), len(licence.renewals(name)))
        for name in licence.licences
    ]


LICENCES_BY_DEVICE = ReadTable(Layout("licences_by_device", ("customer_id",), ("device",)), {License: _of_device})
CUSTOMER_PAGES = ReadTable(
    Layout("customer_pages", ("customer_id",), ("title",)), {License: _of_licence, Downloaded: _of_title}
)
DOWNLOADS_BY_STUDIO = ReadTable(Layout("downloads_by_studio", ("studio", "month", "shard")), {Downloaded: _of_studio})
READ_TABLES = (LICENCES_BY_DEVICE, CUSTOMER_PAGES, DOWNLOADS_BY_STUDIO)
