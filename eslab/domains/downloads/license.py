"""License: the licences of one device for one title. Its id is `license:DEVICE/TITLE`.

A licence is named by the request that asked for it. It has periods: one for its issue, named like the licence, and one
for each renewal, named by the renewal's request. A period ends at its expiry, or a number of hours after the first play
that names it, whichever is earlier; the licence ends with the latest of its periods. Once released or revoked, it has
ended for good.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec

from eslab import Aggregate, Event, version
from eslab.errors import InvalidInput


def license_key(device: str, title: str) -> str:
    """The key of a licence; a slash in the device's name is refused, since two keys could become one."""
    if not device or "/" in device:
        raise InvalidInput(f"Expected a device name without '/', got {device!r}.")
    return f"{device}/{title}"


# The names of events and fields are stored; rename a class only with tag= holding the old name.
class LicenseIssued(Event):
    """A licence was issued; its id is the id of the request that asked for it."""

    license_id: UUID
    time: datetime
    expires: datetime | None = None  # None: never
    play_hours: int | None = None  # after the first play; None: no limit
    rules: int = 0  # the version of the studio rules that decided; 0: from before it was kept
    studio: str | None = None  # whose rules decided; None: from before it was kept


class LicenseRenewed(Event):
    """A licence got another period."""

    license_id: UUID
    renewal_id: UUID
    time: datetime
    expires: datetime | None
    play_hours: int | None
    rules: int
    studio: str | None = None


class PlaybackStarted(Event):
    """The title was played for the first time in a period of the licence."""

    license_id: UUID
    period: UUID
    time: datetime


# `since=0`: services from before it may skip it, since it only says what nobody else needs to know.
class LicenseDelivered(Event, tag=version(1, since=0)):
    """A token that covers a period of the licence was signed for the first time, and went out with the answer."""

    license_id: UUID
    period: UUID
    time: datetime


class LicenseExpired(Event):
    """A period of the licence has ended; other periods may go on."""

    license_id: UUID
    period: UUID
    time: datetime


class LicenseReleased(Event):
    """The title was deleted from the device."""

    license_id: UUID
    time: datetime


class LicenseRevoked(Event):
    """The licence was taken back; this wins over every other event."""

    license_id: UUID
    time: datetime
    reason: str


class RenewalVoided(Event):
    """A renewal that exceeded a limit was taken back; its period no longer counts, even if it arrives later."""

    license_id: UUID
    renewal_id: UUID


class Period(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A time during which the title may be played."""

    license_id: UUID
    begins: datetime
    expires: datetime | None
    play_hours: int | None
    rules: int
    studio: str | None = None


class Status(NamedTuple):
    """The state of a licence, and since when; only an active one is signed."""

    state: Literal["active", "revoked", "released", "expired", "not known here yet"]
    since: datetime | None = None

    def __str__(self) -> str:
        return f"{self.state} since {self.since:%Y-%m-%d %H:%M} UTC" if self.since else self.state


class License(Aggregate):
    """The licences of a device for a title: their periods, and the earliest time of everything that ended them."""

    fold_version = 3

    # Maps and sets by name, so that `apply` commutes: a play or an end may arrive before the period that it names.
    periods: dict[UUID, Period] = {}  # by the request that began the period
    played: dict[UUID, datetime] = {}  # by period
    delivered: dict[UUID, datetime] = {}  # by period
    expired: dict[UUID, datetime] = {}  # by period
    released: dict[UUID, datetime] = {}
    revoked: dict[UUID, datetime] = {}
    voided: set[UUID] = set()  # renewals

    def apply(
        self,
        event: LicenseIssued
        | LicenseRenewed
        | PlaybackStarted
        | LicenseDelivered
        | LicenseExpired
        | LicenseReleased
        | LicenseRevoked
        | RenewalVoided,
    ) -> None:
        match event:
            case LicenseIssued():
                self.periods[event.license_id] = _period(event)
            case LicenseRenewed():
                self.periods[event.renewal_id] = _period(event)
            case PlaybackStarted():
                _keep_earliest(self.played, event.period, event.time)
            case LicenseDelivered():
                _keep_earliest(self.delivered, event.period, event.time)
            case LicenseExpired():
                _keep_earliest(self.expired, event.period, event.time)
            case LicenseReleased():
                _keep_earliest(self.released, event.license_id, event.time)
            case LicenseRevoked():
                _keep_earliest(self.revoked, event.license_id, event.time)
            case RenewalVoided():
                self.voided.add(event.renewal_id)

    def issued(self, license_id: UUID) -> bool:
        """Has the issue of this licence arrived here?"""
        return license_id in self.periods and self.periods[license_id].license_id == license_id

    def names(self, license_id: UUID) -> list[UUID]:
        """The names of the licence's periods, in order of their beginning."""
        named = [name for name, period in self.periods.items() if period.license_id == license_id]
        return sorted((name for name in named if name not in self.voided), key=self._begin)

    def is_delivered(self, license_id: UUID) -> bool:
        """Did a token go out since the licence was granted or renewed last?"""
        return self.names(license_id)[-1] in self.delivered

    def renewals(self, license_id: UUID | None = None) -> list[UUID]:
        """The renewals of a licence, or of all licences here, in order."""
        renewals = [
            name
            for name, period in self.periods.items()
            if name != period.license_id and license_id in (None, period.license_id)
        ]
        return sorted((name for name in renewals if name not in self.voided), key=self._begin)

    def before(self, license_id: UUID) -> list[UUID]:
        """The licences that were issued here before this one, in order."""
        return [name for name in self.licences if self._begin(name) < self._begin(license_id)]

    @property
    def licences(self) -> list[UUID]:
        """The licences that were issued here, in order."""
        return sorted(filter(self.issued, self.periods), key=self._begin)

    def period_end(self, name: UUID) -> datetime | None:
        """The end of a period: the earlier of its expiry and its first play plus the allowed hours; None is never."""
        period = self.periods[name]
        ends = [self.expired.get(name), period.expires]
        if name in self.played and period.play_hours is not None:
            ends.append(self.played[name] + timedelta(hours=period.play_hours))
        return min((end for end in ends if end), default=None)

    def end(self, license_id: UUID) -> datetime | None:
        """The end of the last of the licence's periods; None is never."""
        ends = [self.period_end(name) for name in self.names(license_id)]
        return None if None in ends else max((end for end in ends if end), default=None)

    def over(self, license_id: UUID) -> Status | None:
        """The status of a revoked or released licence, whenever that happened; None if it is neither."""
        if license_id in self.revoked:
            return Status("revoked", self.revoked[license_id])
        if license_id in self.released:
            return Status("released", self.released[license_id])
        return None

    def status(self, license_id: UUID, now: datetime) -> Status:
        """The status of a licence at a moment; revoked wins over released, and released over expired."""
        if over := self.over(license_id):
            return over
        if not self.issued(license_id):
            return Status("not known here yet")  # events that name it have arrived before its issue
        end = self.end(license_id)
        return Status("expired", end) if end and end <= now else Status("active")

    def _begin(self, name: UUID) -> tuple[datetime, UUID]:
        return self.periods[name].begins, name


def _period(event: LicenseIssued | LicenseRenewed) -> Period:
    return Period(event.license_id, event.time, event.expires, event.play_hours, event.rules, event.studio)


def _keep_earliest(times: dict[UUID, datetime], name: UUID, time: datetime) -> None:
    times[name] = min(time, times.get(name, time))
