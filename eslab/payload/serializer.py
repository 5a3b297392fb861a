"""The bytes of commits and snapshots, versioned and checked.

The payload of a commit is one msgpack array; one cell of the store carries everything (docs/architecture.md):

    [digest, format, touched, command, events, crc32]

    digest   16 bytes, first: a hash over customer, event time and the plain commits of the whole append with their
             ids, in order of aggregate id. Two decisions of one request differ here first, so the bytewise greater
             payload is the same decision's in every aggregate that both touched (G1).
    format   1: events in plain msgpack; 2: the same compressed (compression.py);
             3 and 4: 1 and 2 encrypted (encryption.py); 5: the mark of a skipped row (skipped.py)
    touched  4 bytes of a hash of each aggregate id in the append, sorted and joined
    command  8 bytes: a hash over the command's type and fields
    events   the events in order, each a map with its type and version: {"type": "ColorAdded:1", "color": "red"}
    crc32    4 bytes, last: over all bytes before, little-endian, begun from a hash of the place (checksum.py)

A payload is built once: `append_envelopes` makes the envelopes, compression and encryption replace the body of an
envelope, and `encode_envelope` turns it into bytes. Reading goes the same way back.

Missing fields take their defaults, removed fields are ignored, and upcasters do the rest (G9). Bytes that can't be
trusted or understood are `Unreadable`, never a state (G8).
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, reduce
from operator import itemgetter, or_
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec

from eslab.clock import to_ms
from eslab.declared import check_options
from eslab.display import quantity
from eslab.errors import InvalidInput, Unreadable
from eslab.event import Command, Event, oldest_reader, split_tag, tag_of
from eslab.payload.checksum import Checksum
from eslab.payload.comparison import Path, left_out
from eslab.payload.compression import compressed, decompressed
from eslab.payload.decoding import building, decoder
from eslab.payload.encoding import encode, encode_as_it_is, encode_for_hash
from eslab.payload.fields import check_fields, may_drop_fields
from eslab.payload.skipped import Skip, Skipped
from eslab.payload.upcast import FoldStep, Steps, Upcaster, checked_tag, run_step

FORMAT = 1
COMPRESSED = 2
ENCRYPTED = {FORMAT: 3, COMPRESSED: 4}  # by the format of what is encrypted
SKIPPED = 5
FORMATS = (FORMAT, COMPRESSED, *ENCRYPTED.values(), SKIPPED)
PLACEHOLDER = b"\0\0\0\0"
TOUCHED_BYTES = 4  # for each aggregate that an append touched
ENVELOPE_BYTES = 38  # of a payload around body and hashes, as long as an append touches fewer than 64 aggregates
UNPARSABLE = (msgspec.MsgspecError, ValueError, RecursionError)  # a string that is no UTF-8 is a ValueError
NIL = msgspec.Raw(b"\xc0")
ANYTHING = msgspec.msgpack.Decoder()
BYTES = msgspec.msgpack.Decoder(bytes)
PLAIN_EVENTS = msgspec.msgpack.Decoder(list[dict[str, Any]])
RAW_EVENTS = msgspec.msgpack.Decoder(list[dict[str, msgspec.Raw]])
MARK = msgspec.msgpack.Decoder(Skip)
Body = TypeVar("Body")
Struct = TypeVar("Struct", bound=msgspec.Struct)
Stored = TypeVar("Stored", Event, Command)
log = logging.getLogger(__name__)


class Envelope(msgspec.Struct, Generic[Body], frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """The payload of one commit, parsed; its body holds the events, raw or decoded."""

    digest: bytes
    format: int
    touched: bytes
    command: bytes
    body: Body
    crc32: bytes = PLACEHOLDER


class _PlainEnvelope(Envelope[Body], Generic[Body], frozen=True):
    """An envelope of the plain format only, so that a page decodes without a check of every format in Python."""

    format: Literal[1]  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]


class _Untyped(msgspec.Struct, tag_field="type", tag=""):
    """Stands beside the event types, since msgspec lets the type of a single one be missing; never decoded."""

    def __post_init__(self) -> None:
        raise ValueError("an event without a type")


class VersionedSerializer:
    """Decodes the events of one aggregate type, whatever version they were stored in.

    The fast path takes a page at a time: one checksum over the page, then one typed decode in C. Only a page that
    fails it is decoded commit by commit, and only a commit with older versions is decoded as plain maps and upcast.
    """

    def __init__(
        self, event_types: Sequence[type[Event]], upcasters: Mapping[str | tuple[str, ...], Upcaster] | None = None
    ) -> None:
        self.current = {split_tag(tag_of(t))[0]: t for t in event_types}
        if len(self.current) < len(event_types):
            raise InvalidInput(f"Expected event types with different names, got {[tag_of(t) for t in event_types]}.")
        self._steps = Steps(upcasters or {}, {tag_of(t) for t in event_types})  # the upcasters
        for event_type in event_types:
            check_type(event_type)
        union: Any = reduce(or_, event_types, _Untyped)
        with building:
            self._page = msgspec.msgpack.Decoder(list[_PlainEnvelope[tuple[union, ...]]])
            self._commit = msgspec.msgpack.Decoder(list[union])  # msgspec's decoder for the current classes

    def page(self, payloads: Sequence[bytes], checksum: Checksum) -> Sequence[Sequence[Event]]:
        """The events of many commits of the place that the checksum is of, in order.

        Raises `Unreadable` with the reason but without the row, which only the caller knows.
        """
        if checksum.proves_page(payloads):
            try:
                envelopes = self._page.decode(b"".join((_array_header(len(payloads)), *payloads)))
                return [envelope.body for envelope in envelopes]
            except UNPARSABLE:
                pass  # an older version, another format or a broken envelope: commit by commit tells which
        return [self.events(payload, checksum) for payload in payloads]

    def events(self, payload: bytes, checksum: Checksum) -> Sequence[Event]:
        """The events of one commit, older versions included."""
        return self.events_of(decode_envelope(payload, checksum))

    def events_of(self, envelope: Envelope[msgspec.Raw]) -> Sequence[Event]:
        """The events of a parsed commit, `Skipped` if an operator chose to go on without them.

        Raises `Unreadable` if its body is encrypted.
        """
        if envelope.format == SKIPPED:
            return Skipped(skip_in(envelope))
        stored = plain_body(envelope)
        try:
            return self._commit.decode(stored)
        except UNPARSABLE:
            # Values stay raw until a step asks for them: a removed field may hold a value that Python can't.
            raws = _decode(stored, RAW_EVENTS)
            typed = [{**raw, "type": _decode(raw.get("type", NIL), ANYTHING)} for raw in raws]
            upcast = self._steps.upcast(typed)
            return [event for raw in upcast if (event := self._event(raw)) is not None]

    def _event(self, raw: dict[str, Any]) -> Event | None:
        """The event of a plain map, or None if its writer declared that any reader may skip it."""
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
            return decoder(event_type).decode(encode({**raw, "type": known}))
        except UNPARSABLE as error:
            raise Unreadable(
                f"event type {name} in version {version} does not fit {known}: {error}; "
                f'give the field a default, or write an upcaster for "{name}:{version}"'
            ) from None


def command_hash(command: Command, key: bytes = b"") -> bytes:
    """Eight bytes that tell commands apart: a hash of type and fields, under `key` if one is given."""
    return hashlib.blake2b(encode_for_hash(as_stored(command)), digest_size=8, key=key).digest()


@cache
def check_type(thing_type: type[Event | Command]) -> None:
    """Refuse a class of events or commands that can't be written and read back; builds its decoder."""
    check_options(thing_type)  # a class from msgspec.defstruct was not checked when it was made
    check_fields(thing_type)


