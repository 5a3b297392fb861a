"""Every command and snippet in README.md runs, in a shell that has nothing but Python on its PATH and an empty HOME.

A new command without a test here fails `test_every_command_has_a_test`. The shell stands in a copy of the repository.
Its `.venv` borrows the packages of the one that runs the tests, except where `make venv` itself is the test.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from eslab.cluster.places import cache_folder
from tests.support.pages import snippets_of

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = snippets_of(ROOT / "README.md")
PROSE = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
COPIED = ("eslab", "tests", "data", "docs", "scripts", "Makefile", "README.md", "pyproject.toml", "requirements.lock",
          "schema.lock.json", ".jupyter")  # fmt: skip
# The way to the package index and to caches is the machine's own business; nothing else comes from outside.
KEPT = re.compile(r"PIP_\w+|\w+_proxy|SSL_\w+|REQUESTS_\w+", re.IGNORECASE)
ACTIVATE = ". .venv/bin/activate"


SHELL_BLOCKS = [snippet.commands for snippet in SNIPPETS if snippet.kind == "sh"]
(PYTHON,) = [snippet.text for snippet in SNIPPETS if snippet.kind == "python"]
INLINE = re.findall(r"`((?:make|eslab|pip|python) [^`]+)`", PROSE)
COMMANDS = {command for block in SHELL_BLOCKS for command in block} | set(INLINE)

# The tests below, by the command that they run. Options that only make a command shorter come by the environment.
QUICK = {  # in the copy, after activation
    "eslab doctor": "Everything is installed.",
    "eslab lessons check": "Left out: swapped, primary_key",
    "eslab lessons copy lessons": "The lessons are in lessons: ",
    "eslab schema show": "CREATE TABLE",
    "eslab schema-lock": "aggregate types fit them",
    "eslab bench hydrate --store sqlite --events 1000 10000 100000": "this can't show a cold disk",
}
ON_A_FILE = {  # after the snippet wrote to lab.db
    "eslab inspect --store sqlite:///lab.db --customer ann": "frosting:1",
    "eslab schema settings --store sqlite:///lab.db": "fold_after",
    "eslab read-tables catch-up --store sqlite:///lab.db": "1 customer",
    "eslab read-tables rebuild --store sqlite:///lab.db": "1 customer",
}
SHORT = "--schedules 400 --no-duels"
MADE = {  # by make, without activation
    "make venv": "",
    "make test": "passed",
    "make full": "passed",
}
LONG = {
    "make run",
    "make run ALLOW_MISSING=1",
    "make lab",
    "make check",
    "eslab run --solutions",
    "make run STORE=cassandra",
    "pip install -e '.[cassandra]'",
    "eslab schema apply cassandra://host1,host2/keyspace",
}
THREE_REGIONS = next(block for block in SHELL_BLOCKS if any("--regions" in line for line in block))


def test_every_command_has_a_test():
    """Whoever adds a command to README.md adds it to this module, and the other way round."""
    tested = {ACTIVATE, *QUICK, *ON_A_FILE, *MADE, *LONG, *THREE_REGIONS}
    assert tested == COMMANDS


def clone(folder: Path, lessons: tuple[str, ...]) -> Path:
    """A copy of the repository with some of its lessons, in which make finds nothing newer than its .venv."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    (folder / "notebooks").mkdir()
    for lesson in lessons:
        shutil.copy(ROOT / "notebooks" / f"{lesson}.ipynb", folder / "notebooks")
    shutil.copytree(ROOT / "notebooks" / "solutions", folder / "notebooks" / "solutions")
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(folder / name, (0, 0))
    return folder


