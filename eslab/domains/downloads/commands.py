"""The wishes: what a customer, a device or the house may ask for.

Plan and country are as the edge knew them when the request was made; like its id they are kept through every retry.
"""

from uuid import UUID

from eslab import Command


class RequestDownload(Command):
    """Keep a title on a device, to watch it without a network."""

    device: str
    title: str
    plan: str = "standard"
    country: str = "US"


class StartPlayback(Command):
    """Watch what is on the device."""

    device: str
    title: str
    license_id: UUID


class Renew(Command):
    """Keep a title longer; what has ended begins anew, unless it was released or revoked."""

    device: str
    title: str
    license_id: UUID
    plan: str = "standard"
    country: str = "US"


class Release(Command):
    """Delete a title from a device: the licence, and those issued there before it, are given back."""

    device: str
    title: str
    license_id: UUID


class Revoke(Command):
    """Take a licence back, such as when the customer leaves the plan."""

    device: str
    title: str
    license_id: UUID
    reason: str = "left the plan"


class Expire(Command):
    """Note that a licence has ended, so that its place on the device is free."""

    device: str
    title: str
    license_id: UUID


DownloadCommand = RequestDownload | StartPlayback | Renew | Release | Revoke | Expire
