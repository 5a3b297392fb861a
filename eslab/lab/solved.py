"""Which exercises of an executed notebook are solved: what its checks said, for readers of its report."""

from collections.abc import Mapping

from nbformat import NotebookNode

from eslab.display import quantity
from eslab.lab.feedback import MIME

Solved = Mapping[str, bool]


def solved_in(notebook: NotebookNode) -> Solved:
    """Each exercise of the notebook by name, in order, and whether its last check passed."""
    solved = {cell.metadata.exercise: False for cell in notebook.cells if "exercise" in cell.metadata}
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    for checked in (output.data[MIME] for output in outputs if MIME in output.get("data", {})):
        solved[checked["exercise"]] = checked["passed"] is True
    return solved


def in_words(solved: Solved) -> str:
    """How many are solved, and the names of those that are open; empty without exercises.

    >>> in_words({"at_least": True, "at_most": False})
    '1 of 2 exercises solved, open: at_most'
    """
    if not solved:
        return ""
    still_open = [name for name, is_solved in solved.items() if not is_solved]
    words = f"{len(solved) - len(still_open)} of {quantity(len(solved), 'exercise')} solved"
    return f"{words}, open: {', '.join(still_open)}" if still_open else words
