"""The record of what happened on a line: one `Crossing` for each call, for tables and for diagrams of messages."""

from collections.abc import MutableSequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from eslab.display import duration
from eslab.faults.kinds import Fault


@dataclass
class Crossing:
    """One call over a line: when, between whom, which fault it met, and what its caller got."""

    number: int  # among the calls on its line
    began: datetime
    caller: str
    callee: str
    call: str
    about: str = ""  # the customer, if there is one
    fault: Fault | None = None
    arrived: list[datetime] = field(default_factory=list)  # each time that it was carried out
    ended: datetime | None = None  # when the caller went on
    got: str = ""  # "answer", or the name of the error

    def __repr__(self) -> str:
        fault = f", {self.fault}" if self.fault else ""
        took = self.ended - self.began if self.ended else timedelta()
        after = f" after {duration(took)}" if took else ""
        times = {0: ", not carried out", 1: ""}.get(len(self.arrived), f", carried out {len(self.arrived)} times")
        call = f"{self.caller} → {self.callee}: {self.named}"
        return f"{time_of_day(self.began)} {call}{fault}{times}; {self.got or 'under way'}{after}"

    @property
    def named(self) -> str:
        """The call, with the customer if there is one."""
        return f"{self.call} of {self.about}" if self.about else self.call

    def line(self) -> dict[str, Any]:
        """The crossing as a line of a table."""
        return {
            "time": time_of_day(self.began),
            "actor": self.caller,
            "to": self.callee,
            "call": self.named,
            "fault": str(self.fault or ""),
            "carried out": len(self.arrived),
            "got": self.got,
        }


Log = MutableSequence[Crossing]


def time_of_day(time: datetime) -> str:
    """The time of day, to the millisecond."""
    return f"{time:%H:%M:%S.%f}"[:-3]


def customer_in(args: tuple[Any, ...]) -> str:
    """The customer's id, which is the first argument of nearly every call."""
    return args[0] if args and isinstance(args[0], str) else ""
