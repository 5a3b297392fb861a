"""Zstandard for large commits, optional: `compress_over = 10_000` in an aggregate type compresses larger ones.

The digest is over the plain events, so compression doesn't change which of two decisions wins (G1). `zstandard` is
imported only when it is needed.
"""

from importlib import import_module
from typing import Any

from eslab.errors import InvalidInput, Unreadable

MAX_PLAIN = 16 << 20  # bytes after decompression: more than any append may have


def compressed(plain: bytes) -> bytes:
    """One Zstandard frame with its content's size and a checksum of its own."""
    return _zstandard().ZstdCompressor(level=3, write_checksum=True).compress(plain)


def decompressed(frame: bytes) -> bytes:
    """The content of a frame; `Unreadable` if it is no whole frame, or would become larger than 16 MiB."""
    zstandard = _zstandard()
    try:
        size = zstandard.get_frame_parameters(frame).content_size
        if size > MAX_PLAIN:  # an unknown size is the largest number there is
            raise Unreadable(f"expected compressed events of at most {MAX_PLAIN:,} bytes, found {size:,}")
        return zstandard.ZstdDecompressor(max_window_size=MAX_PLAIN).decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Unreadable(f"the compressed events can't be read: {error}") from None


def _zstandard() -> Any:
    try:
        return import_module("zstandard")
    except ImportError as error:
        raise InvalidInput(
            f"Expected the package zstandard for compressed commits, found none ({error}). "
            "Run: pip install 'eslab[compression]'"
        ) from None
