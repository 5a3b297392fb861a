"""Lesson 02: what each part asks of the store, a signer that fails once, and a counter that counts attempts."""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

import pandas

from eslab import EventStore, Rejected, Request
from eslab.bench.meters import metered
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded
from eslab.domains.downloads.drm import LocalSigner
from eslab.domains.downloads.keys import lab_key
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.policies import Policies
from eslab.domains.downloads.rules import Ask
from eslab.domains.downloads.service import DownloadService
from eslab.faults import FaultyDrm, Refuse, Script
from eslab.lab.rows import rows
from eslab.lab.session import START, Lab

Answer = TypeVar("Answer")


def asked_of_the_store(
    downloads: DownloadService, acts: Mapping[str, Callable[[DownloadService], object]]
) -> pandas.DataFrame:
    """Run each act with the service, and count how often it waits for the store: to read, and to write."""
    asked = []
    with metered(downloads.repository.store) as (store, meter):
        counted = DownloadService(store, downloads.repository.clock, downloads.policies)
        for name, act in acts.items():
            meter.take()
            act(counted)
            cost = meter.take()
            asked.append({"who": name, "reads": cost.read_waits, "writes": cost.write_waits})
    return pandas.DataFrame(asked)


def invented(policies: Policies, title: str, *hours: int) -> Ask:
    """A wish for a title by a customer who downloaded it this many hours before. No store has ever seen them."""
    seen = Downloaded()
    for hour in hours:
        time = START - timedelta(hours=hour)
        seen.apply(DownloadCounted(Request.at(time, "invented").id, "phone", time))
    wished = policies.catalogue[title]
    rules, plans = policies.rules.at(START), policies.plans.at(START)
    command = RequestDownload("tv", title)
    return Ask(
        command, START, wished, studio=rules.for_studio(wished.studio), plan=plans.plans[command.plan], seen=seen
    )


def signer_that_fails_once(lab: Lab) -> FaultyDrm:
    """A DRM server that can't be reached at its first call, and signs from then on."""
    return FaultyDrm(LocalSigner([lab_key(lab.seed)]), Script(sign=[Refuse()]), lab.clock)


def with_its_log(act: Callable[[], Answer]) -> tuple[Answer, list[str]]:
    """The answer of a call, and what the service logged meanwhile, which goes nowhere else."""
    lines: list[str] = []
    log = logging.getLogger(DownloadService.__module__)
    keep = logging.Handler()
    keep.emit = lambda record: lines.append(record.getMessage())
    log.addHandler(keep)
    try:
        return act(), lines
    finally:
        log.removeHandler(keep)


class Counter:
    """A service that keeps a number for each customer and title in a table of a database; it has no other memory."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.database = sqlite3.connect("")  # a temporary file, deleted when it is closed
        self.database.execute("CREATE TABLE downloads (customer, title, used, PRIMARY KEY (customer, title))")

    def request_download(self, customer: str, title: str) -> str:
        """Grant a download and add one, in one transaction, unless the limit is reached."""
        with self.database:
            if self.used(customer, title) >= self.limit:
                return "rejected"
            self.database.execute(
                "INSERT INTO downloads VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET used = used + 1",
                (customer, title),
            )
        return "granted"

    def used(self, customer: str, title: str) -> int:
        """The number in the table; 0 if there is none."""
        query = "SELECT used FROM downloads WHERE (customer, title) = (?, ?)"
        return next((used for (used,) in self.database.execute(query, (customer, title))), 0)


def side_by_side(
    counter: Counter, downloads: DownloadService, lab: Lab, customer: str, title: str, *sent: tuple[str, int]
) -> pandas.DataFrame:
    """Let each device wish for a title, and send the wish this often: of all but the last time the answer is lost.

    Both services do the whole work each time; only their answer doesn't arrive.
    """
    lines = []
    for device, times in sent:
        request = lab.request()
        for number in range(1, times + 1):
            plain = counter.request_download(customer, title)
            answer = downloads.request_download(customer, device, title, request)
            lines.append(
                {
                    "the wish": f"{device}, sent {'once' if times == 1 else f'{number} of {times}'}",
                    "its answer": "is lost" if number < times else "arrives",
                    "the counter says": plain,
                    "number in its table": counter.used(customer, title),
                    "the service says": _said(answer),
                    "downloads in its log": _counted(lab.store, customer, title),
                }
            )
    return pandas.DataFrame(lines)


def commits_by_type(store: EventStore, customer: str) -> pandas.DataFrame:
    """The customer's aggregates by type: how many there are, their commits, and the commits of the longest."""
    sizes = rows(store, customer).groupby("aggregate").size()
    by_type = sizes.groupby(sizes.index.str.split(":").str[0])
    return by_type.agg(aggregates="count", commits="sum", longest="max").rename_axis("type").reset_index()


def _said(answer: Granted | Rejected) -> str:
    if isinstance(answer, Rejected):
        return "rejected"
    return "granted before" if answer.repeated else "granted"


def _counted(store: EventStore, customer: str, title: str) -> int:
    return int(rows(store, customer, f"downloaded:{title}")["events"].str.count("DownloadCounted").sum())
