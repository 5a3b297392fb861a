"""The notebooks in git: made from their solutions, without outputs, and all alike where it matters."""

import ast
import importlib.util
import re
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import nbformat
import pytest

from eslab.lab.source import private_names

ROOT = Path(__file__).parents[2]
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
LEARNERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
spec = importlib.util.spec_from_file_location("make_notebooks", ROOT / "scripts" / "make_notebooks.py")
assert spec and spec.loader
make_notebooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_notebooks)


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda path: path.stem)
def test_a_learners_notebook_is_made_from_its_solution(solution: Path) -> None:
    """Edit the solution, then run scripts/make_notebooks.py."""
    learners = ROOT / "notebooks" / solution.name
    assert learners.read_text(encoding="utf-8") == make_notebooks.written(solution)


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda path: path.stem)
def test_code_that_a_lesson_shows_leaves_no_private_helper_unexplained(solution: Path) -> None:
    """Each has a docstring, or a comment where it is set, which is shown below the code."""
    known: dict = {}
    for cell in nbformat.read(solution, as_version=4).cells:
        for node in ast.parse(cell.source).body if cell.cell_type == "code" and cell.source[:1] not in "%!" else []:
            if isinstance(node, ast.Import | ast.ImportFrom):
                exec(ast.unparse(node), known)
            for call in filter(_shows_source, ast.walk(node)):
                shown = eval(ast.unparse(call), known)
                assert [name for name in private_names(shown.text) if name not in shown.helpers] == [], shown.title


def _shows_source(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "show_source"


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda path: path.stem)
def test_a_lesson_has_an_exercise_whose_solution_is_not_shown(solution: Path) -> None:
    """Every lesson ends with an exercise; the learner's copy holds the stub."""
    notebook = nbformat.read(solution, as_version=4)
    exercises = [cell for cell in notebook.cells if "stub" in cell.metadata]
    learners = make_notebooks.learner_copy(notebook)
    assert exercises
    assert all(cell.source not in [c.source for c in learners.cells] for cell in exercises)


def test_every_notebook_has_a_solution() -> None:
    """There is no learner's notebook without a source."""
    assert [path.name for path in LEARNERS] == [path.name for path in SOLUTIONS]


ATTACHED = re.compile(r"attachment:([^)\s\"']+)")
SHOWN = {"image/png", "image/jpeg", "image/gif", "image/webp"}  # by JupyterLab, when attached; SVG is not


@pytest.mark.parametrize("notebook", [*SOLUTIONS, *LEARNERS], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_pictures_are_attached_in_a_form_that_jupyterlab_shows(notebook: Path) -> None:
    """Each picture of a text is attached to it, so that it shows wherever the notebook is opened."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        attached = cell.get("attachments", {})
        assert set(ATTACHED.findall(cell.source)) == set(attached)
        assert {kind for picture in attached.values() for kind in picture} <= SHOWN
        assert "<img" not in cell.source or cell.cell_type == "code"
        assert cell.source.count("](attachment:") == cell.source.count("![")


def test_the_picture_in_the_first_lesson_is_that_of_the_docs() -> None:
    """After a change of the drawing, run scripts/attach_picture.py."""
    notebook = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if "attachments" in cell]
    assert b64decode(cell.attachments["architecture.png"]["image/png"]).startswith(b"\x89PNG")
    assert cell.metadata["drawn_from"] == sha256((ROOT / "docs" / "architecture.svg").read_bytes()).hexdigest()
