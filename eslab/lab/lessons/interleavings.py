"""Lesson 07: two deliveries at once, in every order in which their calls to the store can follow each other.

Each order runs on a store of its own, in memory: a call at a time, nothing lost and nothing late.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import altair
import pandas
from altair.typing import ChartType

from eslab import EventStore, ManualClock, Rejected, Request
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.reconcile import Reconciled
from eslab.domains.downloads.service import DownloadService
from eslab.faults import Crossing, Faulty, Script
from eslab.faults.choices import Choices
from eslab.faults.simulation.stepwise import Stepwise, schedules
from eslab.faults.simulation.world import World
from eslab.lab import charts
from eslab.lab.session import START
from eslab.stores.memory import MemoryStore

ANN, GLOW = "ann", "glow"
BEFORE = ("phone", "tablet")  # the devices that have Glow already, so that one download is left
GRANTED, BEFORE_GRANTED, REJECTED = "granted", "granted before", "rejected"
Send = Callable[[DownloadService], object]


@dataclass(frozen=True)
class Delivery:
    """One of two requests on their way at once: a name, and how it is sent to a service."""

    name: str
    send: Send


@dataclass(frozen=True)
class Order:
    """One order of the calls, the answers, and the store that it left."""

    calls: Sequence[Crossing]
    answers: dict[str, str]  # by the name of the delivery
    store: EventStore
    clock: ManualClock

    @property
    def steps(self) -> list[str]:
        """Who calls what, in order."""
        return [f"{call.caller}: {call.call}" for call in self.calls]

    @property
    def counted(self) -> int:
        """How many downloads of Glow the rows count for Ann."""
        return len(self.service.repository.load(ANN, Downloaded, GLOW).counted)

    @property
    def service(self) -> DownloadService:
        """A service on the store as it was left."""
        return DownloadService(self.store, self.clock, read_tables=())

    def reconcile(self) -> Reconciled:
        """Take back what exceeds a limit, as the service does it for one customer."""
        return self.service.reconcile(ANN)

    def table(self) -> pandas.DataFrame:
        """The calls, one on each line."""
        columns = {"delivery": "caller", "asks the store to": "call"}
        lines = [{name: getattr(call, field) for name, field in columns.items()} for call in self.calls]
        return pandas.DataFrame(lines, index=range(1, len(lines) + 1))


def orders(one: Delivery, other: Delivery) -> list[Order]:
    """Every order of the calls of two deliveries for Ann, who has two of three downloads of Glow."""
    found: dict[tuple[str, ...], Order] = {}
    for order in _all(one, other):
        found.setdefault(tuple(order.steps), order)  # orders that differ before the first call are the same here
    return list(found.values())


def _all(one: Delivery, other: Delivery) -> Iterator[Order]:
    ran: list[Order] = []

    def run(choices: Choices) -> list[int]:
        order, could = _run(choices, (one, other))
        ran.append(order)
        return could

    for _ in schedules(run):
        yield ran.pop()


def _run(choices: Choices, deliveries: Sequence[Delivery]) -> tuple[Order, list[int]]:
    """One order, and how many deliveries could have gone on at each step."""
    world, clock, store = World(choices, START), ManualClock(START), MemoryStore()
    for device in BEFORE:
        DownloadService(store, clock, read_tables=()).request_download(ANN, device, GLOW, wish(device))
    calls: list[Crossing] = []
    answers: dict[str, Any] = {}
    for delivery in deliveries:
        steps = Stepwise(Faulty(store, Script(), clock, caller=delivery.name, log=calls), world)
        service = DownloadService(cast("EventStore", steps), clock, read_tables=())
        world.spawn(delivery.name, lambda it=delivery, service=service: answers.update({it.name: it.send(service)}))
    calls.clear()  # those by which the services started
    could = world.run_in_any_order()
    world.close()
    return Order(calls, {name: in_words(answer) for name, answer in answers.items()}, store, clock), could


def in_words(answer: Any) -> str:
    """An answer in a word or two."""
    if isinstance(answer, Rejected):
        return REJECTED
    return BEFORE_GRANTED if answer.repeated else GRANTED


def wish(device: str) -> Request:
    """The request of a device for Glow; the same device always makes the same one."""
    ago = timedelta(hours=len(BEFORE) - BEFORE.index(device)) if device in BEFORE else timedelta()
    return Request.at(START - ago, f"glow on {device}")


def download(device: str) -> Send:
    """Send the request of this device for Glow."""
    return lambda downloads: downloads.request_download(ANN, device, GLOW, wish(device))


def look_up_then_fold(downloads: DownloadService) -> object:
    """The wrong order: the look-up of the request is older than the rows that are folded."""
    recorded = is_recorded(downloads)
    used = len(downloads.repository.load(ANN, Downloaded, GLOW).counted)
    return decide(downloads, recorded, used)


def fold_then_look_up(downloads: DownloadService) -> object:
    """A right order: whatever the fold has seen of this request, the look-up sees too."""
    used = len(downloads.repository.load(ANN, Downloaded, GLOW).counted)
    recorded = is_recorded(downloads)
    return decide(downloads, recorded, used)


def is_recorded(downloads: DownloadService) -> bool:
    """Is there a row under the key of the laptop's request?"""
    id, request = f"downloaded:{GLOW}", wish("laptop")
    head = downloads.repository.store.heads(ANN, [id], request.event_time)[id]
    return head.recorded is not None


