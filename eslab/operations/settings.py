"""Changes the settings that all processes on a store share, one step at a time, while processes run (G5).

Processes that run keep the settings that they began with. So the rule of the time bounds must hold between any two of
them: the `fold_after` of each exceeds late + 2 * skew + append of every other. Raise `fold_after` first, restart every
process, then raise the others; lower in the opposite order. A snapshot that was built before reaches further than the
new `fold_after` allows: until it is old enough, none of the others may be raised. `offline`, when no process runs,
deletes such snapshots instead, and both may change at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from eslab.bounds import TimeBounds
from eslab.display import duration, parse_duration
from eslab.errors import InvalidInput
from eslab.request import is_after, latest_at
from eslab.settings import SETTINGS, Settings, encode_settings, parse_settings
from eslab.store import Consistency, EventStore

MEANINGS = {
    "late": "how old a request may be when it is decided first",
    "early": "how far a request may be ahead of the service's clock",
    "fold_after": "a snapshot folds only commits older than this",
    "skew": "the largest difference between two clocks",
    "append": "the longest time from the check to the end of the append",
    "grace": "the longest hydration; events are kept for longer below a new floor",
    "lifetime": "how long a commit is kept in Cassandra",
}
DAY = timedelta(days=1)
OFFLINE = "or stop every process and add --offline"


def seconds(settings: Settings) -> dict[str, float | None]:
    """All settings by name, in seconds; None is for ever."""
    bounds = {name: value.total_seconds() for name, value in vars(settings.bounds).items()}
    return {**bounds, "lifetime": (settings.lifetime * DAY).total_seconds() or None}


def parse_changes(texts: Sequence[str]) -> dict[str, timedelta]:
    """The settings to change, by name, from texts such as `late=7d`; raises `InvalidInput` for any other text."""
    parts = [text.partition("=") for text in texts]
    for name, equals, value in parts:
        if name not in MEANINGS:
            raise InvalidInput(
                f"Expected NAME=VALUE, with a name among {', '.join(MEANINGS)}, got {name + equals + value!r}."
            )
    return {name: parse_duration(value) for name, _, value in parts}


def change(store: EventStore, values: Mapping[str, timedelta], now: datetime, offline: bool = False) -> list[str]:
    """Change these settings EVERYWHERE, or keep them in a store that has none; returns what an operator must do next.

    Repeat it if it was interrupted. Raises `InvalidInput` if it is not safe beside processes that run with the settings
    before. `offline` reads the heads of all customers, and deletes the snapshots that reach too far.
    """
    text = store.checkpoint(SETTINGS)
    before = parse_settings(store, text) if text else None
    after = _changed(before or Settings(TimeBounds(), store.lifetime), values)
    if before:
        if not offline:
            _check_beside(before, after)
        after = msgspec.structs.replace(after, folded=_end_of_snapshots(store, before, after, now, offline))
    if store.swap_checkpoint(SETTINGS, text, encode_settings(after), Consistency.EVERYWHERE) != encode_settings(after):
        raise InvalidInput(f"The settings of {store} were changed at the same moment: look at them, then try again.")
    return _next_steps(before, after, offline) if before else []


def _changed(settings: Settings, values: Mapping[str, timedelta]) -> Settings:
    """The settings with these values; raises `InvalidInput` for a set that breaks a promise."""
    bounds = {name: value for name, value in values.items() if name != "lifetime"}
    lifetime = values.get("lifetime", settings.lifetime * DAY)
    if lifetime % DAY or lifetime < timedelta():
        raise InvalidInput(f"Expected a lifetime in whole days, 0d for ever, got {duration(lifetime)}.")
    return Settings(replace(settings.bounds, **bounds), lifetime // DAY, settings.folded)


def _check_beside(before: Settings, after: Settings) -> None:
    """Refuse a change that would break a promise while processes with both settings run."""
    shortest = min(before.bounds.fold_after, after.bounds.fold_after)
    longest = max(before.bounds.needed, after.bounds.needed)
    if shortest <= longest:
        raising = after.bounds.fold_after > before.bounds.fold_after
        order = "First raise fold_after" if raising else "First lower late, skew or append, without fold_after"
        raise InvalidInput(
            f"Expected the lower fold_after of before and after, {duration(shortest)}, above the greater late + 2 * "
            f"skew + append, {duration(longest)}: processes with both settings run beside each other, and a snapshot "
            f"could miss a commit. {order}, restart every process, then change the rest; {OFFLINE}."
        )
    if after.lifetime != before.lifetime:
        raise InvalidInput(
            "Expected no process to run while lifetime changes: of two decisions of one request, the one that expires "
            "later wins, so all must expire alike. Stop every process and add --offline."
        )


def _end_of_snapshots(store: EventStore, before: Settings, after: Settings, now: datetime, offline: bool) -> datetime:
    """The event time beyond which no snapshot reaches that was built under earlier settings.

    Behind such a snapshot no request may be accepted: `offline` deletes those that are in the way.
    """
    newest = max(filter(None, (before.folded, now - before.bounds.fold_after)))
    may_reach = now - after.bounds.needed
    if newest > may_reach and offline:
        _delete_snapshots(store, may_reach, now + 2 * after.bounds.skew)
        return may_reach
    if newest > may_reach:
        raise InvalidInput(
            f"Expected no snapshot that reaches beyond {may_reach.isoformat()}, but those built before fold_after was "
            f"raised reach up to {newest.isoformat()}, and would miss requests that are {duration(after.bounds.late)} "
            f"late. Try again in {duration(newest - may_reach)}; {OFFLINE}, which deletes them."
        )
    return newest


def _delete_snapshots(store: EventStore, may_reach: datetime, stamp: datetime) -> None:
    """Delete the snapshots that reach beyond this moment; up to a floor, even an intended one, nothing is decided."""
    limit = latest_at(may_reach)
    for customer in store.customers(consistency=Consistency.EVERYWHERE):
        for id, head in store.heads_of_type(customer, "", Consistency.EVERYWHERE).items():
            floor = head.highest_floor
            for up_to, fold, _ in head.snapshots:
                if is_after(up_to, limit) and not (floor and not is_after(up_to, floor)):
                    store.delete_snapshot(customer, id, up_to, fold, stamp)


def _next_steps(before: Settings, after: Settings, offline: bool) -> list[str]:
    """What an operator must do now, and before the next change."""
    old, new = before.bounds, after.bounds
    steps: list[str] = []
    if (new.grace, new.skew) != (old.grace, old.skew) and not offline:
        steps.append("Let rotations of floors end, and begin none until every process is restarted.")
    if old != new and not offline:
        steps.append("Restart every process now: those that run keep the settings that they began with.")
    if new.fold_after > old.fold_after and not offline:
        wait = duration(new.fold_after - old.fold_after)
        steps.append(f"Then wait {wait} before you raise late, skew or append: older snapshots reach too far.")
    if new.needed < old.needed and not offline:
        steps.append(f"Then wait {duration(old.append + 2 * old.skew)} before you lower fold_after.")
    if after.lifetime != before.lifetime:
        steps.append("Change lifetime in every URL that names it. Commits that are stored keep their end.")
    return steps
