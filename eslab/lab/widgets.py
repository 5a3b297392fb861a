"""The root of every widget in a lesson: keys stay in it, and its sliders can be heard.

JupyterLab reads a key that bubbles up from an output as a command for the notebook: `b` inserts a cell, `d d` deletes
one. A `Desk` stops its keys at its own edge, where its controls have already seen them. A slider tells a screen reader
the text beside it, not its position.
"""

from collections.abc import Sequence
from importlib.resources import files

import anywidget
import ipywidgets

ROOT = "eslab-desk"


class _Script(anywidget.AnyWidget):
    """Nothing to see; brings the script that works on the desk around it."""

    _esm = files("eslab.lab").joinpath("assets", "desk.js").read_text(encoding="utf-8")


class Desk(ipywidgets.VBox):
    """A column of widgets that keeps its keys to itself, except those that save the notebook (Ctrl-S or Cmd-S)."""

    def __init__(self, children: Sequence[ipywidgets.Widget], **options: object) -> None:
        super().__init__([*children, _Script(layout={"display": "none"})], **options)
        self.add_class(ROOT)
