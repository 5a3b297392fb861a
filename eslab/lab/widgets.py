"""The root of every widget in a lesson: keys that are pressed in it stay in it.

JupyterLab reads a key that bubbles up from an output as a command for the notebook: `b` inserts a cell, `d d` deletes
one. A `Desk` stops its keys at its own edge, where its controls have already seen them.
"""

from collections.abc import Sequence
from importlib.resources import files

import anywidget
import ipywidgets

ROOT = "eslab-desk"


class _Keys(anywidget.AnyWidget):
    """Nothing to see; brings the script that keeps the keys of all desks on the page."""

    _esm = files("eslab.lab").joinpath("assets", "keys.js").read_text(encoding="utf-8")


class Desk(ipywidgets.VBox):
    """A column of widgets that keeps its keys, except those that save the notebook (Ctrl-S or Cmd-S)."""

    def __init__(self, children: Sequence[ipywidgets.Widget], **options: object) -> None:
        super().__init__([*children, _Keys(layout={"display": "none"})], **options)
        self.add_class(ROOT)
