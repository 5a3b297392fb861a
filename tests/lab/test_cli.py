"""`eslab run` passes its limits on, and refuses an output folder before it executes anything."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from eslab import cli


def run(*args: object):
    """Call `eslab run` in this process."""
    return CliRunner().invoke(cli.app, ["run", *map(str, args)])


@pytest.mark.parametrize(
    ("options", "limit"),
    [(("--cell-timeout", 2), "Expected the cell to end within 2 s"),
     (("--timeout", 8), "Expected the notebook to end within 8 s")],
)  # fmt: skip
def test_limits_are_options(notebook, tmp_path, options, limit):
    """The failure names the limit; exit code 1, and the report is written."""
    # It sleeps, since a kernel must start within the limit, on a busy machine too.
    done = run(notebook("a", "import time; time.sleep(600)"), "--out", tmp_path / "out", *options)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"\na, cell 2: import time; time.sleep(600)\n    TimeLimit: {limit}")
    assert "TimeLimit" in (tmp_path / "out" / "a.html").read_text()


@pytest.mark.parametrize("option", ["--cell-timeout", "--timeout"])
def test_a_limit_is_at_least_a_second(notebook, option):
    """Zero would end every notebook at once."""
    assert run(notebook("a"), option, 0).exit_code == 2


def test_outputs_over_notebooks_are_refused(notebook, tmp_path):
    """With a message that names the notebook and a way out."""
    path = notebook("a")
    done = run(tmp_path, "--out", tmp_path)
    assert done.exit_code == 1
    assert done.stderr == (
        f"Expected --out to be a folder apart from the notebooks, got {tmp_path}, where the output a.ipynb would "
        f"replace the notebook {path}. Name another folder, such as build/reports. Nothing was executed.\n"
    )
    assert list(tmp_path.iterdir()) == [Path(path)]