def as_stored(thing: Stored) -> Stored:
    """The event or command as a later reader will decode it.

    Raises `InvalidInput` if its fields don't have their declared types, or its class can't be read back.
    """
    check_type(type(thing))
    try:
        return decoder(type(thing)).decode(encode(thing))
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidInput(
            f"Expected fields of the declared types in {thing!r}: {error}. Nothing was written."
        ) from None


def touched_hash(aggregate_id: str) -> bytes:
    """Four bytes that stand for an aggregate among those that an append touched."""
    return hashlib.blake2b(aggregate_id.encode(), digest_size=TOUCHED_BYTES).digest()


def touched_in(envelope: Envelope[Any]) -> set[bytes]:
    """The hashes of the aggregates that the append of an envelope touched."""
    touched = envelope.touched
    return {touched[start : start + TOUCHED_BYTES] for start in range(0, len(touched), TOUCHED_BYTES)}


def append_envelopes(
    customer_id: str, event_time: UUID, appended: Mapping[str, Sequence[Event]], command: bytes, key: bytes = b""
) -> dict[str, Envelope[msgspec.Raw]]:
    """The plain envelopes of one append, by aggregate id: same request and events, same envelopes everywhere (G1).

    With a `key` the digest is keyed, so that it reveals nothing to a reader without the key.
    """
    plain = {id: msgspec.Raw(encode(events)) for id, events in appended.items()}
    digest = digest_of(customer_id, event_time, plain, key)
    touched = b"".join(sorted(map(touched_hash, plain)))
    return {id: Envelope(digest, FORMAT, touched, command, body) for id, body in plain.items()}


