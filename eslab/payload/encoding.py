"""Equal values give equal bytes, whatever they were made from (G1).

Sets and maps are encoded in one order, zero without a sign, times of day in UTC. A stored decimal keeps its trailing
zeros, since a price is read as it was written; for a hash, 10.0 and 10.00 are one number. msgspec alone does all this
for types of texts, integers and points in time; only other values are rewritten.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from copy import copy
from datetime import datetime, time, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from eslab.errors import InvalidInput
from eslab.payload.fields import is_canonical

NAN = float("nan")
MIDNIGHT = datetime(2000, 1, 1)
MINUTE = timedelta(minutes=1)
PLAIN = frozenset({str, int, bool, bytes, type(None), msgspec.Raw})

_in_order = msgspec.msgpack.Encoder(order="deterministic").encode
# Maps and sets keep their own order; of a decoded map, that is the stored one.
encode_as_it_is = msgspec.msgpack.Encoder().encode
Leaf = Callable[[Any], Any]


def encode(value: Any) -> bytes:
    """The msgpack bytes of a value; `InvalidInput` if msgpack can't hold it."""
    return _encode(value, _leaf)


def encode_for_hash(value: Any) -> bytes:
    """Bytes that are equal for all equal values, 10.0 and 10.00 among them, or 1 and True in a field of any type.

    They can't be decoded.
    """
    return _encode(value, _equal)


def _encode(value: Any, leaf: Leaf) -> bytes:
    try:
        if _is_plain(value):
            try:
                return _in_order(value)
            except TypeError:  # a value that is not of its declared type
                pass
        return encode_as_it_is(_ordered(value, leaf))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(
            f"Expected fields that msgpack can hold in {type(value).__name__}, got one that it can't: {error}."
        ) from None


def _is_plain(value: Any) -> bool:
    """Does msgspec encode this value in order by itself?"""
    if isinstance(value, msgspec.Struct):
        return is_canonical(type(value))
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(type(key) is str for key in value) and all(map(_is_plain, value.values()))
    return type(value) in PLAIN


def _ordered(value: Any, leaf: Leaf) -> Any:
    """The same value with maps and sets in the order of their encoded keys; sets and lists become tuples."""
    if type(value) in PLAIN:
        return leaf(value)
    ordered = partial(_ordered, leaf=leaf)
    if isinstance(value, msgspec.Struct):
        return _with_fields(value, value.__struct_fields__, ordered)
    if isinstance(value, Mapping):
        return {key: ordered(value[original]) for key, original in _in_one_order(value, ordered)}
    if isinstance(value, AbstractSet):
        return tuple(item for item, _ in _in_one_order(value, ordered))
    if isinstance(value, list | tuple):
        return tuple(map(ordered, value))
    return _with_fields(value, names, ordered) if (names := field_names(value)) else leaf(value)


def _in_one_order(items: Iterable[Any], ordered: Leaf) -> list[tuple[Any, Any]]:
    """The items of a set or the keys of a map, ordered, beside the originals: as msgspec sorts them where it can."""
    pairs = [(ordered(item), item) for item in items]
    sortable = {type(item) for item, _ in pairs} in ({str}, {int})
    return sorted(pairs, key=(lambda pair: pair[0]) if sortable else (lambda pair: encode_as_it_is(pair[0])))


def field_names(value: Any) -> list[str]:
    """The fields of a dataclass or an attrs class; none for anything else."""
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    return [field.name for field in getattr(type(value), "__attrs_attrs__", ())]


def _with_fields(value: Any, names: Iterable[str], ordered: Leaf) -> Any:
    changed = copy(value)
    set_field = msgspec.structs.force_setattr if isinstance(value, msgspec.Struct) else object.__setattr__
    for name in names:
        set_field(changed, name, ordered(getattr(value, name)))
    return changed


def _leaf(value: Any) -> Any:
    """One of all equal values, except that a number keeps its form."""
    if type(value) is float:
        return NAN if value != value else value + 0.0  # -0.0 + 0.0 is 0.0, and a NaN has many bit patterns
    return _in_utc(value) if isinstance(value, time) and value.utcoffset() is not None else value


def _equal(value: Any) -> Any:
    """One of all equal values: a number without a fraction as an integer, a decimal without trailing zeros."""
    if isinstance(value, Decimal):
        return _decimal(value)
    value = int(value) if isinstance(value, bool) else _leaf(value)
    return int(value) if type(value) is float and value.is_integer() and -(2**63) <= value < 2**64 else value


def _decimal(value: Decimal) -> Decimal:
    """The decimal without trailing zeros; `Decimal.normalize` would round it by the context of the thread."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):  # infinity, or no number
        return value
    text = "".join(map(str, digits))
    kept = text.rstrip("0")
    return Decimal((sign, tuple(map(int, kept)), exponent + len(text) - len(kept))) if kept else Decimal()


def _in_utc(value: time) -> time:
    """The equal time of day in UTC, or in the zone nearest to it where that is another day."""
    local = datetime.combine(MIDNIGHT, value.replace(tzinfo=None)) - MIDNIGHT
    moment = local - (value.utcoffset() or timedelta())
    within = moment % MINUTE  # msgspec keeps an offset in whole minutes
    kept = min(max(moment, within), timedelta(hours=23, minutes=59) + within)
    return (MIDNIGHT + kept).time().replace(tzinfo=timezone(kept - moment))
