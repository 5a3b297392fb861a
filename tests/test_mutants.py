"""Each promise names a mutant, a line of the code changed, that its tests must catch: run on the embedded stores."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MUTANTS = [
    ("G1", "stores/sqlite.py", "WHERE excluded.payload > events.payload", "WHERE true", "tests/stores"),
    ("G1", "stores/memory.py", "commit.payload > stored.payload", "True", "tests/stores"),
    ("G2", "stores/sqlite.py", 'connection.execute("COMMIT")', "pass", "tests/stores/test_sqlite.py"),
    ("G3", "wish.py", "        if found:\n", "        if False:\n", "tests/test_wish.py"),
    (
        "G4",
        "request.py",
        "(event_time.int & LOW_HALF) ^ SIGN_BITS",
        "event_time.int & LOW_HALF",
        "tests/test_request.py",
    ),
    ("G5", "repository.py", "self.clock() - self.bounds.fold_after", "self.clock()", "tests/test_repository.py"),
    ("G6", "snapshot.py", "    if head.floor is not None:\n", "    if False:\n", "tests/test_repository.py"),
    ("G7", "service.py", "                return rejected\n", "                events = []\n", "tests/test_service.py"),
    ("G8", "serializer.py", "if crc32(payload) != RESIDUE:", "if False:", "tests/test_serializer.py"),
    ("G9", "wish.py", "map(as_stored, events)", "events", "tests/test_wish.py"),
    ("G10", "wish.py", "self.repository.clock()", "__import__('eslab').system_clock()", "tests/test_wish.py"),
]


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("promise, file, line, mutant, tests", MUTANTS, ids=lambda value: value[:40])
def test_the_tests_of_a_promise_catch_its_mutant(
    promise: str, file: str, line: str, mutant: str, tests: str, tmp_path: Path
) -> None:
    """With the line changed, at least one test of that name fails."""
    for folder in ("eslab", "tests", "data", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    mutated = tmp_path / "eslab" / file
    code = mutated.read_text(encoding="utf-8")
    assert line in code, f"the mutant of {promise} names a line that {file} no longer has"
    mutated.write_text(code.replace(line, mutant), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", tests, "-m", "not full", "-k", "not cassandra and not us3"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, check=False
    )
    assert done.returncode == 1, f"no test caught it:\n{done.stdout.decode()[-2000:]}"
