"""Lesson 06: the interval of snapshots, and what building and reading cost at each, by a model that was measured."""

from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import altair
import pandas

from eslab.bench.cost_model import CostModel, seconds
from eslab.lab import charts

INTERVALS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
CHOICES = {  # label, values
    "reads": ("reads per write", (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)),
    "life": ("events in its life", (10, 100, 1_000, 10_000, 100_000)),
    "interval": ("a snapshot every", INTERVALS),
}


@dataclass(frozen=True)
class Setting:
    """How often an aggregate is read for each write, the events of its life, and the interval of its snapshots.

    All costs are in seconds for each event that is written, without those that no interval changes.
    """

    model: CostModel
    interval: int = 10
    reads: float = 0.1
    life: int = 10_000

    def to_build(self, interval: float) -> float:
        """The builder's share: one snapshot, divided among the events that it adds."""
        return self.model.build / interval

    def to_read(self, interval: float) -> float:
        """What readers replay after the newest snapshot: half an interval of events, on average."""
        return self.reads * self.model.each_event * interval / 2

    def in_sum(self, interval: float) -> float:
        """Both together."""
        return self.to_build(interval) + self.to_read(interval)

    @property
    def never(self) -> float:
        """Without snapshots: readers replay half of the aggregate's life, on average."""
        return self.to_read(self.life)

    @property
    def best(self) -> int:
        """The interval that costs least."""
        return self.model.best_interval(self.reads).interval

    @property
    def pays_from(self) -> float | None:
        """The shortest interval at which snapshots cost no more than none at all; None if they cost more at any."""
        room = self.life**2 - 8 * self.model.build / (self.reads * self.model.each_event)
        return None if room < 0 else max(1.0, (self.life - sqrt(room)) / 2)

    def in_words(self) -> str:
        """The arithmetic in words."""
        build, event, n = seconds(self.model.build), seconds(self.model.each_event), self.interval
        to_build, to_read, least = seconds(self.to_build(n)), seconds(self.to_read(n)), self.in_sum(self.best)
        return (
            f"A snapshot {_every(n)} costs {build} / {n:,} = {to_build} to build, and {self.reads:g} × {n / 2:,g} × "
            f"{event} = {to_read} to read: {seconds(self.in_sum(n))} for each write. Least is one {_every(self.best)}, "
            f"√(2 × {build} / ({self.reads:g} × {event})): {seconds(least)}. {self._never_in_words()}"
        )

    def _never_in_words(self) -> str:
        without = f"Without snapshots it is {seconds(self.never)}, over a life of {self.life:,} events"
        if self.pays_from is None:
            return f"{without}: they cost more than they save at any interval."
        if round(self.pays_from) <= 1:
            return f"{without}: they pay at any interval shorter than that."
        return f"{without}: they pay from an interval of {round(self.pays_from):,} events on."


def interval_chart(setting: Setting) -> charts.Figure:
    """A chart of both costs and their sum at each interval, beside the chosen one, the best one and none at all."""
    parts = {"to build": setting.to_build, "to read": setting.to_read, "in sum": setting.in_sum}
    drawn = pandas.DataFrame(
        {"interval": each, "part": part, "µs": 1e6 * cost(each)} for part, cost in parts.items() for each in INTERVALS
    )
    x = altair.X("interval:Q", title="events from one snapshot to the next").scale(type="log")
    y = altair.Y("µs:Q", title="µs for each write").scale(type="log")
    lines = altair.Chart(drawn).mark_line(point=True).encode(x=x, y=y, **charts.by(drawn["part"], "cost"))
    marked = {"yours": setting.interval, "least": setting.best}
    marks = pandas.DataFrame(
        {"interval": each, "µs": 1e6 * setting.in_sum(each), "what": what} for what, each in marked.items()
    )
    at = altair.Chart(marks).encode(x=x, y=y)
    diamonds = at.mark_point(shape="diamond", size=160, filled=True, color=charts.INK)
    words = at.mark_text(dy=-14).encode(text="what:N")
    none = pandas.DataFrame({"µs": [1e6 * setting.never], "interval": [INTERVALS[-1]], "what": ["no snapshots"]})
    never = altair.Chart(none).encode(y=y)
    rule = never.mark_rule(strokeDash=[5, 4]) + never.mark_text(align="right", dy=-7).encode(x=x, text="what:N")
    return charts.show(
        lines + rule + diamonds + words,
        alt=setting.in_words(),
        table=drawn.pivot(index="interval", columns="part", values="µs").reset_index(),
    )


def interval_desk(model: CostModel) -> Any:
    """Sliders for the load and the interval, the arithmetic in words, and a picture of the chart."""
    import ipywidgets

    from eslab.lab.widgets import Desk

    setting = Setting(model)
    sliders = {name: _slider(name, getattr(setting, name)) for name in CHOICES}
    words, picture = ipywidgets.HTML(), ipywidgets.HTML()

    def show(_: object = None) -> None:
        chosen = replace(setting, **{name: slider.value for name, slider in sliders.items()})
        words.value = f'<div role="status" style="line-height:1.45">{chosen.in_words()}</div>'
        picture.value = interval_chart(chosen).picture()

    for slider in sliders.values():
        slider.observe(show, names="value")
    show()
    controls = ipywidgets.HBox(list(sliders.values()), layout={"flex_flow": "row wrap"})
    return Desk([controls, words, picture])


def _slider(name: str, value: float) -> Any:
    import ipywidgets

    label, values = CHOICES[name]
    slider: Any = ipywidgets.SelectionSlider(
        options=[(f"{each:,g}", each) for each in values], value=value, description=label, continuous_update=False
    )
    slider.style.description_width = "9em"
    slider.layout = {"width": "360px", "flex": "0 0 auto"}  # in a narrow window they wrap rather than shrink
    return slider


def _every(interval: int) -> str:
    return "after each event" if interval == 1 else f"every {interval:,} events"
