"""Large commits stored smaller: what is read, what isn't believed, and that it changes no decision."""

from typing import ClassVar

import pytest

from eslab import Aggregate, AggregateService, Command, Event, ManualClock, Repository, Unreadable, open_store
from eslab.payload.compression import MAX_PLAIN, compressed, decompressed
from eslab.payload.serializer import compress, raw_events
from eslab.stores.keys import MemoryKeys
from tests.support.sample import START, Counted, at, commits, envelope_of, sealed

LONG = "once more and " * 1000


class Said(Event):
    """A long speech."""

    words: str


class Say(Command):
    """Hold a speech."""

    words: str


class Speech(Aggregate):
    """What was said."""

    compress_over: ClassVar[int] = 1000
    words: set[str] = set()

    def apply(self, event: Said) -> None:
        self.words.add(event.words)


class SecretSpeech(Speech):
    """The same, encrypted."""

    stored_as = "speech"
    encrypted: ClassVar[bool] = True


def handle(speech: Speech, command: Say, request: object) -> list[Event]:
    return [Said(command.words)]


def test_a_long_commit_is_stored_smaller_and_reads_the_same(repository: Repository) -> None:
    """A short one stays as it is; a type that compresses nothing reads both."""

    class Plain(Speech):
        stored_as = "speech"
        compress_over: ClassVar[int] = 0

    speeches = AggregateService(repository.store, Speech, handle, ManualClock(START))
    for words in LONG, "short":
        assert speeches.send("ann", "speech:1", Say(words), at(0, words[:9])).state  # type: ignore[union-attr]
    sizes = {envelope_of(row).format: len(row.payload) for row in repository.store.rows("ann", "speech:1")}
    assert sizes[2] < 150 and sizes[1] < 150
    assert repository.load("ann", Plain, "1").words == {LONG, "short"}
    assert raw_events(envelope_of(max(repository.store.rows("ann", "speech:1"))))[0]["type"] == "Said:1"


def test_G1_compression_does_not_change_who_wins() -> None:
    """Digest, touched aggregates and wish are those of the plain commit."""
    (commit,) = commits(at(0), {"speech:1": [Said(LONG)]})
    plain, packed = envelope_of(commit), compress(envelope_of(commit))
    assert (plain.digest, plain.touched, plain.command) == (packed.digest, packed.touched, packed.command)
    assert (plain.format, packed.format) == (1, 2)


def test_what_compression_makes_larger_stays_as_it_is() -> None:
    """A few bytes have nothing to leave out."""
    (commit,) = commits(at(0), {"counter:1": [Counted("tea")]})
    assert compress(envelope_of(commit)) == envelope_of(commit)


def test_a_compressed_commit_is_encrypted_too() -> None:
    """Compressed first, since ciphertext can't be."""
    store = open_store("memory:")
    speeches = AggregateService(store, SecretSpeech, handle, ManualClock(START), keys=MemoryKeys())
    speeches.send("ann", "speech:1", Say(LONG), at(0))
    (row,) = store.rows("ann", "speech:1")
    assert envelope_of(row).format == 4 and len(row.payload) < 200
    assert speeches.load("ann", "speech:1").words == {LONG}


def bomb() -> bytes:
    """Few bytes that say they become more than any commit may."""
    return compressed(bytes(MAX_PLAIN + 1))


@pytest.mark.parametrize(
    "frame", [b"", b"no frame", compressed(b"x" * 99)[:-1], compressed(b"x" * 99) + b"!", bomb(), b"\x28\xb5\x2f\xfd"]
)
def test_G8_a_frame_that_cannot_be_believed_is_unreadable(frame: bytes) -> None:
    """Empty, none, cut, with more behind it, a bomb, a head alone."""
    with pytest.raises(Unreadable):
        decompressed(frame)


def test_G8_a_bomb_is_refused_before_it_takes_memory() -> None:
    """By the size that it says."""
    with pytest.raises(Unreadable, match="compressed events of at most 16,777,216 bytes, found 16,777,217"):
        decompressed(bomb())


def test_G8_a_flipped_bit_in_compressed_events_is_found() -> None:
    """By the commit's checksum; and with that made right, by the frame's own."""
    (commit,) = commits(at(0), {"speech:1": [Said(LONG)]})
    payload = sealed(compress(envelope_of(commit)), "speech:1")
    for position in range(len(payload)):
        broken = bytearray(payload)
        broken[position] ^= 1
        with pytest.raises(Unreadable):
            raw_events(envelope_of(commit._replace(payload=bytes(broken))))
    envelope = envelope_of(commit._replace(payload=payload))
    body = bytearray(bytes(envelope.body))
    body[-6] ^= 1
    from msgspec import Raw
    from msgspec.structs import replace

    with pytest.raises(Unreadable, match="the compressed events can't be read"):
        raw_events(replace(envelope, body=Raw(bytes(body))))
