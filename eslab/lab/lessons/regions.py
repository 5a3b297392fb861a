"""Lesson 08: three regions, each with the download service, whose links one cuts and heals; simulated or real.

Both kinds take the same orders, so the same story runs on both. `where` says which one it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from random import Random
from typing import Any, cast

import pandas

from eslab import Clock, EventStore, Rejected, Request
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.reconcile import Reconciled
from eslab.domains.downloads.service import DownloadService
from eslab.errors import EslabError
from eslab.lab.lessons.at_level import AtLevel
from eslab.operations.read_repair import repair
from eslab.store import Consistency

US, EU, ASIA = NAMES = ("us", "eu", "asia")
LINKS = tuple(combinations(NAMES, 2))
ANN, GLOW, LIMIT = "ann", "glow", 3
LEVELS = {
    "LOCAL_QUORUM": Consistency.LOCAL,
    "QUORUM": Consistency.QUORUM,
    "EACH_QUORUM": Consistency.EVERYWHERE,
    "ALL": Consistency.ALL,
}
Answer = Granted | Rejected | EslabError
Shown = Mapping[str, int | None]  # by region, the downloads of Glow that it counts; None if it doesn't answer


@dataclass(frozen=True)
class Step:
    """What was done, when, and what each region shows since."""

    at: float  # seconds since the start
    did: str
    shown: Shown


class Regions(ABC):
    """Three regions, each with a service of its own; and Ann, who downloads Glow, of which three a year are allowed."""

    where = ""
    clock: Clock

    def __init__(self, seed: int) -> None:
        self.cuts: set[frozenset[str]] = set()
        self.frozen: set[str] = set()
        self.steps: list[Step] = []
        self._random = Random(seed)  # noqa: S311 - repeatable on purpose

    @property
    @abstractmethod
    def now(self) -> float:
        """Seconds since the start."""

    @abstractmethod
    def store(self, region: str) -> EventStore:
        """The store of a region's services."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def at_once(self, calls: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        """Make several calls at the same time; their results, by name."""

    @abstractmethod
    def _do(self, fault: str, *regions: str) -> None:
        """Cause or end a fault."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the regions."""

    def request(self) -> Request:
        """A new request, as a device makes it now."""
        return Request.new(self.clock, self._random)

    def service(self, region: str, level: str = "LOCAL_QUORUM") -> DownloadService:
        """The download service in a region, which reads and appends at a level."""
        store = cast("EventStore", AtLevel(self.store(region), LEVELS[level]))
        return DownloadService(store, self.clock, read_tables=())

    def sell(
        self,
        region: str,
        device: str,
        request: Request | None = None,
        *,
        level: str = "LOCAL_QUORUM",
        customer: str = ANN,
    ) -> Answer:
        """Ask a region for Glow on a customer's device; an error is an answer too: nobody knows what came of it."""
        try:
            service = self.service(region, level)
            return service.request_download(customer, device, GLOW, request or self.request(), plan="premium")
        except EslabError as error:
            return error

    def used(self, region: str, level: str = "LOCAL_QUORUM") -> int | None:
        """How many downloads of Glow a region counts for Ann; None if it doesn't answer."""
        try:
            return len(self.service(region, level).repository.load(ANN, Downloaded, GLOW).counted)
        except EslabError:
            return None

    def shown(self) -> Shown:
        """What each region shows now, all asked at the same moment."""
        return self.at_once({region: lambda region=region: self.used(region) for region in NAMES})

    def reconcile(self, region: str) -> Reconciled:
        """Let a region take back what exceeds the limit, by the rows that it sees."""
        return self.service(region).reconcile(ANN)

    def repair(self) -> None:
        """Read all of Ann's rows at ALL, so that every region gets what it lacks. Raises if a region is away."""
        repair(self.store(US), self.clock, customer_id=ANN)

    def cut(self, one: str, other: str) -> None:
        """Cut the link between two regions."""
        self._do("cut", one, other)
        self.cuts.add(frozenset((one, other)))

    def heal(self, one: str, other: str) -> None:
        """Heal the link between two regions."""
        self._do("heal", one, other)
        self.cuts.discard(frozenset((one, other)))

    def cut_off(self, region: str) -> None:
        """Cut every link of a region."""
        for link in links_of(region):
            self.cut(*link)

    def heal_all(self) -> None:
        """Heal every link, and thaw every region."""
        for link in LINKS:
            if frozenset(link) in self.cuts:
                self.heal(*link)
        for region in sorted(self.frozen):
            self.thaw(region)

    def freeze(self, region: str) -> None:
        """Let a region stand still: it answers nobody."""
        self._do("freeze", region)
        self.frozen.add(region)

    def thaw(self, region: str) -> None:
        """Let a frozen region go on."""
        self._do("thaw", region)
        self.frozen.discard(region)

    def note(self, did: str) -> Step:
        """Write down what was done and what each region shows now."""
        self.steps.append(Step(self.now, did, self.shown()))
        return self.steps[-1]


def links_of(region: str) -> list[tuple[str, str]]:
    """The links of a region."""
    return [link for link in LINKS if region in link]


def history(steps: Sequence[Step]) -> pandas.DataFrame:
    """A line for each step: when, what was done, and what each region shows since."""
    return pandas.DataFrame(
        {"at": in_seconds(step.at), "done": step.did, **{region: of_limit(step.shown[region]) for region in NAMES}}
        for step in steps
    )


def of_limit(used: int | None) -> str:
    """What a region shows, in words."""
    return "no answer" if used is None else f"{used} of {LIMIT}"


def in_seconds(at: float) -> str:
    """A moment since the start."""
    return f"{timedelta(seconds=round(at))}"


def told(answer: Answer) -> str:
    """An answer in a word or two."""
    if isinstance(answer, Granted):
        return "granted before" if answer.repeated else "granted"
    return "rejected" if isinstance(answer, Rejected) else "no answer"


def sell_in(regions: Regions, region: str, device: str) -> Step:
    """Ask a region for Glow on a device, and write down what it said."""
    answer = regions.sell(region, device)
    regions.wait(1)
    return regions.note(f"{region}: Glow on the {device}, {told(answer)}")


def both_sides_sell(regions: Regions) -> None:
    """Two downloads everywhere; then us is cut off, and both sides sell the third."""
    for device in ("phone", "tablet"):
        regions.sell(US, device)
        regions.wait(1)
    regions.note("us: Glow on phone and tablet")
    regions.cut_off(US)
    regions.note("us is cut off")
    sell_in(regions, US, "laptop")
    sell_in(regions, EU, "tv")


def heal_and_reconcile(regions: Regions, seconds: float = 15) -> Reconciled:
    """Heal all links, wait for hints, and let us reconcile."""
    regions.heal_all()
    regions.note("all links are healed")
    regions.wait(seconds)
    regions.note(f"{seconds:g} s later")
    found = regions.reconcile(US)
    regions.wait(1)
    regions.note("us has reconciled")
    return found
