"""Reports say which exercises are solved and which are open."""

import json
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_notebook, new_output
from typer.testing import CliRunner

from eslab import cli
from eslab.lab.feedback import MIME
from eslab.lab.solved import in_words, solved_in

CELLS = (
    "from eslab.domains.bakery import ColorAdded\nfrom eslab.lab.lessons.exercises.frosting import at_least",
    "def handle_at_least(frosting, command, request):\n    return []",
    "at_least.check(handle_at_least)",
    "from eslab.lab import course\ncourse.map()",
    "from eslab.lab.predictions import predict\nguess = predict('How many?', [1, 2])\nguess.outcome(2)",
)


def checked(name: str, passed: bool | None):
    """A cell with the output of a check."""
    return new_code_cell(outputs=[new_output("execute_result", {MIME: {"exercise": name, "passed": passed}})])


def test_the_last_check_of_an_exercise_counts():
    """An exercise that was never checked is open, and so is one of which the check can't tell."""
    never = new_code_cell(metadata={"exercise": "never"})
    cells = [
        never,
        checked("a", True),
        checked("a", False),
        checked("b", False),
        checked("b", True),
        checked("c", None),
    ]
    solved = solved_in(new_notebook(cells=cells))
    assert solved == {"never": False, "a": False, "b": True, "c": False}
    assert in_words(solved) == "1 of 4 exercises solved, open: never, a, c"
    assert in_words({"a": True}) == "1 of 1 exercise solved"
    assert in_words({}) == ""


def test_a_report_shows_open_exercises_and_no_widget(notebook, tmp_path):
    """In its head and in the index; links of outputs lead to reports, and nothing is left beside the notebook."""
    path = notebook("lesson", *CELLS)
    done = CliRunner().invoke(cli.app, ["run", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    page = BeautifulSoup((tmp_path / "out" / "lesson.html").read_text(), "html.parser")
    assert "0 of 1 exercise solved, open: at_least" in page.header.text
    assert "0 of 1 exercise solved, open: at_least." in (tmp_path / "out" / "index.html").read_text()
    assert page.find("a", string="02 Downloads: rules and retries")["href"] == "02_downloads.html"
    assert [item.text for item in page.find("b", string="How many?").find_next("ul").find_all("li")] == ["1", "2"]
    assert "your guess" not in page.text and "A picture of its last state" not in page.text
    assert {child.name for child in tmp_path.iterdir()} == {"lesson.ipynb", "out"}
    executed = nbformat.read(tmp_path / "out" / "lesson.ipynb", as_version=4)
    assert json.loads(json.dumps(solved_in(executed))) == {"at_least": False}


def test_solutions_are_chosen_by_an_option(tmp_path, monkeypatch):
    """They are those of the package; notebooks beside it are refused."""
    refused = CliRunner().invoke(cli.app, ["run", "a.ipynb", "--solutions"])
    assert (refused.exit_code, "Expected no notebooks beside --solutions, got a.ipynb." in refused.output) == (1, True)
    found: list[Path] = []
    monkeypatch.setattr("eslab.lab.runner.run_notebooks", lambda chosen, *_, **__: found.extend(chosen))
    CliRunner().invoke(cli.app, ["run", "--solutions", "--out", str(tmp_path)])
    assert [path.name for path in found] == sorted(path.name for path in Path("notebooks").glob("*.ipynb"))
    assert {path.parent.name for path in found} == {"solutions"}
