"""Encrypts the aggregates of a customer, so that destroying the customer's key forgets them (docs/encryption.md).

    class Vault(Aggregate):
        encrypted: ClassVar[bool] = True

    vaults = AggregateService(store, Vault, handle, clock, keys=FileKeys("keys.db", "master.key"))
    vaults.repository.forget("ann")         # nobody can read any more what was stored for Ann

Encryption replaces the body of an envelope just before it becomes bytes, and decryption brings it back right after
it was parsed. Only events and states become ciphertext. The digest stays first, so of two decisions the same one wins
everywhere (G1), and the ciphertext follows from place, header and body alone, so a retry writes the same bytes. Place
and header are bound to it: a payload that was moved to another row, or got another header, is `Unreadable` (G8).

Ids, times, sizes, the hashes of the touched aggregates and the number of commits in a snapshot stay in clear.
"""

from typing import Any, Protocol, TypeVar
from uuid import UUID

from msgspec import MsgspecError, Raw, msgpack
from msgspec.structs import replace

from eslab.errors import Forgotten, InvalidInput, Unreadable
from eslab.payload.cipher import Cipher, derived, nonce_of
from eslab.payload.encoding import encode
from eslab.payload.serializer import ENCRYPTED, Envelope, SnapshotEnvelope

DECRYPTED = {encrypted: plain for plain, encrypted in ENCRYPTED.items()}
HIDDEN = ("(encrypted)", 0)  # type and version in the columns for people, since a type reveals content
NIL = Raw(b"\xc0")
AFTER_HEADER = 7  # bytes of an envelope whose body is nil: the nil, and the checksum with its two bytes of msgpack
Place = tuple[Any, ...]  # the row that a body belongs to, within the customer
AnyEnvelope = TypeVar("AnyEnvelope", Envelope[Raw], SnapshotEnvelope)

_bytes = msgpack.Decoder(bytes)


class KeyProvider(Protocol):
    """Keeps a data key of 32 random bytes for each customer; safe to share between threads and processes.

    A key is made once and destroyed once; a destroyed key is never made again. All writers of a customer's aggregates,
    in every region, must get the same key.
    """

    def key(self, customer_id: str) -> bytes | None:
        """The customer's key, or None if none was ever made; raises `Forgotten` if it was destroyed."""
        ...

    def make(self, customer_id: str) -> bytes:
        """The customer's key, made now if there is none; concurrent calls get the same key.

        Raises `Forgotten` if it was destroyed.
        """
        ...

    def destroy(self, customer_id: str) -> None:
        """Destroy the key for ever, even before it is made. Idempotent."""
        ...


def forgotten(customer_id: str) -> Forgotten:
    """The error raised when a destroyed key is asked for."""
    return Forgotten(
        f"The key of customer {customer_id!r} was destroyed: the customer was forgotten, and what was encrypted for "
        "them can't be read any more. Nothing was written. If they come back, use a new customer id.",
        customer_id=customer_id,
    )


def place_of_commit(aggregate_id: str, event_time: UUID) -> Place:
    """The place that a commit's ciphertext is bound to."""
    return ("commit", aggregate_id, event_time.bytes)


def place_of_snapshot(aggregate_id: str, up_to: UUID, fold: int) -> Place:
    """The place that a snapshot's ciphertext is bound to."""
    return ("snapshot", aggregate_id, up_to.bytes, fold)


class NoCipher:
    """Stands in where nothing is encrypted: every envelope stays as it is."""

    def hash_key(self, *, make: bool = False) -> bytes:
        """Empty: the digest and the command's hash need no key."""
        return b""

    def encrypt(self, place: Place, envelope: AnyEnvelope) -> AnyEnvelope:
        """The envelope as it is."""
        return envelope

    def decrypt(self, place: Place, envelope: AnyEnvelope) -> AnyEnvelope:
        """The envelope as it is; the serializer refuses one that is encrypted."""
        return envelope


