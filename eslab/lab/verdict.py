"""A verdict: one line per case that was checked, and what to do if one fails."""

from dataclasses import dataclass
from html import escape
from typing import ClassVar


@dataclass(frozen=True)
class Verdict:
    """The result of a check: one line per case, and whether it passed."""

    lines: list[tuple[bool, str]]
    title: ClassVar[str] = "All cases pass."
    advice: ClassVar[str] = "Not yet: fix the lines marked ✗ and run the cell again."

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
