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


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """An IPython session in an empty folder: a notebook's kernel without the notebook."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def run_cell(shell) -> Callable[[str], object]:
    """Run the text of a cell as a reader does, and return its value."""

    def run(text: str) -> object:
        done = shell.run_cell(text, store_history=True)
        done.raise_error()
        return done.result

    return run
