"""What a policy of lesson 08 can do in a region, and the situations in which it is tried."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, cast

from eslab import EventStore, Request
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded
from eslab.domains.downloads.service import DownloadService
from eslab.errors import EslabError, InvalidInput
from eslab.faults.simulation.cluster import SERVER_TIMEOUT
from eslab.faults.simulation.parted import ROUND_TRIPS
from eslab.lab.answers import Outcome, Undecided
from eslab.lab.lessons.lightweight import LOCAL_SERIAL, SERIAL, Capture, Lightweight
from eslab.lab.lessons.regions import ANN, EU, GLOW, LEVELS, NAMES, US
from eslab.lab.lessons.simulated_regions import SimulatedRegions
from eslab.store import Consistency

READS = ("LOCAL_QUORUM", "QUORUM", "EACH_QUORUM")
Policy = Callable[["Shop"], Any]


class NoAnswer(EslabError):
    """Raised if too few replicas answered within 2 s; a write may have happened nevertheless."""


@dataclass
class Shop:
    """What a policy sees of a region while one of Ann's devices asks for Glow."""

    region: str
    home = US  # Ann's home region, wherever she is
    arena: "Arena" = field(repr=False)
    request: Request = field(repr=False)
    device: str = field(repr=False)
    origin: str = field(repr=False)

    def used(self, level: str) -> int:
        """How many downloads are counted, read at LOCAL_QUORUM, QUORUM or EACH_QUORUM; raises `NoAnswer`."""
        _check(level, READS)
        return self._call("used", level, lambda: self.arena.regions.used(self.region, level))

    def write(self, level: str) -> bool:
        """Write this download, whatever was counted; True, or raises `NoAnswer`."""
        _check(level, READS)
        return self._call("write", level, lambda: self._written(level))

    def write_if(self, used: int, level: str) -> bool:
        """Write this download if as many are counted as you think: at SERIAL everywhere, at LOCAL_SERIAL here.

        False if others are counted: nothing was written. Raises `NoAnswer`.
        """
        _check(level, (SERIAL, LOCAL_SERIAL))
        decide = lambda service: self._add(service, used)  # noqa: E731
        return self._call("write_if", level, lambda: self.arena.lightweight.decide(self.region, decide, level))

    def at(self, region: str) -> "Shop":
        """The shop of another region; each call costs the way there and back, and raises `NoAnswer` if that is cut."""
        _check(region, NAMES)
        self.arena.sent_on = True
        return Shop(region, self.arena, self.request, self.device, self.origin)

    def _written(self, level: str) -> bool:
        regions = self.arena.regions
        store = regions.store(self.region)
        captured = Capture(store, Consistency.LOCAL)
        self._add(DownloadService(cast("EventStore", captured), regions.clock, read_tables=()), None)
        if captured.commits:
            store.append(ANN, captured.commits, LEVELS[level])
        return True

    def _add(self, service: DownloadService, used: int | None) -> bool:
        """Append this download, if nobody cares or as many are counted as was said."""
        work = service.repository.begin(ANN, self.request, RequestDownload(self.device, GLOW))
        (seen,) = work.load((Downloaded, GLOW))
        if work.recorded:
            return True
        if used is not None and len(seen.counted) != used:
            return False
        work.add(seen, DownloadCounted(self.request.id, self.device, self.request.time))
        work.append()
        return True

    def _call(self, name: str, level: str, call: Callable[[], Any]) -> Any:
        arena = self.arena
        arena.calls.append((self.origin, self.region, name, level))
        self._travel()
        try:
            found = call()
        except EslabError as error:
            found, cause = None, error
        else:
            cause = None
        if found is None:
            arena.failed = True
            raise NoAnswer(f"Expected answers at {level} from {self.region} within 2 s, found too few.") from cause
        self._travel()
        arena.wrote_after_failure |= arena.failed and name != "used"
        return found

    def _travel(self) -> None:
        """Go from the device's region to this one, or back."""
        if self.region == self.origin:
            return
        link = frozenset((self.region, self.origin))
        world = self.arena.regions.world
        if link in self.arena.regions.cuts:
            world.sleep(SERVER_TIMEOUT)
            self.arena.failed = True
            raise NoAnswer(f"Expected an answer from {self.region} within 2 s, found none: the link is cut.")
        world.sleep(next(time for pair, time in ROUND_TRIPS.items() if link == frozenset(pair)) / 2)


