"""Widgets in their last state: a report has no kernel, and the script that draws widgets is on a CDN."""

from collections.abc import Mapping
from html import escape
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from eslab.lab.widgets import SCRIPT

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
NOTE = "<small>A picture of its last state. To use it, open the lab: <code>make lab</code>.</small>"

States = Mapping[str, Mapping[str, Any]]


def still(notebook: NotebookNode) -> NotebookNode:
    """Replace the widgets of an executed notebook by plain HTML of their last state."""
    states = _states(notebook)
    for cell in notebook.cells:
        cell.outputs = [_still(output, states) for output in cell.outputs] if "outputs" in cell else []
    return notebook


def _states(notebook: NotebookNode) -> States:
    saved = notebook.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    return {name: {"model": model["model_name"], **model["state"]} for name, model in saved.items()}


def _still(output: NotebookNode, states: States) -> NotebookNode:
    if VIEW not in output.get("data", {}):
        return output
    if "text/html" in output.data:  # it brings its own words for a page without a kernel, such as a prediction
        del output.data[VIEW]
        return output
    html = _drawn(output.data[VIEW]["model_id"], states)
    return new_output("display_data", {"text/html": f"<div>{html}{NOTE}</div>"})


def _drawn(name: str, states: States) -> str:
    state = states.get(name, {})
    if SCRIPT in state.get("_dom_classes", ()):
        return ""
    if "children" in state:
        row = "row" if state["model"] == "HBoxModel" else "column"
        inside = "".join(_drawn(child.removeprefix("IPY_MODEL_"), states) for child in state["children"])
        return f'<div style="display:flex;gap:8px;flex-wrap:wrap;flex-direction:{row}">{inside}</div>'
    if state.get("model") in ("HTMLModel", "HTMLMathModel"):
        return f"<div>{state.get('value', '')}</div>"
    if state.get("model") == "OutputModel":
        return "".join(_plain(output) for output in state.get("outputs", []))
    return _control(state)


def _control(state: Mapping[str, Any]) -> str:
    """A slider, a menu or a button, in words."""
    options, index = state.get("_options_labels"), state.get("index")
    chosen = options[index] if options and isinstance(index, int) else state.get("value")
    words = [str(word) for word in (state.get("description"), chosen) if word not in (None, "")]
    return f"<div><kbd>{escape(': '.join(words) or 'a control')}</kbd></div>"


def _plain(output: Mapping[str, Any]) -> str:
    data = output.get("data", {})
    text = output.get("text") or data.get("text/plain", "")
    return data.get("text/html") or f"<pre>{escape(text)}</pre>"
