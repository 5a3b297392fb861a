"""Lessons that need a Cassandra are left out where none can run, and nobody takes that for a whole run."""

import json
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from eslab import cli
from eslab.cluster.errors import NoJars, NoJava
from eslab.lab import needs
from eslab.lab.needs import no_cassandra, starts_cassandra

ROOT = Path(__file__).parent.parent.parent


def needing(when: object) -> nbformat.NotebookNode:
    """A notebook that says when it starts a node."""
    return nbformat.v4.new_notebook(metadata={"eslab": {"starts_cassandra": when}})


@pytest.mark.parametrize(
    ("when", "on_sqlite", "on_cassandra"),
    [("always", True, True), ("on another store", True, False), ("never", False, False), (7, False, False)],
)
def test_a_notebook_says_when_it_starts_a_node(when, on_sqlite, on_cassandra):
    """Also on Cassandra, if it kills a node of its own."""
    assert starts_cassandra(needing(when), "") is on_sqlite
    assert starts_cassandra(needing(when), "cassandra://127.0.0.1/lab") is on_cassandra


@pytest.mark.parametrize("metadata", [{}, {"eslab": 3}, {"eslab": {}}, {"eslab": None}])
def test_other_notebooks_start_none(metadata):
    """Whatever else stands in their metadata."""
    assert not starts_cassandra(nbformat.v4.new_notebook(metadata=metadata), "")


@pytest.mark.parametrize("folder", ["notebooks", "notebooks/solutions"])
def test_the_lessons_that_start_a_node_say_so(folder):
    """Exactly those that call for one."""
    for path in sorted((ROOT / folder).glob("*.ipynb")):
        starts = starts_cassandra(nbformat.read(path, as_version=4), "sqlite:")
        assert starts == ("find_node(store)" in path.read_text(encoding="utf-8")), path.name


def failing(error: Exception):
    """A function that raises this."""

    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("place", "error"),
    [("runtime.find_java", NoJava("Expected Java 11 or 17, got none.")),
     ("jars.fetch_jars", NoJars("Could not fetch x: connect to the network.")),
     ("jars.fetch_jars", OSError("No space left on device"))],
)  # fmt: skip
def test_the_reason_is_the_error(monkeypatch, place, error):
    """No Java for this machine, no network, no disk."""
    monkeypatch.setattr(needs, "free_memory", lambda: 8.0)
    monkeypatch.setattr("eslab.cluster.runtime.find_java", lambda: None)
    monkeypatch.setattr("eslab.cluster.jars.fetch_jars", lambda say: None)
    assert no_cassandra(print) == ""
    monkeypatch.setattr(f"eslab.cluster.{place}", failing(error))
    assert no_cassandra(print) == str(error)


def test_too_little_memory_is_a_reason(monkeypatch):
    """Before anything is downloaded."""
    monkeypatch.setattr(needs, "free_memory", lambda: 0.4)
    monkeypatch.setattr("eslab.cluster.jars.fetch_jars", failing(AssertionError("downloads")))
    assert no_cassandra(print) == "Expected 1.0 GB of free memory for a node, found 0.4 GB. Close other programs."


def test_missing_packages_are_a_reason(monkeypatch):
    """With the command that installs them."""
    monkeypatch.setattr(needs, "free_memory", failing(ModuleNotFoundError("No module named 'psutil'")))
    assert "Run: pip install 'eslab[cassandra]'" in no_cassandra(print)


@pytest.fixture
def lesson(notebook, monkeypatch):
    """A notebook that needs a node, on a machine without Java."""
    path = notebook("2_node", "assert False")
    content = json.loads(path.read_text())
    content["metadata"]["eslab"] = {"starts_cassandra": "always"}
    path.write_text(json.dumps(content))
    monkeypatch.setattr("eslab.lab.needs.no_cassandra", lambda say: say("asked") or "Expected Java, found none.")
    return path


@pytest.mark.parametrize(("options", "code"), [([], 3), (["--allow-missing"], 0)])
def test_a_lesson_is_left_out_and_named(lesson, tmp_path, options, code):
    """In the output, the index and the exit code; with the option the exit code is that of the others."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "2_node.ipynb").write_text('{"metadata": {"papermill": {}}}')  # of an earlier run
    done = CliRunner().invoke(cli.app, ["run", str(lesson), "--out", str(out), *options])
    assert done.exit_code == code, done.output
    assert done.stderr == (
        "\nLeft out: 2_node\n    Expected Java, found none.\n"
        "Not every lesson ran, so the exit code is 3; with --allow-missing it is 0 if the others pass.\n"
    )
    assert "left out" in done.stdout
    assert "asked" in done.stdout
    assert "0 notebooks ran" in (out / "index.html").read_text(encoding="utf-8")
    assert not (out / "2_node.ipynb").exists()


def test_a_failure_counts_more_than_a_lesson_that_was_left_out(lesson, tmp_path):
    """Exit code 1, and both are named."""
    (tmp_path / "3_broken.ipynb").write_text("{")
    options = ["run", str(lesson), str(tmp_path / "3_broken.ipynb"), "--out", str(tmp_path / "out"), "--allow-missing"]
    done = CliRunner().invoke(cli.app, options)
    assert done.exit_code == 1
    assert "3_broken, before the first cell" in done.stderr and "Left out: 2_node" in done.stderr


def test_the_size_of_the_download_is_the_same_everywhere():
    """And it is that of the jars, where they have been fetched."""
    from eslab.cluster.jars import cassandra_version
    from eslab.cluster.places import cache_folder

    pages = [
        ROOT / "README.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("notebooks/**/*.ipynb"),
        *ROOT.glob("eslab/**/*.py"),
    ]
    texts = {page: page.read_text(encoding="utf-8") for page in pages if ".ipynb_checkpoints" not in page.parts}
    assert [page.name for page, text in texts.items() if "66 MB" in text or "69 MB" in text] == []
    jars = list((cache_folder() / "jars" / cassandra_version()).glob("*.jar"))
    if len(jars) == 100:
        assert round(sum(jar.stat().st_size for jar in jars) / 1e7) == 7
