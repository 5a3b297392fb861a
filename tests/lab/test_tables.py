"""Tables keep short text on a line, wrap long text, and scroll where they are too wide."""

import re
from uuid import UUID

import pandas
from IPython.core.formatters import HTMLFormatter, PlainTextFormatter

from eslab.lab import charts, tables
from eslab.store import Commit, Head, StoredSnapshot

ID = "019b8d63-64e0-726b-b2a7-4de452e6b438"
FRAME = pandas.DataFrame({"id": [UUID(ID), ID], "text": ["</td><b>", "a long text " * 12], "ms": [0.123456, 12345.6]})


def test_a_frame_is_a_table_of_cells_that_wrap_by_themselves():
    """Escaped, with its index, numbers rounded, and nothing cut but ids."""
    html = tables.of_frame(FRAME)
    assert len(re.findall(r"max-width:\d+em", html)) == 4 + 2 * 4
    assert html.startswith('<div style="overflow-x:auto;contain:inline-size">')
    assert "&lt;/td&gt;&lt;b&gt;" in html
    assert "a long text " * 11 in html
    assert ">0.1235</div>" in html


def width_of(*columns: int) -> str:
    """The width that the columns of a table get whose texts have so many letters."""
    html = tables.html_table([{f"{place}": "x" * letters for place, letters in enumerate(columns)}])
    widths = set(re.findall(r"max-width:(\d+)em", html))
    assert widths == set(re.findall(r"max-width:(\d+)em", tables.of_frame(pandas.DataFrame(
        {f"{place}": ["x" * letters] for place, letters in enumerate(columns)}), index=False)))  # fmt: skip
    return "".join(widths)


def test_the_longest_columns_of_a_wide_table_get_narrower():
    """As far as all columns fit into the room; short ones keep their line, and no column is too narrow for words."""
    assert width_of(10, 10, 10) == width_of(40) == width_of(90, 10) == "30"
    assert width_of(80, 80) == "23"
    assert width_of(80, 80, 10) == "20"
    assert width_of(*[60] * 6) == "12"


def test_ids_are_cut_and_a_line_says_so():
    """The same six characters wherever the id stands; the frame keeps the whole id."""
    html = tables.of_frame(FRAME)
    assert html.count(">…e6b438</div>") == 2
    assert ID not in html
    assert html.endswith(tables.CUT)
    assert tables.CUT not in tables.of_frame(FRAME[["ms"]])
    assert tables.short_ids(f"licence {ID}, active") == "licence …e6b438, active"


def test_long_frames_are_abridged():
    """To 60 rows, with the number of all rows."""
    html = tables.of_frame(pandas.DataFrame({"n": range(100)}))
    assert html.count("<tr") < 70
    assert "100 rows" in html


def test_lines_become_a_table():
    """With headers for a screen reader; what is marked ✗ is bold; no lines, no table."""
    html = tables.html_table([{"rule": "a<b", "says": "✗ no"}, {"rule": "c", "says": "✓"}])
    assert html.count('<th scope="col"') == 2
    assert "a&lt;b" in html
    assert html.count("font-weight:bold") == 1
    assert tables.html_table([]) == ""


def test_enabling_charts_enables_the_tables(monkeypatch):
    """Every lesson calls it in its first cell."""
    formatter = HTMLFormatter()
    shell = type("Shell", (), {"display_formatter": type("All", (), {"formatters": {"text/html": formatter}})})
    plain = PlainTextFormatter()
    shell.display_formatter.formatters["text/plain"] = plain
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    tables.enable()
    assert formatter(FRAME) == tables.of_frame(FRAME)
    assert charts.tables is tables
    commit = Commit("till:1", UUID(ID), "Sold", 1, b"1234")
    words = "Commit(aggregate_id=till:1, event_time=…e6b438, event_type=Sold, version=1, payload=4 bytes)"
    assert plain(commit) == words
    snapshot = StoredSnapshot(UUID(ID), 2, b"12")
    assert plain([Head(None, None, (snapshot,), commit)]) == (
        "[Head(first=None, floor=None, snapshots=[StoredSnapshot(up_to=…e6b438, fold=2, payload=2 bytes)], "
        f"recorded={words}, safe=False, intended=None, late=None, older=False)]"
    )
