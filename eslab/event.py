"""Events happened, commands are wishes, and a rejection answers a command that the rules forbid.

    class ColorAdded(Event):            # stored as "ColorAdded:1"
        color: str

    class Priced(Event, tag=version(2)):    # stored as "Priced:2", since its shape changed once
        cents: int
        currency: str = "EUR"               # version 1 had no currency: it gets the default

The stored name is part of the log for ever: renaming a class without keeping its name orphans its events.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar

import msgspec

from eslab import display
from eslab.declared import Declared, Options
from eslab.errors import InvalidInput, reduced


def version(number: int, since: int | None = None) -> Callable[[str], str]:
    """The tag of an event type in its `number`th shape: `class Priced(Event, tag=version(2))`.

    `since` declares the oldest reader that may ignore fields it doesn't know: `version(3, since=2)` is stored as
    "Priced:3/2", and code that knows version 2 reads it as far as it can. With `since=0` even code that doesn't know
    the type may skip the event. Without it an older reader refuses the event (G8).
    """
    if number < 1:
        raise InvalidInput(f"Expected an event version of 1 or more, got {number}.")
    if since is not None and not 0 <= since < number:
        raise InvalidInput(f"Expected since below the version {number} and 0 or more, got {since}.")
    return lambda class_name: f"{class_name}:{number}" + ("" if since is None else f"/{since}")


MAX_VERSION_DIGITS = 9
MAX_TAG = 200  # characters

# Unpacked, so that type checkers don't ask for frozen=True on every subclass, which inherits it anyway.
FROZEN: dict[str, Any] = {"frozen": True}
COMMON: Options = {
    "array_like": (False, "fields are stored by name, so that some can be added or removed later"),
    "tag_field": ("type", 'the name of the class is stored under "type"'),
    "frozen": (True, "what happened, or was wished, can't change"),
    "eq": (True, "events and commands are equal if their fields are"),
}


class Event(msgspec.Struct, metaclass=Declared, gc=False, tag_field="type", tag=version(1), **FROZEN):
    """Something that happened: immutable, with a type, a version and domain fields only.

    An event that needs a time has a field for it. Fields may have any type that msgspec can encode and decode
    (docs/serializer.md); the name `type` is taken.
    """

    _options: ClassVar[Options] = {
        **COMMON,
        "omit_defaults": (False, "a default that changes later would change old events"),
        "forbid_unknown_fields": (False, "old events may have fields that were removed since"),
    }

    def _repr_html_(self) -> str:
        return display.table(tag_of(type(self)), display.fields(self))


class Command(msgspec.Struct, metaclass=Declared, tag_field="type", tag=True, omit_defaults=True, **FROZEN):
    """A wish, named in the imperative; it may be rejected.

    A field with its default value is left out of the command's hash. So a field that is added later, with a default,
    doesn't turn the repeats of older requests into conflicts.
    """

    _options: ClassVar[Options] = {
        **COMMON,
        "omit_defaults": (True, "a field that is added later would turn repeats of older requests into conflicts"),
    }

    def _repr_html_(self) -> str:
        return display.table(type(self).__name__, display.fields(self))


class Rejected(Exception):
    """The answer to a command that the rules forbid: nothing is written; names rule, limit and count (G7).

    A handler raises it, a service returns it.
    """

    def __init__(self, rule: str, reason: str, *, limit: Any = None, count: Any = None) -> None:
        super().__init__(rule, reason)
        self.rule = rule
        self.reason = reason
        self.limit = limit
        self.count = count

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __str__(self) -> str:
        numbers = f" (limit {self.limit}, count {self.count})" if self.limit is not None else ""
        return f"Rejected by {self.rule}: {self.reason}{numbers}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = {"rule": self.rule, "reason": self.reason, "limit": self.limit, "count": self.count}
        return display.table("Rejected", rows, mark="✗")


def tag_of(event_type: type[Event]) -> str:
    """The stored name and version of an event type, such as "ColorAdded:1"."""
    tag = event_type.__struct_config__.tag
    if not isinstance(tag, str) or not is_tag(tag):
        raise InvalidInput(
            f'Expected a tag such as "{event_type.__name__}:1" on {event_type.__name__}, got {tag!r}; '
            "use tag=version(n)."
        )
    return tag


def split_tag(tag: str) -> tuple[str, int]:
    """The stored name and the version: ("ColorAdded", 1) for "ColorAdded:1"."""
    name, number, _ = _parts(tag)
    return name, number


def oldest_reader(tag: str) -> int | None:
    """The oldest version whose reader may ignore unknown fields: 2 in "Priced:3/2", None in "Priced:3"."""
    return _parts(tag)[2]


def is_tag(tag: str) -> bool:
    """Is `tag` a stored name, a colon and a version, and perhaps a slash and the oldest reader?"""
    if len(tag) > MAX_TAG:
        return False
    try:
        return bool(_parts(tag))
    except ValueError:
        return False


@lru_cache(1024)
def _parts(tag: str) -> tuple[str, int, int | None]:
    """Name, version and oldest reader; `ValueError` if it is no tag. Cached: every event of an older version asks."""
    name, _, numbers = tag.rpartition(":")
    number, slash, since = numbers.partition("/")
    if not name or "/" in name:
        raise ValueError(tag)
    return name, _number(number), _number(since) if slash else None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_VERSION_DIGITS):
        raise ValueError(text)
    return int(text)
