"""Lesson 04: a model of one evening with a premiere. The load on each node, and how far a search index falls behind.

Nothing is measured here: everything follows from the assumptions in `Evening`. A unit of work is one row written, one
partition read, or one node's part of an index query.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import fmean
from typing import Any

import altair
import pandas

from eslab.display import quantity, table
from eslab.lab import charts

INDEX, TABLE = "a search index", "a second table"
BEGINS, MINUTES = 19, 300  # the evening's first hour, and its length
QUIET, RISE, FALL = 0.1, (60, 75), (135, 195)  # share of the peak at rest; minutes of the way up and of the way down
SLIDERS = {  # label, least, most, step
    "nodes": ("nodes", 3, 24, 1),
    "downloads": ("downloads/s", 1_000, 40_000, 1_000),
    "questions": ("questions/s", 0, 10_000, 500),
    "index": ("work of the index", 0.0, 10.0, 0.5),
    "shards": ("table's shards", 1, 16, 1),
}
DRAWN = 15  # minutes from point to point of the chart


@dataclass(frozen=True, repr=False)
class Evening:
    """The assumptions, all for the reader to change; rates are at the peak of the premiere."""

    nodes: int = 6
    replicas: int = 3
    downloads: int = 12_000  # a second
    premiere: float = 0.6  # the share of Glow, the title of the evening, in downloads and questions
    questions: int = 1_500  # a second: who has Glow?
    index: float = 4.0  # the work to index a row, merges included, in rows written
    shards: int = 1  # partitions over which the second table spreads a title
    capacity: int = 20_000  # units of work that a node does in a second

    def behind_rows(self) -> float:
        """Index work of each node, a second: done after everything else, so the index may fall behind."""
        return self.downloads * self.replicas / self.nodes * self.index

    def at_once(self, design: str) -> list[float]:
        """The work of each node, a second, that can't wait."""
        rows = self.downloads * self.replicas / self.nodes
        if design == INDEX:
            return [rows + questions for questions in self.questions_at_nodes(INDEX)]
        others = (1 - self.premiere) * rows
        glow = self.downloads * self.premiere / self.shards  # in each shard, on each of its replicas
        nodes = zip(self._held(), self.questions_at_nodes(TABLE), strict=True)
        return [rows + others + held * glow + questions for held, questions in nodes]

    def questions_at_nodes(self, design: str) -> list[float]:
        """The questions that reach each node in a second."""
        if design == INDEX:
            # A question covers all token ranges, and one node holds replicas / nodes of them.
            return [self.questions * ceil(self.nodes / self.replicas) / self.nodes] * self.nodes
        others = self.questions * (1 - self.premiere) / self.nodes
        glow = self.questions * self.premiere / self.replicas  # each question reads one replica of every shard
        return [others + held * glow for held in self._held()]

    def _held(self) -> list[int]:
        """The number of shards of Glow's partition that each node holds."""
        return [sum(node in self._holders(shard) for shard in range(self.shards)) for node in range(self.nodes)]

    def _holders(self, shard: int) -> set[int]:
        """The nodes that hold a shard of Glow's partition: neighbours on the ring."""
        return {(shard + replica) % self.nodes for replica in range(min(self.replicas, self.nodes))}

    @property
    def assumptions(self) -> dict[str, str]:
        """Each assumption with its unit."""
        return {
            "nodes": f"{self.nodes}",
            "replicas": f"{self.replicas} of each row",
            "downloads": f"{self.downloads:,} a second",
            "premiere": f"{self.premiere:.0%} of downloads and questions are about Glow",
            "questions": f"{self.questions:,} a second",
            "index": f"{self.index:g} units of work to index a row",
            "shards": f"{quantity(self.shards, 'partition')} of the second table for each title",
            "capacity": f"{self.capacity:,} units of work a second at each node",
        }

    def __repr__(self) -> str:
        return f"Evening({'; '.join(f'{name}: {value}' for name, value in self.assumptions.items())})"

    def _repr_html_(self) -> str:
        return table("An evening, at the peak of the premiere", self.assumptions)


def crowd(minute: int) -> float:
    """The share of the peak at this minute: quiet, a steep rise, a plateau, a slow fall."""
    if minute < RISE[0] or minute > FALL[1]:
        return QUIET
    if minute < RISE[1]:
        return QUIET + (1 - QUIET) * (minute - RISE[0]) / (RISE[1] - RISE[0])
    return 1.0 if minute <= FALL[0] else 1 - (1 - QUIET) * (minute - FALL[0]) / (FALL[1] - FALL[0])


def loads(evening: Evening) -> pandas.DataFrame:
    """The load of each node in percent of its capacity, and the minutes that answers are behind, minute by minute."""
    lines = []
    for design in (INDEX, TABLE):
        deferred = evening.behind_rows() if design == INDEX else 0.0
        for node, work in enumerate(evening.at_once(design), 1):
            lines += [{"design": design, "node": node, **line} for line in _node(evening, work, deferred)]
    return pandas.DataFrame(lines)


def _node(evening: Evening, work: float, deferred: float) -> list[dict[str, float]]:
    """One node's evening; deferred work is done in order, with the capacity that is left."""
    came, done = [0.0], 0.0
    oldest = 0  # the minute whose deferred work is the first that isn't done
    lines = []
    for minute in range(MINUTES):
        came.append(came[-1] + deferred * crowd(minute))
        now = work * crowd(minute)
        did = min(came[-1] - done, max(0.0, evening.capacity - now))
        done += did
        while oldest <= minute and came[oldest + 1] <= done + 1e-6:
            oldest += 1
        load = 100 * (now + did) / evening.capacity
        lines.append({"hour": BEGINS + minute / 60, "load": round(load, 1), "behind": minute + 1 - oldest})
    return lines


