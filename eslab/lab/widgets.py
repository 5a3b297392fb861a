"""The root of every widget in a lesson: keys stay in it, and its sliders can be heard.

JupyterLab reads a key that bubbles up from an output as a command for the notebook: `b` inserts a cell, `d d` deletes
one. A `Desk` stops its keys at its own edge, where its controls have already seen them. A slider tells a screen reader
the text beside it, not its position.
"""

from collections.abc import Sequence
from html import escape
from importlib.resources import files

import ipywidgets

ROOT = "eslab-desk"
SCRIPT = "eslab-script"  # marks the element that brings the script; a report leaves it out


class Desk(ipywidgets.VBox):
    """A column of widgets that keeps its keys to itself, except those that save the notebook (Ctrl-S or Cmd-S)."""

    def __init__(self, children: Sequence[ipywidgets.Widget], **options: object) -> None:
        super().__init__([*children, _script()], **options)
        self.add_class(ROOT)


def _script() -> ipywidgets.HTML:
    """An element without looks whose script runs when the desk around it is drawn.

    An `anywidget.AnyWidget` would do the same, but it reports a failure if a busy machine needs 2 s to load it.
    """
    script = files("eslab.lab").joinpath("assets", "desk.js").read_text(encoding="utf-8")
    # A script element in the HTML of a widget doesn't run. A style element has loaded once it is part of the page.
    element = ipywidgets.HTML(f'<style onload="{escape(script)}"></style>', layout={"display": "none"})
    return element.add_class(SCRIPT)
