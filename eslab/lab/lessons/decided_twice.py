"""Lesson 07: one request that two regions decided, the rows that both exchange, and two designs of a log for them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pandas

from eslab import ManualClock, Request, open_store
from eslab.aggregate import serializer_of
from eslab.domains.bakery import AddColor, Frosting, MakeColor, open_bakery
from eslab.faults import Chances, WaitingClock, storm
from eslab.faults.storm import CUSTOMER, KEY
from eslab.hydration import Hydration
from eslab.lab.session import START
from eslab.operations.inspection import Inspector
from eslab.payload.checksum import Checksum
from eslab.store import Commit, EventStore

BOWL = "frosting:1"
ID_BYTES = 16


@dataclass
class Region:
    """A region: its store, and a bakery that knows no other region."""

    name: str
    store: EventStore = field(repr=False)
    clock: ManualClock = field(repr=False)

    def send(self, customer: str, command: AddColor | MakeColor, request: Request):
        """Let this region decide."""
        return open_bakery(self.store, self.clock).send(customer, BOWL, command, request)

    def bowl(self, customer: str) -> Frosting:
        """The customer's frosting, as this region's rows add up to."""
        return open_bakery(self.store, self.clock).load(customer, BOWL)

    def commits(self, customer: str) -> list[Commit]:
        """The customer's rows in this region."""
        return list(self.store.rows(customer, BOWL))


def two_regions() -> tuple[Region, Region]:
    """Two regions that are parted, each with an empty store in memory."""
    clock = ManualClock(START)
    return Region("us", open_store("memory:"), clock), Region("eu", open_store("memory:"), clock)


def heal(one: Region, other: Region, customer: str) -> None:
    """The link is back: each region gets the rows of the other, in the order in which that has them."""
    from_one, from_other = one.commits(customer), other.commits(customer)
    one.store.append(customer, from_other)
    other.store.append(customer, from_one)


def rows_of(customer: str, *regions: Region) -> pandas.DataFrame:
    """The rows of all regions: request, digest and events."""
    return pandas.DataFrame(
        {
            "region": region.name,
            "request": row.request,
            "digest": (row.digest or "")[:8],
            "events": ", ".join(str(event["color"]) for event in row.events),
        }
        for region in regions
        for row in Inspector(region.store, customer).commits(BOWL)
    )


def parted_purple(customer: str, red: Request, purple: Request) -> tuple[Region, Region]:
    """Red is known in the US alone, and both regions decide one request for purple."""
    us, eu = two_regions()
    us.clock.now = eu.clock.now = max(red.time, purple.time)
    us.send(customer, AddColor("red"), red)
    for region in (us, eu):
        region.send(customer, MakeColor("purple"), purple)
    return us, eu


def winners(requests: Sequence[Request]) -> list[str]:
    """Which region's decision stays, for requests of as many customers that were all decided twice."""
    return [_winner(f"customer-{number}", request) for number, request in enumerate(requests)]


def _winner(customer: str, purple: Request) -> str:
    us, eu = parted_purple(customer, Request.at(purple.time - timedelta(minutes=1), "red"), purple)
    decided = {region.name: decision(region, customer, purple) for region in (us, eu)}
    heal(us, eu, customer)
    stays = decision(us, customer, purple)
    assert stays == decision(eu, customer, purple)
    return next(name for name, commit in decided.items() if commit == stays)


def decision(region: Region, customer: str, request: Request) -> Commit:
    """The row of a request in a region."""
    return next(commit for commit in region.commits(customer) if commit.event_time == request.event_time)


def first_of_each(arrivals: Sequence[Commit]) -> list[Commit]:
    """The talk's way to read: of the rows of one request only the first counts."""
    seen, counted = set(), []
    for commit in arrivals:
        if commit.event_time not in seen:
            seen.add(commit.event_time)
            counted.append(commit)
    return counted


def folded(customer: str, commits: Sequence[Commit]) -> Frosting:
    """The frosting that these rows add up to."""
    folding, place = Hydration(Frosting()), Checksum.of_commits(customer, BOWL)
    folding.apply([serializer_of(Frosting).events(commit.payload, place) for commit in commits])
    return folding.state


def two_designs(wishes: int = 200, seed: int = 7) -> pandas.DataFrame:
    """The same deliveries in both designs: what is stored, what a hydration reads, and what its state must remember."""
    network = lambda: Chances(seed, lose_reply=0.15, duplicate=0.15)  # noqa: E731 - a plan is used up by one storm
    ran = storm(wishes=wishes, seed=seed, network=network)
    deliveries = sum(len(crossing.arrived) for crossing in ran.log if crossing.call == "send")
    rows = list(ran.store.rows(CUSTOMER, f"tally:{KEY}"))
    size = sum(len(row.payload) for row in rows) / len(rows)
    designs = {"a row for each delivery": (deliveries, wishes), "a row for each request": (len(rows), 0)}
    return pandas.DataFrame(
        {
            "design": name,
            "deliveries": deliveries,
            "rows stored and read": stored,
            "bytes of payload": round(stored * size),
            "counted": len(rows),
            "ids to remember": ids,
            "bytes of these": ids * ID_BYTES,
        }
        for name, (stored, ids) in designs.items()
    )


class WrongClock:
    """The clock of a device that is wrong by so much; waiting lets the real time pass."""

    def __init__(self, clock: WaitingClock, by: timedelta) -> None:
        self.clock, self.by = clock, by

    def __call__(self) -> datetime:
        return self.clock() + self.by

    def advance(self, by: timedelta) -> object:
        """Let time pass."""
        return self.clock.advance(by)
