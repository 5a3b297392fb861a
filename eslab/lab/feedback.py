"""What a check says about an answer: right, not yet, or that it can't tell, with the smallest case that shows why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from eslab import display

MIME = "application/vnd.eslab.checked+json"  # beside the HTML, for the reports
MARKS = {True: "✓", False: "✗", None: "?"}


@dataclass(frozen=True)
class Difference:
    """One case in which an answer differs from what is expected."""

    given: Sequence[Any]  # the events, or other facts, before the call
    when: str  # the command, or the call
    expected: str
    got: str
    why: str = ""  # what this kind of mistake usually comes from

    def rows(self) -> dict[str, Any]:
        """The case, line by line."""
        given = [str(fact) for fact in self.given] or "nothing"
        return {"given": given, "when": self.when, "expected": self.expected, "got": self.got}

    def __str__(self) -> str:
        given = ", ".join(map(str, self.given)) or "nothing"
        case = f"given {given}, when {self.when}: expected {self.expected}, got {self.got}"
        return f"{case}\n{self.why}" if self.why else case


@dataclass(frozen=True)
class Checked:
    """The result of a check. `passed` is None if the check can't tell; `reason` says why."""

    exercise: str
    passed: bool | None
    kept: Sequence[str] = ()  # the rules that the answer keeps
    broken: str = ""  # the first one that it breaks; the later ones were not tried
    difference: Difference | None = None
    reason: str = ""
    drawn: str = ""  # how many cases, from which seed

    @property
    def title(self) -> str:
        """The result, in one sentence."""
        if self.passed:
            return "Right."
        return f"Can't tell yet: {self.reason}" if self.passed is None else f"Not yet: {self.broken}."

    def __str__(self) -> str:
        lines = [f"{MARKS[self.passed]} {self.title}", *(f"  {MARKS[True]} {rule}" for rule in self.kept)]
        return "\n".join([*lines, *([str(self.difference)] if self.difference else []), *filter(None, [self.drawn])])

    __repr__ = __str__

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Mapping[str, Any]:
        fact = {"exercise": self.exercise, "passed": self.passed}
        return {"text/html": self._html(), "text/plain": str(self), MIME: fact}

    def _html(self) -> str:
        rules = "".join(f"<li>{MARKS[True]} {escape(rule)}</li>" for rule in self.kept)
        parts = [f"<b>{MARKS[self.passed]} {escape(self.title)}</b>"]
        parts += [f'<ul style="list-style:none;padding-left:1em">{rules}</ul>'] if rules else []
        if self.difference:
            parts.append(display.table("The smallest case that shows it", self.difference.rows()))
            parts.append(f"<p>{escape(self.difference.why)}</p>" if self.difference.why else "")
        parts += [f"<small>{escape(self.drawn)}</small>"] if self.drawn else []
        return f'<div role="status">{"".join(parts)}</div>'


@dataclass(frozen=True)
class Note:
    """A few lines of Markdown for the reader."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return self.text
