"""The schema lock: the shape of every stored type and version, in a file that is committed.

A test that compares the lock with the code catches an incompatible change before old rows do. In the file, an event is
named by its tag ("LicenseIssued:1") and a snapshot by type and fold ("license fold 1"); each maps its fields to their
types, and a type with " =" after it has a default.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from eslab.aggregate import Aggregate, event_types, type_name
from eslab.errors import InvalidInput
from eslab.event import oldest_reader, split_tag, tag_of
from eslab.payload.decoding import built

LOCK = Path("schema.lock.json")
DEFAULT_MARK = " ="  # in the file, after the type of a field that has a default
FOLD_MARK = " fold "  # in the file, between the type and the fold of a snapshot
HINT = "If it was never stored anywhere, delete its entry from the lock."


class Field(NamedTuple):
    """The type of a field in words, and whether it has a default."""

    type: str
    has_default: bool = False

    def __str__(self) -> str:
        return f"{self.type} with a default" if self.has_default else self.type


Fields = Mapping[str, Field]


class EventShape(NamedTuple):
    """One version of an event."""

    tag: str
    fields: Fields

    @property
    def name(self) -> str:
        """Its name in the lock."""
        return self.tag


class SnapshotShape(NamedTuple):
    """The state of an aggregate type, as one fold of the code saves it."""

    type: str
    fold: int
    fields: Fields

    @property
    def name(self) -> str:
        """Its name in the lock."""
        return f"{self.type}{FOLD_MARK}{self.fold}"


Shape = EventShape | SnapshotShape
Shapes = dict[str, Shape]  # by name


def shapes(aggregates: Iterable[type[Aggregate]]) -> Shapes:
    """The shape of every event and snapshot that these aggregates store now, in order of their names."""
    known: list[Shape] = []
    for aggregate in aggregates:
        events = [EventShape(tag_of(event), _fields(event)) for event in event_types(aggregate)]
        # Older code may leave such an event out of its snapshots, so a fold that knows it is another fold.
        skippable = {f"event {event.tag}": Field("as it may be left out") for event in events if _is_skippable(event)}
        fields = {**_fields(aggregate), **skippable}
        known += [*events, SnapshotShape(type_name(aggregate), aggregate.fold_version, fields)]
    return {shape.name: shape for shape in sorted(known, key=lambda shape: shape.name)}


def problems(locked: Shapes, aggregates: Iterable[type[Aggregate]]) -> list[str]:
    """The changes that old rows would fail on: one sentence each, with the fix; empty if all old rows load."""
    chosen = list(aggregates)
    now = shapes(chosen)
    upcast = {tag for cls in chosen for key in cls.upcasters for tag in ((key,) if isinstance(key, str) else key)}
    sentences: list[str] = []
    for name, old in locked.items():
        if name in now:
            sentences += [f"{name}: {change} {HINT}" for change in _changes(old, now[name])]
        elif isinstance(old, EventShape) and name not in upcast:
            sentences += _problems_of_older_version(old, now)
    return sentences


def read_lock(file: Path) -> Shapes:
    """The shapes in a lock; none if there is no file yet."""
    try:
        stored = msgspec.json.decode(file.read_bytes(), type=dict[str, dict[str, str]]) if file.exists() else {}
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"Expected a schema lock at {file}, found something else: {error}. Restore it.") from None
    return {name: _parsed(name, fields) for name, fields in stored.items()}


def check(file: Path, aggregates: Iterable[type[Aggregate]]) -> None:
    """Raise `InvalidInput` if old rows would fail on the code as it is, or if the lock isn't up to date."""
    chosen = list(aggregates)
    locked = read_lock(file)
    _refuse_problems(file, locked, chosen)
    if new := [name for name, shape in shapes(chosen).items() if locked.get(name) != shape]:
        raise InvalidInput(f"Expected {', '.join(new)} in {file} as in the code; run: eslab schema-lock")


def write_lock(file: Path, aggregates: Iterable[type[Aggregate]]) -> None:
    """Add new shapes to the lock; older versions stay for ever. Writes nothing if there are `problems`."""
    chosen = list(aggregates)
    locked = read_lock(file)
    _refuse_problems(file, locked, chosen)
    merged = {name: _formatted(shape) for name, shape in sorted((locked | shapes(chosen)).items())}
    beside = file.with_name(f"{file.name}.new")
    beside.write_text(f"{json.dumps(merged, indent=2)}\n", encoding="utf-8")
    beside.replace(file)


