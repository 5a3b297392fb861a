"""The notebooks in git: made from their solutions, without outputs, and all alike where it matters."""

import importlib.util
from base64 import b64decode
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
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
def test_a_lesson_has_an_exercise_whose_solution_is_not_shown(solution: Path) -> None:
    """Every lesson ends with an exercise; the learner's copy holds the stub."""
    notebook = nbformat.read(solution, as_version=4)
    exercises = [cell for cell in notebook.cells if "stub" in cell.metadata]
    learners = make_notebooks.learner_copy(notebook)
    assert exercises
    assert all(cell.source not in [c.source for c in learners.cells] for cell in exercises)


def test_every_notebook_has_a_solution() -> None:
    """There is no learner's notebook without a source."""
    assert [path.name for path in sorted((ROOT / "notebooks").glob("*.ipynb"))] == [path.name for path in SOLUTIONS]


def test_the_picture_in_the_first_lesson_is_that_of_the_docs() -> None:
    """The notebook carries its picture, so that it shows wherever the notebook is opened."""
    notebook = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
    (attached,) = [cell.attachments for cell in notebook.cells if "attachments" in cell]
    picture = b64decode(attached["architecture.svg"]["image/svg+xml"])
    assert picture == (ROOT / "docs" / "architecture.svg").read_bytes()
