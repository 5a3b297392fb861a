"""Display of eslab's objects for people: one small table, readable in light and dark mode, and durations in words."""

from collections.abc import Mapping
from datetime import timedelta
from html import escape
from typing import Any
from uuid import UUID

import msgspec


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


def duration(length: timedelta) -> str:
    """A duration in words, exact to the microsecond.

    >>> duration(timedelta(hours=26)), duration(timedelta(days=2, milliseconds=1)), duration(-timedelta(seconds=90))
    ('1 day 2 h', '2 days 0.001 s', '-1 min 30 s')
    """
    minutes, seconds = divmod(abs(length), timedelta(minutes=1))
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = {f"day{'s' if days > 1 else ''}": days, "h": hours, "min": minutes, "s": seconds.total_seconds()}
    words = " ".join(f"{count:.10g} {unit}" for unit, count in units.items() if count)
    return f"{'-' if length < timedelta() else ''}{words or '0 s'}"


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "<br>".join(escape(str(item)) for item in value)
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(key))}: {escape(str(item))}" for key, item in value.items())
    if isinstance(value, UUID):
        return f'<span style="white-space:nowrap">{value}</span>'
    return escape(str(value))
