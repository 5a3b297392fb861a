"""Lesson 02: send a command and show everything about its answer; change a studio's rules."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from html import escape
from typing import Any

import msgspec
import pandas

from eslab import Rejected, Request
from eslab.bench.play import send
from eslab.domains.downloads.commands import DownloadCommand
from eslab.domains.downloads.license import License
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.rules import Check, Rule
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import Rules
from eslab.domains.downloads.workload import Step
from eslab.errors import EslabError
from eslab.lab.rows import rows
from eslab.lab.session import Lab
from eslab.lab.tables import html_table, short_ids
from eslab.operations.inspection import Inspector

HOUR = timedelta(hours=1)

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
            f"The {len(self.events)} events that were written", html_table(self.events)
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


def with_version(rules: Rules, studio: str, starts: date, **changes: Any) -> Rules:
    """Return a copy of the rules with one more version, which changes a studio's limits from a day on."""
    newest = rules.versions[-1]
    changed = msgspec.structs.replace(newest.for_studio(studio), **changes)
    added = msgspec.structs.replace(
        newest, version=newest.version + 1, effective_from=starts, studios={**newest.studios, studio: changed}
    )
    return Rules((*rules.versions, added), rules.invented)


def around_midnight(
    downloads: DownloadService, lab: Lab, customer: str, title: str, devices: tuple[str, str, str]
) -> pandas.DataFrame:
    """Request a title around the start of new rules.

    The first request is made and arrives before, the second is made before and arrives after, the third is made after.
    """
    midnight = datetime.combine(downloads.rules.versions[-1].effective_from, time(), UTC)
    lab.clock.now = midnight - HOUR
    evening = lab.request()
    late = lab.request()
    asked = [_asked(downloads, customer, devices[0], title, evening)]
    lab.clock.now = midnight + HOUR
    asked.append(_asked(downloads, customer, devices[1], title, late))
    asked.append(_asked(downloads, customer, devices[2], title, lab.request()))
    return pandas.DataFrame(asked)


def licences(downloads: DownloadService, customer: str) -> pandas.DataFrame:
    """Return the customer's licences in order of grant, with their rules' version and their expiry."""
    granted = [
        {
            "licence": key,
            "granted": f"{licence.periods[id].begins:%Y-%m-%d %H:%M}",
            "rules": licence.periods[id].rules,
            "expires": f"{licence.periods[id].expires:%Y-%m-%d %H:%M}",
        }
        for key, licence in downloads.repository.load_all(customer, License).items()
        for id in licence.licences
    ]
    return pandas.DataFrame(sorted(granted, key=lambda licence: licence["granted"]))


def _asked(downloads: DownloadService, customer: str, device: str, title: str, request: Request) -> dict[str, Any]:
    answer = downloads.request_download(customer, device, title, request)
    granted = isinstance(answer, Granted)
    return {
        "device": device,
        "request made": f"{request.time:%Y-%m-%d %H:%M}",
        "arrives": f"{downloads.repository.clock():%Y-%m-%d %H:%M}",
        "rules": downloads.rules.at(request.time).version,
        "answer": "granted" if granted else "rejected",
        "used": f"{answer.used} of {answer.limit}" if granted else f"{answer.count} of {answer.limit}",
    }


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
