"""The exercises' checks: each says what was given, what was expected, and what the learner's code did.

An exercise's source is its solution, in notebooks/solutions/; `learner_copy` makes the notebook that learners get.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import Any, ClassVar

from eslab import Command, Rejected, Request
from eslab.domains.bakery import BOWL, ColorAdded, Frosting
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded
from eslab.lab.session import START


@dataclass(frozen=True)
class Verdict:
    """What a check found: one line for each case."""

    lines: list[tuple[bool, str]]
    title: ClassVar[str] = "All cases pass."
    advice: ClassVar[str] = "Not yet: mend the lines marked ✗ and run the cell again."

    @property
    def passed(self) -> bool:
        """Did every case pass?"""
        return all(ok for ok, _ in self.lines)

    def __repr__(self) -> str:
        return "\n".join(f"{'✓' if ok else '✗'} {line}" for ok, line in self.lines)

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{'✓' if ok else '✗'} {escape(line)}</li>" for ok, line in self.lines)
        words = self.title if self.passed else self.advice
        return f'<b>{words}</b><ul style="list-style:none;padding-left:0">{items}</ul>'


class AtLeast(Command):
    """A goal: the frosting holds at least so many portions of a colour."""

    color: str
    portions: int


def check_at_least(handle: Callable[[Frosting, AtLeast, Request], list[ColorAdded]]) -> Verdict:
    """Check exercise 1: only the portions that are still missing become events."""
    cases = [
        ("cream", {}, 2, 2),
        ("one red", {"red": 1}, 2, 1),
        ("two red", {"red": 2}, 2, 0),
        ("three red", {"red": 3}, 2, 0),
        ("ten blue", {"blue": BOWL - 2}, 3, "Rejected"),
    ]
    lines = []
    for given, portions, wanted, expected in cases:
        frosting = Frosting(portions=dict(portions))
        found = _outcome(lambda f=frosting, n=wanted: len(handle(f, AtLeast("red", n), _request("exercise 1"))))
        lines.append(_line(f"given {given}, when at least {wanted} red", expected, found, "events"))
    return Verdict(lines)


def check_device_limit(allow: Callable[[Downloaded, str, int], None]) -> Verdict:
    """Check exercise 2: a title may be kept on so many devices, and a device that has it counts once."""
    cases = [
        ([], "phone", "allowed"),
        (["phone"], "tablet", "allowed"),
        (["phone", "tablet"], "laptop", "Rejected"),
        (["phone", "phone", "phone"], "tablet", "allowed"),
        (["phone", "tablet"], "tablet", "allowed"),
    ]
    lines = []
    for devices, wanted, expected in cases:
        seen = Downloaded()
        for i, device in enumerate(devices):
            seen.apply(DownloadCounted(_request(f"download {i}").id, device, START + timedelta(days=i)))
        found = _outcome(lambda s=seen, d=wanted: allow(s, d, 2) or "allowed")
        given = ", ".join(devices) or "nothing"
        lines.append(_line(f"given {given}, when asking for {wanted} with a limit of 2", expected, found))
    return Verdict(lines)


def learner_copy(solution: Any) -> Any:
    """The learner's notebook: every cell that carries a stub shows the stub in place of the solution."""
    notebook = deepcopy(solution)
    for cell in notebook.cells:
        if "stub" in cell.metadata:
            cell.source = cell.metadata.pop("stub")
    return notebook


def _request(key: str) -> Request:
    return Request.at(START, key)


def _outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Rejected:
        return "Rejected"
    except Exception as error:  # whatever the learner's code raises is shown, not thrown
        return f"{type(error).__name__}: {error}"


def _line(case: str, expected: Any, found: Any, unit: str = "") -> tuple[bool, str]:
    words = f"{expected} {unit}" if isinstance(expected, int) else expected
    return expected == found, f"{case}: expected {words}" + ("" if expected == found else f", got {found}")
