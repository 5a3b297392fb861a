"""The answer to a command that was granted, with its token or the reason for having none.

The answer to a command that a rule forbids is `rules.Refused`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from eslab import display
from eslab.domains.downloads.license import Status
from eslab.terminal import in_a_cell


@dataclass(frozen=True)
class Usage:
    """The downloads of a title that a customer has used of those that its studio allows in a year."""

    used: int
    limit: int | None  # None: no limit

    def __str__(self) -> str:
        return f"{self.used} of {'any number' if self.limit is None else self.limit}"


@dataclass(frozen=True)
class Granted:
    """The command is granted: the status of the licence now, and the token that lets the device play."""

    license_id: UUID
    title: str
    device: str
    status: Status
    ends: datetime | None  # None: never
    token: str | None = None
    unsigned: str | None = None  # why there is no token
    usage: Usage | None = None  # only in the answer to a request for a download
    repeated: bool = False  # True if the request had been decided before; nothing was written now

    @property
    def used(self) -> int | None:
        """The number of downloads of the title used in the year; None in the answer to another command."""
        return self.usage.used if self.usage else None

    @property
    def limit(self) -> int | None:
        """The number of downloads of the title allowed in a year; None if there is no limit, or no usage."""
        return self.usage.limit if self.usage else None

    def __repr__(self) -> str:
        usage = f", {self.usage} this year" if self.usage else ""
        token = "" if self.token else f", no token: {self.unsigned}"
        text = f"{self._heading}: {self.title} on {self.device}{usage}, licence {self.license_id}, {self.status}{token}"
        return in_a_cell(text)

    def _repr_html_(self) -> str:
        rows: dict[str, Any] = {
            "title": self.title,
            "device": self.device,
            "used this year": str(self.usage) if self.usage else None,
            "licence": self.license_id,
            "status": str(self.status),
            "ends": f"{self.ends:%Y-%m-%d %H:%M} UTC" if self.ends else "never",
            "token": f"{self.token[:24]}..." if self.token else f"none: {self.unsigned}",
        }
        return display.table(self._heading, rows, mark="✓")

    @property
    def _heading(self) -> str:
        return "Granted before" if self.repeated else "Granted"
