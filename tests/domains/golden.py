"""Golden bytes of the downloads' events: every shape that was ever stored, kept for ever and loaded by the tests (G9).

    python -m tests.domains.downloads.golden          writes the files of the newest shape that are missing

Each folder data/golden/downloads-N holds one commit of each aggregate, and beside it its row and events in JSON. The
events of folder 1 are from before they named the studio that decided and before deliveries were recorded; those of
folder 2 have both. When an event changes again, add a folder and leave the older ones as they are.
"""

from collections.abc import Mapping, Sequence

from eslab import Event
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
from eslab.payload.serializer import command_hash, encode_append
from tests.domains.downloads.support import id_at, time_at
from tests.support.golden import write_missing
from tests.support.sample import ROOT, at

GOLDEN = ROOT / "data" / "golden"
FOLDERS = [GOLDEN / f"downloads-{number}" for number in (1, 2)]
TYPES = {"devices": Devices, "downloaded": Downloaded, "license": License}
CUSTOMER = "ann"
L, R = id_at(0, "licence"), id_at(20, "renewal")

EVENTS: Mapping[str, Sequence[Event]] = {
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
}


def main() -> None:
    """Write the files of the newest shape that are missing."""
    event_time = at(0).event_time
    payloads = encode_append(CUSTOMER, event_time, EVENTS, command_hash(RequestDownload("phone", "glow")))
    row = {"customer": CUSTOMER, "event_time": event_time}
    write_missing(
        FOLDERS[-1],
        {
            id.partition(":")[0]: (payload, {**row, "aggregate": id, "events": EVENTS[id]})
            for id, payload in payloads.items()
        },
    )


if __name__ == "__main__":
    main()