def busiest(evening: Evening) -> pandas.DataFrame:
    """For each design the highest load of its busiest and of its idlest node, and the most minutes behind."""
    found: Any = loads(evening)
    peaks = found.groupby(["design", "node"], sort=False)[["load", "behind"]].max().reset_index()
    by_design = peaks.groupby("design", sort=False)
    return pandas.DataFrame(
        {
            "busiest node, %": by_design["load"].max(),
            "idlest node, %": by_design["load"].min(),
            "minutes behind": by_design["behind"].max(),
        }
    )


def questions_by_nodes(evening: Evening, nodes: Sequence[int]) -> pandas.DataFrame:
    """The questions that reach one node in a second, in clusters of these sizes: the mean, and the busiest node's."""
    asked = {
        design: [replace(evening, nodes=count).questions_at_nodes(design) for count in nodes]
        for design in (INDEX, TABLE)
    }
    return pandas.DataFrame(
        {"nodes": nodes}
        | {f"{design}, mean": [fmean(each) for each in asked[design]] for design in asked}
        | {f"{design}, busiest": [max(each) for each in asked[design]] for design in asked}
    )


def in_words(evening: Evening) -> str:
    """The evening in two sentences, and what follows from them."""
    peaks: Any = busiest(evening)
    told = " ".join(
        f"With {design}, the busiest node is loaded to {peaks['busiest node, %'][design]:.0f} %, and answers are "
        f"{_behind(peaks['minutes behind'][design])}."
        for design in peaks.index
    )
    work = {INDEX: 1 + evening.index, TABLE: 2}
    return f"{told} A download is {work[INDEX]:g} units of work with the index and {work[TABLE]} with the table."


def _behind(minutes: int) -> str:
    return f"up to {quantity(minutes, 'minute')} behind" if minutes else "never behind"


def evening_chart(evening: Evening) -> charts.Figure:
    """A chart of the busiest and the idlest node through the evening, and of the minutes that answers are behind."""
    found: Any = loads(evening)
    drawn = found[(found["hour"] * 60).round() % DRAWN == 0]
    nodes = drawn.groupby(["design", "hour"], sort=False)["load"].agg(["max", "min"]).reset_index()
    nodes = nodes.rename(columns={"max": "busiest", "min": "idlest"}).melt(["design", "hour"], var_name="node")
    behind = drawn.groupby(["design", "hour"], sort=False)["behind"].max().reset_index()
    x = altair.X("hour:Q", title="hour of the evening", scale=altair.Scale(zero=False), axis=altair.Axis(tickCount=5))
    load = _panels(nodes, x, _from_zero("value:Q", "load of a node, %", nodes["value"], 100), charts.by(nodes["node"]))
    lag = _panels(behind, x, _from_zero("behind:Q", "minutes behind", behind["behind"], 10), {})
    chart = altair.vconcat(load, lag)
    return charts.show(chart, alt=in_words(evening), table=busiest(evening).reset_index())


def _from_zero(field: str, title: str, values: pandas.Series, least: float) -> altair.Y:
    """An axis that reaches to this number at least, so that what hardly moves looks so."""
    return altair.Y(field, title=title, scale=altair.Scale(domain=[0, max(least, values.max())]))


def _panels(data: pandas.DataFrame, x: altair.X, y: altair.Y, more: dict[str, Any]) -> altair.Chart:
    """One panel for each design."""
    column = altair.Column("design:N", title=None, sort=None)
    return (
        altair.Chart(data)
        .mark_line(point=True)
        .encode(x=x, y=y, column=column, **more)
        .properties(width=200, height=140)
    )


def evening_desk(evening: Evening | None = None) -> Any:
    """Sliders for the assumptions, what follows in words, and a picture of the chart.

    The picture is HTML and not an `ipywidgets.Output`: a runner without a browser, such as nbclient, hangs on one.
    """
    import ipywidgets

    from eslab.lab.widgets import Desk

    evening = evening or Evening()
    sliders = {name: _slider(name, getattr(evening, name)) for name in SLIDERS}
    words, picture = ipywidgets.HTML(), ipywidgets.HTML()

    def show(_: object = None) -> None:
        chosen = replace(evening, **{name: slider.value for name, slider in sliders.items()})
        words.value = f'<div role="status" style="line-height:1.45">{in_words(chosen)}</div>'
        picture.value = evening_chart(chosen).picture()

    for slider in sliders.values():
        slider.observe(show, names="value")
    show()
    controls = ipywidgets.HBox(list(sliders.values()), layout={"flex_flow": "row wrap"})
    return Desk([controls, words, picture])


def _slider(name: str, value: float) -> Any:
    import ipywidgets

    label, least, most, step = SLIDERS[name]
    kind = ipywidgets.FloatSlider if isinstance(step, float) else ipywidgets.IntSlider
    slider = kind(value=value, min=least, max=most, step=step, description=label, continuous_update=False)
    slider.style.description_width = "9em"
    slider.layout = {"width": "340px", "flex": "0 0 auto"}  # in a narrow window they wrap rather than shrink
    return slider