def digest_of(customer_id: str, event_time: UUID, plain: Mapping[str, msgspec.Raw], key: bytes = b"") -> bytes:
    """The digest of an append, over its customer, its event time and its plain commits in order of aggregate id."""
    # In order, so that the digest doesn't depend on the order of decisions.
    append = msgspec.msgpack.encode((customer_id, event_time.bytes, sorted(plain.items(), key=itemgetter(0))))
    return hashlib.blake2b(append, digest_size=16, key=key).digest()


def encode_append(
    customer_id: str, event_time: UUID, appended: Mapping[str, Sequence[Event]], command: bytes
) -> dict[str, bytes]:
    """The payloads of one append, neither compressed nor encrypted, by aggregate id."""
    envelopes = append_envelopes(customer_id, event_time, appended, command)
    return {id: encode_envelope(it, Checksum.of_commits(customer_id, id)) for id, it in envelopes.items()}


def compress(envelope: Envelope[msgspec.Raw]) -> Envelope[msgspec.Raw]:
    """The envelope with its body compressed, or as it is if that would not be smaller."""
    body = encode(compressed(bytes(envelope.body)))
    if len(body) >= len(memoryview(envelope.body)):
        return envelope
    return msgspec.structs.replace(envelope, format=COMPRESSED, body=msgspec.Raw(body))


def encoded_size(envelope: Envelope[msgspec.Raw]) -> int:
    """The bytes of the payload that this envelope becomes."""
    return len(memoryview(envelope.body)) + len(envelope.touched) + ENVELOPE_BYTES


def decode_envelope(payload: bytes, checksum: Checksum) -> Envelope[msgspec.Raw]:
    """The envelope of a commit, its checksum proved and its format known; its body may be encrypted."""
    envelope = decode_any(payload, Envelope[msgspec.Raw], checksum)
    if envelope.format not in FORMATS:
        raise Unreadable(f"found payload format {envelope.format}, expected {FORMAT}; run the newer code")
    return envelope


def raw_events(envelope: Envelope[msgspec.Raw]) -> list[dict[str, Any]]:
    """The events of one commit as plain maps, without a domain's types."""
    return _decode(plain_body(envelope), PLAIN_EVENTS)


def skip_envelope(mark: Skip) -> Envelope[msgspec.Raw]:
    """The envelope of a skipped row. Its digest is the least, so that a whole payload of the row outweighs it."""
    return Envelope(bytes(16), SKIPPED, touched_hash(mark.aggregate_id), bytes(8), msgspec.Raw(encode(mark)))


def skip_in(envelope: Envelope[msgspec.Raw]) -> Skip:
    """The mark in the envelope of a skipped row."""
    return _decode(envelope.body, MARK)


