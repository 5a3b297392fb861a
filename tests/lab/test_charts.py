"""A chart is live where scripts may run and a picture elsewhere, with words and numbers for everyone."""

import base64
import json
import re

import altair as alt
import pandas as pd
import pytest

from eslab.errors import InvalidInput
from eslab.lab import charts

NUMBERS = pd.DataFrame(
    {"events": [1, 10, 1, 10], "seconds": [0.1, 0.2, 0.3, 0.4], "store": ["a", "a", "</script>", "b"]}
)


def chart(data: pd.DataFrame = NUMBERS) -> alt.Chart:
    """Two lines, told apart by store."""
    return (
        alt.Chart(data, title="Hydration")
        .mark_line(point=True)
        .encode(x="events", y="seconds", **charts.by(data["store"]))
    )


def shown(**options) -> dict[str, str]:
    """The forms of the chart that a notebook gets."""
    return charts.show(chart(), **{"alt": "Hydration grows", **options})._repr_mimebundle_()


def test_html_comes_first_and_a_picture_beside_it():
    """Front ends take the first that they can show; the picture is for those that show no HTML."""
    bundle = shown()
    assert list(bundle) == ["text/html", "image/png", "text/plain"]
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == "Hydration grows"


def test_the_words_are_for_live_chart_and_picture():
    """Both carry them, escaped."""
    html = shown(alt='Twice as "high"')["text/html"]
    assert '<div role="img" aria-label="Twice as &quot;high&quot;">' in html
    assert 'alt="Twice as &quot;high&quot;"' in html


def test_a_chart_without_words_is_refused():
    """So that nobody is left out by mistake."""
    with pytest.raises(InvalidInput, match=r"^Expected alt, one sentence that says what the chart shows"):
        charts.show(chart(), alt=" ")


def test_the_numbers_are_in_a_table():
    """The chart's own data, or another table; long ones are cut, and say so."""
    assert ">0.4</div></td>" in shown()["text/html"]
    assert ">other</div></td>" in shown(table=pd.DataFrame({"a": ["other"]}))["text/html"]
    assert "The first 50 of 60 rows." in shown(table=pd.DataFrame({"a": range(60)}))["text/html"]


def test_data_cannot_end_the_script():
    """A value that looks like markup stays a value."""
    script = re.search(r"<script>(.*)</script>", shown()["text/html"], re.DOTALL)
    assert script is not None
    assert "</script>" not in script.group(1)
    assert "</script>" in json.dumps(json.loads(script.group(1).partition("spec: ")[2].rpartition(" });")[0]))


def test_colours_are_the_pages_own_except_in_the_picture():
    """Text follows the theme without being redrawn, on a transparent ground."""
    spec = charts.show(chart(), alt="x").spec
    assert spec["config"]["axis"]["labelColor"] == "currentColor"
    assert spec["config"]["background"] == "transparent"


def test_series_differ_by_colour_and_by_shape():
    """In one legend: both scales name the same domain, in order of appearance."""
    encoding = charts.show(chart(), alt="x").spec["encoding"]
    assert encoding["color"] == encoding["shape"]
    assert encoding["color"]["scale"]["domain"] == ["a", "</script>", "b"]


def test_a_chart_alone_in_a_cell_is_drawn_too():
    """After enable(); its title serves as words."""
    with alt.renderers.enable("eslab"), alt.theme.enable("eslab"):
        assert 'aria-label="Hydration"' in chart()._repr_mimebundle_(None, None)["text/html"]


def test_enabling_brings_vega_of_the_version_that_altair_writes_for(capsys, monkeypatch):
    """In one script that needs nothing else."""
    said = []
    monkeypatch.setattr(charts, "display", said.append)
    with alt.renderers.enable("default"), alt.theme.enable("default"):
        charts.enable()
    html = said[0].data
    assert html.count("<script>") == html.count("</script>") == 1
    assert "window.vegaEmbed=" in html
    assert "window.eslabCharts = { push: draw }" in html


def test_a_logarithmic_axis_has_a_grid_line_for_each_power_of_ten():
    """However the chart is composed; a linear axis keeps all its lines, and what the chart says itself is kept."""
    line = alt.Chart(NUMBERS).mark_line().encode(x="events", y=alt.Y("seconds:Q", axis=alt.Axis(format="d")))
    log = line.encode(x=alt.X("events:Q").scale(type="log"), y=alt.Y("seconds:Q", axis=alt.Axis(grid=False)))
    for composed in (log, alt.vconcat(line, log), alt.layer(log, log)):
        assert json.dumps(charts.show(composed, alt="x").spec).count('gridOpacity": {"condition') >= 1
    encoding = charts.show(line, alt="x").spec["encoding"]
    assert encoding["y"]["axis"] == {"format": "d"}
    assert "axis" not in encoding["x"]