def decide(downloads: DownloadService, recorded: bool, used: int) -> object:
    """Reject a new request if nothing is left; else the service answers or grants."""
    if not recorded and used >= 3:
        return Rejected("downloads of a title per year", "all of them are used", limit=3, count=used)
    return download("laptop")(downloads)


def outcomes(found: Sequence[Order]) -> pandas.DataFrame:
    """How many of the orders end with which answers, and how many downloads count then."""
    lines = pandas.DataFrame({**order.answers, "downloads counted": order.counted} for order in found)
    return lines.value_counts(sort=False).rename("orders").reset_index()


def grid(found: Sequence[Order]) -> charts.Figure:
    """Every order as a row: its calls from left to right, and at the right end what came of it."""
    table = pandas.DataFrame(
        {"order": number, "call": place, "by": call.caller, "does": call.call}
        for number, order in enumerate(found, 1)
        for place, call in enumerate(order.calls, 1)
    )
    ends = pandas.DataFrame(
        {"order": number, "came": _came(order), "over": order.counted > 3} for number, order in enumerate(found, 1)
    )
    return charts.show(_grid(table, ends), alt=_grid_in_words(found), table=_grid_table(found))


def _came(order: Order) -> str:
    return f"{'✗' if order.counted > 3 else '✓'} {order.counted} of 3 counted"


def _grid_in_words(found: Sequence[Order]) -> str:
    over = sum(order.counted > 3 for order in found)
    return f"All {len(found)} orders of the calls of two requests; {over} of them count 4 of 3 downloads."


def _grid_table(found: Sequence[Order]) -> pandas.DataFrame:
    return pandas.DataFrame(
        {"order": number, "calls": ", ".join(order.steps), **order.answers, "counted": order.counted}
        for number, order in enumerate(found, 1)
    )


def _grid(table: pandas.DataFrame, ends: pandas.DataFrame) -> ChartType:
    y = altair.Y("order:O", title="order", axis=altair.Axis(domain=False, ticks=False))
    last = max(table["call"])
    axis = altair.Axis(values=list(range(1, last + 1)), format="d", orient="top", grid=False, domain=False)
    scale = altair.Scale(domain=[0.5, last + 2], nice=False)
    x = altair.X("call:Q", title="calls to the store, in order", axis=axis, scale=scale)
    look = charts.by(table["by"], "request of")
    base = altair.Chart(table).encode(x=x, y=y)
    marks = base.mark_point(size=420, filled=True, opacity=1).encode(**look)
    words = base.mark_text(dx=17, align="left").encode(text="does:N")
    came = altair.Chart(ends).encode(x=altair.datum(last + 0.9, type="quantitative"), y=y)
    over = came.transform_filter("datum.over").mark_text(align="left", fontWeight="bold").encode(text="came:N")
    kept = came.transform_filter("!datum.over").mark_text(align="left").encode(text="came:N")
    return (marks + words + over + kept).properties(width=560, height={"step": 34})
