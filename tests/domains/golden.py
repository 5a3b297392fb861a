"""Golden bytes of the domains' events: every shape that was ever stored, kept for ever and loaded by the tests (G9).

    python -m tests.domains.golden          writes the files of the newest shapes that are missing

Each folder data/golden/DOMAIN-N holds one commit of each aggregate, and beside it its row and events in JSON. When an
event changes, add a folder and leave the older ones as they are.

The downloads' events of folder 1 are from before they named the studio that decided and before deliveries were
recorded; those of folder 2 have both.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from eslab import Aggregate, Command, Event
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.devices import Devices, DownloadHeld, HoldEnded, HoldExpired, HoldRenewed
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded, DownloadVoided
from eslab.domains.downloads.license import (
    License,
    LicenseDelivered,
    LicenseExpired,
    LicenseIssued,
    LicenseReleased,
    LicenseRenewed,
    LicenseRevoked,
    PlaybackStarted,
    RenewalVoided,
)
from eslab.domains.ledger import MOST, Account, Deposited, Reversed, Withdraw, Withdrawn
from eslab.payload.serializer import command_hash, encode_append
from tests.domains.downloads.support import id_at, time_at
from tests.support.golden import write_missing
from tests.support.sample import ROOT, at

CUSTOMER = "ann"
L, R = id_at(0, "licence"), id_at(20, "renewal")


class Golden(NamedTuple):
    """The golden bytes of a domain: its aggregates by the names of files, and one commit of each in today's shape."""

    domain: str
    shapes: int
    types: Mapping[str, type[Aggregate]]
    events: Mapping[str, Sequence[Event]]  # by aggregate id
    command: Command

    @property
    def folders(self) -> list[Path]:
        """The folders of all shapes, the newest last."""
        return [ROOT / "data" / "golden" / f"{self.domain}-{number + 1}" for number in range(self.shapes)]


DOWNLOADS = Golden(
    "downloads",
    2,
    {"devices": Devices, "downloaded": Downloaded, "license": License},
    {
        "devices:all": [
            DownloadHeld(L, "phone", "glow", time_at(0), "standard", 1, 1, "Netflix"),
            HoldRenewed(L, R, time_at(20), "premium", 2, 3, "MGM"),
            HoldExpired(L, L),
            HoldEnded(L),
        ],
        "downloaded:glow": [DownloadCounted(L, "phone", time_at(0), 1, "Netflix"), DownloadVoided(L, "Netflix")],
        "license:phone/glow": [
            LicenseIssued(L, time_at(0), time_at(30), 48, 1, "Netflix"),
            LicenseRenewed(L, R, time_at(20), None, None, 3, "MGM"),
            PlaybackStarted(L, L, time_at(1)),
            LicenseDelivered(L, R, time_at(20)),
            LicenseExpired(L, L, time_at(30)),
            LicenseReleased(L, time_at(31)),
            LicenseRevoked(L, time_at(32), "left the plan"),
            RenewalVoided(L, R),
        ],
    },
    RequestDownload("phone", "glow"),
)
LEDGER = Golden(
    "ledger",
    1,
    {"account": Account},
    {"account:1": [Deposited("EUR", MOST, "Glück"), Withdrawn("JPY", 1, ""), Reversed(id_at(1), "EUR", 280)]},
    Withdraw("EUR", 280, "coffee"),
)
DOMAINS = [DOWNLOADS, LEDGER]


def main() -> None:
    """Write the files of the newest shapes that are missing."""
    event_time = at(0).event_time
    for golden in DOMAINS:
        payloads = encode_append(CUSTOMER, event_time, golden.events, command_hash(golden.command))
        row = {"customer": CUSTOMER, "event_time": event_time}
        write_missing(
            golden.folders[-1],
            {
                id.partition(":")[0]: (payload, {**row, "aggregate": id, "events": golden.events[id]})
                for id, payload in payloads.items()
            },
        )


if __name__ == "__main__":
    main()
