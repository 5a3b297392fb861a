"""The project's own files agree with each other."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from itertools import chain, pairwise
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
REQUIREMENT = re.compile(r"^([\w.-]+)==\S+", re.MULTILINE)


def tracked(pattern: str) -> list[str]:
    """The files of this pattern that git holds."""
    try:
        done = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("Expected a git checkout, found none: what is committed can't be seen.")
    return done.stdout.split()


def staged(path: str) -> str:
    """A file as git holds it, whatever was done to it since."""
    return subprocess.run(["git", "show", f":{path}"], cwd=ROOT, capture_output=True, check=True, text=True).stdout


def test_every_locked_package_has_hashes():
    """So pip refuses anything else; a version is pinned exactly."""
    blocks = re.split(r"\n(?=\w)", LOCK.strip())
    assert len(blocks) == len(REQUIREMENT.findall(LOCK)) > 100
    assert [block.partition("\n")[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_the_lock_names_no_index():
    """Everyone installs from the index that they have set up."""
    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host", LOCK) == []


def test_the_lock_holds_every_dependency():
    """Of all extras."""
    wanted = chain(PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"].values())
    names = {re.split(r"[\[<>=~!; ]", want)[0].lower().replace("_", "-") for want in wanted}
    assert names - {name.lower() for name in REQUIREMENT.findall(LOCK)} == set()


def test_conda_installs_what_the_project_says():
    """The environment brings Python and pip; dependencies are written down once, in pyproject.toml."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, installed = environment["dependencies"]
    extras = ",".join(PROJECT["project"]["optional-dependencies"])
    assert environment["name"] == PROJECT["project"]["name"]
    assert (python, pip) == (f"python{PROJECT['project']['requires-python']}", "pip")
    assert installed == {"pip": [f"-e .[{extras}]"]}


def test_no_notebook_in_git_has_outputs():
    """Outputs are made by running; in git they would only be differences."""
    notebooks = {path: json.loads(staged(path)) for path in tracked("*.ipynb")}
    cells = [(path, cell) for path, notebook in notebooks.items() for cell in notebook["cells"]]
    kept = [path for path, cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert sorted(set(kept)) == []


def test_the_hooks_fetch_nothing():
    """They run what `make venv` installed."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]
    assert {hook["language"] for repo in hooks["repos"] for hook in repo["hooks"]} == {"system"}


def test_the_changelog_knows_this_version():
    """And every line in it carries a tag."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"## {PROJECT['project']['version']}" in changelog
    lines = re.findall(r"^- .*", changelog, re.MULTILINE)
    assert [line for line in lines if not re.match(r"- \[(NEW|FIX|CHANGE|BREAKING)\] ", line)] == []


def test_make_alone_lists_its_commands():
    """Each with a word on what it does."""
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, check=True, text=True)
    listed = re.findall(r"^  make (\w+) +\w", done.stdout, re.MULTILINE)
    assert {"venv", "run", "test", "full", "lab", "check", "lock", "format", "clean"} <= set(listed)


def test_an_old_python_is_refused_in_words(tmp_path):
    """Before anything is made."""
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    (tmp_path / "requirements.lock").touch()
    (tmp_path / "pyproject.toml").touch()
    command = ["make", "-f", str(ROOT / "Makefile"), "venv", f"PYTHON={old}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"Expected Python 3.11 or newer, found Python 3.9.2 as {old}." in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_imports_point_one_way():
    """The contracts in pyproject.toml place every module; a folder without `__init__.py` would escape them."""
    command = [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert f"Analyzed {len(list(ROOT.glob('eslab/**/*.py')))} files" in done.stdout


def test_nothing_names_a_machine_of_ours():
    """No folder of somebody's home, no address of an index."""
    found = subprocess.run(
        ["git", "grep", "-nIE", r"(^|[^\w.])/(home|Users|root|work)/\w|pypi\.org/simple|index-url ?="],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert [line for line in found.stdout.splitlines() if not line.startswith("tests/test_project.py")] == []


COUNTED = re.compile(r" (?:\w+ )?[a-z]{2,}s\b(?<!ss)(?<! is)(?<! was)(?<! has)(?<! does)(?<! ms)(?<! as)")
NEVER_ONE = {  # by file: what is counted there is never one
    "bench/cli.py", "bench/table.py", "bounds.py", "cluster/addresses.py", "domains/downloads/drm.py", "lab/charts.py",
    "lab/course.py", "lab/lessons/cassandra.py", "lab/lessons/downloads.py", "lab/lessons/evening.py",
    "lab/selfcheck.py", "operations/refold.py", "payload/compression.py", "unit_of_work.py",
}  # fmt: skip
UNCHECKED = {  # files that are older than this rule: nobody has looked yet whether something is one there
    "bench/chart.py", "bench/cost_model.py", "bench/hydrate.py", "bench/keeper.py", "bench/snapshots.py",
    "bench/stream.py", "faults/chaos/run.py", "faults/cli.py", "faults/crossing.py", "hydration_cache.py",
    "lab/chaos.py", "lab/lessons/exercises/interval_for_a_load.py", "lab/lessons/exercises/retries_and_duplicates.py",
    "lab/lessons/hydration_cost.py", "lab/lessons/interleavings.py", "lab/lessons/interval.py",
}  # fmt: skip


def counted_things(text: str) -> list[str]:
    """The places in f-strings where a count stands before a plural, as in `{len(rows)} rows`."""
    strings = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.JoinedStr)]
    pairs = [pair for string in strings for pair in pairwise(string.values)]
    return [ast.unparse(one.value) for one, other in pairs if is_count(one) and COUNTED.match(words_of(other))]


def is_count(part: ast.expr) -> bool:
    """Is this a `{len(...)}`, a `{sum(...)}` or a number with thousands separated?"""
    if not isinstance(part, ast.FormattedValue):
        return False
    has_commas = part.format_spec is not None and "," in ast.unparse(part.format_spec)
    return has_commas or (isinstance(part.value, ast.Call) and ast.unparse(part.value.func) in ("len", "sum"))


def words_of(part: ast.expr) -> str:
    """The plain words of an f-string; empty for a value in it."""
    return part.value if isinstance(part, ast.Constant) else ""


def test_no_message_says_one_rows():
    """A count and its noun are written by `display.quantity`, which knows the singular."""
    assert counted_things("f'{len(a)} rows and {n:,} new keys, {m} rows, {k:,} is'") == ["len(a)", "n"]
    package = ROOT / "eslab"
    found = {str(path.relative_to(package)): counted_things(path.read_text()) for path in package.rglob("*.py")}
    assert {file for file, things in found.items() if things} == NEVER_ONE | UNCHECKED
