"""The checksum of the payloads that belong to one place: damaged bytes and copied rows are found in one pass.

A CRC-32 that begins, instead of from zero, from a hash of the place: of customer and aggregate for commits, of the
whole key for a snapshot. So a payload that was copied to another place is as wrong there as a damaged one (G8), and
the proof costs what the CRC costs anyway.

The checksum is appended in little-endian order. Then the CRC of every whole payload is one constant, `RESIDUE`,
wherever it began. Four bytes, the bridge, lead from there back to where the place begins. So one call over the payloads
of a page, joined by the bridge, proves them all.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any
from uuid import UUID
from zlib import crc32

import msgspec

RESIDUE = 0x2144DF1C  # the CRC-32 of any message followed by its own CRC-32 in little-endian order
ONES = 0xFFFFFFFF  # zlib gives the register of the CRC with all bits flipped
# For the highest byte of a register: what undoes the step that a byte took it there.
BACK = {table >> 24: table << 8 ^ byte for byte in range(256) for table in [crc32(bytes([byte]), ONES) ^ ONES]}


class Checksum:
    """The checksum of the payloads of one place. Making one costs 1 to 2 µs, its bridge as much on first use."""

    def __init__(self, start: int, place: str) -> None:
        self.start = start
        self.place = place  # the parts that it covers, as messages name them

    @classmethod
    def of_commits(cls, customer_id: str, aggregate_id: str) -> "Checksum":
        """The checksum of the commits of one aggregate."""
        return cls(_start("commit", customer_id, aggregate_id), "customer or aggregate")

    @classmethod
    def of_snapshot(cls, customer_id: str, aggregate_id: str, up_to: UUID, fold: int) -> "Checksum":
        """The checksum of one snapshot."""
        start = _start("snapshot", customer_id, aggregate_id, up_to.bytes, fold)
        return cls(start, "customer, aggregate, time or fold")

    def seal(self, body: bytes) -> bytes:
        """The payload: a body and its checksum."""
        return body + crc32(body, self.start).to_bytes(4, "little")

    def proves(self, payload: bytes) -> bool:
        """Is this a whole payload of this place?"""
        return crc32(payload, self.start) == RESIDUE

    def proves_page(self, payloads: Sequence[bytes]) -> bool:
        """Are all of these whole payloads of this place? One call of CRC-32; False for an empty page.

        Damage to one payload changes the CRC for good, whatever whole payloads follow. Damage to several goes unseen
        once in 2^32, as it does payload by payload.
        """
        joined = payloads[0] if len(payloads) == 1 else self.bridge.join(payloads)
        return self.proves(joined)

    @cached_property
    def bridge(self) -> bytes:
        """The four bytes that lead the CRC from where a whole payload leaves it back to where this place begins."""
        register = self.start ^ ONES
        for _ in range(4):
            register = (register << 8 ^ BACK[register >> 24]) & ONES
        return (register ^ RESIDUE ^ ONES).to_bytes(4, "little")


def _start(*place: Any) -> int:
    return int.from_bytes(hashlib.blake2b(msgspec.msgpack.encode(place), digest_size=4).digest())
