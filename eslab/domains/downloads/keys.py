"""The keys of the DRM server: Ed25519, in a PEM file that only its owner may read.

The first key of a file signs, the others still verify: to rotate, put a new one before the old ones.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from eslab.errors import InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

END_OF_KEY = "-----END PRIVATE KEY-----\n"


def key_id(key: "Ed25519PrivateKey") -> str:
    """The name of a key: the beginning of a hash of its public half."""
    return hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]


def lab_key(seed: int) -> "Ed25519PrivateKey":
    """A key derived from a seed, so that a lesson's tokens are the same in every run; for lessons and tests only."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"eslab lab key {seed}".encode()).digest())


def make_key_file(path: Path) -> None:
    """Make a file with a new key, readable by its owner only; an existing file is never overwritten."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidInput(f"{path}: Expected a new file for a key, found: {error}; name another file.") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())


def load_keys(path: Path) -> list["Ed25519PrivateKey"]:
    """The keys of a PEM file, the signing key first; a file that others may read is refused."""
    blocks = _read_private(path).split(END_OF_KEY)[:-1]
    if not blocks:
        raise InvalidInput(f"{path}: Expected a key in PEM, found none; make one with keys.make_key_file.")
    return [_parse(path, number, f"{block}{END_OF_KEY}") for number, block in enumerate(blocks, 1)]


def _read_private(path: Path) -> str:
    """The text of a file that only its owner may read."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path}: Expected keys in PEM, found: {error}; make them with keys.make_key_file."
        ) from None
    if os.name == "posix" and mode & 0o077:
        raise InvalidInput(f"{path}: Expected a file for its owner only, found mode {mode & 0o777:o}; chmod 600 it.")
    return text


def _parse(path: Path, number: int, pem: str) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        key = None  # the reason is dropped, so that no part of a key gets into a message
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput(f"{path}: Expected Ed25519 keys in PEM, found something else as key {number}.")
    return key
