"""The files that a run writes, and the refusal to write over a notebook that somebody made."""

import json
from collections.abc import Sequence
from pathlib import Path

from eslab.errors import InvalidInput
from eslab.lab.names import page_name, store_file


def refuse_overwriting(notebooks: Sequence[Path], out: Path) -> None:
    """Raise `InvalidInput` if a run into `out` would replace one of the notebooks, or a file that isn't an output.

    Paths are compared as files, so a symlink, a hard link or a relative path to a notebook is that notebook.
    """
    for output in _outputs(notebooks, out):
        source = next((notebook for notebook in notebooks if _is_same(notebook, output)), None)
        if source:
            raise InvalidInput(
                f"Expected --out to be a folder apart from the notebooks, got {out}, where the output {output.name} "
                f"would replace the notebook {source}. Name another folder, such as build/reports. "
                "Nothing was executed."
            )
        if output.suffix == ".ipynb" and output.exists() and not _is_executed(output):
            raise InvalidInput(
                f"Expected {output} to be the output of an earlier run, or not to exist, but it is a notebook that "
                "no run wrote. Name another folder with --out, such as build/reports. Nothing was executed."
            )
    for notebook in notebooks:
        store = store_file(notebook, out)
        if store.exists() and not (out / notebook.name).exists():
            raise InvalidInput(
                f"Expected {store} to be the store of an earlier run, or not to exist, but {out} has no output of "
                f"{notebook.name} beside it. Name another folder with --out, or move the file. Nothing was executed."
            )


def _outputs(notebooks: Sequence[Path], out: Path) -> list[Path]:
    pages = [out / page_name(notebook) for notebook in notebooks]
    return [*(out / notebook.name for notebook in notebooks), *pages, out / "index.html"]


def _is_same(notebook: Path, output: Path) -> bool:
    return output.exists() and output.samefile(notebook)


def _is_executed(notebook: Path) -> bool:
    """Papermill leaves a note in every notebook that it executes."""
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        return "papermill" in content["metadata"]
    except (ValueError, KeyError, TypeError):
        return False
