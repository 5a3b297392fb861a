"""Decoders of types, each built once and under one lock.

msgspec 0.22 publishes a type before it has built all of it: two threads that first decode the same type at the same
moment crash the process. So whatever eslab decodes into, it has built here before.
"""

import os
from functools import cache
from threading import RLock
from typing import TypeVar

import msgspec

T = TypeVar("T")
building = RLock()
if hasattr(os, "register_at_fork"):  # not on Windows
    # A child forked while another thread holds the lock would wait for it for ever.
    os.register_at_fork(before=building.acquire, after_in_parent=building.release, after_in_child=building.release)


@cache
def decoder(type: type[T]) -> msgspec.msgpack.Decoder[T]:
    """The decoder of a type from msgpack; safe to share between threads."""
    with building:
        return msgspec.msgpack.Decoder(type)


def built(type: type[T]) -> type[T]:
    """The type itself, built as far as msgspec needs: `msgspec.convert(value, built(Plan))`."""
    decoder(type)
    return type
