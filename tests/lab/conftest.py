"""Tiny notebooks, written where a test wants them."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

PARAMETERS = 'store: str = "sqlite:///lab.db"\nseed: int = 7\nrounds: int = 3'


def _write(path: Path, *cells: str, parameters: str = PARAMETERS) -> Path:
    """A notebook with a title, the parameters and these code cells; a cell that begins with # is prose."""
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    title = nbformat.v4.new_markdown_cell(f"# About {path.stem}\n\nIt holds *one* claim. Then another.")
    rest = [
        nbformat.v4.new_markdown_cell(cell) if cell.startswith("# ") else nbformat.v4.new_code_cell(cell)
        for cell in cells
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=[title, tagged, *rest]), path)
    return path


@pytest.fixture(scope="session")
def write_notebook() -> Callable[..., Path]:
    """Write a notebook to a path."""
    return _write


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[..., Path]:
    """Write a notebook into the test's own folder."""
    return lambda name, *cells, **options: _write(tmp_path / f"{name}.ipynb", *cells, **options)
