"""Lesson 06: a snapshot that believes in no late booking, and how the settle window keeps one that is late."""

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import altair
import pandas

from eslab import AggregateService, Repository
from eslab.aggregate import SnapshotPolicy, aggregate_id
from eslab.domains.ledger import Account, Deposit
from eslab.lab import charts
from eslab.lab.session import Lab
from eslab.operations.snapshots import build_snapshot
from eslab.payload.encryption import NO_CIPHER
from eslab.request import latest_at, time_of
from eslab.snapshot import snapshot_of
from eslab.store import StoredSnapshot

HOUR = timedelta(hours=1)
OFFLINE, HOURS = 3, 30  # that the phone has no signal; that the story lasts before and after the request
ID = aggregate_id((Account, "travel"))
Build = Callable[[Repository, str, str], StoredSnapshot | None]


def careless_snapshot(repository: Repository, customer: str, key: str) -> StoredSnapshot:
    """Save the state of this moment. The mistake: to believe that no earlier booking can still come."""
    now = repository.clock()
    hydration = repository.hydrate(customer, Account, key)
    id = aggregate_id((Account, key))
    snapshot = snapshot_of(customer, id, hydration.state, hydration.commits, latest_at(now), now, NO_CIPHER)
    repository.store.save_snapshot(customer, id, snapshot, now)
    return snapshot


def settled_snapshot(repository: Repository, customer: str, key: str) -> StoredSnapshot | None:
    """Let the real builder save a snapshot, if a booking waits that is old enough."""
    return build_snapshot(repository, customer, Account, key, SnapshotPolicy(every=1))


def replay(repository: Repository, customer: str, key: str) -> Account:
    """Fold all commits of an account from the first one on, past all snapshots."""
    id = aggregate_id((Account, key))
    account: Any = Account()
    hydrator = repository.hydrator(customer, {id: Account})
    with closing(repository.store.rows(customer, id)) as commits:
        for commit in commits:
            for event in hydrator.events_of(commit):
                account.apply(event)
    return account


def hour_by_hour(lab: Lab, bank: AggregateService[Account], customer: str, build: Build) -> pandas.DataFrame:
    """Live through the story of the late booking again, with another customer and a builder that runs every hour.

    Every hour something is booked. In hour 0 a phone makes a request, has no signal for three hours, and then delivers
    it. Each line is an hour: how far the newest snapshot reaches, and the francs by `load` and by a replay.
    """
    lines = []
    on_the_hut = None
    for hour in range(-HOURS, HOURS + 1):
        bank.send(customer, ID, Deposit("EUR", 500, "allowance"), lab.request(later=HOUR))
        if hour == 0:
            on_the_hut = lab.request(later=timedelta())
        if hour == OFFLINE and on_the_hut:
            bank.send(customer, ID, Deposit("CHF", 5_000, "paid back"), on_the_hut)
        build(bank.repository, customer, "travel")
        if on_the_hut:
            lines.append({"hour": hour, **_look(bank, customer, on_the_hut.time)})
    return pandas.DataFrame(lines)


def reach_chart(hours: pandas.DataFrame, late: timedelta) -> charts.Figure:
    """A chart of how far the newest snapshot reaches, hour by hour, beside the present and the late request."""
    lines = {"the present": hours["hour"], "the newest snapshot": hours["snapshot reaches"]}
    drawn = pandas.concat(
        pandas.DataFrame({"hour": hours["hour"], "reaches": reaches, "line": line}) for line, reaches in lines.items()
    )
    arrivals = {"it arrives": OFFLINE, "still accepted": late / HOUR}
    points = pandas.DataFrame({"hour": arrivals.values(), "reaches": 0, "what": arrivals.keys()})
    at = {
        "x": altair.X("hour:Q", title="hours since the request was made"),
        "y": altair.Y("reaches:Q", title="reaches to hour", axis=altair.Axis(values=[-24, -12, 0, 12, 24])),
    }
    reach = altair.Chart(drawn).mark_line(point=True).encode(**at, **charts.by(drawn["line"]))
    place = altair.Chart(points.head(1)).mark_rule(strokeDash=[4, 4]).encode(y="reaches:Q")
    marks = altair.Chart(points).encode(**at)
    diamonds = marks.mark_point(shape="diamond", size=140, filled=True, color=charts.INK)
    first = marks.transform_filter("datum.hour < 12").mark_text(align="left", dx=-6, dy=18).encode(text="what:N")
    last = marks.transform_filter("datum.hour > 12").mark_text(align="right", dx=6, dy=-14).encode(text="what:N")
    return charts.show(reach + place + diamonds + first + last, alt=_in_words(hours, late), table=hours)


def first_over(hours: pandas.DataFrame) -> int:
    """The hour at which a snapshot reached over the request for the first time."""
    over: Any = hours[hours["snapshot reaches"] >= 0]
    return int(over["hour"].min())


def _in_words(hours: pandas.DataFrame, late: timedelta) -> str:
    return (
        f"How far the newest snapshot reaches. The request of hour 0 arrives in hour {OFFLINE}, and would be accepted "
        f"until hour {late / HOUR:g}. The first snapshot that reaches over it is built in hour {first_over(hours)}."
    )


def _look(bank: AggregateService[Account], customer: str, since: datetime) -> dict[str, float | int | None]:
    snapshots = bank.repository.store.heads(customer, [ID])[ID].snapshots
    reaches = (time_of(snapshots[0].up_to) - since) / HOUR if snapshots else None
    loaded, whole = bank.load(customer, ID), replay(bank.repository, customer, "travel")
    return {
        "snapshot reaches": reaches,
        "CHF by load": loaded.balance("CHF") / 100,
        "CHF by replay": whole.balance("CHF") / 100,
    }


class StandsStill:
    """A store whose first append comes 27 hours late, as on a server that stood still. Meanwhile the builder runs."""

    def __init__(self, lab: Lab, customer: str) -> None:
        self._lab = lab  # whose clock goes on meanwhile
        self._customer = customer  # whose append it holds up
        self._stands = True

    def append(self, *arguments: Any, **options: Any) -> None:
        if self._stands:
            self._stands = False
            self._lab.clock.advance(27 * HOUR)
            settled_snapshot(Repository(self._lab.store, self._lab.clock), self._customer, "travel")
        self._lab.store.append(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lab.store, name)
