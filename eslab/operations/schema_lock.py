"""The schema lock: the shape of everything that is stored or hashed, in a file that is committed.

A test that compares the lock with the code catches an incompatible change before old rows do. By the name of each
aggregate type it holds the fields of every version of its events, of every fold of its snapshots, and the versions that
have an upcaster; and it holds the fields of commands, since the hash of a command leaves defaults out. The shapes
themselves are written by `eslab.operations.shapes`.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from eslab.aggregate import Aggregate, event_types, type_name
from eslab.errors import InvalidInput
from eslab.event import Command, Event, oldest_reader, split_tag, tag_of
from eslab.operations.shapes import Fields, changes, default_of, shape_of, type_of, widens
from eslab.payload.decoding import built
from eslab.payload.upcast import versions_of

LOCK = Path("schema.lock.json")
HINT = "If it was never stored anywhere, delete its entry from the lock."


class LockedAggregate(msgspec.Struct, forbid_unknown_fields=True):
    """All that was ever stored of one aggregate type."""

    encrypted: bool
    upcasters: list[str]  # by version, such as "Priced:1", or "Opened:1 + Named:1" for neighbours that are merged
    events: dict[str, Fields]  # by tag
    folds: dict[str, Fields]  # the state, by fold


class Lock(msgspec.Struct, forbid_unknown_fields=True):
    """The shapes of all aggregate types, by the prefix of their ids, and of all commands, by name."""

    aggregates: dict[str, LockedAggregate] = {}
    commands: dict[str, Fields] = {}

    def entries(self) -> dict[str, object]:
        """The entries of the lock, by the names that messages use."""
        named: dict[str, object] = {}
        for name, aggregate in self.aggregates.items():
            named[name] = (aggregate.encrypted, aggregate.upcasters)
            named |= {f"{name} {tag}": fields for tag, fields in aggregate.events.items()}
            named |= {f"{name} fold {fold}": fields for fold, fields in aggregate.folds.items()}
        return named | {f"command {name}": fields for name, fields in self.commands.items()}


def lock_of(aggregates: Iterable[type[Aggregate]], commands: Iterable[type[Command]] = ()) -> Lock:
    """The shapes as the code has them now. Raises `InvalidInput` if two classes share a name in the log."""
    lock = Lock()
    for cls in aggregates:
        if type_name(cls) in lock.aggregates:
            raise InvalidInput(
                f"Expected one aggregate type stored as {type_name(cls)!r}, got two, one of them {cls.__module__}."
                f"{cls.__qualname__}: their ids would mix. Set another stored_as in the newer one."
            )
        lock.aggregates[type_name(cls)] = _locked(cls)
    for command in commands:
        name = str(command.__struct_config__.tag)
        if name in lock.commands:
            raise InvalidInput(
                f"Expected one command {name!r}, got two, one of them {command.__module__}.{command.__qualname__}: "
                'their hashes would be alike. Rename one, or give it tag="...".'
            )
        lock.commands[name] = shape_of(command)
    return lock


def problems(locked: Lock, now: Lock) -> list[str]:
    """The changes that old rows or repeated requests would fail on: one sentence each, with the fix; empty if none."""
    sentences: list[str] = []
    for name, old in locked.aggregates.items():
        if name in now.aggregates:
            sentences += (f"{name} {problem}" for problem in _problems_of(old, now.aggregates[name]))
        else:
            sentences.append(
                f'{name}: no aggregate type stores under this name any more; set stored_as = "{name}" in the class '
                f"that replaced it. {HINT}"
            )
    for name in sorted(locked.commands.keys() & now.commands.keys()):
        fix = 'make it another command with tag="...", or restore it'
        for change in changes(locked.commands[name], now.commands[name], f"give it a default, or {fix}", fix):
            # The hash says nothing of a default, so it would take the old wish for the new one.
            sentences.append(f"command {name}: {change} A repeat of an older request would mean another wish.")
    return sentences


def read_lock(file: Path) -> Lock:
    """The shapes in a lock; none if there is no file yet."""
    try:
        lock = msgspec.json.decode(file.read_bytes(), type=built(Lock))
        for aggregate in lock.aggregates.values():
            _merged(aggregate, aggregate)  # a ValueError for a tag or a fold that is none
        return lock
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        raise InvalidInput(f"Expected a schema lock at {file}, which can't be read: {error}. Check --file.") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidInput(f"Expected a schema lock at {file}, found something else: {error}. Restore it.") from None


def check(file: Path, now: Lock) -> None:
    """Raise `InvalidInput` if old rows would fail on the code as it is, or if the lock isn't up to date."""
    locked = read_lock(file)
    _refuse_problems(file, locked, now)
    known = locked.entries()
    if new := [name for name, entry in now.entries().items() if known.get(name) != entry]:
        raise InvalidInput(
            f"Expected {', '.join(new)} in {file} as in the code; run the same eslab schema-lock without --check."
        )


def write_lock(file: Path, now: Lock) -> None:
    """Add new shapes to the lock; older versions stay for ever. Writes nothing if there are `problems`."""
    locked = read_lock(file)
    _refuse_problems(file, locked, now)
    merged = Lock(dict(locked.aggregates), dict(sorted((locked.commands | now.commands).items())))
    for name, aggregate in now.aggregates.items():
        merged.aggregates[name] = _merged(locked.aggregates.get(name, aggregate), aggregate)
    merged.aggregates = dict(sorted(merged.aggregates.items()))
    beside = file.with_name(f"{file.name}.new")
    try:
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(merged), indent=2) + b"\n")
        beside.replace(file)
    except OSError as error:
        raise InvalidInput(f"Expected to write the schema lock {file}, which failed: {error}. Check --file.") from None


