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
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from eslab.errors import InvalidInput, Unreadable
from eslab.event import is_tag, split_tag

RawEvent = dict[str, Any]
Upcaster = Callable[..., RawEvent | list[RawEvent]]
FoldStep = Callable[[dict[str, Any]], dict[str, Any]]
MAX_STEPS = 100  # per event of a commit; more means a circle


class Steps:
    """All upcasters of an aggregate type."""

    def __init__(self, upcasters: Mapping[str | tuple[str, ...], Upcaster], current: set[str]) -> None:
        self._steps = {(key,) if isinstance(key, str) else key: step for key, step in upcasters.items()}
        for tags in self._steps:
            _check_key(tags, current)
        self._longest = max(map(len, self._steps), default=1)

    def upcast(self, stored: Sequence[RawEvent]) -> list[RawEvent]:
        """The events of one commit after all steps that fit; raises `Unreadable` if a step fails or goes back."""
        todo = list(reversed(stored))  # the next event is last, where it is cheap to take
        done: list[RawEvent] = []
        taken = 0
        while todo:
            tags = tuple(map(checked_tag, reversed(todo[-self._longest :])))
            fitting = next((tags[:n] for n in range(len(tags), 0, -1) if tags[:n] in self._steps), None)
            if fitting is None:
                done.append(todo.pop())
                continue
            taken += 1
            if taken > MAX_STEPS * len(stored):
                raise Unreadable(f"the upcaster of {', '.join(fitting)} goes in a circle; let it lead to an end")
            old = [todo.pop() for _ in fitting]
            todo += reversed(_forward(fitting, _run(self._steps[fitting], fitting, old)))
        return done


def checked_tag(raw: RawEvent) -> str:
    """The type and version of a raw event; `Unreadable` if it has none."""
    tag = raw.get("type")
    if not isinstance(tag, str) or not is_tag(tag):
        raise Unreadable(f'expected an event with a type such as "ColorAdded:1", found type {str(tag)[:40]!r}')
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


def _run(step: Upcaster, tags: tuple[str, ...], old: Sequence[RawEvent]) -> list[RawEvent]:
    result = run_step(step, *old)
    made = result if isinstance(result, list) else [result]
    if not all(isinstance(raw, dict) for raw in made):
        raise Unreadable(f"expected a map or a list of maps from the upcaster of {', '.join(tags)}, found {result!r}")
    return made


def _forward(tags: tuple[str, ...], made: list[RawEvent]) -> list[RawEvent]:
    """Refuse a step back: it must lead to another name, or to a later version of its own."""
    for name, number in (split_tag(checked_tag(raw)) for raw in made):
        if any(name == old and number <= version for old, version in map(split_tag, tags)):
            raise Unreadable(
                f"expected a later version from the upcaster of {', '.join(tags)}, found {name}:{number}; "
                'set "type" in what it returns'
            )
    return made


def _check_key(tags: tuple[str, ...], current: set[str]) -> None:
    if not (tags and all(map(is_tag, tags))):
        raise InvalidInput(f'Expected an upcaster for a stored tag such as "Priced:1", got one for {tags!r}.')
    if current.issuperset(tags):  # a commit of nothing but current events is read without looking at steps
        raise InvalidInput(f"Expected an upcaster for an older version, got one for {', '.join(tags)}: all current.")
