"""Lesson 02: a year of one invented customer, with every command and its answer, and every period of a licence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import altair
import pandas

from eslab import EventStore, ManualClock, Rejected, open_store
from eslab.bench.play import send
from eslab.display import quantity
from eslab.domains.downloads.commands import Expire, Release, Renew, RequestDownload, Revoke, StartPlayback
from eslab.domains.downloads.license import License, license_key
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.rules import RULES
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.workload import BEGAN, Step, Taste, customers, life_of
from eslab.errors import OutOfTime
from eslab.lab import charts

GRANTED = {
    RequestDownload: "granted",
    StartPlayback: "played",
    Renew: "renewed",
    Release: "given back",
    Revoke: "given back",
    Expire: "expired",
}
REJECTED = "rejected"
SHOWN = ("granted", REJECTED, "renewed", "given back", "played", "expired")  # a colour and a shape for each
UNSEEN = ("a retry", "too late")  # an answer that changed nothing has no mark in the chart
LANES = 12  # a chart with more is unreadable
DAYS = 365


class Lived(NamedTuple):
    """A command when it reached the service, and its answer."""

    when: datetime
    lane: str
    what: str
    rule: str  # the rule that rejected it, or empty


class Held(NamedTuple):
    """A period of a licence: a time in which the title could be played."""

    lane: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class Year:
    """One customer's year as the service answered it; shows itself as a timeline."""

    customer: str
    wishes: list[Lived]
    periods: list[Held]

    def count(self, what: str) -> int:
        """The number of commands with this answer."""
        return sum(wish.what == what for wish in self.wishes)

    def __str__(self) -> str:
        counts = ", ".join(f"{self.count(what)} {what}" for what in (*SHOWN, *UNSEEN))
        return f"{self.customer}, {quantity(len(self.wishes), 'wish', 'wishes')}: {counts}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return timeline(self)._repr_mimebundle_()


def a_year_with_everything(store: EventStore, seed: int) -> Year:
    """Play the year of the first customer in whose year everything of the lesson happens; takes about 0.2 s."""
    taste = Taste(seed)
    lives = (life_of(customer, DAYS, seed, taste) for customer in customers(100_000))
    steps = next(steps for steps in lives if _has_everything(steps))
    return live(store, steps)


def live(store: EventStore, steps: Sequence[Step]) -> Year:
    """Send a customer's commands at their times of arrival, and read the licences that result."""
    customer = steps[0].customer
    clock = ManualClock(BEGAN)
    downloads = DownloadService(store, clock)
    wishes = []
    for step in steps:
        clock.now = step.at
        wishes.append(Lived(step.at, _lane(step), *_answered(downloads, step)))
    licences = downloads.repository.load_all(customer, License)
    lanes = {license_key(step.command.device, step.command.title): _lane(step) for step in steps}
    periods = [period for key, licence in licences.items() for period in _periods(lanes[key], licence)]
    return Year(customer, wishes, periods)


def timeline(year: Year) -> charts.Figure:
    """Chart a lane for each title on a device: a bar for each period, a mark for each command with an effect."""
    seen = pandas.DataFrame(wish for wish in year.wishes if wish.what in SHOWN)
    lanes = list(dict.fromkeys(wish.lane for wish in year.wishes))
    lane = altair.Y("lane:N", title=None, sort=lanes, axis=altair.Axis(labelLimit=240, grid=True))
    when = altair.X(
        "when:T",
        title="when it reached the service",
        scale=altair.Scale(type="utc"),
        axis=altair.Axis(format="%b %y", tickCount="month", labelOverlap=True),
    )
    bars = altair.Chart(pandas.DataFrame(year.periods)).mark_bar(
        height=8, opacity=0.3, cornerRadius=3, color=charts.INK
    )
    bars = bars.encode(x=altair.X("begins:T", scale=altair.Scale(type="utc")), x2="ends:T", y=lane)
    marks = altair.Chart(seen).mark_point(size=70, filled=True, opacity=1)
    marks = marks.encode(x=when, y=lane, **charts.by(pandas.Series(SHOWN, name="what"), title="the wish was"))
    table = seen.assign(when=[f"{when:%Y-%m-%d %H:%M}" for when in seen["when"]])
    chart = altair.layer(bars, marks).properties(width=560)
    return charts.show(
        chart, alt=f"A year of {year}. The bars are periods of licences: {len(year.periods)}.", table=table
    )


def _has_everything(steps: Sequence[Step]) -> bool:
    """Whether the lanes are few and the year, played in memory, has every kind of mark, a retry and a refusal."""
    if not {type(step.command) for step in steps} >= GRANTED.keys() - {Revoke} or len(set(map(_lane, steps))) > LANES:
        return False
    year = live(open_store("memory:"), steps)
    refused = {rule.name for rule in RULES if RequestDownload in rule.commands} & {wish.rule for wish in year.wishes}
    return bool(refused) and all(year.count(what) for what in (*SHOWN, UNSEEN[0]))


def _answered(downloads: DownloadService, step: Step) -> tuple[str, str]:
    """Send a command; return its answer in a word, and the rule that rejected it."""
    try:
        answer: Granted | Rejected = send(downloads, step)
    except OutOfTime:  # a late retry of a wish that was rejected, so nothing recorded it
        return UNSEEN[1], ""
    if isinstance(answer, Rejected):
        return REJECTED, answer.rule
    return (UNSEEN[0] if answer.repeated else GRANTED[type(step.command)]), ""


def _periods(lane: str, licence: License) -> Iterator[Held]:
    """The periods in which the title could be played; giving a licence back ends its period early."""
    for id in licence.licences:
        over = licence.over(id)
        for name in licence.names(id):
            begins, end = licence.periods[name].begins, licence.period_end(name)
            ends = [time for time in (end, over and over.since) if time]
            yield Held(lane, begins, max(begins, min(ends, default=BEGAN + timedelta(DAYS))))


def _lane(step: Step) -> str:
    return f"{step.command.title}, {step.command.device}"
