"""G8, at full speed: one checksum over a page of payloads detects whatever a checksum of each payload detects."""

from collections.abc import Sequence
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import Event, Unreadable
from eslab.payload.checksum import RESIDUE, Checksum
from eslab.payload.serializer import VersionedSerializer
from tests.support.sample import at, commits


class Noted(Event):
    text: str


serializer = VersionedSerializer([Noted])
CHECKSUM = Checksum.of_commits("ann", "note:1")
texts = st.lists(st.text(max_size=60), min_size=1, max_size=20)


def page(texts: Sequence[str]) -> list[bytes]:
    return [commits(at(n), {"note:1": [Noted(text)]})[0].payload for n, text in enumerate(texts)]


@given(texts)
def test_a_whole_page_has_the_residue_of_one_payload(texts: list[str]) -> None:
    """Payloads joined by the bridge have the checksum of one whole payload, so the fast path is taken."""
    assert crc32(CHECKSUM.bridge.join(page(texts)), CHECKSUM.start) == RESIDUE
    read = serializer.page(page(texts), CHECKSUM)
    assert [[event.text for event in events] for events in read] == [[t] for t in texts]


@given(texts, st.data())
def test_a_flipped_bit_anywhere_is_detected(texts: list[str], data: st.DataObject) -> None:
    """One flipped bit in any payload of a page is never decoded, whatever follows it."""
    payloads = page(texts)
    at = data.draw(st.integers(0, len(payloads) - 1))
    bit = data.draw(st.integers(0, len(payloads[at]) * 8 - 1))
    payloads[at] = (int.from_bytes(payloads[at]) ^ 1 << bit).to_bytes(len(payloads[at]))
    with pytest.raises(Unreadable):
        serializer.page(payloads, CHECKSUM)


@given(texts, st.data())
def test_a_cut_payload_is_detected(texts: list[str], data: st.DataObject) -> None:
    """A payload that lost its tail, or all of its bytes, is never decoded."""
    payloads = page(texts)
    at = data.draw(st.integers(0, len(payloads) - 1))
    payloads[at] = payloads[at][: data.draw(st.integers(0, len(payloads[at]) - 1))]
    with pytest.raises(Unreadable):
        serializer.page(payloads, CHECKSUM)


@given(texts, st.data())
def test_bytes_that_moved_to_the_next_payload_are_detected(texts: list[str], data: st.DataObject) -> None:
    """The same bytes, divided at another place, are not a page."""
    payloads = page(["first", *texts])
    at = data.draw(st.integers(0, len(payloads) - 2))
    moved = data.draw(st.integers(1, len(payloads[at])))
    cut = len(payloads[at]) - moved
    payloads[at], payloads[at + 1] = payloads[at][:cut], payloads[at][cut:] + payloads[at + 1]
    with pytest.raises(Unreadable):
        serializer.page(payloads, CHECKSUM)


@given(st.text(), st.text(), st.binary(max_size=60))
def test_G8_the_residue_is_one_constant_wherever_a_checksum_begins(customer: str, id: str, body: bytes) -> None:
    """A whole payload leads from the start of its place to the residue, and the bridge from there back to the start."""
    checksum = Checksum.of_commits(customer, id)
    assert crc32(checksum.seal(body), checksum.start) == RESIDUE
    assert crc32(checksum.bridge, RESIDUE) == checksum.start


@given(texts, st.data())
def test_G8_a_payload_of_another_aggregate_in_a_page_is_detected(texts: list[str], data: st.DataObject) -> None:
    """A row's key is proved: one copied row among any number of whole ones is never decoded."""
    payloads = page(texts)
    (copied,) = commits(at(), {"note:2": [Noted("copied")]})
    payloads.insert(data.draw(st.integers(0, len(payloads))), copied.payload)
    with pytest.raises(Unreadable, match="copied from another customer or aggregate"):
        serializer.page(payloads, CHECKSUM)
