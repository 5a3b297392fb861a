"""Prints inspected rows: tables on a wide terminal, paragraphs on a narrow one, tab-separated lines elsewhere."""

from collections.abc import Iterable
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eslab.display import quantity
from eslab.operations.inspection import InspectedAggregate, InspectedCommit, InspectedSnapshot
from eslab.terminal import in_a_cell

COMMITS = ("time", "request", "events", "bytes", "digest", "commits", "format", "crc", "note")
SNAPSHOTS = ("up to", "fold", "bytes", "commits", "format", "crc", "usable", "note")
NUMBERS = {"bytes", "commits", "format", "fold"}
ANY_WIDTH = 100_000
Cells = tuple[str, ...]


def show(customer_id: str, aggregates: Iterable[InspectedAggregate], console: Console) -> int:
    """Print the aggregates as they are read; returns the number of broken rows."""
    broken = 0
    empty = True
    for aggregate in aggregates:
        empty = False
        console.print(_title(aggregate), markup=False, soft_wrap=True, style="bold")
        _print(console, SNAPSHOTS, [_snapshot(snapshot) for snapshot in aggregate.snapshots])
        _print(console, COMMITS, [_commit(commit) for commit in aggregate.commits])
        broken += aggregate.broken
    if empty:
        console.print(f"Nothing is stored there for customer {customer_id!r}.", markup=False, soft_wrap=True)
    if broken:
        console.print(f"{quantity(broken, 'broken row')}: see the notes marked with ✗.", markup=False, soft_wrap=True)
    return broken


def _title(aggregate: InspectedAggregate) -> str:
    parts = [
        f"began {aggregate.first or 'never'}",
        f"floor {aggregate.floor or 'none'}",
        quantity(len(aggregate.snapshots), "snapshot"),
        quantity(len(aggregate.commits), "commit"),
        quantity(sum(commit.bytes for commit in aggregate.commits), "byte"),
    ]
    return f"{in_a_cell(aggregate.id)}: {', '.join(parts)}"


def _print(console: Console, header: Cells, rows: list[Cells]) -> None:
    """A table on a terminal, in which no word is broken; elsewhere tab-separated lines, for other programs."""
    if not rows:
        return
    if not console.is_terminal:
        for row in (header, *rows):
            print("\t".join(map(in_a_cell, row)), file=console.file)  # a console would turn tabs into spaces
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in header:
        table.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, map(in_a_cell, row)), style=_style(row))
    # Measured on a terminal of any width: rich gives no more than that of its options.
    if console.measure(table, options=console.options.update_width(ANY_WIDTH)).minimum <= console.width:
        console.print(table)
    else:
        _print_paragraphs(console, header, rows)


def _print_paragraphs(console: Console, header: Cells, rows: list[Cells]) -> None:
    """A paragraph for each row; the terminal breaks its lines, so that an id can still be copied."""
    for row in rows:
        for name, value in zip(header, row, strict=True):
            if value:
                console.print(f"  {name:8} {in_a_cell(value)}", markup=False, soft_wrap=True, style=_style(row))
        console.print()


def _style(row: Cells) -> str | None:
    return "red" if row[-1].startswith("✗") else None


def _commit(commit: InspectedCommit) -> Cells:
    events = "; ".join(map(_event, commit.events)) or commit.types
    notes = [f"read as {', '.join(commit.read_as) or 'nothing'}"] if commit.read_as is not None else []
    if commit.skipped:
        notes.append(f"skipped, its events are missing: {commit.skipped}")
    return (
        commit.time or commit.event_time,
        commit.request or "?",
        events,
        str(commit.bytes),
        (commit.digest or "?")[:8],
        _known(commit.commits),
        _known(commit.format),
        _crc(commit.crc),
        _notes(notes, commit),
    )


def _snapshot(snapshot: InspectedSnapshot) -> Cells:
    usable = "?" if snapshot.usable is None else "yes" if snapshot.usable else "no"
    notes = [*(["encrypted"] if snapshot.encrypted else []), *([snapshot.why_not] if snapshot.why_not else [])]
    return (
        snapshot.time,
        str(snapshot.fold),
        str(snapshot.bytes),
        _known(snapshot.commits),
        _known(snapshot.format),
        _crc(snapshot.crc),
        usable,
        _notes(notes, snapshot),
    )


def _event(event: dict[str, Any]) -> str:
    fields = " ".join(f"{in_a_cell(name)}={value!r}" for name, value in event.items() if name != "type")
    return f"{in_a_cell(event.get('type', '?'))} {fields}".strip()


def _notes(notes: list[str], row: InspectedCommit | InspectedSnapshot) -> str:
    problem = [f"✗ {row.problem}"] if row.problem else []
    raw = [row.raw] if row.raw is not None else []
    return "; ".join((*problem, *notes, *raw))


def _crc(right: bool) -> str:
    return "ok" if right else "wrong"


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)
