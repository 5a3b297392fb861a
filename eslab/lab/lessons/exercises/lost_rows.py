"""What the second exercise of lesson 08 tries: a fault while us acknowledges, and what asia lacks afterwards."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from eslab.lab.lessons.regions import ANN, ASIA, GLOW, US, told
from eslab.lab.lessons.simulated_regions import SimulatedRegions
from eslab.operations.read_repair import repair

FAULTS = ("cut us - asia", "freeze asia", "kill asia")
KILLS = ("never", "before the end", "after the end")
WRITES = ("LOCAL_QUORUM", "QUORUM", "EACH_QUORUM")
LONGEST = 300  # seconds
THREE_HOURS = 3 * 3600


@dataclass(frozen=True)
class Trial:
    """A fault and the settings around it. Us sells to a new customer every second while the fault lasts.

    hint_window   seconds for which us keeps hints for a region that doesn't answer
    kill_us       kill -9 of the node in us: never, a moment before the fault ends, or 20 s after it
    repair        run `eslab repair` a minute after the fault
    """

    fault: str = FAULTS[0]
    seconds: float = 30
    level: str = "LOCAL_QUORUM"
    hint_window: float = THREE_HOURS
    kill_us: str = "never"
    repair: bool = False

    def problem(self) -> str:
        """What can't be tried; empty if all can."""
        choices = (("fault", FAULTS), ("level", WRITES), ("kill_us", KILLS))
        for name, known in choices:
            if getattr(self, name) not in known:
                return f"{name} is {getattr(self, name)!r}. Choose one of {', '.join(map(repr, known))}."
        for name in ("seconds", "hint_window"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                return f"{name} is {value!r}. Give a number of seconds."
        if self.seconds > LONGEST:
            return f"the fault lasts {self.seconds:g} s. {LONGEST} s are enough to show it."
        return "" if isinstance(self.repair, bool) else f"repair is {self.repair!r}. Write True or False."


@dataclass(frozen=True)
class Result:
    """What came of a trial."""

    asked: int
    acknowledged: int
    missing: int  # of those, in asia, when everything is mended
    dropped: int  # hints that died, or were never kept

    def __str__(self) -> str:
        return f"{self.acknowledged} of {self.asked} acknowledged, {self.missing} of these missing in asia"


@cache
def result_of(trial: Trial) -> Result:
    """Run a trial in the simulator."""
    regions = SimulatedRegions()
    regions.cluster.hint_window = trial.hint_window
    _fault(regions, trial, begins=True)
    acknowledged = list(_sales(regions, trial))
    asked = int(trial.seconds)
    if trial.kill_us == "before the end":
        regions.kill(US)
    _fault(regions, trial, begins=False)
    regions.wait(20)
    if trial.kill_us == "after the end":
        regions.kill(US)
    if trial.kill_us != "never":
        regions.wait(5)
        regions.revive(US)
    regions.wait(60)
    dropped = regions.cluster.dropped
    if trial.repair:
        for customer in acknowledged:
            repair(regions.store(US), regions.clock, customer_id=customer)
    held = [customer for customer in acknowledged if list(regions.store(ASIA).rows(customer, f"downloaded:{GLOW}"))]
    regions.close()
    return Result(asked, len(acknowledged), len(acknowledged) - len(held), dropped)


def _fault(regions: SimulatedRegions, trial: Trial, begins: bool) -> None:
    if trial.fault == FAULTS[0]:
        (regions.cut if begins else regions.heal)(US, ASIA)
    elif trial.fault == FAULTS[1]:
        (regions.freeze if begins else regions.thaw)(ASIA)
    else:
        (regions.kill if begins else regions.revive)(ASIA)


def _sales(regions: SimulatedRegions, trial: Trial) -> Iterator[str]:
    """The customers to whom us acknowledged a download during the fault."""
    end = regions.now + trial.seconds
    for number in range(int(trial.seconds)):
        if regions.now >= end:
            break
        customer = f"{ANN}-{number:03}"
        if told(regions.sell(US, "phone", level=trial.level, customer=customer)) == "granted":
            yield customer
        regions.wait(max(0.0, min(1.0, end - regions.now)))
