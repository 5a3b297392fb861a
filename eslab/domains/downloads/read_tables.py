"""The read tables of downloads, and the three questions that they answer with one read each.

    licences_by_device    what does this device hold?             a part of the customer's partition
    customer_pages        what does the customer see of it all?   the customer's partition
    downloads_by_studio   how often was what downloaded?          a partition for studio, month and shard

The rows of the first two are part of the append; those of the third are written right after it (docs/read_tables.md).
"""

import re
from collections import Counter
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

SHARDS = 8  # of a studio's month: a partition for each, so that a premiere is spread over the nodes
UNKNOWN = "(unknown)"  # the studio of a download from before it was kept
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
Key = tuple[str, ...]


class Licence(NamedTuple):
    """A licence as a list shows it."""

    title: str
    device: str
    license_id: UUID
    status: Status
    ends: datetime | None  # None: never
    renewals: int


@dataclass(frozen=True)
class TitleOnPage:
    """What a customer's page says of one title: how many downloads count, and its licences, the newest first."""

    title: str
    downloads: int
    licences: Sequence[Licence]


def licences_on(repository: Repository, customer: str, device: str) -> list[Licence]:
    """The licences of a device, by title and then in order; one read."""
    found = repository.read(LICENCES_BY_DEVICE, (customer, device))
    return [licence for each in found for licence in _licences(each, repository.clock())]


def page_of(repository: Repository, customer: str) -> list[TitleOnPage]:
    """All titles that a customer ever downloaded, in order of their ids; one read."""
    licences: dict[str, list[Licence]] = {}
    downloads: Counter[str] = Counter()
    for each in repository.read(CUSTOMER_PAGES, (customer,)):
        if isinstance(each.state, Downloaded):
            downloads[each.key] = len(each.state.counted)
        else:
            for licence in _licences(each, repository.clock()):
                licences.setdefault(licence.title, []).append(licence)
    return [
        TitleOnPage(
            title, downloads[title], sorted(licences.get(title, []), key=attrgetter("license_id"), reverse=True)
        )
        for title in sorted(downloads.keys() | licences.keys())
    ]


def downloads_of(repository: Repository, studio: str, month: str) -> Counter[str]:
    """How often each title of a studio was downloaded in a month such as "2026-03" (UTC); one read of each shard.

    A download that was taken back doesn't count, whenever that was.
    """
    if not MONTH.fullmatch(month):
        raise InvalidInput(f"Expected a month such as 2026-03, got {month!r}.")
    shards = [(studio, month, str(shard)) for shard in range(SHARDS)]
    counted: Counter[str] = Counter()
    for each in repository.read(DOWNLOADS_BY_STUDIO, *shards):
        counted[each.key] += sum(_stands_in(download) == (studio, month) for download in each.state.counted.values())
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
    """A grant stands with its studio in the month of its request; what takes it back stands beside it."""
    for event in events:
        if isinstance(event, DownloadCounted | DownloadVoided):
            yield *_stands_in(event), str(event.request_id.int % SHARDS)


def _stands_in(event: DownloadCounted | DownloadVoided) -> Key:
    return event.studio or UNKNOWN, f"{Request(event.request_id).time:%Y-%m}"


def _licences(found: Found, now: datetime) -> list[Licence]:
    device, _, title = found.key.partition("/")
    licence: License = found.state
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
