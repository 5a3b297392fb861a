"""Compares states: where two of them differ, and what a decoder left out of a stored one."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from reprlib import repr as short
from typing import Any, Literal, NamedTuple

import msgspec

from eslab.payload.encoding import field_names

CONTAINERS = (Mapping, AbstractSet, list, tuple)


class Missing:
    """Stands for a value where there is none."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = Missing()


class Step(NamedTuple):
    """One step into a value: to a field, to an item of a map or list, or to whether a set has a member."""

    kind: Literal["field", "item", "member"]
    key: Any

    def __str__(self) -> str:
        brackets = {"field": ".{}", "item": "[{!r}]", "member": "{{{!r}}}"}
        return brackets[self.kind].format(self.key)


Path = tuple[Step, ...]


class Difference(NamedTuple):
    """A part in which two values differ."""

    path: Path
    one: Any
    other: Any

    def told(self, in_one: str, in_other: str) -> str:
        """The difference in words, of values that are found in these two places."""
        return f"{''.join(map(str, self.path))} is {short(self.one)} {in_one} and {short(self.other)} {in_other}"

    @property
    def field(self) -> str:
        """The outermost field, which reveals none of the values."""
        return str(self.path[0]) if self.path else ""


def differences(one: Any, other: Any, path: Path = ()) -> Iterator[Difference]:
    """The parts in which two values differ, in order.

    Containers must be of one class, since the code that folds may depend on it: a tuple is no list, and a dict is no
    defaultdict. A NaN equals itself.
    """
    if type(one) is type(other) and (parts := list(_parts(one, other))):
        for step, in_one, in_other in parts:
            yield from differences(in_one, in_other, (*path, step))
    elif not _is_same(one, other):
        yield Difference(path, one, other)


def look_up(value: Any, path: Path) -> Any:
    """The part of a value at a path; `MISSING` where there is none."""
    for kind, key in path:
        try:
            value = key in value if kind == "member" else value[key] if kind == "item" else getattr(value, key)
        except (LookupError, AttributeError, TypeError):
            return MISSING
    return value


def left_out(stored: Any, kept: Any, path: Path = ()) -> Path | None:
    """The path of the first key or item of a stored plain value that is not among what was kept of it."""
    if isinstance(stored, dict) and isinstance(kept, dict):
        pairs = [(key, value, kept.get(key, MISSING)) for key, value in stored.items()]
    elif isinstance(stored, list) and isinstance(kept, list):
        pairs = [(at, value, kept[at] if at < len(kept) else MISSING) for at, value in enumerate(stored)]
    else:
        return None
    for key, value, left in pairs:
        step = (*path, Step("item", key))
        if left is MISSING:
            return step
        if found := left_out(value, left, step):
            return found
    return None


def _parts(one: Any, other: Any) -> Iterator[tuple[Step, Any, Any]]:
    """The parts of two values of one class, side by side; none of a value that has no parts."""
    if isinstance(one, Mapping):
        for key in {**one, **other}:
            yield Step("item", key), one.get(key, MISSING), other.get(key, MISSING)
    elif isinstance(one, AbstractSet):
        for item in one ^ other:
            yield Step("member", item), item in one, item in other
    elif isinstance(one, list | tuple):
        if len(one) == len(other):
            yield from ((Step("item", at), *pair) for at, pair in enumerate(zip(one, other, strict=True)))
    else:
        names = one.__struct_fields__ if isinstance(one, msgspec.Struct) else field_names(one)
        yield from ((Step("field", name), getattr(one, name), getattr(other, name)) for name in names)


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, CONTAINERS) or isinstance(other, CONTAINERS):
        return type(one) is type(other) and one == other
    return one == other or (one != one and other != other)
