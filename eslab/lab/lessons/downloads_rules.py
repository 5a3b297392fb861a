"""Lesson 02, the optional part: change a studio's rules, and see which version decides."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
import pandas

from eslab import Request
from eslab.domains.downloads.license import License
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import Rules
from eslab.lab.session import Lab

HOUR = timedelta(hours=1)


def with_version(rules: Rules, studio: str, starts: date, **changes: Any) -> Rules:
    """Return a copy of the rules with one more version, which changes a studio's limits from a day on."""
    newest = rules.versions[-1]
    changed = msgspec.structs.replace(newest.for_studio(studio), **changes)
    added = msgspec.structs.replace(
        newest, version=newest.version + 1, effective_from=starts, studios={**newest.studios, studio: changed}
    )
    return Rules((*rules.versions, added), rules.invented)


def around_midnight(
    downloads: DownloadService, lab: Lab, customer: str, title: str, devices: tuple[str, str, str]
) -> pandas.DataFrame:
    """Request a title around the start of new rules.

    The first request is made and arrives before, the second is made before and arrives after, the third is made after.
    """
    midnight = datetime.combine(downloads.rules.versions[-1].effective_from, time(), UTC)
    lab.clock.now = midnight - HOUR
    evening = lab.request()
    late = lab.request()
    asked = [_asked(downloads, customer, devices[0], title, evening)]
    lab.clock.now = midnight + HOUR
    asked.append(_asked(downloads, customer, devices[1], title, late))
    asked.append(_asked(downloads, customer, devices[2], title, lab.request()))
    return pandas.DataFrame(asked)


def licences(downloads: DownloadService, customer: str) -> pandas.DataFrame:
    """Return the customer's licences in order of grant, with their rules' version and their expiry."""
    granted = [
        {
            "licence": key,
            "granted": f"{licence.periods[id].begins:%Y-%m-%d %H:%M}",
            "rules": licence.periods[id].rules,
            "expires": f"{licence.periods[id].expires:%Y-%m-%d %H:%M}",
        }
        for key, licence in downloads.repository.load_all(customer, License).items()
        for id in licence.licences
    ]
    return pandas.DataFrame(sorted(granted, key=lambda licence: licence["granted"]))


def _asked(downloads: DownloadService, customer: str, device: str, title: str, request: Request) -> dict[str, Any]:
    answer = downloads.request_download(customer, device, title, request)
    granted = isinstance(answer, Granted)
    return {
        "device": device,
        "request made": f"{request.time:%Y-%m-%d %H:%M}",
        "arrives": f"{downloads.repository.clock():%Y-%m-%d %H:%M}",
        "rules": downloads.rules.at(request.time).version,
        "answer": "granted" if granted else "rejected",
        "used": f"{answer.used} of {answer.limit}" if granted else f"{answer.count} of {answer.limit}",
    }
