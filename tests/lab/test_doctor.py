"""Every line that `eslab doctor` prints with ✗ is in docs/troubleshooting.md, with its cause and a fix.

The lines are those that the checks print when something is missing. The checks are found in the code, and no line of
theirs may go unreached: a new check, or a new reason in an old one, fails here until it is provoked and explained.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

from eslab.cluster import runtime
from eslab.cluster.jars import locked_jars
from eslab.lab import needs, selfcheck
from eslab.lab.selfcheck import doctor
from tests.support.sample import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
ENTRY = re.compile(r"^\| `✗ (.+?)` \| (.+) \| (.+) \|$", re.MULTILINE)
ENTRIES = [line for line, _, _ in ENTRY.findall(PAGE)]
CHECKS = [
    check for name, check in vars(selfcheck).items()
    if isinstance(check, FunctionType) and name != "_outcome"
    and check.__annotations__.get("return") in (tuple[bool, str], list[selfcheck.Check])
]  # fmt: skip


def not_installed(*missing: str) -> Callable[[str], str]:
    """`importlib.metadata.version` where these packages are missing."""

    def version(package: str) -> str:
        if package in missing:
            raise PackageNotFoundError(package)
        return "1.0"

    return version


class Without:
    """Finds no module of this name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == self.name:
            raise ModuleNotFoundError(f"No module named {name!r}")


def an_old_python(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(sys, "version_info", (3, 9, 2))


def no_lab(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(selfcheck, "version", not_installed("papermill", "pandas"))


def no_driver(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(selfcheck, "version", not_installed("cassandra-driver"))


def no_temporary_files(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr("tempfile.tempdir", str(folder / "missing"))


def no_java(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(runtime, "_candidates", lambda: iter(()))


def another_java(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(runtime, "_major", lambda path: 21)


def a_jar_that_can_not_be_read(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / locked_jars()[0].filename).mkdir()
    patch.setenv("ESLAB_CACHE", str(folder))


def no_jars_yet(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("ESLAB_CACHE", str(folder))
    patch.setattr("eslab.cluster.addresses.exists", lambda host: False)


def no_platformdirs(patch: pytest.MonkeyPatch, folder: Path) -> None:
    for module in "eslab.cluster.places", "platformdirs":
        patch.delitem(sys.modules, module, raising=False)
    patch.setattr(sys, "meta_path", [Without("platformdirs"), *sys.meta_path])


def no_memory(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(needs, "free_memory", lambda: 0.4)


MISSING = [
    an_old_python, no_lab, no_driver, no_temporary_files, no_java, another_java, a_jar_that_can_not_be_read,
    no_jars_yet, no_platformdirs, no_memory,
]  # fmt: skip


@contextmanager
def reached_lines(found: set[tuple[CodeType, int]]) -> Iterator[None]:
    """Collect the lines of the checks that run inside."""

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != selfcheck.__file__:
            return None
        found.add((frame.f_code, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@cache
def provoked() -> tuple[dict[str, list[str]], set[tuple[CodeType, int]]]:
    """The lines with ✗ by what is missing, and the lines of code that were reached."""
    reached: set[tuple[CodeType, int]] = set()
    lines = {}
    for miss in MISSING:
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            miss(patch, Path(folder))
            with reached_lines(reached):
                verdict = doctor()
        lines[miss.__name__] = [line for passed, line in verdict.lines if not passed]
    return lines, reached


def matches(entry: str, line: str) -> bool:
    """Is this the line of an entry, in which `...` stands for anything?"""
    return re.fullmatch(re.escape(entry).replace(r"\.\.\.", ".*"), line, re.DOTALL) is not None


@pytest.mark.parametrize("miss", MISSING, ids=lambda miss: miss.__name__)
def test_a_line_is_explained(miss: Callable[..., None]) -> None:
    """One thing is missing, so one line says so, and one entry explains it."""
    lines, _ = provoked()
    (line,) = lines[miss.__name__]
    assert len([entry for entry in ENTRIES if matches(entry, line)]) == 1, line


def test_every_entry_is_of_a_line() -> None:
    """A line that nobody prints any more is no help."""
    lines = [line for lines in provoked()[0].values() for line in lines]
    assert [entry for entry in ENTRIES if not any(matches(entry, line) for line in lines)] == []


def test_no_line_of_the_checks_goes_unreached() -> None:
    """So no reason for an ✗ is missing above."""
    assert len(CHECKS) > 5
    _, reached = provoked()
    unreached = [
        f"{check.__name__}:{line}" for check in CHECKS for _, _, line in check.__code__.co_lines()
        if line and line != check.__code__.co_firstlineno and (check.__code__, line) not in reached
    ]  # fmt: skip
    assert unreached == []
