"""Delivery: licences that were granted and whose token never went out.

A service may die between the append and the signature, and a DRM server may not answer. Then the licence is recorded,
counts and holds a place, but plays nowhere until its device sends the request again. Whether a token went out is an
event of the licence, written after the signature and before the answer, once for each grant and each renewal.

    for grant in find_undelivered(repository, "ann"):
        service.deliver("ann", grant.device, grant.title, grant.license_id).token       # finish it, or
        service.take_back("ann", grant)                                                 # give it back
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from eslab import Repository, Request
from eslab.domains.downloads.commands import Deliver
from eslab.domains.downloads.license import License, LicenseDelivered, license_key
from eslab.domains.downloads.overshoot import Grant
from eslab.errors import EslabError

REASON = "never delivered"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Undelivered(Grant):
    """A grant or a renewal whose token never went out, though its licence is active."""

    customer: str
    time: datetime  # of the request

    def __str__(self) -> str:
        granted = f"{'renewed' if self.renewal else 'granted'} {self.time:%Y-%m-%d %H:%M} UTC"
        return f"{self.customer}: {self.title} on {self.device}, licence {self.license_id}, {granted} by {self.name}"


def find_undelivered(repository: Repository, customer: str, before: datetime | None = None) -> list[Undelivered]:
    """A customer's active licences of which no token went out since they were granted or renewed last.

    Only those requested before a moment, if one is given: a request that is being answered looks the same. Licences
    that were signed by a service from before deliveries were recorded are found too, until they end or are asked for
    again. Two waits on the store.
    """
    licences = repository.load_all(customer, License)
    return [
        grant
        for key, licence in licences.items()
        for grant in _undelivered(customer, key, licence, repository.clock())
        if before is None or grant.time < before
    ]


def record_delivery(repository: Repository, customer: str, command: Deliver) -> None:
    """Record that a token went out, unless that is known. One read and one append.

    A failure is logged and not raised: the token is signed, and the licence is found as undelivered until another is.
    """
    now = repository.clock()
    try:
        work = repository.begin(customer, Request.at(now, f"delivered:{command.license_id}"), command)
        (licence,) = work.load((License, license_key(command.device, command.title)))
        if not work.recorded and not licence.is_delivered(command.license_id):
            period = licence.names(command.license_id)[-1]
            work.add(licence, LicenseDelivered(command.license_id, period, now))
            work.append()
    except EslabError as error:
        log.warning("The delivery of licence %s is not recorded: %s", command.license_id, error)


def _undelivered(customer: str, key: str, licence: License, now: datetime) -> Iterator[Undelivered]:
    device, _, title = key.partition("/")
    for id in licence.licences:
        if licence.status(id, now).state == "active" and not licence.is_delivered(id):
            name = licence.names(id)[-1]
            period = licence.periods[name]
            yield Undelivered(name, id, device, title, period.studio or "", customer, period.begins)
