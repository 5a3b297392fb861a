"""Lesson 08: a map of the three regions and their links, and what each region showed at each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import altair
import pandas

from eslab.display import quantity
from eslab.faults.simulation.parted import ROUND_TRIPS
from eslab.lab import charts
from eslab.lab.lessons.regions import LINKS, NAMES, Regions, Shown, Step, history, in_seconds, of_limit
from eslab.lab.tables import html_table

WIDTH, HEIGHT, RADIUS = 640, 300, 46
PLACES = {"us": (110, 125), "eu": (335, 75), "asia": (540, 185)}
LABELS = {("us", "eu"): (222, 88), ("us", "asia"): (290, 172), ("eu", "asia"): (462, 120)}
# Coasts for the eye, in a few strokes: nobody should navigate by them.
COASTS = (
    "M20 55 L95 25 L190 50 L205 95 L165 130 L170 165 L120 195 L150 240 L130 290 L100 250 L85 185 L45 150 Z",
    "M275 75 L320 25 L395 35 L385 95 L340 120 L290 115 Z M290 140 L375 135 L400 190 L350 285 L310 215 L285 190 Z",
    "M400 45 L520 20 L620 60 L615 130 L570 150 L600 205 L545 250 L480 215 L450 160 L405 120 Z",
)
CUT, OPEN, FROZEN, OVER = charts.COLORS[1], charts.COLORS[2], charts.COLORS[5], charts.COLORS[1]


@dataclass(frozen=True)
class Picture:
    """HTML for the end of a cell, and the same in words."""

    html: str
    words: str

    def __repr__(self) -> str:
        return self.words

    def _repr_html_(self) -> str:
        return self.html


def region_map(regions: Regions, shown: Shown | None = None) -> Picture:
    """The regions as they are now: which links are cut, who is frozen, and what each one shows."""
    shown = shown or regions.shown()
    words = in_words(regions, shown)
    links = "".join(_link(regions, one, other) for one, other in LINKS)
    places = "".join(_place(regions, region, shown[region]) for region in NAMES)
    coasts = "".join(f'<path d="{path}" fill="currentColor" fill-opacity=".06"/>' for path in COASTS)
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" style="max-width:100%;height:auto" role="img" '
        f'aria-label="{escape(words)}" font-family="system-ui, sans-serif">{coasts}{links}{places}</svg>'
    )
    return Picture(f'<figure style="margin:0">{svg}<figcaption>{escape(words)}</figcaption></figure>', words)


def in_words(regions: Regions, shown: Shown) -> str:
    """The map in two sentences."""
    links = [f"{one} and {other}" for one, other in LINKS if frozenset((one, other)) in regions.cuts]
    cut = f"cut between {', '.join(links)}" if links else "open everywhere"
    frozen = f" Frozen: {', '.join(sorted(regions.frozen))}." if regions.frozen else ""
    says = ", ".join(f"{region} {of_limit(shown[region])}" for region in NAMES)
    return f"On {regions.where}, after {in_seconds(regions.now)}: the network is {cut}.{frozen} Ann's Glow: {says}."


def _link(regions: Regions, one: str, other: str) -> str:
    (x1, y1), (x2, y2) = PLACES[one], PLACES[other]
    is_cut = frozenset((one, other)) in regions.cuts
    x, y = LABELS[one, other]
    label = "✗ cut" if is_cut else f"{1000 * ROUND_TRIPS[one, other]:.0f} ms"
    dash = ' stroke-dasharray="7 7"' if is_cut else ""
    return (
        f'<path d="M{x1} {y1} L{x2} {y2}" stroke="{CUT if is_cut else OPEN}" '
        f'stroke-width="{2 if is_cut else 4}"{dash}/>'
        f'<text x="{x}" y="{y}" fill="currentColor" font-size="15" text-anchor="middle" '
        f'font-weight="{600 if is_cut else 400}">{label}</text>'
    )


def _place(regions: Regions, region: str, used: int | None) -> str:
    """A circle with the region's name and what it shows; a square if it is frozen."""
    x, y = PLACES[region]
    frozen, over = region in regions.frozen, (used or 0) > 3
    edge = FROZEN if frozen else OVER if over else "currentColor"
    look = f'fill="var(--jp-layout-color1, Canvas)" stroke="{edge}" stroke-width="{4 if frozen or over else 2}"'
    shape = (
        f'<rect x="{x - RADIUS}" y="{y - RADIUS}" width="{2 * RADIUS}" height="{2 * RADIUS}" rx="8" {look}/>'
        if frozen
        else f'<circle cx="{x}" cy="{y}" r="{RADIUS}" {look}/>'
    )
    lines = [(region, 18, 700), (of_limit(used) + " ✗" * over, 15, 400), *([("frozen", 13, 400)] if frozen else [])]
    texts = "".join(
        f'<text x="{x}" y="{y - 6 + 20 * row}" fill="currentColor" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="middle">{line}</text>'
        for row, (line, size, weight) in enumerate(lines)
    )
    return shape + texts


def over_time(steps: Sequence[Step], where: str) -> charts.Figure:
    """A grid: a line for each region, a column for each step, and in it what the region showed."""
    cells = pandas.DataFrame(
        {"step": number, "region": region, "shows": "–" if step.shown[region] is None else str(step.shown[region]),
         "kind": _kind(step.shown[region])}
        for number, step in enumerate(steps, 1)
        for region in NAMES
    )  # fmt: skip
    kinds = {
        "2 or fewer": charts.COLORS[5],
        "3, the limit": charts.COLORS[2],
        "✗ more": charts.COLORS[1],
        "silent": "#999999",
    }
    kinds = {kind: color for kind, color in kinds.items() if kind in set(cells["kind"])}
    legend = altair.Legend(orient="bottom")
    scale = altair.Scale(domain=list(kinds), range=list(kinds.values()))
    color = altair.Color("kind:N", scale=scale, title="downloads that count", legend=legend)
    axis = altair.Axis(orient="top", labelAngle=0, domain=False, ticks=False)
    x = altair.X("step:O", title="step", axis=axis)
    y = altair.Y("region:N", title=None, sort=list(NAMES), axis=altair.Axis(domain=False, ticks=False))
    base = altair.Chart(cells).encode(x=x, y=y)
    marks = base.mark_rect(opacity=0.35, stroke=charts.INK, strokeOpacity=0.3).encode(color=color)
    words = base.mark_text(fontSize=14).encode(text="shows:N")
    chart = (marks + words).properties(width={"step": 44}, height={"step": 30})
    last = ", ".join(f"{region} {of_limit(steps[-1].shown[region])}" for region in NAMES)
    return charts.show(
        chart, alt=f"What each region shows, over {quantity(len(steps), 'step')} on {where}; after the last: {last}.",
        table=numbered(steps),
    )  # fmt: skip


def numbered(steps: Sequence[Step]) -> pandas.DataFrame:
    """The steps as a table, with the numbers of the chart."""
    table = history(steps)
    table.insert(0, "step", range(1, len(steps) + 1))
    return table


def _kind(used: int | None) -> str:
    if used is None:
        return "silent"
    return "2 or fewer" if used < 3 else "3, the limit" if used == 3 else "✗ more"


def steps_table(steps: Sequence[Step], newest: int = 8) -> str:
    """The newest steps as HTML, for a desk."""
    return html_table(numbered(steps).tail(newest).iloc[::-1].to_dict("records"))
