"""The command handlers: pure functions from an `Ask` to events; they raise `Refused` if a rule forbids the command."""

from datetime import datetime, timedelta
from uuid import UUID

from eslab import Event, Request
from eslab.domains.downloads.commands import Renew, RequestDownload, Revoke
from eslab.domains.downloads.devices import DownloadHeld, HoldEnded, HoldExpired, HoldRenewed
from eslab.domains.downloads.downloaded import DownloadCounted
from eslab.domains.downloads.license import (
    LicenseExpired,
    LicenseIssued,
    LicenseReleased,
    LicenseRenewed,
    LicenseRevoked,
    PlaybackStarted,
)
from eslab.domains.downloads.rules import Ask, allow

# The licences or periods that one command records; more would not fit into an append. A further command does the rest.
MOST_AT_ONCE = 1_000


def counted(ask: Ask, request: Request) -> DownloadCounted:
    """The event that counts a download."""
    return DownloadCounted(request.id, ask.command.device, request.time, ask.rules_version, ask.studio_name)


def issued(ask: Ask, request: Request) -> LicenseIssued:
    """The event that issues a licence, named by the request."""
    hours = ask.studio.hours_after_first_play
    return LicenseIssued(request.id, request.time, _expiry(ask), hours, ask.rules_version, ask.studio_name)


def held(ask: Ask, request: Request) -> DownloadHeld:
    """The event by which the device holds the title."""
    assert isinstance(ask.command, RequestDownload)
    command = ask.command
    return DownloadHeld(
        request.id,
        command.device,
        command.title,
        request.time,
        command.plan,
        ask.plans_version,
        ask.rules_version,
        ask.studio_name,
    )


def play(ask: Ask, request: Request) -> list[Event]:
    """Record the first play in every period of the licence that goes on; a later play needs no event."""
    allow(ask)
    started = []
    for name in ask.licence.names(ask.license_id):
        end = ask.licence.period_end(name)
        first = ask.licence.played.get(name)
        # A play that is reported late may be earlier than the first one known.
        if (end is None or end > request.time) and (first is None or first > request.time):
            started.append(PlaybackStarted(ask.license_id, name, request.time))
    return started[:MOST_AT_ONCE]


def renew(ask: Ask, request: Request) -> list[Event]:
    """Add a period, named by the request; the device holds the title again if its place was free."""
    allow(ask)
    assert isinstance(ask.command, Renew)
    id = ask.license_id
    hours = ask.studio.hours_after_first_play
    plan = ask.command.plan
    return [
        LicenseRenewed(id, request.id, request.time, _expiry(ask), hours, ask.rules_version, ask.studio_name),
        HoldRenewed(id, request.id, request.time, plan, ask.plans_version, ask.rules_version, ask.studio_name),
    ]


def release(ask: Ask, request: Request) -> list[Event]:
    """Give back the licence and those issued before it on the device, except those that are given back already."""
    allow(ask)
    # A device that asked several times, under several requests, has one file: deleting it gives back all of them.
    going = [id for id in (*ask.licence.before(ask.license_id), ask.license_id) if not ask.licence.over(id)]
    return [event for id in going[-MOST_AT_ONCE:] for event in (LicenseReleased(id, request.time), HoldEnded(id))]


def revoke(ask: Ask, request: Request) -> list[Event]:
    """Take the licence back; a second time needs no event."""
    allow(ask)
    assert isinstance(ask.command, Revoke)
    if ask.license_id in ask.licence.revoked:
        return []
    return [LicenseRevoked(ask.license_id, request.time, ask.command.reason), HoldEnded(ask.license_id)]


def expire(ask: Ask, request: Request) -> list[Event]:
    """Record the end of every period of the licence, except those recorded already."""
    allow(ask)
    names = [name for name in ask.licence.names(ask.license_id) if name not in ask.licence.expired]
    return [event for name in names[:MOST_AT_ONCE] for event in _expired(ask, name)]


def _expired(ask: Ask, name: UUID) -> list[Event]:
    end = ask.licence.period_end(name)
    return [LicenseExpired(ask.license_id, name, end), HoldExpired(ask.license_id, name)] if end else []


def _expiry(ask: Ask) -> datetime | None:
    """The end of a licence by the studio's rules; None if it lasts for ever."""
    days = ask.studio.licence_days
    return ask.time + timedelta(days=days) if days else None
