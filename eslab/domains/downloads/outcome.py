"""What a wish was answered: granted, with the token or with why there is none. A rejection is `rules.Refused`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from eslab import display
from eslab.domains.downloads.license import Status


@dataclass(frozen=True)
class Granted:
    """The wish is granted: how the licence stands now, and what the device may play by."""

    license_id: UUID
    title: str
    device: str
    status: Status
    ends: datetime | None  # None: never
    token: str | None = None
    unsigned: str | None = None  # why there is no token
    used: int | None = None  # of the year's downloads; None where the wish was not for a download
    limit: int | None = None  # None: the studio sets no limit
    repeated: bool = False  # True if the same request had been decided before; nothing was written now

    def __repr__(self) -> str:
        used = "" if self.used is None else f", {self._used} this year"
        token = "" if self.token else f", no token: {self.unsigned}"
        return f"{self._how}: {self.title} on {self.device}{used}, licence {self.license_id}, {self.status}{token}"

    def _repr_html_(self) -> str:
        rows: dict[str, Any] = {
            "title": self.title,
            "device": self.device,
            "used this year": None if self.used is None else self._used,
            "licence": self.license_id,
            "status": str(self.status),
            "ends": f"{self.ends:%Y-%m-%d %H:%M} UTC" if self.ends else "never",
            "token": f"{self.token[:24]}..." if self.token else f"none: {self.unsigned}",
        }
        return display.table(self._how, rows, mark="✓")

    @property
    def _how(self) -> str:
        return "Granted before" if self.repeated else "Granted"

    @property
    def _used(self) -> str:
        return f"{self.used} of {'any number' if self.limit is None else self.limit}"
