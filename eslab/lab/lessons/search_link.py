"""A simulation of a search index that shares the database's network link, from stated assumptions."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from statistics import quantiles
from typing import Any

import altair
import pandas

from eslab.lab import charts


@dataclass(frozen=True)
class Link:
    """The traffic on a node's network link; every number is an assumption for the reader to change."""

    writes: int = 2000  # a second, at this node
    row: int = 500  # bytes
    replicas: int = 3  # copies of each row, in the database and in the index
    index: float = 1.5  # bytes of index for each byte of row
    merges: float = 4.0  # how often an index file is rewritten and copied again as segments merge
    mbit: int = 100  # megabits a second that replication may use

    @property
    def data(self) -> float:
        """Megabits a second of the rows themselves."""
        return self.writes * self.row * self.replicas * 8 / 1e6

    @property
    def files(self) -> float:
        """Megabits a second of index files."""
        return self.data * self.index * self.merges

    def delays(self, indexed: bool, seed: int, messages: int = 4000) -> list[float]:
        """The milliseconds that each write waits for the link: one queue with random, seeded arrivals.

        Index files travel in pieces of 64 KB and share the queue with the rows.
        """
        random = Random(seed)  # noqa: S311 - repeatable on purpose
        per_row = self.row * self.replicas * 8 / (self.mbit * 1e3)  # ms on the link
        piece = 65_536 * 8 / (self.mbit * 1e3)
        chance = self.files * 1e6 / 8 / 65_536 / self.writes if indexed else 0.0  # pieces for each write
        free_at = 0.0
        waited = []
        for now in accumulate(random.expovariate(self.writes / 1000) for _ in range(messages)):
            waited.append(max(0.0, free_at - now))
            pieces = int(chance) + (random.random() < chance % 1)
            free_at = max(free_at, now) + per_row + pieces * piece
        return waited


def link_costs(link: Link, seed: int) -> pandas.DataFrame:
    """The p99 wait of a write, with and without index files, as writes grow up to the assumed rate."""
    return pandas.DataFrame(_costs(link, seed))


def _costs(link: Link, seed: int) -> Iterator[dict[str, Any]]:
    for part in range(1, 11):
        writes = link.writes * part // 10
        at = Link(writes, link.row, link.replicas, link.index, link.merges, link.mbit)
        for kind, indexed in ("rows alone", False), ("rows and index files", True):
            waits = at.delays(indexed, seed)
            load = (at.data + (at.files if indexed else 0)) / at.mbit
            p99 = quantiles(waits, n=100)[98]
            yield {"writes a second": writes, "on the link": kind, "load": round(load, 2), "p99 ms": round(p99, 2)}


def link_chart(costs: pandas.DataFrame) -> charts.Figure:
    """A chart of the wait of a write by writes a second, with and without index files."""
    chart = (
        altair.Chart(costs)
        .mark_line(point=True)
        .encode(
            x=altair.X("writes a second:Q", axis=altair.Axis(tickCount=5)),
            y=altair.Y("p99 ms:Q", title="p99 wait, milliseconds").scale(type="log"),
            **charts.by(costs["on the link"], "on the link"),
        )
    )
    ends = costs[costs["writes a second"] == costs["writes a second"].max()].set_index("on the link")
    words = ", ".join(f"{kind} {row['p99 ms']:,.1f} ms at a load of {row['load']}" for kind, row in ends.iterrows())
    return charts.show(chart, alt=f"How long one write in a hundred waits for the link at the full rate: {words}.")


def link_desk(seed: int, link: Link | None = None) -> Any:
    """Sliders for the assumptions, and a picture of the chart that follows from them.

    The picture is HTML and not an `ipywidgets.Output`: a runner without a browser, such as nbclient, hangs on one.
    """
    import ipywidgets

    from eslab.lab.widgets import Desk

    link = link or Link()
    sliders = {
        "writes": ipywidgets.IntSlider(value=link.writes, min=100, max=5000, step=100, description="writes/s"),
        "row": ipywidgets.IntSlider(value=link.row, min=50, max=4000, step=50, description="row, bytes"),
        "replicas": ipywidgets.IntSlider(value=link.replicas, min=1, max=5, description="replicas"),
        "index": ipywidgets.FloatSlider(value=link.index, min=0, max=4, step=0.25, description="index/row"),
        "merges": ipywidgets.FloatSlider(value=link.merges, min=1, max=10, step=0.5, description="merges"),
        "mbit": ipywidgets.IntSlider(value=link.mbit, min=10, max=1000, step=10, description="link, Mbit/s"),
    }
    words = ipywidgets.HTML()
    picture = ipywidgets.HTML()

    def show(_: object = None) -> None:
        chosen = Link(**{name: slider.value for name, slider in sliders.items()})
        words.value = _bandwidth(chosen)
        picture.value = link_chart(link_costs(chosen, seed)).picture()

    for slider in sliders.values():
        slider.continuous_update = False
        slider.layout = {"width": "300px", "flex": "0 0 auto"}  # in a narrow window they wrap rather than shrink
        slider.observe(show, names="value")
    show()
    controls = ipywidgets.HBox(list(sliders.values()), layout={"flex_flow": "row wrap"})
    return Desk([controls, words, picture])


def _bandwidth(link: Link) -> str:
    """The link's load in words, which a screen reader reads out when they change."""
    words = f"Rows use {link.data:,.0f} Mbit/s and index files {link.files:,.0f} Mbit/s of the link's {link.mbit:,}."
    return f'<div role="status">{words}</div>'
