"""The shape of a struct in words: names, types and defaults of its fields, and of the types inside them.

    {"cents": "int", "currency": "str = \\"EUR\\"", "size": "Size", "enum Size": ["large", "small"]}

A nested struct has an entry of its own, such as "struct Period". Shapes are compared by what old bytes need: `changes`
within one version, `widens` from an older version to a newer one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from eslab.payload.decoding import built

Field = str | list[str | int] | dict[str, str]  # a field's type and default, an enum's values, a nested struct's fields
Fields = dict[str, Field]  # by stored name
Nested = dict[str, tuple[type, Any]]  # the enums and structs inside a struct, each with its class
DEFAULT = " = "  # between the type of a field and its default
CONSTRAINTS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "tz")
STRUCTS = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.NamedTupleType)


def shape_of(struct: type[msgspec.Struct]) -> Fields:
    """The fields of a struct in order, then the enums and structs inside them."""
    node: Any = inspect.type_info(built(struct))
    nested: Nested = {}
    fields = _fields(node, nested)
    return {**fields, **{name: nested[name][1] for name in sorted(nested)}}


def type_of(field: Any) -> str:
    """The type of a field, or what stands in its place."""
    return field.partition(DEFAULT)[0] if isinstance(field, str) else str(field)


def default_of(field: Any) -> str | None:
    """The default of a field; None if it has none."""
    if not isinstance(field, str) or DEFAULT not in field:
        return None
    return field.partition(DEFAULT)[2]


def changes(
    old: Mapping[str, Any], new: Mapping[str, Any], fix_added: str, fix: str, *, additions: bool = True
) -> Iterator[str]:
    """The changes under the same version that old bytes or old code can't bear; a field may be added if `additions`."""
    for key in sorted(old.keys() | new.keys()):
        was = old.get(key)
        now = new.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            inside = changes(was, now, fix_added, fix, additions=additions)
            yield from (f"in {key}: {change}" for change in inside)
        elif was == now or _is_harmless(was, now, additions):
            continue
        elif was is None:
            yield f"field {key!r} was added{' without a default' if additions else ''}; {fix_added}."
        elif now is None:
            yield f"field {key!r} was removed, which older code would miss; {fix}."
        else:
            yield f"{'' if isinstance(was, list) else 'field '}{key!r} was {was} and is {now}; {fix}."


def widens(was: Any, now: Any) -> bool:
    """Does every stored value of the old field load as the new one?"""
    if isinstance(was, list) and isinstance(now, list):
        return set(was) <= set(now)
    if isinstance(was, dict) and isinstance(now, dict):
        return all(
            widens(was[key], field) if key in was else default_of(field) is not None or not isinstance(field, str)
            for key, field in now.items()
        )
    return isinstance(was, str) and isinstance(now, str) and _type_widens(type_of(was), type_of(now))


def _is_harmless(was: Any, now: Any, additions: bool) -> bool:
    if isinstance(was, list) and isinstance(now, list):
        return set(was) <= set(now)  # an enum that has more values
    if was is None:
        # The fields that use a new enum or struct tell whether it is harmless.
        return not isinstance(now, str) or (additions and default_of(now) is not None)
    return now is None and not isinstance(was, str)


def _type_widens(was: str, now: str) -> bool:
    alternatives = _split(now, " | ")
    return now == "any" or all(any(_fits(one, other) for other in alternatives) for one in _split(was, " | "))


def _fits(was: str, now: str) -> bool:
    if was == now or (was, now) == ("int", "float") or was.partition("(")[0] == now:
        return True
    head, bracket, inside = was.partition("[")
    if not bracket or not now.startswith(f"{head}["):
        return False
    old = _split(inside[:-1], ", ")
    new = _split(now[len(head) + 1 : -1], ", ")
    return len(old) == len(new) and all(map(_type_widens, old, new))


def _split(text: str, separator: str) -> list[str]:
    """The parts of a type in words, split outside its brackets."""
    parts = [""]
    for piece in text.split(separator):
        inside = parts[-1].count("[") > parts[-1].count("]")
        parts = [*parts[:-1], parts[-1] + separator + piece] if inside else [*parts, piece]
    return parts[1:]


def _fields(node: Any, nested: Nested) -> dict[str, str]:
    return {field.encode_name: _type(field.type, nested) + _default(field) for field in node.fields}


def _default(field: Any) -> str:
    if field.required:
        return ""
    if field.default_factory is not msgspec.NODEFAULT:
        name = getattr(field.default_factory, "__qualname__", type(field.default_factory).__qualname__)
        return f"{DEFAULT}{name}()"
    if field.default is msgspec.UNSET or field.default is msgspec.NODEFAULT:
        return f"{DEFAULT}unset"
    # The name of a type that JSON lacks, since its repr may hold an address.
    encoded = msgspec.json.encode(field.default, enc_hook=lambda value: type(value).__qualname__, order="deterministic")
    return DEFAULT + encoded.decode()


def _type(node: Any, nested: Nested) -> str:
    """A type in words; the enums and structs inside it are put into `nested`."""
    constraints = [f"{name}={value!r}" for name in CONSTRAINTS if (value := getattr(node, name, None)) is not None]
    return _plain_type(node, nested) + (f"({', '.join(constraints)})" if constraints else "")


def _plain_type(node: Any, nested: Nested) -> str:
    match node:
        case inspect.EnumType(cls=cls):
            name = _name("enum", cls, nested)
            nested[name] = (cls, sorted((member.value for member in cls), key=str))
            return name.removeprefix("enum ")
        case inspect.LiteralType(values=values):
            return " | ".join(sorted(map(repr, values)))
        case inspect.UnionType(types=types):
            return " | ".join(sorted(_type(item, nested) for item in types))
        case inspect.DictType(key_type=key, value_type=value):
            return f"dict[{_type(key, nested)}, {_type(value, nested)}]"
        case inspect.TupleType(item_types=types):
            return f"tuple[{', '.join(_type(item, nested) for item in types)}]"
        case inspect.CustomType(cls=cls):
            return f"custom {cls.__qualname__}"
        case _ if isinstance(node, STRUCTS):
            return _struct(node, nested)
    name = type(node).__name__.removesuffix("Type").lower()
    return f"{name}[{_type(node.item_type, nested)}]" if hasattr(node, "item_type") else name


def _struct(node: Any, nested: Nested) -> str:
    """The name of a struct; its own fields are put into `nested` once, so that a struct may hold itself."""
    name = _name("struct", node.cls, nested)
    if name not in nested:
        fields: dict[str, str] = {}
        nested[name] = (node.cls, fields)
        if getattr(node, "tag", None) is not None:
            fields[node.tag_field] = f"tag {node.tag}"
        if getattr(node, "array_like", False):
            fields["(as an array)"] = ", ".join(field.encode_name for field in node.fields)
        fields |= _fields(node, nested)
    return name.removeprefix("struct ")


def _name(kind: str, cls: type, nested: Nested) -> str:
    """The name of a nested type's entry; with its module if another class has the short one."""
    short = f"{kind} {cls.__name__}"
    return short if nested.get(short, (cls,))[0] is cls else f"{kind} {cls.__module__}.{cls.__qualname__}"