def _refuse_problems(file: Path, locked: Shapes, aggregates: list[type[Aggregate]]) -> None:
    if sentences := problems(locked, aggregates):
        first = f"Expected shapes that old rows still fit, as {file} has them. Found:"
        raise InvalidInput("\n".join([first, *sentences]))


def _parsed(name: str, fields: Mapping[str, str]) -> Shape:
    """A shape as it stands in the file."""
    typed = {key: Field(text.removesuffix(DEFAULT_MARK), text.endswith(DEFAULT_MARK)) for key, text in fields.items()}
    type, fold_mark, fold = name.rpartition(FOLD_MARK)
    return SnapshotShape(type, int(fold), typed) if fold_mark else EventShape(name, typed)


def _formatted(shape: Shape) -> dict[str, str]:
    """The fields of a shape as they stand in the file."""
    return {key: f"{field.type}{DEFAULT_MARK if field.has_default else ''}" for key, field in shape.fields.items()}


def _is_skippable(event: EventShape) -> bool:
    """May older code leave the event, or a part of it, out of its state?"""
    return oldest_reader(event.tag) is not None


def _changes(old: Shape, new: Shape) -> Iterator[str]:
    """The changes under the same version or fold that old rows or old code can't bear."""
    is_snapshot = isinstance(new, SnapshotShape)
    fix = "raise fold_version" if is_snapshot else f"make it {_next(new.tag)} with tag=version(...), with an upcaster"
    for key in sorted(old.fields.keys() | new.fields.keys()):
        was = old.fields.get(key)
        now = new.fields.get(key)
        if was == now or (was is None and now and now.has_default and not is_snapshot):
            continue
        if was is None:
            way_out = fix if is_snapshot else f"give it a default, or {fix}"
            yield f"field {key!r} was added{'' if is_snapshot else ' without a default'}; {way_out}."
        elif now is None:
            yield f"field {key!r} was removed, which older code would miss; {fix}."
        else:
            yield f"field {key!r} was {was} and is {now}; {fix}."


def _problems_of_older_version(old: EventShape, now: Shapes) -> Iterator[str]:
    """The fields that keep a version without an upcaster from being read as the current one."""
    current = _current_version(old, now)
    if current is None:
        yield f"{old.name}: no class and no upcaster reads it any more; keep one of them. {HINT}"
        return
    for key, field in current.fields.items():
        was = old.fields.get(key)
        if was is None and not field.has_default:
            yield (
                f"{old.tag}: {current.tag} needs {key!r}, which it lacks; give a default, or an upcaster for "
                f'"{old.tag}".'
            )
        if was is not None and was.type != field.type:
            yield (f'{old.tag}: {key!r} was {was} and is {field} in {current.tag}; write an upcaster for "{old.tag}".')


def _current_version(old: EventShape, now: Shapes) -> EventShape | None:
    """The version of the same event that the code has now."""
    type, _ = split_tag(old.tag)
    events = (shape for shape in now.values() if isinstance(shape, EventShape))
    return next((event for event in events if split_tag(event.tag)[0] == type), None)


def _next(tag: str) -> str:
    name, number = split_tag(tag)
    return f"{name}:{number + 1}"


def _fields(struct: type[msgspec.Struct]) -> Fields:
    info: Any = msgspec.inspect.type_info(built(struct))
    return {field.encode_name: Field(_type(field.type, {struct}), not field.required) for field in info.fields}


def _type(node: Any, seen: set[type]) -> str:
    """A type in words, with the shapes of the structs inside it."""
    match node:
        case msgspec.inspect.StructType(cls=cls) if cls in seen:
            return cls.__name__
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            inside = (f"{field.encode_name}: {_type(field.type, seen | {cls})}" for field in fields)
            return f"{cls.__name__}{{{', '.join(inside)}}}"
        case msgspec.inspect.EnumType(cls=cls):
            return f"{cls.__name__}({', '.join(sorted(str(member.value) for member in cls))})"
        case msgspec.inspect.LiteralType(values=values):
            return f"Literal({', '.join(sorted(map(str, values)))})"
        case msgspec.inspect.UnionType(types=types):
            return " | ".join(sorted(_type(item, seen) for item in types))
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return f"dict[{_type(key, seen)}, {_type(value, seen)}]"
        case msgspec.inspect.TupleType(item_types=types):
            return f"tuple[{', '.join(_type(item, seen) for item in types)}]"
    name = type(node).__name__.removesuffix("Type").lower()
    return f"{name}[{_type(node.item_type, seen)}]" if hasattr(node, "item_type") else name
