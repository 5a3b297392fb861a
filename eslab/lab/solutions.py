"""The exercises' cells: the notebooks in notebooks/solutions/ hold each one's stub and solution, under its name.

A cell of an exercise carries the tag `exercise`, and in its metadata `exercise`, the name, and `stub`, the text that
a learner gets. Its source is the solution. `learner_copy` makes the notebook for learners.
"""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from eslab.errors import InvalidInput
from eslab.lab.cells import imports_for


class Cell(NamedTuple):
    """An exercise's cell, and the code cells above it."""

    stub: str
    solution: str
    above: list[str]

    def imports_for(self, source: str) -> str:
        """The imports that a text in place of the cell relies on: those above it, and its own."""
        return imports_for(source, [*self.above, self.solution])


def lessons_folder() -> Path:
    """The folder of the lessons: in an installed package or in a clone."""
    package = Path(__file__).parent.parent
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if folder.is_dir():
            return folder
    raise InvalidInput(f"Expected the lessons in {package / 'notebooks'}, found none. Install eslab again.")


def learner_copy(solution: Any) -> Any:
    """Return the learner's notebook: a cell with a stub shows the stub instead of the solution."""
    notebook = deepcopy(solution)
    for cell in notebook.cells:
        if "stub" in cell.metadata:
            cell.source = cell.metadata.pop("stub")
    return notebook


def exercises_in(lesson: str) -> dict[str, Cell]:
    """The cells of a lesson's exercises, by name, in order."""
    cells = [cell for cell in _cells(lesson) if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    return {
        cell["metadata"]["exercise"]: Cell("".join(cell["metadata"]["stub"]), sources[index], sources[:index])
        for index, cell in enumerate(cells)
        if "exercise" in cell["metadata"]
    }


def cell_of(lesson: str, exercise: str) -> Cell:
    """The cell of one exercise; raises `InvalidInput` if the lesson has none of this name."""
    found = exercises_in(lesson)
    if exercise not in found:
        raise InvalidInput(
            f"Expected a cell of the exercise {exercise} in notebooks/solutions/{lesson}.ipynb, found "
            f"{', '.join(found) or 'no exercise'}. Name it in the cell's metadata: {{'exercise': '{exercise}'}}."
        )
    return found[exercise]


def _cells(lesson: str) -> list[dict[str, Any]]:
    path = lessons_folder() / "solutions" / f"{lesson}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))["cells"]
