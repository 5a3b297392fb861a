"""Is everything here that a lesson needs? One line for each thing, and what mends it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import ClassVar

from eslab import EslabError, open_store
from eslab.lab.exercises import Verdict

PACKAGES = ["eslab", "jupyterlab", "ipywidgets", "pandas", "altair", "papermill"]


@dataclass(frozen=True)
class SelfCheck(Verdict):
    """What was looked at; `ready` if all of it is fine."""

    title: ClassVar[str] = "Everything is here."
    advice: ClassVar[str] = "Something is missing: do what the lines marked ✗ say."

    @property
    def ready(self) -> bool:
        """Can the lessons run?"""
        return self.passed


def selfcheck() -> SelfCheck:
    """Look at Python, the packages and the embedded store; takes a tenth of a second and leaves nothing behind."""
    checks: list[Callable[[], tuple[bool, str]]] = [_python, *(lambda p=p: _package(p) for p in PACKAGES), _store]
    return SelfCheck([check() for check in checks])


def _python() -> tuple[bool, str]:
    found = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info >= (3, 11)
    return fine, f"Python {found}" + ("" if fine else ": install 3.11 or newer, then make venv")


def _package(name: str) -> tuple[bool, str]:
    try:
        return True, f"{name} {version(name)}"
    except ImportError:
        return False, f"{name} is missing: pip install 'eslab[lab]'"


def _store() -> tuple[bool, str]:
    try:
        open_store("sqlite:").close()
    except EslabError as error:
        return False, f"SQLite: {error}"
    return True, "a fresh SQLite store opens and closes"
