"""Settings that all processes on a store share: kept in the store at first use, compared by every later process (G5).

A process with other time bounds could accept a request behind another one's snapshot, and one with another lifetime
could let commits expire before a snapshot holds them. `eslab schema settings` shows and changes what is kept
(operations/settings.py).
"""

from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from eslab.bounds import TimeBounds
from eslab.display import duration
from eslab.errors import InvalidInput, OutcomeUnknown, StoreReadOnly, Unreadable
from eslab.payload.decoding import built
from eslab.store import Consistency, EventStore

ATTEMPTS = 5
SETTINGS = "settings"  # the name of the checkpoint that keeps them


class Settings(msgspec.Struct, frozen=True):
    """Time bounds and lifetime; raises `InvalidInput` if commits could expire before a snapshot holds them."""

    bounds: TimeBounds
    lifetime: int = 0  # days that a commit is kept; 0 is for ever
    folded: datetime | None = None  # no snapshot built under earlier settings reaches beyond this event time

    def __post_init__(self) -> None:
        needed = self.bounds.fold_after + self.bounds.grace
        if self.lifetime and timedelta(days=self.lifetime) <= needed:
            raise InvalidInput(
                f"Expected a lifetime longer than fold_after + grace = {duration(needed)}, got "
                f"{duration(timedelta(days=self.lifetime))}: commits would expire before a snapshot holds them. Raise "
                "lifetime, or lower fold_after."
            )

    def in_words(self) -> dict[str, str]:
        """All settings by name, as people read them."""
        bounds = {name: duration(value) for name, value in vars(self.bounds).items()}
        return {**bounds, "lifetime": duration(timedelta(days=self.lifetime)) if self.lifetime else "for ever"}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.in_words().items())


def share(store: EventStore, bounds: TimeBounds | None) -> Settings:
    """The settings of all processes on the store; if it has none yet, keep these bounds and the store's lifetime.

    No bounds take the kept ones, or the defaults. Of several processes that are the first at once, one wins. A store
    that may not be written keeps nothing. One wait, on first use two. Raises `InvalidInput` for other settings.
    """
    known = kept(store) or _keep(store, Settings(bounds or TimeBounds(), store.lifetime))
    _compare(store, known, Settings(bounds or known.bounds, store.lifetime))
    return known


def share_lifetime(store: EventStore, lifetime: int | None) -> int:
    """The lifetime that is kept in the store, or this one if none is; raises `InvalidInput` if they differ."""
    known = kept(store)
    if known is None:
        return lifetime or 0
    if lifetime is not None:
        _compare(store, known, Settings(known.bounds, lifetime))
    return known.lifetime


def kept(store: EventStore) -> Settings | None:
    """The settings that are kept in the store; None before its first use."""
    text = store.checkpoint(SETTINGS, Consistency.LOCAL)
    return parse_settings(store, text) if text else None


def parse_settings(store: EventStore, text: str) -> Settings:
    """The settings in the text of their checkpoint; raises `Unreadable` if it can't be trusted."""
    try:
        return msgspec.json.decode(text, type=built(Settings))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(
            f"Unreadable row in checkpoints: {SETTINGS!r} of {store}: {error}, found {text!r}. Stop every process, "
            "delete the row, and start one with the right bounds: it keeps them."
        ) from None


def encode_settings(settings: Settings) -> str:
    """The text of the checkpoint that keeps them."""
    return msgspec.json.encode(settings).decode()


def _keep(store: EventStore, first: Settings) -> Settings:
    """Keep them if none are kept; tried again where processes that start at once can't tell which of them was first."""
    for _ in range(ATTEMPTS - 1):
        with suppress(OutcomeUnknown):
            return _kept_first(store, first)
    return _kept_first(store, first)


def _kept_first(store: EventStore, first: Settings) -> Settings:
    try:
        return parse_settings(store, store.swap_checkpoint(SETTINGS, "", encode_settings(first)))
    except StoreReadOnly:
        return first


def _compare(store: EventStore, known: Settings, given: Settings) -> None:
    if (given.bounds, given.lifetime) != (known.bounds, known.lifetime):
        raise InvalidInput(
            f"Expected the settings that all processes on {store} share: {known}. Got {given}. A process without "
            "bounds, and a URL without lifetime, take the kept ones. To change them in a safe order, run: "
            "eslab schema settings --store URL --set NAME=VALUE"
        )
