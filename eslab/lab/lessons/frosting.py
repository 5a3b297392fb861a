"""Lesson 01: the bowl of frosting drawn, a slider through its history, and deciders that overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from math import ceil
from typing import TYPE_CHECKING

from eslab import AggregateService, Request
from eslab.aggregate import address
from eslab.domains import pigment
from eslab.domains.bakery import Frosting, MakeColor, handle
from eslab.operations.history import history
from eslab.repository import Repository

if TYPE_CHECKING:
    from eslab.lab.charts import Figure

FRAME = 96  # pixels of a bowl in a strip
IN_A_ROW = 6
BOWL = """
<svg viewBox="0 0 120 84" width="{width}" style="max-width:100%" role="img" aria-label="{label}">
<path d="M8 30 h104 c-2 32 -24 46 -52 46 s-50 -14 -52 -46z" fill="#d9d5cc" stroke="#777" stroke-width="2"/>
<ellipse cx="60" cy="30" rx="50" ry="11" fill="{color}" stroke="#777" stroke-width="1.5"/>
<path d="M22 30 q10 -16 22 -7 q8 -16 20 -5 q14 -9 20 4 q12 -3 14 8 q-38 14 -76 0z" fill="{color}"/>
<path d="M34 27 q8 -7 14 -1 M62 23 q8 -6 14 1" fill="none" stroke="#fff" stroke-opacity=".55" stroke-width="2"/>
</svg>"""


@dataclass(frozen=True)
class Moment:
    """The frosting as it was at one moment."""

    time: datetime
    frosting: Frosting

    def _repr_html_(self) -> str:
        return bowl(self.frosting, f"{self.time:%H:%M}")


@dataclass(frozen=True)
class Film:
    """The frosting after each commit, in order; displays as a strip of bowls."""

    moments: list[Moment]

    def _repr_html_(self) -> str:
        bowls = "".join(bowl(m.frosting, f"{m.time:%H:%M}", width=FRAME) for m in self.moments)
        rows = ceil(len(self.moments) / IN_A_ROW) or 1
        columns = ceil(len(self.moments) / rows) or 1  # so that no bowl stands alone in the last row
        grid = f"display:grid;gap:12px;grid-template-columns:repeat({columns},minmax(0,1fr))"
        return f'<div style="{grid};max-width:{columns * 120}px">{bowls}</div>'

    def __repr__(self) -> str:
        return " → ".join(m.frosting.name for m in self.moments)


def bowl(frosting: Frosting, caption: str = "", width: int = 160) -> str:
    """Draw a bowl of this frosting as SVG, with its colours in words for a reader who can't see it."""
    portions = ", ".join(f"{n} {color}" for color, n in sorted(frosting.portions.items())) or "nothing but cream"
    label = escape(f"A bowl of {frosting.name} frosting: {portions}")
    words = escape(f"{caption} {frosting.name}".strip())
    drawing = BOWL.format(width=width, color=frosting.hex, label=label)
    return (
        f'<figure style="margin:0;display:inline-block;text-align:center">{drawing}'
        f"<figcaption>{words}<br><small>{escape(portions)}</small></figcaption></figure>"
    )


def film(repository: Repository, customer: str, key: str) -> Film:
    """Hydrate the frosting as of each of its commits. Costs one hydration per commit."""
    times = list(dict.fromkeys(history(repository, customer, Frosting, key)["time"]))
    return Film([Moment(t, repository.load(customer, Frosting, key, as_of=t)) for t in times])


def scrub(film: Film, opens_on: str):
    """Return a slider through the film, beside the frosting as it is now; opens where it first has the named colour."""
    import ipywidgets

    from eslab.lab.widgets import Desk

    labels = [(f"{m.time:%H:%M}", i) for i, m in enumerate(film.moments)]
    opening = next(i for i, m in enumerate(film.moments) if m.frosting.name == opens_on)
    slider = ipywidgets.SelectionSlider(options=labels, value=opening, description="as of")
    then = ipywidgets.HTML()
    now = ipywidgets.HTML(bowl(film.moments[-1].frosting, "now"))

    def show(change: dict) -> None:
        then.value = film.moments[change["new"]]._repr_html_()

    slider.observe(show, names="value")
    show({"new": slider.value})
    return Desk([slider, ipywidgets.HBox([then, now], layout={"flex_flow": "row wrap"})])


def decide_at_once(
    bakery: AggregateService[Frosting], customer: str, id: str, command: MakeColor, requests: Sequence[Request]
) -> Frosting:
    """Decide requests as servers do that don't know of each other: all of them read before any of them writes."""
    works = [bakery.repository.begin(customer, request, command) for request in requests]
    states = [work.load(address(Frosting, id))[0] for work in works]
    for request, work, state in zip(requests, works, states, strict=True):
        work.add(state, *handle(state, command, request))
        work.append()
    return bakery.load(customer, id)


def mixed_over_time(film: Film) -> "Figure":
    """Chart the portions in the bowl at each moment of the film, stacked and labelled by colour."""
    import altair
    import pandas

    from eslab.lab import charts

    table = pandas.DataFrame(
        {"time": f"{m.time:%H:%M}", "color": color, "portions": portions}
        for m in film.moments
        for color, portions in m.frosting.portions.items()
    )
    shelf = [color for color in pigment.SHELF if color in set(table["color"])]
    looks = altair.Scale(domain=shelf, range=[pigment.SHELF[color].colour.hex for color in shelf])
    bars = altair.Chart(table).encode(
        x=altair.X("time:O", title="time of the wish", axis=altair.Axis(labelAngle=0)),
        y=altair.Y("portions:Q", title="portions in the bowl", axis=altair.Axis(format="d")).stack("zero"),
        order=altair.Order("color:O"),
    )
    names = bars.mark_text(dy=14, color="black").encode(text="color:N")
    chart = bars.mark_bar(stroke="gray").encode(color=altair.Color("color:N", scale=looks, legend=None)) + names
    words = ", ".join(f"{n} {color}" for color, n in film.moments[-1].frosting.portions.items())
    return charts.show(chart, alt=f"Portions in the bowl at each moment; they only grow, to {words}.", table=table)
