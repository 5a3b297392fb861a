"""Golden bytes of the downloads' events: every shape that was ever stored, kept for ever and loaded by the tests (G9).

    python -m tests.domains.downloads.golden          writes the files of the newest shape that are missing

Each folder data/golden/downloads-N holds one commit of each aggregate, and beside it the same events in JSON. Folder 1
was written before events named the studio that decided and before deliveries were recorded; folder 2 with both. When an
event changes again, add a folder and leave the older ones as they are.
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
from tests.support.sample import ROOT

GOLDEN = ROOT / "data" / "golden"
FOLDERS = [GOLDEN / f"downloads-{number}" for number in (1, 2)]
TYPES = {"devices": Devices, "downloaded": Downloaded, "license": License}
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
    payloads = encode_append(EVENTS, command_hash(RequestDownload("phone", "glow")))
    write_missing(FOLDERS[-1], {id.partition(":")[0]: (payload, EVENTS[id]) for id, payload in payloads.items()})


if __name__ == "__main__":
    main()
