"""The weather over a real cluster: links are cut, regions freeze and die, on a schedule that is drawn from a seed."""

from collections.abc import Iterator, Sequence
from random import Random
from threading import Thread
from typing import NamedTuple, Protocol

CALM = (3.0, 9.0)  # seconds without a fault, at least and at most
LASTING = {"cut": (3.0, 25.0), "isolated": (5.0, 25.0), "frozen": (2.0, 12.0), "killed": (3.0, 10.0)}  # seconds
OF_LINKS = ("cut", "isolated")
OF_NODES = ("frozen", "killed")
NO_MORE_BEFORE_THE_END = 15.0  # seconds


class Fault(NamedTuple):
    """Something that is broken on purpose, and for how long."""

    at: float  # seconds since the start
    lasts: float  # seconds
    kind: str  # "cut", "isolated", "frozen" or "killed"
    regions: tuple[str, ...]

    @property
    def ends(self) -> float:
        """When it is mended, in seconds since the start; a killed region needs some seconds more."""
        return self.at + self.lasts

    def __str__(self) -> str:
        return f"{self.at:6.1f} s  {'-'.join(self.regions)} {self.kind} for {self.lasts:.1f} s"


class Breakable(Protocol):
    """What the weather does to a cluster (`eslab.cluster.cluster.Cluster`)."""

    def cut(self, a: str, b: str | None = None) -> None: ...
    def heal(self, a: str | None = None, b: str | None = None) -> None: ...
    def freeze(self, target: str) -> None: ...
    def thaw(self, target: str) -> None: ...
    def kill(self, target: str) -> None: ...
    def revive(self, target: str) -> None: ...


class Stage(Protocol):
    """The time of a run."""

    @property
    def now(self) -> float:
        """Seconds since the start."""
        ...

    def sleep_until(self, at: float) -> bool:
        """Wait for a second since the start; false if the run is over, which may be before it comes."""
        ...


def forecast(seed: int, seconds: float, regions: Sequence[str]) -> list[Fault]:
    """All faults of a run, in order: one after the other at the links, and beside them one after the other at nodes.

    The first of each kind comes early, so that a short run meets all of them.
    """
    tracks = (_track(Random(f"{seed} {kinds}"), seconds, regions, kinds) for kinds in (OF_LINKS, OF_NODES))  # noqa: S311
    return sorted(fault for track in tracks for fault in track)


def _track(random: Random, seconds: float, regions: Sequence[str], kinds: Sequence[str]) -> Iterator[Fault]:
    unmet = random.sample(kinds, len(kinds))
    at = random.uniform(*CALM)
    while True:
        kind = unmet.pop() if unmet else random.choice(kinds)
        lasts = min(random.uniform(*LASTING[kind]), seconds / 8)
        if at + lasts > seconds - NO_MORE_BEFORE_THE_END:
            return
        yield Fault(at, lasts, kind, tuple(sorted(random.sample(regions, 2 if kind == "cut" else 1))))
        at += lasts + random.uniform(*CALM)


class Weather:
    """Breaks and mends a cluster as forecast, in threads of its own.

    `faults` are those that it caused so far; one that was mended lasts as long as it did, and not as forecast.
    """

    def __init__(self, cluster: Breakable, forecast: Sequence[Fault], stage: Stage) -> None:
        self.faults: list[Fault] = []
        self.errors: list[Exception] = []
        self._cluster = cluster
        self._stage = stage
        tracks = ([fault for fault in forecast if fault.kind in kinds] for kinds in (OF_LINKS, OF_NODES))
        self._threads = [Thread(target=self._follow, args=(track,), daemon=True) for track in tracks]

    def begin(self) -> None:
        """Begin, now."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until everything is mended that was broken; raises the first error that a fault met."""
        for thread in self._threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _follow(self, track: Sequence[Fault]) -> None:
        try:
            for fault in track:
                if self._stage.sleep_until(fault.at):
                    self._happen(fault)
        except Exception as error:  # shown by `end`, in the thread that runs the whole
            self.errors.append(error)

    def _happen(self, fault: Fault) -> None:
        cluster, regions = self._cluster, fault.regions
        breaks, mends = {
            "cut": (cluster.cut, cluster.heal),
            "isolated": (cluster.cut, cluster.heal),
            "frozen": (cluster.freeze, cluster.thaw),
            "killed": (cluster.kill, cluster.revive),
        }[fault.kind]
        breaks(*regions)
        self.faults.append(fault)
        self._stage.sleep_until(fault.ends)
        mends(*regions)
        self.faults[self.faults.index(fault)] = fault._replace(lasts=self._stage.now - fault.at)
