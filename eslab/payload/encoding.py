"""Equal values give equal bytes: sets and maps are encoded in one order, whatever order they were filled in (G1)."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from copy import copy
from typing import Any

import msgspec

from eslab.errors import InvalidInput

_in_order = msgspec.msgpack.Encoder(order="deterministic").encode
_as_it_is = msgspec.msgpack.Encoder().encode


def encode(value: Any) -> bytes:
    """The msgpack bytes of a value; `InvalidInput` if msgpack can't hold it."""
    try:
        try:
            return _in_order(value)
        except TypeError:  # msgspec sorts only maps of strings and sets that compare
            return _as_it_is(_ordered(value))
    except (TypeError, OverflowError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidInput(
            f"Expected fields that msgpack can hold in {type(value).__name__}, got one that it can't: {error}."
        ) from None


def _ordered(value: Any) -> Any:
    """The same value with maps and sets in the order of their encoded keys; sets and lists become tuples."""
    if isinstance(value, msgspec.Struct):
        return _ordered_struct(value)
    if isinstance(value, Mapping):
        pairs = {_as_it_is(_ordered(key)): (key, item) for key, item in value.items()}
        return {_ordered(pairs[key][0]): _ordered(pairs[key][1]) for key in sorted(pairs)}
    if isinstance(value, AbstractSet):
        return tuple(sorted(map(_ordered, value), key=_as_it_is))
    return tuple(map(_ordered, value)) if isinstance(value, list | tuple) else value


def _ordered_struct(value: msgspec.Struct) -> msgspec.Struct:
    ordered = copy(value)
    for name in value.__struct_fields__:
        msgspec.structs.force_setattr(ordered, name, _ordered(getattr(value, name)))
    return ordered
