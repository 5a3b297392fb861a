"""The commands: what a customer, a device or the operator of the service may ask for.

The edge fills in plan and country when it makes the request; a retry keeps them, as it keeps the request's id.
"""

from uuid import UUID

from eslab import Command


# A request carries a hash of its command's type and fields; rename a class only with tag= holding the old name.
class RequestDownload(Command):
    """Keep a title on a device, to watch it offline."""

    device: str
    title: str
    plan: str = "standard"
    country: str = "US"


class StartPlayback(Command):
    """Play a title that is on the device."""

    device: str
    title: str
    license_id: UUID


class Renew(Command):
    """Extend a licence, ended or not, unless it was released or revoked."""

    device: str
    title: str
    license_id: UUID
    plan: str = "standard"
    country: str = "US"


class Release(Command):
    """Delete a title from a device, and give back its licence and those issued there before it."""

    device: str
    title: str
    license_id: UUID


class Revoke(Command):
    """Take a licence back, for example when the customer leaves the plan."""

    device: str
    title: str
    license_id: UUID
    reason: str = "left the plan"


class Expire(Command):
    """Record that a licence has ended, so that its place on the device is free."""

    device: str
    title: str
    license_id: UUID


DownloadCommand = RequestDownload | StartPlayback | Renew | Release | Revoke | Expire


class Deliver(Command):
    """Hand over the token of a licence; the service itself records the first time for each of its periods."""

    device: str
    title: str
    license_id: UUID


class TakeBack(Command):
    """Undo events that name a grant or a renewal, in these aggregates; `reconcile` and `take_back` send it."""

    name: UUID
    aggregates: list[str]
