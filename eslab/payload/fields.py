"""The types of fields: those that can't be stored, or whose equal values have unequal bytes, are refused by name.

    class Ordered(Event):
        items: list[int] | set[int]     # InvalidInput: both are arrays in msgpack

The rules hold for a type and everything inside it. They are checked once for each class, when it is first used.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from eslab.errors import InvalidInput
from eslab.payload.decoding import building, decoder

STORABLE = "str, int, float, bool, Decimal, datetime, UUID, Enum, list, tuple, dict, set, a dataclass or a Struct"
UNSTORABLE = (inspect.CustomType, inspect.RawType, inspect.ExtType)
# Types whose equal values always have equal bytes, as msgspec encodes them.
CANONICAL = (
    inspect.NoneType | inspect.BoolType | inspect.IntType | inspect.StrType | inspect.BytesType | inspect.DateTimeType
    | inspect.DateType | inspect.TimeDeltaType | inspect.UUIDType | inspect.EnumType | inspect.LiteralType
    | inspect.ListType | inspect.VarTupleType | inspect.TupleType | inspect.UnionType | inspect.StructType
)  # fmt: skip
NUMBERS = {inspect.BoolType: "bool", inspect.IntType: "int", inspect.FloatType: "float", inspect.DecimalType: "Decimal"}
Node = tuple[str, Any]  # the path of a type inside a class, such as ".items[...]", and msgspec's view of it


def check_fields(cls: type[msgspec.Struct], *, canonical: bool = True) -> None:
    """Refuse a class with a field that can't be written and read back; builds msgspec's view of the class.

    With `canonical`, equal values must have equal bytes, so a union of kinds of numbers is refused: 1 equals 1.0.
    """
    for path, node in _nodes_of(cls):
        if isinstance(node, UNSTORABLE):
            name = getattr(getattr(node, "cls", None), "__name__", type(node).__name__.removesuffix("Type"))
            raise InvalidInput(
                f"Expected a type that can be stored in {cls.__name__}{path}, got {name}; use {STORABLE}."
            )
        if canonical and isinstance(node, inspect.UnionType) and len(kinds := _numbers_in(node)) > 1:
            raise InvalidInput(
                f"Expected one kind of number in {cls.__name__}{path}, got {' | '.join(kinds)}: equal numbers such as "
                f"1 and 1.0 would be stored as different bytes. Use {kinds[-1]}."
            )


@cache
def is_canonical(cls: type[msgspec.Struct]) -> bool:
    """Does msgspec itself encode equal values of this class as equal bytes?"""
    return all(_is_canonical_node(node) for _, node in _nodes_of(cls))


@cache
def may_drop_fields(cls: type[msgspec.Struct]) -> bool:
    """Does a decoder of this class ignore fields that it doesn't know, in the class or in one inside it?"""
    return any(
        isinstance(node, inspect.DataclassType | inspect.TypedDictType)
        or (isinstance(node, inspect.StructType) and not node.forbid_unknown_fields)
        for _, node in _nodes_of(cls)
    )


def _is_canonical_node(node: Any) -> bool:
    match node:
        case inspect.DictType(key_type=key):
            return isinstance(key, inspect.StrType)
        case inspect.SetType(item_type=item) | inspect.FrozenSetType(item_type=item):
            return isinstance(item, inspect.StrType | inspect.IntType)
    return isinstance(node, CANONICAL)


def _numbers_in(union: inspect.UnionType) -> list[str]:
    """The kinds of numbers in a union, each once, the widest last."""
    kinds = {_number(item) for item in _flat(union)}
    return [kind for kind in NUMBERS.values() if kind in kinds]


def _number(node: Any) -> str | None:
    match node:
        case inspect.EnumType(cls=cls) if any(isinstance(member.value, int) for member in cls):
            return "int"
        case inspect.LiteralType(values=values) if any(isinstance(value, int) for value in values):
            return "int"
    return NUMBERS.get(type(node))


def _flat(union: inspect.UnionType) -> Iterator[Any]:
    for item in map(_bare, union.types):
        yield from _flat(item) if isinstance(item, inspect.UnionType) else (item,)


def _nodes_of(cls: type[msgspec.Struct]) -> Iterator[Node]:
    with building:
        try:
            decoder(cls)
            return _nodes("", inspect.type_info(cls), set())
        except (NameError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise _unbuildable(cls, error) from None


def _nodes(path: str, node: Any, seen: set[Any]) -> Iterator[Node]:
    """A type and all types inside it, each class once."""
    node = _bare(node)
    yield path, node
    if isinstance(node, _CLASSES):
        if node.cls not in seen:
            seen.add(node.cls)
            for field in node.fields:
                yield from _nodes(f"{path}.{field.name}", field.type, seen)
        return
    for inside in ("item_type", "key_type", "value_type"):
        if hasattr(node, inside):
            yield from _nodes(f"{path}[...]", getattr(node, inside), seen)
    for item in (*getattr(node, "item_types", ()), *getattr(node, "types", ())):
        yield from _nodes(path, item, seen)


_CLASSES = inspect.StructType | inspect.DataclassType | inspect.TypedDictType | inspect.NamedTupleType


def _bare(node: Any) -> Any:
    """A type without the description that `Annotated` gave it."""
    return node.type if isinstance(node, inspect.Metadata) else node


def _unbuildable(cls: type[msgspec.Struct], error: Exception) -> InvalidInput:
    """The error of a class that msgspec can't build, with the field if it can be told."""
    if isinstance(error, NameError):
        return InvalidInput(f"Expected types that module {cls.__module__} defines in {unresolved(cls.__name__, error)}")
    for field in msgspec.structs.fields(cls):
        try:
            msgspec.msgpack.Decoder(field.type)
        except Exception as reason:  # the same kinds as above
            return InvalidInput(f"Expected a type that can be stored in {cls.__name__}.{field.name}: {reason}.")
    return InvalidInput(f"Expected types that can be stored in the fields of {cls.__name__}: {error}.")


def unresolved(where: str, error: NameError) -> str:
    """The end of a message about an annotation whose name can't be found."""
    return (
        f"{where}, got {error.name!r}, which is not defined there. Define it at the top level of that module, before "
        "it is used; inside a function, leave out `from __future__ import annotations` and quotes."
    )
