"""Make the learners' notebooks from their source, notebooks/solutions/: replace every solution by a stub.

python scripts/make_notebooks.py
"""

from pathlib import Path

import nbformat

from eslab.lab.solutions import learner_copy

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def written(solution: Path) -> str:
    """The text of the learner's notebook made from a solution."""
    return nbformat.writes(learner_copy(nbformat.read(solution, as_version=4)), indent=1) + "\n"


if __name__ == "__main__":
    for solution in sorted((NOTEBOOKS / "solutions").glob("*.ipynb")):
        (NOTEBOOKS / solution.name).write_text(written(solution), encoding="utf-8")
