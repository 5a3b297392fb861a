"""The chart of hydrations: a picture or a page that needs no script and no network, with its words and numbers."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eslab import InvalidInput
from eslab.bench import chart
from eslab.bench.chart import alt_text, lines_of, write_chart
from eslab.bench.cli import app
from eslab.bench.measure import Report, Row, single_row
from eslab.lab import charts


def row(measure: str, events: int, seconds: float, **columns: int | str) -> Row:
    """A row of a report."""
    return single_row(measure, "sqlite", [seconds], events, **{"interval": 0, "temperature": "", **columns})


ROWS = [
    row("baseline", 10, 1e-5), row("baseline", 1000, 1e-3),
    row("hydrate", 10, 2e-5, temperature="warm"), row("hydrate", 1000, 2e-3, temperature="warm"),
    row("hydrate", 10, 9e-5, temperature="cold"), row("build", 10, 9e-5, interval=5),
    row("hydrate", 1000, 4e-5, temperature="warm", interval=100),
    row("live", 1000, 8e-5, temperature="warm", interval=100),
    row("peer:eventsourcing", 1000, 2e-2), row("hydrate", 10, 9e-3, temperature="warm", padding=500),
]  # fmt: skip
REPORT = Report(ROWS, "", {"eslab": "1"}, {"cpu": "<quick>"})
SENTENCES = (
    "bare read: 10 µs at 10 events and 1 ms at 1,000; no snapshots: 20 µs at 10 events and 2 ms at 1,000; "
    "snapshot every 100: 40 µs at 1,000 events; live, snapshot every 100: 80 µs at 1,000 events; "
    "eventsourcing, no snapshots: 20 ms at 1,000 events."
)


def test_warm_hydrations_stand_beside_bare_read_and_peer() -> None:
    """One line for each, of events and seconds; cold ones, builds and padded events are not drawn."""
    assert lines_of(ROWS) == {
        "bare read": [(10, 1e-5), (1000, 1e-3)],
        "no snapshots": [(10, 2e-5), (1000, 2e-3)],
        "snapshot every 100": [(1000, 4e-5)],
        "live, snapshot every 100": [(1000, 8e-5)],
        "eventsourcing, no snapshots": [(1000, 2e-2)],
    }


def test_the_chart_is_told_in_words() -> None:
    """Where each line begins and ends."""
    assert alt_text(lines_of(ROWS)).endswith(SENTENCES)


@pytest.mark.parametrize("kind", ["html", "svg"])
def test_a_chart_needs_no_script_and_no_network(tmp_path: Path, kind: str) -> None:
    """It is drawn already, and holds its words."""
    file = tmp_path / f"chart.{kind}"
    write_chart(REPORT, file)
    text = file.read_text()
    assert (SENTENCES in text, text.count("<svg")) == (True, 1)
    assert not re.search(r"<script|<link|<img|src=|url\((?!#)", text)
    assert set(re.findall(r"https?://[^\"' <]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_a_page_has_a_table_and_follows_the_theme(tmp_path: Path) -> None:
    """The numbers of each line, the machine, and the colour of the page's own text."""
    write_chart(REPORT, tmp_path / "chart.html")
    text = (tmp_path / "chart.html").read_text()
    assert "<tr><td>bare read</td><td>10 µs</td><td>1 ms</td></tr>" in text
    assert "&lt;quick&gt;" in text
    assert "currentColor" in text
    assert "color-scheme: light dark" in text


def test_a_picture_stands_on_white(tmp_path: Path) -> None:
    """Wherever it is shown."""
    write_chart(REPORT, tmp_path / "chart.svg")
    text = (tmp_path / "chart.svg").read_text()
    assert 'fill="white"' in text
    assert "currentColor" not in text


def test_colours_and_shapes_are_those_of_the_lessons() -> None:
    """One look for all charts."""
    assert (chart.COLORS, chart.SHAPES) == (charts.COLORS, charts.SHAPES)


@pytest.mark.parametrize("name", ["chart.png", "chart"])
def test_another_kind_of_file_is_refused_before_anything_is_measured(tmp_path: Path, name: str) -> None:
    """Named, with those that can be drawn."""
    result = CliRunner().invoke(app, ["hydrate", "--chart", str(tmp_path / name)])
    assert isinstance(result.exception, InvalidInput)
    assert f"Expected a chart file that ends with .html or .svg, got {tmp_path / name}" in str(result.exception)


def test_the_command_draws_what_it_measured(tmp_path: Path) -> None:
    """Beside its table."""
    file = tmp_path / "chart.html"
    options = f"--store memory --events 10 20 30 --interval off 5 --runs 1 --chart {file}"
    done = CliRunner().invoke(app, ["hydrate", *options.split()], catch_exceptions=False)
    assert done.exit_code == 0
    assert "snapshot every 5" in file.read_text()
    assert "A hydration takes" in done.output
