"""AES-GCM-SIV, a cipher that tolerates a repeated nonce; `cryptography` is imported only when it is needed."""

import hashlib
from importlib import import_module
from typing import Any

from eslab.errors import InvalidInput, Unreadable

KEY_BYTES = 32
NONCE_BYTES = 12


class Cipher:
    """Encrypts under one key and binds the ciphertext to the `bound` bytes; its repr reveals nothing of the key."""

    def __init__(self, key: bytes) -> None:
        aead = _cryptography("hazmat.primitives.ciphers.aead")
        exceptions = _cryptography("exceptions")
        self._broken = (exceptions.InvalidTag, ValueError)  # ValueError: shorter than a tag
        try:
            self._cipher = aead.AESGCMSIV(key)
        except exceptions.UnsupportedAlgorithm as error:
            raise InvalidInput(
                f"Expected a cryptography package with OpenSSL 3.2 or newer for AES-GCM-SIV: {error}. "
                "Its wheels bring one; run: pip install --upgrade cryptography"
            ) from None

    def encrypt(self, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        """The ciphertext, 16 bytes longer; the same input gives the same bytes."""
        return self._cipher.encrypt(nonce, plain, bound)

    def decrypt(self, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
        """The plain bytes; `Unreadable` unless key, nonce, ciphertext and `bound` are those of `encrypt`."""
        try:
            return self._cipher.decrypt(nonce, ciphertext, bound)
        except self._broken:
            raise Unreadable(
                "the ciphertext does not belong here: it was moved or changed, or encrypted under another key"
            ) from None


def nonce_of(place: bytes, key: bytes = b"") -> bytes:
    """The nonce for a place: a hash, so that the same place always has the same nonce."""
    return hashlib.blake2b(place, digest_size=NONCE_BYTES, key=key).digest()


def derived(key: bytes, number: int) -> list[bytes]:
    """Derive `number` independent keys from one, by HKDF."""
    kdf = _cryptography("hazmat.primitives.kdf.hkdf")
    hashes = _cryptography("hazmat.primitives.hashes")
    made = kdf.HKDF(hashes.SHA256(), number * KEY_BYTES, salt=None, info=b"eslab 1").derive(key)
    return [made[start : start + KEY_BYTES] for start in range(0, len(made), KEY_BYTES)]


def _cryptography(module: str) -> Any:
    try:
        return import_module(f"cryptography.{module}")
    except ImportError as error:
        raise InvalidInput(
            f"Expected the package cryptography for encrypted aggregates, found none ({error}). Nothing was read or "
            "written. Run: pip install 'eslab[encryption]'"
        ) from None
