"""Lesson 09: the chart of a node's link over an hour, and a desk with its settings.

The pictures are HTML and not an `ipywidgets.Output`: a runner without a browser, such as nbclient, hangs on one.
"""

from dataclasses import replace
from typing import Any

import altair
import pandas

from eslab.display import quantity
from eslab.lab import charts
from eslab.lab.lessons.search_copies import (
    COMMIT,
    HOUR,
    INDEX,
    LOAD_TEST,
    LONGEST_LAG,
    LONGEST_WAIT,
    TABLE,
    Link,
    brief,
    travel,
    worst,
)
from eslab.lab.tables import html_table

POINTS = 180  # in a chart; fewer in a short run
ROWS, FILES = "rows", "index files"
CHOICES = {  # label, values
    "writes": ("downloads a second", (1_000, 2_000, 4_000, 8_000, 16_000, 32_000)),
    "copies": ("copies of the index", (1, 2, 3, 4, 6)),
    "merge": ("segments to merge", (4, 10, 20, 40, 100)),
    "megabits": ("link, Mbit/s", (50, 100, 200, 400, 1_000, 10_000)),
    "nodes": ("nodes", (6, 12, 24, 48)),
}


def link_chart(link: Link, seconds: int = HOUR, design: str = INDEX) -> charts.Figure:
    """What the link carries, how far the copies are behind, and how long writes wait, over these seconds."""
    ran = travel(link, design, seconds)
    drawn: Any = _drawn(ran, max(COMMIT, seconds // POINTS))
    x = altair.X("minute:Q", title="minute", scale=altair.Scale(domain=[0, seconds / 60], nice=False))
    carried = drawn.melt("minute", ["rows, MB/s", "index, MB/s"], var_name="kind", value_name="MB/s")
    carried["kind"] = carried["kind"].map({"rows, MB/s": ROWS, "index, MB/s": FILES})
    top = altair.Scale(domain=[0, link.capacity / 1e6 * 1.05], nice=False)
    color = altair.Color("kind:N", title=None, scale=altair.Scale(domain=[ROWS, FILES]))
    at = altair.Chart(carried).encode(x=x)
    order = altair.Order("kind:N", sort="descending")
    areas = at.mark_area(opacity=0.85).encode(y=altair.Y("MB/s:Q", stack="zero", scale=top), color=color, order=order)
    full = altair.Chart(pandas.DataFrame({"MB/s": [link.capacity / 1e6]})).mark_rule(strokeDash=[5, 4], strokeWidth=2)
    panels: list[Any] = [(areas + full.encode(y="MB/s:Q")).properties(width=430, height=120)]
    demands = (("lag, s", "search behind, s", LONGEST_LAG), ("wait, s", "writes wait, s", LONGEST_WAIT))
    for column, title, demand in demands:
        scale = altair.Scale(domain=[0, max(1.25 * demand, float(drawn[column].max()))])
        lines = altair.Chart(drawn).mark_line().encode(x=x, y=altair.Y(f"{column}:Q", title=title, scale=scale))
        limit = altair.Chart(pandas.DataFrame({column: [demand]})).mark_rule(strokeDash=[5, 4], strokeWidth=2)
        panels.append((lines + limit.encode(y=f"{column}:Q")).properties(width=430, height=100))
    return charts.show(altair.vconcat(*panels), alt=in_words(link, ran, design), table=drawn)


def _drawn(ran: Any, step: int) -> Any:
    """A line for so many seconds: the mean that the link carried, and the worst of the others."""
    points = ran.groupby((ran["second"] - 1) // step, sort=False)
    means = points[["rows, MB/s", "index, MB/s"]].mean().round(2)
    peaks = points[["lag, s", "wait, s", "not found"]].max().round(1)
    peaks.insert(0, "minute", (points["second"].max() / 60).round(2))
    return peaks.join(means)


def in_words(link: Link, ran: Any, design: str = INDEX) -> str:
    """A run in a few sentences."""
    found = worst(ran, link)
    minutes = f"{len(ran) / 60:.0f} minutes"
    told = f"In {minutes} the link is {found.busy:.0%} full on average"
    search = f"A search is up to {brief(found.lag)} behind, and misses up to {quantity(found.not_found, 'download')}"
    waits = f"Writes wait up to {brief(found.wait)}" if found.wait >= 0.1 else "No write waits"
    return f"{told}. {waits}." if design == TABLE else f"{told}. {search}. {waits}."


def link_desk(link: Link) -> Any:
    """Sliders for load, copies, merges, link and nodes; a table of both designs; a picture of the index's hour."""
    import ipywidgets

    from eslab.lab.widgets import Desk

    sliders = {name: _slider(name, getattr(link, name)) for name in CHOICES}
    words, picture = ipywidgets.HTML(), ipywidgets.HTML()

    def show(_: object = None) -> None:
        chosen = replace(link, **{name: slider.value for name, slider in sliders.items()})
        lines = [line(chosen, design, seconds) for design, seconds in RUNS]
        words.value = f'<div role="status">{html_table(lines)}</div>'
        picture.value = link_chart(chosen).picture()

    for slider in sliders.values():
        slider.observe(show, names="value")
    show()
    controls = ipywidgets.HBox(list(sliders.values()), layout={"flex_flow": "row wrap"})
    return Desk([controls, words, picture])


RUNS = ((INDEX, LOAD_TEST), (INDEX, HOUR), (TABLE, HOUR))


def line(link: Link, design: str, seconds: int) -> dict[str, str]:
    """A line of the desk's table: a run of this design."""
    found = worst(travel(link, design, seconds), link)
    return {
        "": f"{design}, {seconds // 60} min",
        "link full": f"{found.busy:.0%}",
        "search behind": brief(found.lag) if found.lag else "never",
        "not found": f"{found.not_found:,}",
        "writes wait": brief(found.wait) if found.wait >= 0.1 else "no",
        "kept": "✓ yes" if found.passes else "✗ no",
    }


def _slider(name: str, value: int) -> Any:
    import ipywidgets

    label, values = CHOICES[name]
    options = [(f"{each:,}", each) for each in values]
    slider: Any = ipywidgets.SelectionSlider(options=options, value=value, description=label, continuous_update=False)
    slider.style.description_width = "11em"
    slider.layout = {"width": "360px", "flex": "0 0 auto"}  # in a narrow window they wrap rather than shrink
    return slider
