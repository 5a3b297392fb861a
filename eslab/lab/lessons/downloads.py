"""Lesson 02: send a command, and show everything about its answer: rules, events, and rows before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from eslab import Rejected, Request
from eslab.bench.play import send
from eslab.display import quantity
from eslab.domains.downloads.commands import DownloadCommand, Release, Renew, RequestDownload, StartPlayback
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.rules import Check, Rule
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.workload import Step
from eslab.errors import EslabError
from eslab.lab.rows import rows
from eslab.lab.session import Lab
from eslab.lab.tables import html_table, short_ids
from eslab.operations.inspection import Inspector

Explained = list[tuple[Rule, Check]]


@dataclass(frozen=True)
class Tried:
    """A command that was sent: the rules' checks before it, its answer, its events, and the row counts around it."""

    customer: str
    command: DownloadCommand
    request: Request
    explained: Explained
    answer: Granted | Rejected | EslabError
    before: int
    after: int
    events: list[dict[str, str]]  # empty if this attempt wrote nothing

    @property
    def verdict(self) -> str:
        """The answer in a few words, with its mark."""
        if isinstance(self.answer, Granted):
            return "✓ granted before, and not decided again" if self.answer.repeated else "✓ granted"
        if isinstance(self.answer, Rejected):
            return f"✗ rejected by {self.answer.rule}"
        return f"✗ an error: {type(self.answer).__name__}"

    @property
    def written(self) -> str:
        """The customer's row counts before and after, and the difference."""
        more = f"{self.after - self.before} were written" if self.after > self.before else "nothing was written"
        return f"Rows of {self.customer}: {self.before} before, {self.after} after: {more}."

    @property
    def line(self) -> dict[str, str]:
        """The attempt as a line of a table."""
        return {
            "request made": f"{self.request.time:%Y-%m-%d %H:%M}",
            "customer": self.customer,
            "command": in_words(self.command),
            "answer": self.verdict,
            "rows": f"{self.before} → {self.after}",
        }

    def _repr_html_(self) -> str:
        return f"{self.told}{self.details}"

    @property
    def told(self) -> str:
        """The answer and the row counts, as HTML."""
        said = str(self.answer)
        if isinstance(self.answer, EslabError):
            said = f"{type(self.answer).__name__}: {said}"
        return f"<p><b>{self.verdict[0]} {escape(short_ids(said))}</b></p><p>{escape(self.written)}</p>"

    @property
    def details(self) -> str:
        """The rules' checks and the written events, as HTML to unfold; a repeated request asked no rule."""
        repeated = isinstance(self.answer, Granted) and self.answer.repeated
        return ("" if repeated else rules_table(self.explained)) + folded(
            f"{quantity(len(self.events), 'event')} written", html_table(self.events)
        )


def attempt(downloads: DownloadService, customer: str, command: DownloadCommand, request: Request) -> Tried:
    """Explain the command, send it, and count the customer's rows before and after. An error counts as an answer."""
    store = downloads.repository.store
    before = len(rows(store, customer))
    explained: Explained = []
    try:
        explained = downloads.explain(customer, command, request)
        answer: Granted | Rejected | EslabError = send(downloads, Step(request.time, customer, command, request))
    except EslabError as error:
        answer = error
    after = rows(store, customer)
    wrote = after[after["request"] == str(request.id)]["aggregate"] if len(after) > before else ()
    events = [event for id in wrote for event in _events(downloads, customer, id, request)]
    return Tried(customer, command, request, explained, answer, before, len(after), events)


def attempts(downloads: DownloadService, lab: Lab, customer: str, *commands: DownloadCommand) -> list[Tried]:
    """Attempt commands one after the other, a minute apart, each as a request of its own."""
    return [attempt(downloads, customer, command, lab.request()) for command in commands]


@dataclass(frozen=True)
class Unfolded:
    """An answer to a question that was set before, folded until the reader wants it: attempts, and the last in full."""

    question: str
    tried: Sequence[Tried]

    def __repr__(self) -> str:
        return f"{self.question} {', '.join(tried.verdict for tried in self.tried)}"

    def _repr_html_(self) -> str:
        return folded(self.question, html_table(tried.line for tried in self.tried) + self.tried[-1].told)


def in_words(command: DownloadCommand) -> str:
    """A command as a few words."""
    what = {RequestDownload: "download", StartPlayback: "play", Renew: "renew", Release: "release"}[type(command)]
    under = f", plan {command.plan}, in {command.country}" if isinstance(command, RequestDownload | Renew) else ""
    return f"{what} {command.title} on {command.device}{under}"


def rules_table(explained: Explained) -> str:
    """Return the rules that forbid a command, as an HTML table with numbers and reasons, and the others to unfold."""
    lines = _rule_lines(explained)
    forbid = [line for line, (_, check) in zip(lines, explained, strict=True) if not check.passed]
    others = [line for line in lines if line not in forbid]
    return html_table(forbid) + folded(rules_in_words(explained), html_table(others))


def rules_in_words(explained: Explained) -> str:
    """Return how many rules pass."""
    passed = sum(check.passed for _, check in explained)
    return f"{passed} of {len(explained)} rules pass"


def folded(title: str, html: str) -> str:
    """Return HTML to unfold under a title; an empty string if there is none."""
    return f"<details><summary>{escape(title)}</summary>{html}</details>" if html else ""


def _rule_lines(explained: Explained) -> list[dict[str, str]]:
    return [
        {
            "the rule": rule.name,
            "says": "✓ passes" if check.passed else "✗ forbids it",
            "count": _number(check.count),
            "limit": _number(check.limit),
            "because": check.reason or rule.sentence,
        }
        for rule, check in explained
    ]


def _events(downloads: DownloadService, customer: str, aggregate: str, request: Request) -> list[dict[str, str]]:
    """The events that the request wrote to one aggregate, as stored."""
    (commit,) = [
        commit
        for commit in Inspector(downloads.repository.store, customer).commits(aggregate)
        if commit.request == str(request.id)
    ]
    return [
        {
            "aggregate": aggregate,
            "event": event["type"],
            "fields": ", ".join(f"{name}: {_short(value)}" for name, value in event.items() if name != "type"),
        }
        for event in commit.events
    ]


def _short(value: Any) -> str:
    """A field's text; a UUID is cut to its last six characters."""
    text = str(value)
    return f"…{text[-6:]}" if len(text) == 36 and text.count("-") == 4 else text


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
