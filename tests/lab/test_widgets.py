"""Lessons use widgets that every runner of notebooks can keep up with."""

import ast
import json
from pathlib import Path

import ipywidgets
import pytest

from eslab.lab import stills, widgets
from eslab.lab.lessons.evening import evening_desk
from eslab.lab.widgets import ROOT as ROOT_CLASS
from eslab.lab.widgets import Desk

ROOT = Path(__file__).parents[2]
# The first one makes nbclient and the kernel wait for each other on a busy machine; the others contain one.
HANGING = {"Output", "interact", "interact_manual", "interactive", "interactive_output"}
SOURCES = [*(ROOT / "eslab" / "lab").rglob("*.py"), *(ROOT / "notebooks").rglob("*.ipynb")]


def code(path: Path) -> str:
    """The Python of a module or a notebook; cells with magics are left out."""
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return "\n".join(source for source in sources if not source.lstrip().startswith("%"))


def names(source: str) -> set[str]:
    """Every name, attribute and imported name in the source."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = {node.id for node in nodes if isinstance(node, ast.Name)}
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return plain | attributes | {alias.name for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_lesson_uses_a_widget_that_can_hang(path):
    """No `ipywidgets.Output`, nor a helper that makes one: show HTML instead."""
    assert names(code(path)) & HANGING == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_widget_of_a_lesson_has_a_desk_as_its_root(path):
    """A plain column of widgets would let its keys through to the notebook."""
    assert path.name == "widgets.py" or "VBox" not in names(code(path))


def test_a_desk_is_guarded_by_its_script():
    """The script finds the desk by its class, and takes no room."""
    desk = Desk([ipywidgets.Button()])
    assert ROOT_CLASS in desk._dom_classes
    script = desk.children[-1]
    assert ROOT_CLASS in script.value
    assert script.layout.display == "none"
    assert "".join(stills._drawn("script", {"script": {"model": "HTMLModel", **script.get_state()}})) == ""
    assert widgets.SCRIPT in script._dom_classes


@pytest.mark.parametrize(
    "source", ["ipywidgets.Output()", "from ipywidgets import Output as O", "@widgets.interact(x=3)\ndef f(x): ..."]
)
def test_such_a_widget_is_noticed(source):
    """However it is spelt."""
    assert names(source) & HANGING


def test_the_desk_of_an_evening_is_a_picture_with_words():
    """It follows the sliders; picture, words and numbers need no script, since an HTML widget runs none."""
    desk = evening_desk()
    controls, words, picture, _ = desk.children
    before = picture.value
    assert isinstance(picture, ipywidgets.HTML)
    assert words.value.startswith(
        '<div role="status" style="line-height:1.45">With a search index, the busiest node is loaded to 100 %'
    )
    assert before.count('alt="With a search index, the busiest node') == 1
    assert '<img src="data:image/png;base64,' in before
    assert "<summary>The numbers</summary>" in before
    assert "<script" not in before
    (work,) = [slider for slider in controls.children if slider.description == "work of the index"]
    work.value = 1.0
    assert picture.value != before
    assert "behind" in words.value and "up to" not in words.value
    assert len(controls.children) == 5
