"""Display of eslab's objects for people: one small table, readable in light and dark mode; numbers and durations."""

import re
from collections.abc import Mapping
from datetime import timedelta
from html import escape
from typing import Any
from uuid import UUID

import msgspec

from eslab.errors import InvalidInput

UNITS = {"days": "d", "hours": "h", "minutes": "m", "seconds": "s"}
DURATION = re.compile(r"\s*".join(rf"(?:(?P<{name}>\d{{1,9}}(?:\.\d+)?)\s*{unit})?" for name, unit in UNITS.items()))


def fields(thing: msgspec.Struct) -> dict[str, Any]:
    """The fields of a struct, by name and in order."""
    return {name: getattr(thing, name) for name in thing.__struct_fields__}


def table(title: str, rows: Mapping[str, Any], mark: str = "") -> str:
    """An HTML table with a caption and one row for each field; every value is escaped."""
    caption = f'<caption style="text-align:left"><b>{escape(f"{mark} {title}".strip())}</b></caption>'
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{_cell(value)}</td></tr>'
        for name, value in rows.items()
        if value is not None
    )
    return f"<table>{caption}{body}</table>"


def quantity(count: int, noun: str, plural: str = "") -> str:
    """A number of things in words.

    >>> quantity(1, "row"), quantity(0, "row"), quantity(12_000, "entry", "entries")
    ('1 row', '0 rows', '12,000 entries')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def duration(length: timedelta) -> str:
    """A duration in words, exact to the microsecond.

    >>> duration(timedelta(hours=26)), duration(timedelta(days=2, milliseconds=1)), duration(-timedelta(seconds=90))
    ('1 day 2 h', '2 days 0.001 s', '-1 min 30 s')
    """
    minutes, seconds = divmod(abs(length), timedelta(minutes=1))
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = {"day" if days == 1 else "days": days, "h": hours, "min": minutes, "s": seconds.total_seconds()}
    words = " ".join(f"{count:.10g} {unit}" for unit, count in units.items() if count)
    return f"{'-' if length < timedelta() else ''}{words or '0 s'}"


def parse_duration(text: str) -> timedelta:
    """The duration that a person wrote, in days, hours, minutes and seconds; raises `InvalidInput` for anything else.

    >>> parse_duration("7d"), parse_duration("1d2h") == parse_duration("26h"), parse_duration("0.5s")
    (datetime.timedelta(days=7), True, datetime.timedelta(microseconds=500000))
    """
    match = DURATION.fullmatch(text.strip())
    if not match or not text.strip():
        raise InvalidInput(f"Expected a duration such as 7d, 26h, 1h30m, 10m or 0.5s, got {text!r}.")
    return timedelta(**{unit: float(count) for unit, count in match.groupdict().items() if count})


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "<br>".join(escape(str(item)) for item in value)
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(key))}: {escape(str(item))}" for key, item in value.items())
    if isinstance(value, UUID):
        return f'<span style="white-space:nowrap">{value}</span>'
    return escape(str(value))
