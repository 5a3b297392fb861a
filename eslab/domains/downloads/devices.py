"""Devices: the downloads that a customer's devices hold. Its id is `devices:all`.

Every grant, renewal and end of a licence touches it, so a plan's limits are checked on one aggregate.
"""

from datetime import datetime
from uuid import UUID

from eslab import Aggregate, Event

ALL = "all"  # the key: there is one for each customer


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
    studio: str | None = None  # whose rules decided; None: from before it was kept


class HoldRenewed(Event):
    """The licence got another period, so the device holds the title again if its place was free."""

    license_id: UUID
    renewal_id: UUID
    time: datetime
    plan: str
    plans: int
    rules: int
    studio: str | None = None


class HoldExpired(Event):
    """A period of the licence ended; its place is free once all its periods have ended."""

    license_id: UUID
    period: UUID


class HoldEnded(Event):
    """The licence was released or revoked: its place is free for good."""

    license_id: UUID


class Devices(Aggregate):
    """The downloads that devices hold, by licence."""

    fold_version = 2

    # Maps and sets by name, so that `apply` commutes: an end may arrive before the hold that it names.
    holds: dict[UUID, DownloadHeld] = {}
    renewals: dict[UUID, HoldRenewed] = {}  # by the renewal's request
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
        """The downloads on devices now; a licence past its end keeps its place until an expiry is recorded."""
        renewed = {renewal.license_id for name, renewal in self.renewals.items() if name not in self.expired}
        gone = self.ended | (self.expired - renewed)
        return [hold for license_id, hold in self.holds.items() if license_id not in gone]
