"""Encrypts the aggregates of a customer, so that destroying the customer's key forgets them (docs/encryption.md).

    class Vault(Aggregate):
        encrypted: ClassVar[bool] = True

    vaults = AggregateService(store, Vault, handle, clock, keys=FileKeys("keys.db", "master.key"))
    vaults.repository.forget("ann")         # what was stored for Ann can't be read by anybody any more

A commit is encrypted as it goes to the store and decrypted as it comes back; what lies between is the same as ever.
Only the events become ciphertext: the digest stays first, so of two decisions the same one wins everywhere (G1), and
the bytes follow from row, header and events alone, so a retry writes the same ones. Row and header are bound to it:
a payload that was moved to another row, or got another header, is `Unreadable` (G8).

Ids, times, sizes and the number of commits stay in clear.
"""

from typing import Any, Protocol, TypeVar

from msgspec import MsgspecError, Raw, msgpack
from msgspec.structs import replace

from eslab.errors import Forgotten, Unreadable
from eslab.payload.cipher import Cipher, derived, nonce_of
from eslab.payload.encoding import encode
from eslab.payload.serializer import ENCRYPTED, Envelope, SnapshotEnvelope, decode_any, encode_envelope
from eslab.store import Commit, StoredSnapshot

IN_CLEAR = {encrypted: plain for plain, encrypted in ENCRYPTED.items()}
HIDDEN = "(encrypted)", 0  # type and version in the columns for people, since what happened is content
RawEnvelope = Envelope[Raw]
NIL = Raw(b"\xc0")
CRC_BYTES = 6  # with the two that msgpack puts before them
Sealed = TypeVar("Sealed", Envelope[Raw], SnapshotEnvelope)


_bytes = msgpack.Decoder(bytes)


class KeyProvider(Protocol):
    """Keeps a data key of 32 random bytes for each customer; safe to share between threads and processes.

    A key is made once and destroyed once; a destroyed one is never made anew. All who write aggregates of one customer,
    in whatever region, must get the same key.
    """

    def key(self, customer_id: str) -> bytes | None:
        """The customer's key, or None if none was ever made; raises `Forgotten` if it was destroyed."""
        ...

    def make(self, customer_id: str) -> bytes:
        """The customer's key, made now if there is none: two who make it at once get the same.

        Raises `Forgotten` if it was destroyed.
        """
        ...

    def destroy(self, customer_id: str) -> None:
        """Destroy the key, for ever and even before it is made; once more changes nothing."""
        ...


def forgotten(customer_id: str) -> Forgotten:
    """The error of whoever asks for a destroyed key."""
    return Forgotten(
        f"Expected the key of customer {customer_id!r}, found that it was destroyed: the customer was forgotten, and "
        "what was encrypted for them can't be read any more. Nothing was written. If they come back, use a new "
        "customer id."
    )


