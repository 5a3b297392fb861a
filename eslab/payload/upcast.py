"""Upcasters: small functions from one version of a stored event to the next, run lazily, on the raw form.

    def in_cents(priced):                                  # a plain map, and so is what it gives back
        return {"type": "Priced:3", "cents": 100 * priced["euros"], "currency": priced["currency"]}

    class Offer(Aggregate):
        upcasters = {
            "Priced:2": in_cents,                          # one event becomes one
            "Moved:1": lambda moved: [left, arrived],      # or several
            ("Opened:1", "Named:1"): opened_with_name,     # neighbours in one commit become one
        }

Steps are chained until no upcaster fits. An event that is still of an older version then takes its defaults.

An upcaster is for a version, whoever may skip it: "Priced:3" is also the step of "Priced:3/2". Nothing is lost
silently: an event that would skip the upcaster of a later version, and a step that returns nothing, are refused. To
drop an event, keep its class in the annotation of `apply` and let `apply` pass over it; then the history shows it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from reprlib import repr as short
from typing import Any

import msgspec

from eslab.errors import InvalidInput, Unreadable
from eslab.event import is_tag, split_tag

RawEvent = dict[str, Any]
Upcaster = Callable[..., RawEvent | list[RawEvent]]
FoldStep = Callable[[dict[str, Any]], dict[str, Any]]
Version = tuple[str, int]  # an event's name and version: ("Priced", 3) for "Priced:3" and "Priced:3/2"
MAX_STEPS = 100  # per event of a commit; more means a circle


class Steps:
    """All upcasters of an aggregate type, whose `current` events have these tags."""

    def __init__(self, upcasters: Mapping[str | tuple[str, ...], Upcaster], current: Iterable[str]) -> None:
        self._current = dict(map(split_tag, current))
        self._steps: dict[tuple[Version, ...], Upcaster] = {}
        for key, step in upcasters.items():
            self._add(versions_of(key), step)
        self._longest = max(map(len, self._steps), default=1)
        # By name, the latest version that an upcaster is for: in order of versions, the last one stays.
        self._latest = dict(sorted(chain.from_iterable(self._steps)))

    def upcast(self, stored: Sequence[RawEvent]) -> list[RawEvent]:
        """The events of one commit after all steps that fit; `Unreadable` for a step that fails or is missing."""
        todo = list(reversed(stored))  # the next event is last, where it is cheap to take
        done: list[RawEvent] = []
        taken = 0
        while todo:
            versions = tuple(split_tag(checked_tag(raw)) for raw in reversed(todo[-self._longest :]))
            fitting = next((versions[:n] for n in range(len(versions), 0, -1) if versions[:n] in self._steps), None)
            if fitting is None:
                self._check_no_gap(*versions[0])
                done.append(todo.pop())
                continue
            taken += 1
            if taken > MAX_STEPS * len(stored):
                raise Unreadable(f"the upcaster of {_tags(fitting)} goes in a circle; let it lead to an end")
            old = [todo.pop() for _ in fitting]
            made = _run(self._steps[fitting], fitting, old)
            todo += [self._forward(fitting, raw) for raw in reversed(made)]
        return done

    def _add(self, versions: tuple[Version, ...], step: Upcaster) -> None:
        if versions in self._steps:
            raise InvalidInput(f"Expected one upcaster for {_tags(versions)}, got two; keep one of them.")
        if not callable(step):
            raise InvalidInput(f"Expected a function as upcaster of {_tags(versions)}, got {short(step)}.")
        # A commit of nothing but current events is read without looking at steps.
        if all(self._current.get(name) == number for name, number in versions):
            raise InvalidInput(
                f"Expected an upcaster for an older version, got one for {_tags(versions)}, which the class already "
                "is; raise the version of the class, or remove the upcaster."
            )
        for name, number in versions:
            if number > self._current.get(name, number):
                raise InvalidInput(
                    f"Expected upcasters for versions up to {name}:{self._current[name]}, the current one, got one for "
                    f"{name}:{number}; raise the version of the class, or remove the upcaster."
                )
        self._steps[versions] = step

    def _check_no_gap(self, name: str, number: int) -> None:
        """Refuse an event without an upcaster if a later version has one: its change would be left out silently."""
        if number < (latest := self._latest.get(name, 0)):
            raise Unreadable(
                f"expected an upcaster for {name}:{number}, found none but one for {name}:{latest}, which the event "
                f"would skip; write an upcaster for {name}:{number}"
            )

    def _forward(self, versions: tuple[Version, ...], made: RawEvent) -> RawEvent:
        """Refuse a step back or astray: it must lead to a later version of its own name, or to another known event."""
        name, number = split_tag(checked_tag(made, versions))
        if any(name == old and number <= version for old, version in versions):
            raise Unreadable(
                f"expected a later version from the upcaster of {_tags(versions)}, found {name}:{number}; "
                'set "type" in what it returns'
            )
        if number > self._current.get(name, self._latest.get(name, 0)):
            raise Unreadable(
                f"expected an event that the code knows from the upcaster of {_tags(versions)}, found {name}:{number}; "
                'set "type" to the tag of a current event or of another upcaster'
            )
        # Without the mark that readers may skip it: what an upcaster returns is never dropped.
        return {**made, "type": f"{name}:{number}"}


def versions_of(key: str | tuple[str, ...]) -> tuple[Version, ...]:
    """The versions that an upcaster with this key is for; raises `InvalidInput` for a key that is no stored tag."""
    tags = (key,) if isinstance(key, str) else key
    if not (isinstance(tags, tuple) and tags and all(isinstance(tag, str) and is_tag(tag) for tag in tags)):
        raise InvalidInput(f'Expected an upcaster for a stored tag such as "Priced:1", got one for {key!r}.')
    return tuple(map(split_tag, tags))


def checked_tag(raw: RawEvent, made_of: Iterable[Version] = ()) -> str:
    """The tag of a raw event, which an upcaster may have made of these versions; `Unreadable` if it has none."""
    tag = raw.get("type")
    if not isinstance(tag, str) or not is_tag(tag):
        source = f" from the upcaster of {_tags(made_of)}" if made_of else ""
        raise Unreadable(f'expected an event with a type such as "ColorAdded:1"{source}, found type {str(tag)[:40]!r}')
    return tag


def run_step(step: Callable[..., Any], *old: dict[str, Any]) -> Any:
    """The result of a step on copies of stored maps; any exception becomes an `Unreadable` that names the step."""
    try:
        return step(*map(_plain, old))
    except Exception as error:  # the domain's own code, on bytes of years ago
        name = getattr(step, "__name__", str(step))
        raise Unreadable(f"the upcaster {name} failed with {type(error).__name__}: {error}; fix it") from error


def _plain(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: msgspec.msgpack.decode(it) if isinstance(it, msgspec.Raw) else it for key, it in raw.items()}


def _run(step: Upcaster, versions: tuple[Version, ...], old: Sequence[RawEvent]) -> list[RawEvent]:
    result = run_step(step, *old)
    made = result if isinstance(result, list) else [result]
    if not made or not all(isinstance(raw, dict) for raw in made):
        raise Unreadable(
            f"expected a map or a list of maps from the upcaster of {_tags(versions)}, found {short(result)}; to drop "
            "an event, keep its class in the annotation of apply and let apply pass over it"
        )
    return made


def _tags(versions: Iterable[Version]) -> str:
    return ", ".join(f"{name}:{number}" for name, number in versions)
