"""Tables in a lesson: short text stays on one line, long text wraps, and a table that is too wide scrolls.

JupyterLab gives the columns of a narrow table equal widths, so that words and ids break into pieces. Here the longest
columns of a wide table get narrower, as far as it takes to fit a window of 800 pixels, or until words would break.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape, unescape
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from eslab.display import quantity
from eslab.store import Commit, Head, ReadRow, StoredSnapshot

if TYPE_CHECKING:
    import pandas

ID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{6}([0-9a-f]{6})\b")
CUT = "<p><small>Ids are cut to their last six characters.</small></p>"
IN_A_CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)
LONGEST = 200  # characters of a cell
TABLE = "table-layout:auto;margin-left:0"
CELL = "text-align:left;vertical-align:top;padding:2px 14px 2px 0"
# Without containment a wide table would widen the widget around it, and the text beside it would no longer wrap.
SCROLLS = "overflow-x:auto;contain:inline-size"
TEXT = "width:max-content;max-width:{}em;white-space:pre-line;line-height:1.45;text-align:left"
WIDEST, NARROWEST, ROOM = 30, 12, 50  # em: of a column, and of all columns together
LETTER, BETWEEN = 0.5, 1.1  # em: a letter on average, and the space between two columns


def enable() -> None:
    """Show the data frames of this notebook as these tables, and stored rows without their bytes."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    if shell and shell.display_formatter:
        formatters: Any = shell.display_formatter.formatters
        formatters["text/html"].for_type_by_name("pandas", "DataFrame", of_frame)
        for row in (Commit, Head, ReadRow, StoredSnapshot):
            formatters["text/plain"].for_type(row, lambda row, printer, _: printer.text(row_in_words(row)))


def html_table(lines: Iterable[Mapping[str, Any]]) -> str:
    """An HTML table of lines with the same columns; every value is escaped. Without lines, an empty string."""
    rows = [*lines]
    if not rows:
        return ""
    width = _width([[*rows[0]], *([str(value) for value in row.values()] for row in rows)])
    head = "".join(_cell("th", name, width, ' scope="col"') for name in rows[0])
    body = "".join(f"<tr>{''.join(_cell('td', value, width) for value in row.values())}</tr>" for row in rows)
    return _framed(f'<table style="{TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def of_frame(frame: "pandas.DataFrame", index: bool = True) -> str:
    """The HTML table of a data frame, as pandas abridges it."""
    import pandas

    # Long text wraps, so that pandas need not cut it after 50 characters.
    with pandas.option_context("display.max_colwidth", LONGEST):
        html = frame.to_html(
            index=index, border=0, float_format="{:,.4g}".format, max_rows=60, show_dimensions=len(frame) > 60
        )
        return _framed(_with_styles(html))


def short_ids(text: str) -> str:
    """A text with each UUID cut to its last six characters, as in "…3fa85f"."""
    return ID.sub(r"…\1", text)


def row_in_words(row: Any) -> str:
    """A stored row on one line: ids are cut, and bytes are counted."""
    fields = ", ".join(f"{name}={_in_words(value)}" for name, value in row._asdict().items())
    return f"{type(row).__name__}({fields})"


def _in_words(value: Any) -> str:
    if isinstance(value, bytes):
        return quantity(len(value), "byte")
    if hasattr(value, "_asdict"):
        return row_in_words(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_in_words, value))}]"
    return short_ids(str(value))


def _framed(table: str) -> str:
    return f'<div style="{SCROLLS}">{short_ids(table)}</div>{CUT if ID.search(table) else ""}'


def _with_styles(table: str) -> str:
    width = _width([[unescape(text) for text in IN_A_CELL.findall(row)] for row in table.split("</tr>")])
    table = table.replace("<table ", f'<table style="{TABLE}" ')
    table = table.replace(' style="text-align: right;"', "")
    table = re.sub(r"<(t[hd])>", rf'<\1 style="{CELL}"><div style="{TEXT.format(width)}">', table)
    return re.sub(r"</(t[hd])>", r"</div></\1>", table)


def _cell(tag: str, value: Any, width: int, scope: str = "") -> str:
    """A cell; a value marked ✗ is bold, so that it stands out."""
    text = str(value)
    bold = ";font-weight:bold" if text.startswith("✗") else ""
    return f'<{tag}{scope} style="{CELL}{bold}"><div style="{TEXT.format(width)}">{escape(text)}</div></{tag}>'


def _width(rows: Sequence[Sequence[str]]) -> int:
    """The greatest width of a column, in em, with which all columns fit the room; not too narrow for a few words."""
    columns = zip_longest(*rows, fillvalue="")
    longest = [LETTER * max(len(short_ids(text)) for text in column) for column in columns]
    return next((width for width in range(WIDEST, NARROWEST, -1) if _all_fit(longest, width)), NARROWEST)


def _all_fit(longest: Sequence[float], width: int) -> bool:
    return sum(min(column, width) + BETWEEN for column in longest) <= ROOM
