"""The code that a lesson is about, shown in the lesson: highlighted in the colours of the page's own editor.

A helper that the code calls, and whose name begins with an underscore, is named below it in one sentence.
"""

import ast
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from textwrap import dedent
from types import FunctionType
from typing import Any

from eslab.errors import InvalidInput

HELPERS = (FunctionType, type, property, classmethod, staticmethod)
PRIVATE = re.compile(r"(self\.)?_[a-z]\w*")
PRE = (
    "margin:0;padding:6px 10px;overflow-x:auto;white-space:pre;word-break:normal;line-height:1.45;"
    "font-size:var(--jp-code-font-size, 13px);"
    "font-family:var(--jp-code-font-family, monospace);background:var(--jp-cell-editor-background, transparent)"
)


@dataclass(frozen=True)
class Source:
    """A piece of Python with a title; displays highlighted, and reads as its text."""

    title: str
    text: str
    helpers: Mapping[str, str] = field(default_factory=dict)  # private names in the text, and what each is

    def __repr__(self) -> str:
        return "\n".join([self.text, *(f"# {name}: {words}" for name, words in self.helpers.items())])

    def _repr_html_(self) -> str:
        title = f'<figcaption style="margin-bottom:4px"><small>{escape(self.title)}</small></figcaption>'
        code = f'<pre style="{PRE}" tabindex="0">{_colored(self.text)}</pre>'
        items = "".join(f"<li><code>{escape(name)}</code>: {_marked(it)}</li>" for name, it in self.helpers.items())
        helpers = f'<ul style="margin:4px 0;font-size:90%;line-height:1.45">{items}</ul>' if items else ""
        return f'<figure style="margin:0">{title}{code}{helpers}</figure>'


def show_source(thing: Any) -> Source:
    """Show the source of a function, a method, a property or a class, with its place.

    Below it each private helper is named, by the first line of its docstring; an attribute by the comment where it is
    set. Raises `InvalidInput` for anything that has no Python source.
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
    words = {name: _words(found, name) for name in private_names(text)}
    return Source(title, text, {name: known for name, known in words.items() if known})


def private_names(text: str) -> list[str]:
    """The private names that a text uses and doesn't make itself, in order: `_month_of`, `self._stamp`."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name | ast.Attribute)]
    made = {ast.unparse(node) for node in nodes if isinstance(node.ctx, ast.Store)}
    used = [ast.unparse(node) for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset))]
    return [name for name in dict.fromkeys(used) if PRIVATE.fullmatch(name) and name not in made]


def _words(found: Any, name: str) -> str:
    """What a helper of this function or class is, in its own words; empty if it has none."""
    module = inspect.getmodule(found)
    owner = getattr(module, found.__qualname__.partition(".")[0], None)
    bare = name.removeprefix("self.")
    helpers = [vars(place)[bare] for place in (owner, module) if bare in getattr(place, "__dict__", {})]
    if helpers and isinstance(helpers[0], HELPERS):
        return (inspect.getdoc(helpers[0]) or "").partition("\n")[0].removesuffix(".")
    comment = re.search(rf"{re.escape(name)}\b[^=\n]*=[^#\n]*  # (.+)", inspect.getsource(owner)) if owner else None
    return comment[1] if comment else ""


def _marked(words: str) -> str:
    """The words of a docstring as HTML, with what stands between backticks as code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(words))


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
