"""Devices: which devices of a customer hold which downloads. Its id is `devices:all`.

Every grant, renewal and end of a licence touches it, so the limits of a plan are checked by one aggregate.
"""

from datetime import datetime
from uuid import UUID

from eslab import Aggregate, Event

ALL = "all"  # the key: a customer has one


# The names of events and fields are stored; rename a class only with tag= holding the old name.
class DownloadHeld(Event):
    """A device holds a title under a licence."""

    license_id: UUID
    device: str
    title: str
    time: datetime
    plan: str
    plans: int  # the version of the plans that decided
    rules: int  # the version of the studio rules that decided


class HoldRenewed(Event):
    """The licence got another period, so the device holds the title again if it no longer did."""

    license_id: UUID
    renewal_id: UUID
    time: datetime
    plan: str
    plans: int
    rules: int


class HoldExpired(Event):
    """A period of the licence ended; when all of them have, its place is free."""

    license_id: UUID
    period: UUID


class HoldEnded(Event):
    """The licence was released or revoked: its place is free for good."""

    license_id: UUID


class Devices(Aggregate):
    """Who holds what, by licence."""

    holds: dict[UUID, DownloadHeld] = {}
    renewals: dict[UUID, HoldRenewed] = {}  # by their own request
    expired: set[UUID] = set()  # periods
    ended: set[UUID] = set()  # licences

    def apply(self, event: DownloadHeld | HoldRenewed | HoldExpired | HoldEnded) -> None:
        match event:
            case DownloadHeld():
                self.holds[event.license_id] = event
            case HoldRenewed():
                self.renewals[event.renewal_id] = event
            case HoldExpired():
                self.expired.add(event.period)
            case HoldEnded():
                self.ended.add(event.license_id)

    @property
    def held(self) -> list[DownloadHeld]:
        """What is on devices now; a licence that has ended by time stays until an expiry says so."""
        renewed = {renewal.license_id for name, renewal in self.renewals.items() if name not in self.expired}
        gone = self.ended | (self.expired - renewed)
        return [hold for license_id, hold in self.holds.items() if license_id not in gone]
