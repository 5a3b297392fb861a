"""Bytes of commits and snapshots, versioned and checked.

The payload of a commit is one msgpack array; one cell of the store carries everything (docs/architecture.md):

    [digest, format, commits, wish, events, crc32]

    digest   16 bytes, first: a hash over the plain commits of the whole append, in order of aggregate id.
             Two decisions of one request differ here first, so the bytewise greater payload is the same
             decision's in every aggregate that both touched (G1).
    format   1: events in plain msgpack; 2: the same compressed (eslab.payload.compression);
             3 and 4: 1 and 2 encrypted (eslab.payload.encryption)
    commits  how many commits the append wrote
    wish     8 bytes: a hash over the command's type and fields
    events   the events in order, each a map with its type and version: {"type": "ColorAdded:1", "color": "red"}
    crc32    4 bytes, last: over all bytes before, little-endian

Missing fields take their defaults, fields that are gone are ignored, and upcasters do the rest (G9). What can't be
trusted or understood is an `Unreadable`, never a state (G8).
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, reduce
from operator import or_
from typing import Any, Generic, Literal, TypeVar
from zlib import crc32

import msgspec

from eslab.errors import InvalidInput, Unreadable
from eslab.event import Event, oldest_reader, split_tag, tag_of
from eslab.payload.compression import compressed, decompressed
from eslab.payload.encoding import encode
from eslab.payload.upcast import FoldStep, Steps, Upcaster, checked_tag, run_step

FORMAT = 1
COMPRESSED = 2
ENCRYPTED = {FORMAT: 3, COMPRESSED: 4}  # by the format of what is encrypted
RESIDUE = 0x2144DF1C  # the CRC-32 of any message followed by its own CRC-32 in little-endian order
BRIDGE = b"\x81\xd5\x9d\x4c"  # leads the CRC-32 from where a whole payload leaves it back to where it begins
PLACEHOLDER = b"\0\0\0\0"
UNPARSABLE = (msgspec.MsgspecError, ValueError, RecursionError)  # a string that is no UTF-8 is a ValueError
NIL = msgspec.Raw(b"\xc0")
ANYTHING = msgspec.msgpack.Decoder()
BYTES = msgspec.msgpack.Decoder(bytes)
PLAIN_EVENTS = msgspec.msgpack.Decoder(list[dict[str, Any]])
RAW_EVENTS = msgspec.msgpack.Decoder(list[dict[str, msgspec.Raw]])
Body = TypeVar("Body")
Struct = TypeVar("Struct", bound=msgspec.Struct)
log = logging.getLogger(__name__)


class Envelope(msgspec.Struct, Generic[Body], frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """The payload of one commit; the body is `msgspec.Raw` or a list of events."""

    digest: bytes
    format: int
    commits: int
    command: bytes
    events: Body
    crc32: bytes = PLACEHOLDER


class _Known(Envelope[Body], Generic[Body], frozen=True):
    """An envelope of this format only, for reading a page without looking at each."""

    format: Literal[1]  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]


class _Untyped(msgspec.Struct, tag_field="type", tag=""):
    """Stands beside the event types, since msgspec lets the type of a single one be missing; never decoded."""

    def __post_init__(self) -> None:
        raise ValueError("an event without a type")


class VersionedSerializer:
    """Reads the events of one aggregate type, whatever version they were stored in.

    Reading takes the fast path a page at a time: all checksums, then one typed decode in C. Only a page that fails
    it is read commit by commit, and only a commit that holds older versions is read as plain maps and upcast.
    """

    def __init__(
        self, event_types: Sequence[type[Event]], upcasters: Mapping[str | tuple[str, ...], Upcaster] | None = None
    ) -> None:
        self.current = {split_tag(tag_of(t))[0]: t for t in event_types}
        if len(self.current) < len(event_types):
            raise InvalidInput(f"Expected event types with different names, got {[tag_of(t) for t in event_types]}.")
        self._steps = Steps(upcasters or {}, {tag_of(t) for t in event_types})
        union: Any = reduce(or_, event_types, _Untyped)
        self._page = msgspec.msgpack.Decoder(list[_Known[tuple[union, ...]]])
        self._commit = msgspec.msgpack.Decoder(list[union])

    def page(self, payloads: Sequence[bytes]) -> Sequence[Sequence[Event]]:
        """The events of many commits, in order; `Unreadable` says which payload failed, not where it stood."""
        # One checksum over all: damage to a payload moves the CRC for good, whatever whole payloads follow.
        if crc32(BRIDGE.join(payloads)) == RESIDUE:
            try:
                envelopes = self._page.decode(b"".join((_array_header(len(payloads)), *payloads)))
                return [envelope.events for envelope in envelopes]
            except UNPARSABLE:
                pass
        return [self.events(payload) for payload in payloads]

    def events(self, payload: bytes) -> list[Event]:
        """The events of one commit, older versions included."""
        stored = _plain_events(payload)
        try:
            return self._commit.decode(stored)
        except UNPARSABLE:
            # Values stay raw until a step asks for them: a field that is gone may hold what Python can't.
            raws = _decode(stored, RAW_EVENTS)
            typed = [{**raw, "type": _decode(raw.get("type", NIL), ANYTHING)} for raw in raws]
            upcast = self._steps.upcast(typed)
            return [event for raw in upcast if (event := self._event(raw)) is not None]

    def _event(self, raw: dict[str, Any]) -> Event | None:
        """The event of a plain map; None for one that its writer allowed every reader to pass over."""
        tag = checked_tag(raw)
        (name, version), since = split_tag(tag), oldest_reader(tag)
        event_type = self.current.get(name)
        if event_type is None and since == 0:
            log.debug("Passed over an event of type %s: its writer declared that any reader may", tag)
            return None
        if event_type is None:
            raise Unreadable(
                f"found event type {name} in version {version}, expected one of {', '.join(self.current)}; "
                "name it in the annotation of apply, or run the version of the code that knows it"
            )
        known = tag_of(event_type)
        if version > split_tag(known)[1] and (since is None or since > split_tag(known)[1]):
            raise Unreadable(
                f"found event type {name} in version {version}, newer than {known}, the newest known here; "
                "run the newer code"
            )
        try:
            return msgspec.msgpack.decode(encode({**raw, "type": known}), type=event_type)
        except UNPARSABLE as error:
            raise Unreadable(
                f"event type {name} in version {version} does not fit {known}: {error}; "
                f'give the field a default, or write an upcaster for "{name}:{version}"'
            ) from None


def encode_append(appended: Mapping[str, Sequence[Event]], command: bytes, key: bytes = b"") -> dict[str, bytes]:
    """The payloads of one append, by aggregate id: the same events and wish give the same bytes everywhere.

    The digest is under `key` if one is given: then it says nothing to who doesn't have it.
    """
    plain = {id: encode(appended[id]) for id in sorted(appended)}
    whole = encode([[id, msgspec.Raw(events)] for id, events in plain.items()])
    digest = hashlib.blake2b(whole, digest_size=16, key=key).digest()
    return {
        id: encode_envelope(Envelope(digest, FORMAT, len(plain), command, msgspec.Raw(events)))
        for id, events in plain.items()
    }


def decode_envelope(payload: bytes) -> Envelope[msgspec.Raw]:
    """The envelope of a commit, its checksum proved and its format known; its events may be encrypted."""
    envelope = decode_any(payload, Envelope[msgspec.Raw])
    if envelope.format not in (FORMAT, COMPRESSED, *ENCRYPTED.values()):
        raise Unreadable(f"found payload format {envelope.format}, expected {FORMAT}; run the newer code")
    return envelope


def _plain_events(payload: bytes) -> msgspec.Raw:
    envelope = decode_envelope(payload)
    if envelope.format in ENCRYPTED.values():
        raise Unreadable("its events are encrypted; declare `encrypted = True` in the aggregate type to read them")
    if envelope.format == COMPRESSED:
        return msgspec.Raw(decompressed(_decode(envelope.events, BYTES)))
    return envelope.events


def compress(payload: bytes) -> bytes:
    """The payload of a commit with its events compressed, if that makes it smaller; all else as it was."""
    envelope = decode_envelope(payload)
    body = msgspec.Raw(encode(compressed(bytes(envelope.events))))
    return min(payload, encode_envelope(msgspec.structs.replace(envelope, format=COMPRESSED, events=body)), key=len)


def raw_events(payload: bytes) -> list[dict[str, Any]]:
    """The events of one commit as plain maps, whatever their types: for people, and for older versions."""
    return _decode(_plain_events(payload), PLAIN_EVENTS)


class SnapshotEnvelope(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """The payload of one snapshot: the state of a type, and how many commits it adds up."""

    format: int
    type: str
    commits: int
    state: msgspec.Raw
    crc32: bytes = PLACEHOLDER


def encode_snapshot(type: str, commits: int, state: msgspec.Struct) -> bytes:
    """The payload of a snapshot; sets and maps are written in one order, so equal states give equal bytes."""
    return encode_envelope(SnapshotEnvelope(FORMAT, type, commits, msgspec.Raw(encode(state))))


def decode_snapshot(
    payload: bytes, type: str, state_type: type[Struct], steps: Iterable[FoldStep] = ()
) -> tuple[Struct, int]:
    """The state and the number of commits of a snapshot of `type`, upcast by `steps` from the fold that saved it."""
    envelope = decode_any(payload, SnapshotEnvelope)
    if (envelope.format, envelope.type) != (FORMAT, type):
        raise Unreadable(f"expected a snapshot of {type}, format {FORMAT}; found {envelope.type}, {envelope.format}")
    try:
        state = bytes(envelope.state)
        for step in steps:
            state = encode(run_step(step, msgspec.msgpack.decode(state)))
        return msgspec.msgpack.decode(state, type=state_type), envelope.commits
    except UNPARSABLE as error:
        raise Unreadable(f"the state can't be parsed: {error}") from None


def decode_any(payload: bytes, envelope_type: type[Struct]) -> Struct:
    """The envelope of a commit or a snapshot, its checksum proved, whatever its format."""
    if crc32(payload) != RESIDUE:
        raise Unreadable(f"the checksum of {len(payload)} bytes does not match: a bit flipped or bytes were cut")
    try:
        return _decoder(envelope_type).decode(payload)
    except UNPARSABLE as error:
        raise Unreadable(f"the envelope can't be parsed: {error}") from None


@cache
def _decoder(type: type[Struct]) -> msgspec.msgpack.Decoder[Struct]:
    return msgspec.msgpack.Decoder(type)


def _decode(events: msgspec.Raw, decoder: msgspec.msgpack.Decoder[Any]) -> Any:
    try:
        return decoder.decode(events)
    except UNPARSABLE as error:
        raise Unreadable(f"the events can't be parsed: {error}") from None


def encode_envelope(envelope: Envelope[Any] | SnapshotEnvelope) -> bytes:
    """The payload of a commit or a snapshot, with its checksum."""
    body = encode(envelope)[:-4]
    return body + crc32(body).to_bytes(4, "little")


def _array_header(length: int) -> bytes:
    return b"\xdd" + length.to_bytes(4)  # msgpack "array 32"