def _check(value: object, known: Sequence[str]) -> None:
    if value not in known:
        raise InvalidInput(f"Expected one of {', '.join(known)}, got {value!r}.")


@dataclass(frozen=True)
class Asked:
    """A device that asked: where, and what its policy said after how many milliseconds."""

    region: str
    device: str
    said: Outcome
    ms: float
    stored: bool  # is its row there in the end?

    @property
    def is_silent(self) -> bool:
        """Did the policy say nothing for want of an answer?"""
        return isinstance(self.said.error, NoAnswer)

    def __str__(self) -> str:
        said = "no answer" if self.is_silent else str(self.said)
        return f"{self.region}, {self.device}: {said} after {self.ms:,.0f} ms; {'a' if self.stored else 'no'} row"


class Arena:
    """Regions in which a policy is tried; each ask is a process of its own."""

    def __init__(self, policy: Policy) -> None:
        self.regions = SimulatedRegions()
        self.lightweight = Lightweight(self.regions)
        self.calls: list[tuple[str, str, str, str]] = []  # origin, region, call, level
        self.failed = self.wrote_after_failure = False
        self.sent_on = False  # did it ask a shop for that of another region?
        self._policy = policy
        self._asks: list[tuple[str, str, Request, Any, list[float]]] = []

    def sold(self, count: int) -> None:
        """So many downloads were sold long before."""
        for device in ("phone", "tablet")[:count]:
            self.regions.sell(US, device)
            self.regions.wait(1)

    def ask(self, region: str, device: str) -> None:
        """Let a device ask now."""
        regions, request, times = self.regions, self.regions.request(), [self.regions.now]
        shop = Shop(region, self, request, device, region)

        def work() -> Outcome:
            try:
                return Outcome(self._policy(shop))
            except NotImplementedError:
                return Outcome(error=Undecided("the answer raises NotImplementedError, so it isn't written yet."))
            except Exception as error:
                return Outcome(error=error)
            finally:
                times.append(regions.now)

        process = regions.world.spawn(f"{device} {len(self._asks)}", work)
        self._asks.append((region, device, request, process.ended, times))

    def wait_for_answers(self, pause: float) -> None:
        """Let all policies answer, and some seconds pass."""
        for *_, ended, _ in self._asks:
            ended.wait()
        self.regions.wait(pause)

    def end(self) -> list[Asked]:
        """Wait for all policies, heal everything, make the regions equal; what was said, and what is stored."""
        said = [ended.wait() for *_, ended, _ in self._asks]
        self.regions.heal_all()
        self.regions.wait(15)
        self.lightweight.used(EU)
        self.lightweight.used(US, LOCAL_SERIAL)
        self.regions.wait(1)
        self.regions.repair()
        found = self.regions.service(US).repository.load(ANN, Downloaded, GLOW).counted
        asked = [
            Asked(region, device, outcome, 1000 * (times[1] - times[0]), request.id in found)
            for (region, device, request, _, times), outcome in zip(self._asks, said, strict=True)
        ]
        self.regions.close()
        return asked


def tried(policy: Policy, situation: "Situation") -> tuple[Arena, list[Asked]]:
    """Try a policy in a situation; what it prints is dropped."""
    arena = Arena(policy)
    with redirect_stdout(StringIO()):
        arena.sold(situation.sold)
        if situation.cut:
            arena.regions.cut_off(US)
        for region, device in situation.asks():
            arena.ask(region, device)
            if situation.pause:
                arena.wait_for_answers(situation.pause)
        return arena, arena.end()


@dataclass(frozen=True)
class Situation:
    """Downloads sold before, regions that are asked with a pause between them, and is us cut off?"""

    name: str
    sold: int
    regions: Sequence[str]
    pause: float  # seconds from an answer to the next question; 0: all ask at once
    cut: bool = False

    def asks(self) -> Iterator[tuple[str, str]]:
        """Who asks, in order."""
        return zip(self.regions, ("laptop", "tv", "console", "projector"), strict=False)

    def __str__(self) -> str:
        return self.name