def borrow_packages(folder: Path) -> None:
    """Make a .venv with the commands and packages of the running one, in which `eslab` is the copy's."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    (site,) = (folder / ".venv" / "lib").glob("python*/site-packages")
    (site / "borrowed.pth").write_text(f"{folder}\n{sysconfig.get_path('purelib')}\n")
    for command in Path(sysconfig.get_path("scripts")).iterdir():
        borrowed = folder / ".venv" / "bin" / command.name
        head, _, rest = command.read_bytes().partition(b"\n") if command.is_file() else (b"", b"", b"")
        if head.startswith(b"#!") and b"python" in head and not borrowed.exists():
            borrowed.write_bytes(f"#!{folder}/.venv/bin/python\n".encode() + rest)
            borrowed.chmod(0o755)
        elif not borrowed.exists():
            borrowed.symlink_to(command)
    (folder / ".venv" / "share").symlink_to(Path(sys.prefix) / "share")  # nbconvert's templates, JupyterLab's pages
    (folder / ".venv" / "installed").touch()


class Shell:
    """A shell in a copy of the repository, with `python` on its PATH and a home of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        python = home / "bin"
        python.mkdir()
        for name in ("python", "python3"):
            (python / name).symlink_to(sys._base_executable)
        kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
        cache = {"ESLAB_CACHE": str(cache_folder())}  # Cassandra's jars, which the machine need not download twice
        self.environment = {**kept, **cache, "PATH": f"{python}:/usr/bin:/bin", "HOME": str(home), "COLUMNS": "200"}

    def start(self, script: str, **environment: str) -> subprocess.Popen:
        """Start a script of the shell, in a process group of its own."""
        return subprocess.Popen(
            ["/bin/sh", "-e", "-c", script], cwd=self.folder, env={**self.environment, **environment}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def run(self, script: str, **environment: str) -> str:
        """What a script prints; it must succeed."""
        process = self.start(script, **environment)
        try:
            output, _ = process.communicate(timeout=1500)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        assert process.returncode == 0, f"{script}: exit code {process.returncode}\n{output}"
        return output


@pytest.fixture(scope="module")
def shell(tmp_path_factory) -> Shell:
    """A shell in a copy with the first lesson, which needs no Cassandra."""
    folder = clone(tmp_path_factory.mktemp("clone"), ("00_start_here",))
    borrow_packages(folder)
    return Shell(folder, tmp_path_factory.mktemp("home"))


def test_the_shell_is_clean(shell):
    """Without activation there is no `eslab`; with it, it is the copy's."""
    assert shell.run("command -v eslab || echo none").strip() == "none"
    assert shell.run(f"{ACTIVATE}; command -v eslab").strip() == f"{shell.folder}/.venv/bin/eslab"
    found = shell.run(f"{ACTIVATE}; cd /; python -c 'import eslab; print(eslab.__file__)'")
    assert found.strip() == f"{shell.folder}/eslab/__init__.py"


@pytest.mark.parametrize("command", QUICK)
def test_a_command_runs_after_activation(shell, command):
    """And prints what it promises."""
    assert QUICK[command] in shell.run(f"{ACTIVATE}\n{command}")


@pytest.fixture(scope="module")
def lab_file(shell) -> str:
    """The output of README's Python, on the file that its commands name."""
    assert PYTHON.count('"sqlite:"') == 1
    return run_snippet(shell, PYTHON.replace('"sqlite:"', '"sqlite:///lab.db"'))


def run_snippet(shell: Shell, snippet: str) -> str:
    """What the snippet prints. It doesn't stay in the copy, whose files `make check` looks at."""
    script = shell.folder / "snippet.py"
    script.write_text(snippet)
    try:
        return shell.run(f"{ACTIVATE}\npython snippet.py")
    finally:
        script.unlink()


def test_the_snippet_prints_what_its_comments_say(lab_file):
    """The second call finds the first one's row."""
    first, second = lab_file.splitlines()
    assert first.startswith("Accepted: ")
    assert second.startswith("Accepted before: ")


def test_the_snippet_runs_as_it_stands(shell):
    """On a fresh file."""
    assert run_snippet(shell, PYTHON).startswith("Accepted: ")


@pytest.mark.usefixtures("lab_file")
@pytest.mark.parametrize("command", ON_A_FILE)
def test_a_command_runs_on_a_file(shell, command):
    """The one that the snippet wrote."""
    assert ON_A_FILE[command] in shell.run(f"{ACTIVATE}\n{command}")


@pytest.mark.parametrize("command", MADE)
def test_make_runs_without_activation(shell, command):
    """A whole suite inside a suite would take long, so the tests run a single module, and the search is short."""
    assert MADE[command] in shell.run(command, PYTEST_ADDOPTS="tests/test_clock.py -o addopts=", SEARCH=SHORT)


def test_make_run_writes_reports(shell):
    """Of the copy's one lesson, at the place that README names."""
    assert {"make run", "make run ALLOW_MISSING=1"} <= COMMANDS
    shell.run("make run ALLOW_MISSING=1")
    reports = (shell.folder / "build" / "reports").glob("*.html")
    assert {page.stem for page in reports} == {"index", "00_start_here"}


@pytest.mark.full
@pytest.mark.timeout(120)
def test_make_lab_opens_a_copy_of_the_first_lesson(shell, tmp_path):
    """In the browser of the machine, for which a script stands in that keeps the page it is given."""
    opened = tmp_path / "opened.html"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\ncp "${{1#file://}}" {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    process = shell.start("make lab", LAB="--allow-root --port=0", BROWSER=f"{browser} %s")
    try:
        while not opened.exists():
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.2)
        assert re.search(r"http://\S+/lab/tree/00_start_here\.ipynb\b", opened.read_text())
        assert (shell.folder / "lab/00_start_here.ipynb").read_bytes() == (
            shell.folder / "notebooks/00_start_here.ipynb"
        ).read_bytes()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)  # returns when everything that make started has ended


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_make_check_passes(shell):
    """In a clean shell too."""
    shell.run("make check")


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_clone_is_installed_from_the_lock(tmp_path, tmp_path_factory):
    """`make venv` from nothing, and an environment of one's own beside it."""
    folder = clone(tmp_path_factory.mktemp("clone"), ("00_start_here",))
    clean = Shell(folder, tmp_path_factory.mktemp("home"))
    assert "eslab 0." in clean.run(f"make venv && {ACTIVATE}\neslab --version")
    install = "pip install -e '.[cassandra]'"
    assert install in COMMANDS
    clean.run(f"python3 -m venv {tmp_path}/own\n. {tmp_path}/own/bin/activate\n{install}\neslab cluster --help")


@pytest.mark.cassandra
@pytest.mark.timeout(600)
def test_the_schema_is_made_on_an_existing_cluster(shell, node):
    """README's hosts are made up; the node of the tests stands in for them."""
    command = "eslab schema apply cassandra://host1,host2/keyspace"
    assert command in COMMANDS
    real = command.replace("cassandra://host1,host2/keyspace", f"'{node.url('lab_readme')}'")
    assert "lab_readme" in shell.run(f"{ACTIVATE}\n{real}")


@pytest.mark.full
@pytest.mark.cassandra
@pytest.mark.timeout(1800)
def test_three_regions_start_run_part_heal_and_stop(shell):
    """README's block, line by line."""
    try:
        for command in THREE_REGIONS[1:]:
            shell.run(f"{ACTIVATE}\n{command}")
    finally:
        shell.run(f"{ACTIVATE}\neslab cluster stop || true")
