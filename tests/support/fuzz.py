"""Search, guided by coverage, for bytes that make reading do anything but give a value or an `Unreadable` (G8).

    python -m tests.support.fuzz -max_total_time=60                 ends with the bytes that broke it, if there are any

Begins from the golden bytes. Each input is tried as it is and with its checksum made right, as an attacker would.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import atheris

with atheris.instrument_imports(include=["eslab"]):
    from eslab.errors import Unreadable
    from eslab.payload.checksum import Checksum
    from eslab.payload.serializer import (
        SnapshotEnvelope,
        VersionedSerializer,
        decode_any,
        decode_envelope,
        decode_state,
        raw_events,
    )
    from tests.support import golden


def moved(old: dict[str, Any]) -> dict[str, Any]:
    """An upcaster, so that the raw form is walked too."""
    return {**old, "type": "Moved:2"}


serializer = VersionedSerializer([golden.Shelved, golden.Moved, golden.Removed], {"Moved:1": moved})
CHECKSUM = Checksum.of_commits(golden.CUSTOMER, "shelf:top")
READERS: list[Callable[[bytes], object]] = [
    lambda payload: serializer.page([payload], CHECKSUM),
    lambda payload: serializer.page([payload, payload], CHECKSUM),
    lambda payload: serializer.events(payload, CHECKSUM),
    lambda payload: decode_envelope(payload, CHECKSUM),
    lambda payload: raw_events(decode_envelope(payload, CHECKSUM)),
    lambda payload: decode_state(decode_any(payload, SnapshotEnvelope, CHECKSUM), "shelf", golden.Shelf),
]


def try_all(data: bytes) -> None:
    """Every reader, on the bytes and on the same with a right checksum."""
    for payload in (data, CHECKSUM.seal(data[:-4])):
        for read in READERS:
            with contextlib.suppress(Unreadable):
                read(payload)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as found:
        atheris.Setup([*sys.argv, "-timeout=5", "-max_len=4096", found, str(golden.FOLDER)], try_all)
        atheris.Fuzz()
