"""The code that a lesson is about, shown in the lesson: highlighted in the colours of the page's own editor."""

import inspect
from dataclasses import dataclass
from html import escape
from textwrap import dedent
from typing import Any

from eslab.errors import InvalidInput

PRE = (
    "margin:0;padding:6px 10px;overflow-x:auto;white-space:pre;word-break:normal;line-height:1.45;"
    "font-family:var(--jp-code-font-family, monospace);background:var(--jp-cell-editor-background, transparent)"
)


@dataclass(frozen=True)
class Source:
    """A piece of Python with a title; displays highlighted, and reads as its text."""

    title: str
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        title = f'<figcaption style="margin-bottom:4px"><small>{escape(self.title)}</small></figcaption>'
        code = f'<pre style="{PRE}" tabindex="0">{_colored(self.text)}</pre>'
        return f'<figure style="margin:0">{title}{code}</figure>'


def show_source(thing: Any) -> Source:
    """Show the source of a function, a method, a property or a class, with its place.

    Raises `InvalidInput` for anything that has no Python source.
    """
    read: Any = thing.fget if isinstance(thing, property) else thing
    try:
        found = inspect.unwrap(read)
        text = dedent(inspect.getsource(found)).rstrip()
        title = f"{found.__qualname__} in {found.__module__}"
    except (TypeError, OSError, AttributeError):
        raise InvalidInput(
            f"Expected a function, method, property or class written in Python, got {thing!r}. "
            "Give the object itself: show_source(Frosting.apply)."
        ) from None
    return Source(title, text)


def _colored(text: str) -> str:
    """The text as HTML; its colours are variables of JupyterLab's theme, which reports carry too."""
    from pygments import lex
    from pygments.lexers.python import PythonLexer

    return "".join(_span(kind, piece) for kind, piece in lex(text, PythonLexer(stripnl=False)))


def _span(kind: Any, piece: str) -> str:
    color = next((name for token, name in _colors().items() if kind in token), "")
    if not color:
        return escape(piece)
    return f'<span style="color:var(--jp-mirror-editor-{color}-color, inherit)">{escape(piece)}</span>'


def _colors() -> dict[Any, str]:
    from pygments.token import Comment, Keyword, Literal, Name, Operator

    return {
        Comment: "comment",
        Operator.Word: "keyword",
        Keyword: "keyword",
        Literal.Number: "number",
        Literal.String: "string",
        Name.Builtin: "builtin",
        Name.Function: "def",
        Name.Class: "def",
        Name.Decorator: "meta",
    }