class CustomerCipher:
    """Locks and unlocks the rows of one customer, for the time of one hydration or one wish.

    Making one raises `Forgotten`, so that nothing is read or written for a forgotten customer. A customer's key is
    made when the first row is locked.
    """

    def __init__(self, keys: KeyProvider, customer_id: str) -> None:
        self.customer_id, self._keys = customer_id, keys
        self._secrets: _Secrets | None = None
        self._look()

    def hash_key(self, make: bool = False) -> bytes:
        """What keys the digest and the wish hash of an append, so that they say nothing once it is destroyed.

        Empty if the customer has no key and none is to be made.
        """
        secrets = self._make() if make else self._look()
        return secrets.marks if secrets else b""

    def encrypt(self, commit: Commit) -> Commit:
        """The commit as the store may see it: its events encrypted, their type hidden."""
        payload = self._encrypted(self._row(commit), decode_any(commit.payload, RawEnvelope), "events")
        return Commit(commit.aggregate_id, commit.event_time, *HIDDEN, payload)

    def decrypt(self, commit: Commit) -> Commit:
        """The commit with its events in clear; one that was never encrypted stays as it is."""
        envelope = decode_any(commit.payload, RawEnvelope)
        if not is_encrypted(envelope):
            return commit
        payload = self._decrypted(self._row(commit), commit.payload, envelope, "events")
        return Commit(commit.aggregate_id, commit.event_time, commit.event_type, commit.version, payload)

    def encrypt_snapshot(self, aggregate_id: str, snapshot: StoredSnapshot) -> StoredSnapshot:
        """The snapshot as the store may see it: its state encrypted."""
        envelope = decode_any(snapshot.payload, SnapshotEnvelope)
        return snapshot._replace(payload=self._encrypted(self._base(aggregate_id, snapshot), envelope, "state"))

    def decrypt_snapshot(self, aggregate_id: str, snapshot: StoredSnapshot) -> StoredSnapshot:
        """The snapshot with its state in clear; one that was never encrypted stays as it is."""
        envelope = decode_any(snapshot.payload, SnapshotEnvelope)
        if not is_encrypted(envelope):
            return snapshot
        row = self._base(aggregate_id, snapshot)
        return snapshot._replace(payload=self._decrypted(row, snapshot.payload, envelope, "state"))

    def _row(self, commit: Commit) -> bytes:
        return encode(("commit", self.customer_id, commit.aggregate_id, commit.event_time.bytes))

    def _base(self, aggregate_id: str, snapshot: StoredSnapshot) -> bytes:
        return encode(("snapshot", self.customer_id, aggregate_id, snapshot.up_to.bytes, snapshot.fold))

    def _encrypted(self, row: bytes, envelope: Sealed, body: str) -> bytes:
        locked, secrets = replace(envelope, format=ENCRYPTED[envelope.format]), self._make()
        header = _header(encode_envelope(replace(locked, **{body: NIL})), NIL)
        ciphertext = secrets.cipher.encrypt(nonce_of(row, secrets.nonces), bytes(getattr(envelope, body)), row + header)
        return encode_envelope(replace(locked, **{body: Raw(encode(ciphertext))}))

    def _decrypted(self, row: bytes, payload: bytes, envelope: Sealed, body: str) -> bytes:
        secrets, stored = self._look(), getattr(envelope, body)
        if secrets is None:
            raise Unreadable(
                f"it is encrypted, but customer {self.customer_id!r} has no key; use the keys that it was written with"
            )
        bound = row + _header(payload, stored)
        plain = secrets.cipher.decrypt(nonce_of(row, secrets.nonces), _ciphertext(stored), bound)
        return encode_envelope(replace(envelope, format=IN_CLEAR[envelope.format], **{body: Raw(plain)}))

    def _look(self) -> "_Secrets | None":
        """The secrets if the customer has a key by now: somebody else may have made it meanwhile."""
        if self._secrets is None and (key := self._keys.key(self.customer_id)):
            self._secrets = _Secrets(key)
        return self._secrets

    def _make(self) -> "_Secrets":
        if self._secrets is None:
            self._secrets = _Secrets(self._keys.make(self.customer_id))
        return self._secrets


def is_encrypted_snapshot(snapshot: StoredSnapshot) -> bool:
    """Is this a whole snapshot that is encrypted?"""
    try:
        return is_encrypted(decode_any(snapshot.payload, SnapshotEnvelope))
    except Unreadable:
        return False


def is_encrypted(envelope: Envelope[Any] | SnapshotEnvelope) -> bool:
    """Is the body of this commit or snapshot encrypted?"""
    return envelope.format in IN_CLEAR


class _Secrets:
    """What follows from a customer's key: the cipher, the key of its nonces, and that of digests and wish hashes."""

    def __init__(self, key: bytes) -> None:
        cipher_key, self.nonces, self.marks = derived(key, 3)
        self.cipher = Cipher(cipher_key)


def _header(payload: bytes, body: Raw) -> bytes:
    """The bytes in clear before the body; behind it is only the checksum."""
    return payload[: -CRC_BYTES - len(memoryview(body))]


def _ciphertext(body: Raw) -> bytes:
    try:
        return _bytes.decode(body)
    except MsgspecError as error:
        raise Unreadable(f"expected ciphertext, found something else: {error}") from None
