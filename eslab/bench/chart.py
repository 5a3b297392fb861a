"""The chart of a report of hydrations: time by number of events, both logarithmic, as SVG or as a page of its own.

Colours, shapes and type are those of the lessons' charts (`eslab.lab.charts`, which stands above this room).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from eslab.bench.cost_model import seconds as in_words
from eslab.bench.measure import Report, Row
from eslab.errors import InvalidInput

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe-Ito
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
POWER_OF_TEN = "abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-9"
GRID = alt.condition(POWER_OF_TEN, alt.value(0.2), alt.value(0))  # Vega draws nine lines for each power of ten
LOG: dict[str, Any] = {"scale": alt.Scale(type="log"), "axis": alt.Axis(gridOpacity=GRID, labelOverlap="greedy")}
KINDS = (".html", ".svg")
INK = "currentColor"  # the page's own text colour, light or dark
PAPER_INK = "#24292f"  # where no page gives one
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
figure {{ margin: 0; overflow-x: auto }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #8886 }}
th:first-child, td:first-child {{ text-align: left }}
</style>
<h1>{title}</h1>
<figure>{svg}</figure>
<p>{alt}</p>
<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>
<p>{machine}</p>
</html>
"""
TITLE = "The cost of a hydration"


def check_kind(file: Path) -> None:
    """Refuse a file that is neither a page nor a picture."""
    if file.suffix not in KINDS:
        raise InvalidInput(f"Expected a chart file that ends with {' or '.join(KINDS)}, got {file}.")


def write_chart(report: Report, file: Path) -> None:
    """Write the chart to a file: a picture as .svg, a page with its words and numbers as .html, without scripts."""
    check_kind(file)
    lines = lines_of(report.rows)
    svg = _svg(lines, alt_text(lines), INK if file.suffix == ".html" else PAPER_INK)
    file.write_text(svg if file.suffix == ".svg" else _page(report, lines, svg), encoding="utf-8")


Lines = Mapping[str, Sequence[tuple[int, float]]]  # by what is drawn: events and seconds, in order


def lines_of(rows: Sequence[Row]) -> Lines:
    """The lines to draw: warm hydrations, the bare read and peers, each by number of events."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if name := _line(row):
            lines.setdefault(name, []).append((row.events, row.median_s))
    return {name: sorted(points) for name, points in lines.items()}


def _line(row: Row) -> str:
    """The name of a row's line; empty for a row that isn't drawn."""
    interval = row.extra.get("interval", 0)
    every = f"snapshot every {interval:,}" if interval else "no snapshots"
    if row.extra.get("padding") or row.extra.get("temperature") == "cold":
        return ""
    if row.measure in ("hydrate", "live") or row.measure.startswith("peer:"):
        what = {"hydrate": "", "live": "live, "}.get(row.measure, row.measure.removeprefix("peer:") + ", ")
        return what + every
    return "bare read" if row.measure == "baseline" else ""


def alt_text(lines: Lines) -> str:
    """The chart in words: where each line begins and ends."""
    return f"Median time of a hydration by number of events, both axes logarithmic: {'; '.join(_ends(lines))}."


def _ends(lines: Lines) -> Iterator[str]:
    for name, points in lines.items():
        (first, begin), (last, end) = points[0], points[-1]
        until = f" and {in_words(end)} at {last:,}" if first < last else ""
        yield f"{name}: {in_words(begin)} at {first:,} events{until}"


def _svg(lines: Lines, words: str, ink: str) -> str:
    values = [
        {"line": name, "events": events, "milliseconds": seconds * 1e3}
        for name, points in lines.items()
        for events, seconds in points
    ]
    names = list(lines)
    scale = alt.Scale(domain=names)
    chart = alt.Chart(alt.Data(values=values), width=640, height=360)
    chart = chart.mark_line(point={"size": 60, "filled": True}).encode(
        x=alt.X("events:Q", title="events in the stream", **LOG),
        y=alt.Y("milliseconds:Q", title="milliseconds", **LOG),
        color=alt.Color("line:N", scale=scale, title=None),
        shape=alt.Shape("line:N", scale=scale, title=None),
    )
    spec = {**chart.to_dict(), "config": _config(ink)}
    svg = vl_convert.vegalite_to_svg(json.dumps(spec))
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(words)}" ', 1)


def _config(ink: str) -> dict[str, Any]:
    text = {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12}
    lines = {"domainColor": ink, "tickColor": ink, "gridColor": ink}
    return {
        "background": "transparent" if ink == INK else "white",
        "font": "system-ui, sans-serif",
        "axis": {**text, **lines},
        "legend": {**text, "orient": "bottom", "columns": 2, "columnPadding": 40, "labelLimit": 0},
        "range": {"category": list(COLORS), "symbol": list(SHAPES)},
        "view": {"stroke": None},
    }


def _page(report: Report, lines: Lines, svg: str) -> str:
    events = sorted({at for points in lines.values() for at, _ in points})
    head = "".join(f"<th scope='col'>{it}</th>" for it in ("events", *(f"{at:,}" for at in events)))
    rows = ({**dict.fromkeys(events, ""), **{at: in_words(it) for at, it in points}} for points in lines.values())
    body = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{row[at]}</td>' for at in events)}</tr>"
        for name, row in zip(lines, rows, strict=True)
    )
    machine = ", ".join(map(str, (*report.machine.values(), *map(" ".join, report.versions.items()))))
    words = escape(alt_text(lines))
    return PAGE.format(title=TITLE, alt=words, svg=svg, head=head, body=body, machine=escape(machine))
