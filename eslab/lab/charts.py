"""Altair charts that need no network: in JupyterLab, after reopening a notebook, and in HTML reports.

Altair's own renderers load Vega from a CDN, or rely on a JupyterLab extension that no longer draws. Here
`enable()` puts Vega into the notebook once, and a script turns the picture of a chart into the live chart. Where no
script may run (in a notebook that isn't trusted, or in another viewer), the picture remains.

    from eslab.lab import charts
    charts.enable()                                        # in the first code cell
    charts.show(chart, alt="Each title's downloads: ...")  # the last line of any later cell
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import altair as alt
import pandas as pd
import vl_convert
from altair.typing import ChartType
from IPython.display import HTML, display

from eslab.errors import InvalidInput
from eslab.lab import tables

# Okabe-Ito without black, which vanishes on a dark page, and yellow, which vanishes on a white one.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
INK = "currentColor"  # the page's own text colour, so a chart follows a change of theme without being redrawn
PAPER_INK = "#24292f"  # the same in the picture, which has a white ground
SIZE = {"continuousWidth": 480, "continuousHeight": 260, "discreteWidth": 480, "discreteHeight": {"step": 28}}
TABLE_ROWS = 50
POWER_OF_TEN = "abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-9"
LOG_AXIS = {
    "gridOpacity": {"condition": {"test": POWER_OF_TEN, "value": 1}, "value": 0},
    "labelOverlap": "greedy",
}

Spec = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """A chart in four forms: live, as a picture, in words, and as a table of its numbers."""

    alt: str
    spec: Spec = field(repr=False)
    table: pd.DataFrame = field(repr=False)

    def picture(self) -> str:
        """The chart as HTML that needs no script: the picture, and its numbers to unfold. For an `ipywidgets.HTML`."""
        return self._drawn_as(png(self.spec))

    def _drawn_as(self, picture: str) -> str:
        return _asset("picture.html").format(alt=escape(self.alt), png=picture, table=_table(self.table))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        picture = png(self.spec)
        html = _asset("figure.html").format(picture=self._drawn_as(picture), spec=_in_script(self.spec))
        return {"text/html": html, "image/png": picture, "text/plain": self.alt}


def enable() -> None:
    """Put Vega into this notebook's outputs once (about 0.9 MB), and let it draw all Altair charts from here on.

    Data frames are shown as the tables of `eslab.lab.tables` from here on.

    Call it in the first cell, or in a cell of its own: a saved notebook draws its charts while it holds this output.
    """
    alt.renderers.enable("eslab")
    alt.theme.enable("eslab")
    tables.enable()
    html = _asset("enable.html").format(vega=_vega(), draw=_asset("draw.js"))
    display(HTML(html, metadata={"eslab": "vega"}))


def show(chart: ChartType, *, alt: str, table: pd.DataFrame | None = None) -> Figure:
    """A figure of the chart, with `alt` for readers who can't see it, and its numbers in a table to unfold.

    The table shows the first 50 rows of the chart's own data, or of `table`. Drawing takes about 0.1 s.
    Raises `InvalidInput` if `alt` is empty.
    """
    if not alt.strip():
        raise InvalidInput("Expected alt, one sentence that says what the chart shows, got an empty text. Write one.")
    spec = _themed(chart)
    return Figure(alt.strip(), spec, _data(spec) if table is None else table)


def by(column: Any, title: str | None = None) -> dict[str, Any]:
    """Encodings that distinguish the values of a column (a pandas Series) by colour and by shape, in one legend.

    `alt.Chart(df).mark_line(point=True).encode(x="events", y="seconds", **charts.by(df["store"]))`
    """
    # The domain is explicit: Vega-Lite merges two legends only if it can see that their domains are equal.
    scale = alt.Scale(domain=list(column.unique()))
    common: dict[str, Any] = {"type": "nominal", "title": title or str(column.name), "scale": scale}
    return {"color": alt.Color(str(column.name), **common), "shape": alt.Shape(str(column.name), **common)}


def png(spec: Spec) -> str:
    """The picture of a chart on white ground, as base64; drawn without network and without a browser."""
    paper = json.dumps({**spec, "background": "white"}).replace(INK, PAPER_INK)
    return b64encode(vl_convert.vegalite_to_png(paper, scale=1, vl_version=_vega_lite())).decode()


@alt.theme.register("eslab", enable=False)
def theme() -> alt.theme.ThemeConfig:
    """The look of every chart, in one place."""
    ink = {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    lines = {"domainColor": INK, "tickColor": INK, "gridColor": INK, "gridOpacity": 0.15, "domainOpacity": 0.5}
    config: Any = {
        "background": "transparent",
        "font": "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif",
        "title": {"color": INK, "subtitleColor": INK, "anchor": "start", "fontSize": 14, "offset": 12},
        "axis": {**ink, **lines, "tickOpacity": 0.5},
        "legend": {**ink, "symbolBaseFillColor": INK, "symbolBaseStrokeColor": INK},
        "header": {"labelColor": INK, "titleColor": INK},
        "text": {"color": INK},
        "rule": {"color": INK},
        "axisXDiscrete": {"labelAngle": 0},
        "view": {"stroke": None, **SIZE},
        "range": {"category": list(COLORS), "symbol": list(SHAPES)},
        "mark": {"color": COLORS[0]},
        "line": {"strokeWidth": 2},
        "point": {"size": 60, "filled": True},
    }
    return {"config": config}


def _render(spec: Spec, **_: object) -> dict[str, str]:
    """Altair's renderer for a chart that is the value of a cell; its description or title serves as `alt`."""
    words = spec.get("description") or spec.get("title") or "A chart"
    words = words if isinstance(words, str) else str(words.get("text"))
    return Figure(words, _with_clear_logs(spec), _data(spec))._repr_mimebundle_()


alt.renderers.register("eslab", _render)


def _themed(chart: ChartType) -> Spec:
    with alt.theme.enable("eslab"):
        return _with_clear_logs(chart.to_dict())


def _with_clear_logs(spec: Any) -> Any:
    """The chart, with grid lines only at powers of ten on its logarithmic axes: Vega draws nine for each."""
    if isinstance(spec, list):
        return [_with_clear_logs(item) for item in spec]
    if not isinstance(spec, dict):
        return spec
    inside = {name: item if name == "datasets" else _with_clear_logs(item) for name, item in spec.items()}
    scale = inside.get("scale")
    if isinstance(scale, dict) and scale.get("type") == "log" and "field" in inside:
        inside["axis"] = {**LOG_AXIS, **(inside.get("axis") or {})}
    return inside


def _data(spec: Spec) -> pd.DataFrame:
    datasets: Mapping[str, Any] = spec.get("datasets", {})
    return pd.DataFrame(next(iter(datasets.values()), []))


def _table(table: pd.DataFrame) -> str:
    html = tables.of_frame(table.head(TABLE_ROWS), index=False)
    more = f"<p>The first {TABLE_ROWS} of {len(table):,} rows.</p>" if len(table) > TABLE_ROWS else ""
    return html + more


def _in_script(spec: Spec) -> str:
    return json.dumps(spec).replace("<", "\\u003c")


@cache
def _vega() -> str:
    """Vega, Vega-Lite and vega-embed in one script; building it takes about 2 s, once per kernel."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed", _vega_lite()).replace("</script", "<\\/script")


def _vega_lite() -> str:
    """The Vega-Lite that Altair writes for, in vl-convert's spelling: 6.4 for v6.4.1."""
    return ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def _asset(name: str) -> str:
    return files("eslab.lab").joinpath("assets", name).read_text(encoding="utf-8")
