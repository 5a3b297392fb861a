"""License: what one device may play of one title. Its id is `license:DEVICE/TITLE`."""

from datetime import datetime
from uuid import UUID

from eslab import Aggregate, Event
from eslab.errors import InvalidInput


# The names of events and fields are stored; rename a class only with tag= holding the old name.
class LicenseIssued(Event):
    """A licence was issued; its id is the id of the request that asked for it."""

    license_id: UUID
    time: datetime


class License(Aggregate):
    """The licences issued to a device for a title, by licence id."""

    issued: dict[UUID, datetime] = {}

    def apply(self, event: LicenseIssued) -> None:
        self.issued[event.license_id] = event.time


def license_key(device: str, title: str) -> str:
    """The key of a licence; a slash in the device's name is refused, since two keys could become one."""
    if not device or "/" in device:
        raise InvalidInput(f"Expected a device name without '/', got {device!r}.")
    return f"{device}/{title}"