def _locked(cls: type[Aggregate]) -> LockedAggregate:
    events = {tag_of(event): shape_of(event) for event in _in_order(event_types(cls))}
    # Older code may leave such an event out of its snapshots, so a fold that knows it is another fold.
    skippable = {f"event {tag}": "as it may be left out" for tag in events if _is_skippable(tag)}
    upcasters = sorted(" + ".join(f"{name}:{number}" for name, number in versions_of(key)) for key in cls.upcasters)
    return LockedAggregate(cls.encrypted, upcasters, events, {str(cls.fold_version): {**shape_of(cls), **skippable}})


def _in_order(events: Iterable[type[Event]]) -> list[type[Event]]:
    return sorted(events, key=lambda event: (split_tag(tag_of(event)), tag_of(event)))


def _merged(old: LockedAggregate, new: LockedAggregate) -> LockedAggregate:
    events = old.events | new.events
    folds = old.folds | new.folds
    in_order = sorted(events, key=lambda tag: (split_tag(tag), tag))
    return LockedAggregate(
        new.encrypted,
        new.upcasters,
        {tag: events[tag] for tag in in_order},
        {fold: folds[fold] for fold in sorted(folds, key=int)},
    )


def _refuse_problems(file: Path, locked: Lock, now: Lock) -> None:
    if sentences := problems(locked, now):
        first = f"Expected shapes that old rows still fit, as {file} has them. Found:"
        raise InvalidInput("\n".join([first, *sentences]))


def _is_skippable(tag: str) -> bool:
    """May older code leave the event, or a part of it, out of its state?"""
    return oldest_reader(tag) is not None


def _problems_of(old: LockedAggregate, new: LockedAggregate) -> Iterator[str]:
    if old.encrypted and not new.encrypted:
        yield "is stored encrypted, and the class is not; keep encrypted = True, which reads plain rows too."
    for key in sorted(set(old.upcasters) - set(new.upcasters)):
        yield f"{key}: its upcaster is gone, and rows of this version stay for ever; restore it. {HINT}"
    for tag in old.events:
        yield from _problems_of_event(tag, old, new)
    for fold, fields in old.folds.items():
        yield from _problems_of_fold(int(fold), fields, new.folds)


def _problems_of_fold(fold: int, fields: Fields, new: Mapping[str, Fields]) -> Iterator[str]:
    ((text, current),) = new.items()
    if fold > int(text):
        yield f"fold {fold}: fold_version went back to {text}, whose old snapshots would be used again; raise it."
    elif fold == int(text):
        fix = "raise fold_version"
        for change in changes(fields, current, fix, fix, additions=False):
            yield f"fold {fold}: {change} {HINT}"


def _problems_of_event(tag: str, old: LockedAggregate, new: LockedAggregate) -> Iterator[str]:
    name, number = split_tag(tag)
    upcast = {split_tag(part) for key in new.upcasters for part in key.split(" + ")}
    skipped = [version for version in sorted(upcast) if version[0] == name and version[1] > number]
    current = next((other for other in new.events if split_tag(other)[0] == name), None)
    if (name, number) in upcast:
        return
    if skipped:
        yield f"{tag}: has no upcaster, so its rows would skip the one of {name}:{skipped[0][1]}; write one. {HINT}"
    elif current is None:
        yield f"{tag}: no class and no upcaster reads it any more; keep one of them. {HINT}"
    elif split_tag(current)[1] < number:
        yield f"{tag}: the class went back to {current}, which refuses its rows; raise its version. {HINT}"
    elif split_tag(current)[1] == number:
        fix = f"make it {name}:{number + 1} with tag=version(...), with an upcaster"
        for change in changes(old.events[tag], new.events[current], f"give it a default, or {fix}", fix):
            yield f"{tag}: {change} {HINT}"
    else:
        yield from _problems_of_older_version(tag, current, old, new)


def _problems_of_older_version(tag: str, current: str, old: LockedAggregate, new: LockedAggregate) -> Iterator[str]:
    """The fields that keep a version without an upcaster from being read as the current one."""
    fields = old.events[tag]
    for key, now in new.events[current].items():
        was = fields.get(key)
        before = was if was is not None else _introduced(key, tag, old)
        if was is None and isinstance(now, str) and default_of(now) is None:
            yield f'{tag}: {current} needs {key!r}, which it lacks; give a default, or an upcaster for "{tag}".'
        elif was is not None and not widens(was, now):
            was_and_is = f"{key!r} was {type_of(was)} and is {type_of(now)} in {current}"
            yield f'{tag}: {was_and_is}; write an upcaster for "{tag}".'
        elif (default := default_of(before)) is not None and default != default_of(now):
            yield (
                f"{tag}: its rows may lack {key!r}, which then was {default} and is {default_of(now) or 'missing'} in "
                f'{current}; write an upcaster for "{tag}".'
            )


def _introduced(key: str, tag: str, old: LockedAggregate) -> object:
    """The field in the first version after `tag` that has it: until now its default was the value of older rows."""
    name, number = split_tag(tag)
    later = (
        fields for other, fields in old.events.items() if split_tag(other)[0] == name and split_tag(other)[1] > number
    )
    return next((fields[key] for fields in later if key in fields), None)