class CustomerCipher:
    """Encrypts and decrypts the rows of one customer, for the time of one hydration or one unit of work.

    Making one raises `Forgotten` for a forgotten customer, before anything is read or written. The customer's key is
    made when the first row is encrypted.
    """

    def __init__(self, keys: KeyProvider, customer_id: str) -> None:
        self.customer_id = customer_id
        self._keys = keys
        self._secrets: _Secrets | None = None
        self._existing()

    def hash_key(self, *, make: bool = False) -> bytes:
        """The key for digest and command hash; once it is destroyed, neither reveals anything.

        Empty if the customer has no key and `make` is false.
        """
        secrets = self._made() if make else self._existing()
        return secrets.hash_key if secrets else b""

    def encrypt(self, place: Place, envelope: AnyEnvelope) -> AnyEnvelope:
        """The envelope with its body encrypted and bound to its place; makes the customer's key if there is none."""
        secrets = self._made()
        row = self._row(place)
        clear = replace(envelope, format=ENCRYPTED[envelope.format])
        ciphertext = secrets.cipher.encrypt(nonce_of(row, secrets.nonce_key), bytes(clear.body), row + _header(clear))
        return replace(clear, body=Raw(encode(ciphertext)))

    def decrypt(self, place: Place, envelope: AnyEnvelope) -> AnyEnvelope:
        """The envelope with its body in clear; one that was never encrypted stays as it is."""
        if not is_encrypted(envelope):
            return envelope
        secrets = self._existing()
        if secrets is None:
            raise Unreadable(
                f"it is encrypted, but customer {self.customer_id!r} has no key; use the keys that it was written with"
            )
        row = self._row(place)
        ciphertext = _ciphertext(envelope.body)
        plain = secrets.cipher.decrypt(nonce_of(row, secrets.nonce_key), ciphertext, row + _header(envelope))
        return replace(envelope, format=DECRYPTED[envelope.format], body=Raw(plain))

    def _row(self, place: Place) -> bytes:
        kind, *key = place
        return encode((kind, self.customer_id, *key))

    def _existing(self) -> "_Secrets | None":
        """The secrets if the customer has a key by now: another process may have made it meanwhile."""
        if self._secrets is None and (key := self._keys.key(self.customer_id)):
            self._secrets = _Secrets(key)
        return self._secrets

    def _made(self) -> "_Secrets":
        if self._secrets is None:
            self._secrets = _Secrets(self._keys.make(self.customer_id))
        return self._secrets


NO_CIPHER = NoCipher()
RowCipher = NoCipher | CustomerCipher


def cipher_for(keys: KeyProvider | None, customer_id: str) -> CustomerCipher:
    """The customer's cipher; `InvalidInput` without keys, `Forgotten` if the customer's key was destroyed."""
    return CustomerCipher(require_keys(keys), customer_id)


def require_keys(keys: KeyProvider | None) -> KeyProvider:
    """The keys, or `InvalidInput` if a repository was given none."""
    if keys is None:
        raise InvalidInput(
            "Expected keys for encrypted aggregates, got none; give them to the repository or the service, such as "
            "keys=FileKeys(...). Nothing was read or written."
        )
    return keys


def is_encrypted(envelope: Envelope[Any] | SnapshotEnvelope) -> bool:
    """Is the body of this commit or snapshot encrypted?"""
    return envelope.format in DECRYPTED


class _Secrets:
    """The secrets that follow from a customer's key: the cipher, and the keys of nonces and of hashes."""

    def __init__(self, key: bytes) -> None:
        cipher_key, self.nonce_key, self.hash_key = derived(key, 3)
        self.cipher = Cipher(cipher_key)


def _header(envelope: Envelope[Raw] | SnapshotEnvelope) -> bytes:
    """The bytes in clear before the body."""
    return msgpack.encode(replace(envelope, body=NIL))[:-AFTER_HEADER]


def _ciphertext(body: Raw) -> bytes:
    try:
        return _bytes.decode(body)
    except MsgspecError as error:
        raise Unreadable(f"expected ciphertext, found something else: {error}") from None
