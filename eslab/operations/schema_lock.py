"""The schema lock: the shape of every stored type and version, in a file that is committed.

Who changes a shape without a new version, a default or an upcaster is told so by a test, before the old rows tell it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from eslab.aggregate import Aggregate, event_types, type_name
from eslab.errors import InvalidInput
from eslab.event import oldest_reader, split_tag, tag_of

Shape = dict[str, str]  # each field's type, with " = " behind it if it has a default
Shapes = dict[str, Shape]  # by "LicenseIssued:1" for an event, "license fold 1" for a snapshot
LOCK = Path("schema.lock.json")
OPTIONAL = " ="
HINT = "If it was never stored anywhere, delete its entry from the lock."


def aggregates_in(modules: Iterable[str]) -> list[type[Aggregate]]:
    """All aggregate types of these modules and of the modules inside them, which are imported for it."""
    names = {name for module in modules for name in (module, *_inside(module))}
    for name in sorted(names):
        _import(name)
    return sorted((each for each in _subclasses(Aggregate) if each.__module__ in names), key=type_name)


def shapes(aggregates: Iterable[type[Aggregate]]) -> Shapes:
    """The shape of every event and snapshot that these aggregates store now."""
    found: Shapes = {}
    for aggregate in aggregates:
        tags = {tag_of(event): _shape(event) for event in event_types(aggregate)}
        # What older code may leave out is missing in its snapshots, so a fold that knows it is another one.
        left_out = {f"event {tag}": "as it may be left out" for tag in tags if oldest_reader(tag) is not None}
        found[f"{type_name(aggregate)} fold {aggregate.fold_version}"] = _shape(aggregate) | left_out
        found |= tags
    return dict(sorted(found.items()))


def problems(locked: Mapping[str, Shape], aggregates: Iterable[type[Aggregate]]) -> list[str]:
    """What stored rows would stumble over: one sentence each, with what mends it; empty if all old rows load."""
    chosen = list(aggregates)
    now = shapes(chosen)
    upcast = {tag for each in chosen for key in each.upcasters for tag in ((key,) if isinstance(key, str) else key)}
    found = []
    for name, old in locked.items():
        if name in now:
            found += [f"{name}: {what} {HINT}" for what in _changes(name, old, now[name])]
        elif " fold " not in name and name not in upcast:
            found += _of_older_version(name, old, now)
    return found


def read_lock(file: Path) -> Shapes:
    """The shapes of a lock; none if there is no file yet."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Shapes) if file.exists() else {}
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"Expected a schema lock at {file}, found what is none: {error}. Restore it.") from None


def check(file: Path, aggregates: Iterable[type[Aggregate]]) -> None:
    """Raise `InvalidInput` if old rows would stumble over the code as it is, or if the lock isn't up to date."""
    chosen, locked = list(aggregates), read_lock(file)
    if found := problems(locked, chosen):
        raise InvalidInput("\n".join([f"Expected shapes that old rows still fit, as {file} has them. Found:", *found]))
    if new := [name for name, shape in shapes(chosen).items() if locked.get(name) != shape]:
        raise InvalidInput(f"Expected {', '.join(new)} in {file} as in the code; run: eslab schema-lock")


def write_lock(file: Path, aggregates: Iterable[type[Aggregate]]) -> None:
    """Add what is new to the lock; older versions stay for ever. Refuses what `problems` finds, and writes nothing."""
    chosen, locked = list(aggregates), read_lock(file)
    if found := problems(locked, chosen):
        raise InvalidInput("\n".join([f"Expected shapes that old rows still fit, as {file} has them. Found:", *found]))
    text = json.dumps(dict(sorted((locked | shapes(chosen)).items())), indent=2)
    beside = file.with_name(f"{file.name}.new")
    beside.write_text(f"{text}\n", encoding="utf-8")
    beside.replace(file)


def _changes(name: str, old: Shape, new: Shape) -> Iterator[str]:
    """What changed under the same version or fold, where that can't be."""
    is_snapshot = " fold " in name
    mend = "raise fold_version" if is_snapshot else f"make it {_next(name)} with tag=version(...), with an upcaster"
    for field in sorted(old.keys() | new.keys()):
        was, now = old.get(field), new.get(field)
        if was == now or (was is None and now and now.endswith(OPTIONAL) and not is_snapshot):
            continue
        if was is None:
            way_out = mend if is_snapshot else f"give it a default, or {mend}"
            yield f"field {field!r} was added{'' if is_snapshot else ' without a default'}; {way_out}."
        elif now is None:
            yield f"field {field!r} was removed, which code of before would miss; {mend}."
        else:
            yield f"field {field!r} was {_text(was)} and is {_text(now)}; {mend}."


def _of_older_version(name: str, old: Shape, now: Shapes) -> Iterator[str]:
    """What a version that has no upcaster lacks to be read as the current one."""
    type_of_name, _ = split_tag(name)
    current = next((tag for tag in now if " fold " not in tag and split_tag(tag)[0] == type_of_name), None)
    if current is None:
        yield f"{name}: no class and no upcaster reads it any more; keep one of them. {HINT}"
        return
    for field, type_now in now[current].items():
        was = old.get(field)
        if was is None and not type_now.endswith(OPTIONAL):
            yield f'{name}: {current} needs {field!r}, which it has not; give a default, or an upcaster for "{name}".'
        if was is not None and was.removesuffix(OPTIONAL) != type_now.removesuffix(OPTIONAL):
            yield (
                f"{name}: {field!r} was {_text(was)} and is {_text(type_now)} in {current}; "
                f'write an upcaster for "{name}".'
            )


def _next(tag: str) -> str:
    name, number = split_tag(tag)
    return f"{name}:{number + 1}"


def _text(field: str) -> str:
    return field.removesuffix(OPTIONAL) + (" with a default" if field.endswith(OPTIONAL) else "")


def _shape(struct: type[msgspec.Struct]) -> Shape:
    info: Any = msgspec.inspect.type_info(struct)
    return {each.encode_name: _type(each.type, {struct}) + ("" if each.required else OPTIONAL) for each in info.fields}


def _type(node: Any, seen: set[type]) -> str:
    """A type in words, with the shapes of the structs inside it."""
    match node:
        case msgspec.inspect.StructType(cls=cls) if cls in seen:
            return cls.__name__
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            inside = (f"{each.encode_name}: {_type(each.type, seen | {cls})}" for each in fields)
            return f"{cls.__name__}{{{', '.join(inside)}}}"
        case msgspec.inspect.EnumType(cls=cls):
            return f"{cls.__name__}({', '.join(sorted(str(each.value) for each in cls))})"
        case msgspec.inspect.LiteralType(values=values):
            return f"Literal({', '.join(sorted(map(str, values)))})"
        case msgspec.inspect.UnionType(types=types):
            return " | ".join(sorted(_type(each, seen) for each in types))
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return f"dict[{_type(key, seen)}, {_type(value, seen)}]"
        case msgspec.inspect.TupleType(item_types=types):
            return f"tuple[{', '.join(_type(each, seen) for each in types)}]"
    name = type(node).__name__.removesuffix("Type").lower()
    return f"{name}[{_type(node.item_type, seen)}]" if hasattr(node, "item_type") else name


def _subclasses(base: type) -> Iterator[type[Any]]:
    for each in base.__subclasses__():
        yield each
        yield from _subclasses(each)


def _inside(module: str) -> Iterator[str]:
    for folder in map(Path, getattr(_import(module), "__path__", ())):
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            yield ".".join((module, *(part for part in parts if part != "__init__")))


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"Expected a module {module!r}, found none: {error}. Check its name, or its packages."
        ) from None