def plain_body(envelope: Envelope[msgspec.Raw]) -> msgspec.Raw:
    """The encoded events of one commit, decompressed; raises `Unreadable` if they are encrypted or were skipped."""
    if envelope.format == SKIPPED:
        raise Unreadable(str(skip_in(envelope)))
    if envelope.format in ENCRYPTED.values():
        raise Unreadable("its events are encrypted; declare `encrypted = True` in the aggregate type to read them")
    if envelope.format == COMPRESSED:
        return msgspec.Raw(decompressed(_decode(envelope.body, BYTES)))
    return envelope.body


class SnapshotEnvelope(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """The payload of one snapshot, parsed: the state of a type, how many commits it adds up, and when it was built."""

    format: int
    type: str
    commits: int
    built_at: int  # in ms since 1970
    body: msgspec.Raw
    crc32: bytes = PLACEHOLDER


def snapshot_envelope(type: str, commits: int, built_at: datetime, state: msgspec.Struct) -> SnapshotEnvelope:
    """The plain envelope of a snapshot; equal states give equal bytes, since sets and maps are encoded in order."""
    return SnapshotEnvelope(FORMAT, type, commits, to_ms(built_at), msgspec.Raw(encode(state)))


def decode_state(
    envelope: SnapshotEnvelope, type: str, state_type: type[Struct], steps: Iterable[FoldStep] = ()
) -> Struct:
    """The state in a snapshot of `type`, upcast by `steps` from the fold that saved it.

    Raises `Unreadable` for a state with fields that its class doesn't know: without them it would be another state.
    """
    if (envelope.format, envelope.type) != (FORMAT, type):
        raise Unreadable(f"expected a snapshot of {type}, format {FORMAT}; found {envelope.type}, {envelope.format}")
    try:
        state = bytes(envelope.body)
        for step in steps:
            state = encode(run_step(step, msgspec.msgpack.decode(state)))
        decoded: Any = decoder(state_type).decode(state)
        lost = _lost(state, decoded) if may_drop_fields(state_type) else None
    except UNPARSABLE as error:
        raise Unreadable(f"the state can't be parsed: {error}") from None
    if lost:
        raise Unreadable(f"the state has {''.join(map(str, lost))}, which {state_type.__name__} would lose")
    return decoded


def _lost(state: bytes, decoded: msgspec.Struct) -> Path | None:
    """What the classes inside a state left out of its bytes; nothing if it is encoded as it was."""
    if encode_as_it_is(decoded) == state:  # most often, and quick
        return None
    return left_out(ANYTHING.decode(state), ANYTHING.decode(encode(decoded)))


def decode_any(payload: bytes, envelope_type: type[Struct], checksum: Checksum) -> Struct:
    """The envelope of a commit or a snapshot in any format; raises `Unreadable` if the checksum is wrong."""
    if not payload:
        raise Unreadable("expected a payload that ends with its checksum, found no bytes")
    if not checksum.proves(payload):
        raise Unreadable(
            f"the checksum of {quantity(len(payload), 'byte')} does not match: a bit flipped, bytes were cut, or the "
            f"row was copied from another {checksum.place}"
        )
    try:
        return decoder(envelope_type).decode(payload)
    except UNPARSABLE as error:
        raise Unreadable(f"the envelope can't be parsed: {error}") from None


def _decode(events: msgspec.Raw, decoder: msgspec.msgpack.Decoder[Any]) -> Any:
    """What a decoder of msgspec makes of the bytes; `Unreadable` if it can't."""
    try:
        return decoder.decode(events)
    except UNPARSABLE as error:
        raise Unreadable(f"the events can't be parsed: {error}") from None


def encode_envelope(envelope: Envelope[Any] | SnapshotEnvelope, checksum: Checksum) -> bytes:
    """The payload of a commit or a snapshot: its bytes with the checksum, built once."""
    return checksum.seal(msgspec.msgpack.encode(envelope)[: -len(PLACEHOLDER)])


def _array_header(length: int) -> bytes:
    return b"\xdd" + length.to_bytes(4)  # msgpack "array 32"
