"""Versions of rules, each in force from the start of its day in UTC until the next one starts.

The version in force at the time of the request decides, however late the request arrives. So a version that was ever in
force never changes, and a new one starts late enough for every service to have it by then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Generic, Protocol, TypeVar

import msgspec

from eslab.clock import to_ms
from eslab.domains.downloads.files import Toml, read_toml
from eslab.errors import InvalidInput

NOTICE = timedelta(days=1)  # from a version's arrival to its start; more than any request may be early
Number = Annotated[int, msgspec.Meta(ge=1)]


class Version(Protocol):
    """The attributes that every version has: its number and the day on which it starts."""

    @property
    def version(self) -> int: ...
    @property
    def effective_from(self) -> date: ...


V = TypeVar("V", bound=Version)


@dataclass(frozen=True)
class Versions(Generic[V]):
    """All versions of some rules, oldest first."""

    versions: tuple[V, ...]
    invented: bool = False  # are the figures made up, for teaching?

    def at(self, time: datetime) -> V:
        """The version in force at a time.

        Raises `InvalidInput` for a time before the first version, or without a time zone.
        """
        to_ms(time)  # refuses a time without a zone
        started = [version for version in self.versions if _start(version) <= time]
        if not started:
            first = self.versions[0].effective_from
            raise InvalidInput(f"Expected a time from {first} on, when the first rules start, got {time}.")
        return started[-1]

    def numbered(self, number: int, time: datetime) -> V | None:
        """The version that an event names; for an event from before versions were kept (0), the one of its time.

        None if this service doesn't know it: no other version may take its place.
        """
        known = [version for version in self.versions if number in (0, version.version)]
        started = [version for version in known if number or _start(version) <= time]
        return started[-1] if started else None

    def grown_to(self, newer: "Versions[V]", now: datetime) -> "Versions[V]":
        """`newer`, if it only adds versions that start more than a day after `now`; otherwise `InvalidInput`."""
        for index, known in enumerate(self.versions):
            if newer.versions[index : index + 1] != (known,):
                raise InvalidInput(
                    f"Version {known.version} was changed or removed, but grants may have been decided by it. "
                    "Restore it, and add a version that starts in the future."
                )
        for added in newer.versions[len(self.versions) :]:
            if _start(added) <= now + NOTICE:
                raise InvalidInput(
                    f"Expected version {added.version} to start after {now + NOTICE:%Y-%m-%d %H:%M} UTC, a day from "
                    f"now, got {added.effective_from}: services would decide differently. Give it a later day."
                )
        return newer


def _start(version: Version) -> datetime:
    """The moment from which a version is in force."""
    return datetime.combine(version.effective_from, time(), UTC)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    versions: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]
    invented: bool = False


def load_versions(path: Path, read_version: Callable[[Toml, dict[str, Any], int], V]) -> Versions[V]:
    """The versions of a TOML file, read one by one; `InvalidInput` names file, line and key."""
    toml = read_toml(path)
    file = toml.checked(toml.content, _File)
    versions = tuple(read_version(toml, raw, index) for index, raw in enumerate(file.versions))
    for index, (earlier, later) in enumerate(pairwise(versions), 1):
        if not (earlier.version < later.version and earlier.effective_from < later.effective_from):
            raise InvalidInput(
                f"{toml.place('versions', index)}: Expected a number above {earlier.version} and a start after "
                f"{earlier.effective_from}, found {later.version} and {later.effective_from}; "
                "put versions in order, each with its own day."
            )
    return Versions(versions, file.invented)
