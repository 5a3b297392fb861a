"""Plans say which fault the next call meets: one after the other from a script, or by chance from a seed."""

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from reprlib import repr as short
from typing import Protocol

from eslab.errors import InvalidInput
from eslab.faults.choices import Choices, Stream
from eslab.faults.kinds import Crash, Delay, Duplicate, Fault, Hold, LoseReply, LoseRequest, Refuse

# The calls by which a process starts, or walks over all customers: chance spares them, so that a service can be made.
SPARED = frozenset(
    {
        "checkpoint",
        "customers",
        "empty_read_table",
        "make_read_tables",
        "missing_read_tables",
        "set_checkpoint",
        "swap_checkpoint",
    }
)


class Plan(Protocol):
    """Which fault each call meets. A plan goes on where it is, so each line needs a plan of its own."""

    @property
    def calls(self) -> Collection[str]:
        """The names of the calls that the plan is about; a line refuses a plan that names one it doesn't have."""
        ...

    def next(self, call: str) -> Fault | None:
        """The fault that the next call of this name meets."""
        ...


class Script:
    """Faults by the name of the call: the first `append` meets the first one, and so on; behind the last, none.

    Script(append=[None, LoseReply()])           # the second append loses its reply
    Script(append=repeat(Refuse()))              # no append gets through
    """

    def __init__(self, **faults: Iterable[Fault | None]) -> None:
        """Raises `InvalidInput` for a fault that is no list; the faults themselves are checked when they are met."""
        for call, each in faults.items():
            if not isinstance(each, Iterable):
                raise InvalidInput(
                    f"Expected a list of faults in the script of {call}, got {each!r}; write [{each!r}]."
                )
        self._left: dict[str, Iterator[Fault | None]] = {call: iter(each) for call, each in faults.items()}

    def __repr__(self) -> str:
        return f"Script({', '.join(self._left)})"

    @property
    def calls(self) -> Collection[str]:
        """The names of the calls in the script."""
        return self._left.keys()

    def next(self, call: str) -> Fault | None:
        """The fault that is next in the script of this call; raises `InvalidInput` for anything else than a fault."""
        fault = next(self._left[call], None) if call in self._left else None
        if fault is None or isinstance(fault, Fault):
            return fault
        advice = f"; write {fault.__name__}()" if isinstance(fault, type) else ""
        raise InvalidInput(f"Expected a fault or None in the script of {call}, got {short(fault)}{advice}.")


class Chances:
    """Faults by chance, the same for the same seed: what the third `append` meets doesn't depend on other calls.

        Chances(seed=7, lose_request=0.05, lose_reply=0.1)

    Each fault has a probability; if a call draws several, it meets the first of them in the order of the arguments.
    With a greater probability the same calls meet the same faults, and others do too. A delay takes up to `by`. Only
    the calls in `calls` are met, if there are any, else all but those by which a process starts.
    """

    def __init__(
        self,
        seed: int,
        *,
        crash: float = 0.0,
        refuse: float = 0.0,
        lose_request: float = 0.0,
        lose_reply: float = 0.0,
        hold: float = 0.0,
        duplicate: float = 0.0,
        delay: float = 0.0,
        by: timedelta = timedelta(seconds=1),
        calls: Collection[str] = (),
    ) -> None:
        self.calls = calls
        self._by = by
        self._choices = Choices(seed)
        self._streams: dict[str, Stream] = {}
        self._chances = {
            "crash": crash,
            "refuse": refuse,
            "lose_request": lose_request,
            "lose_reply": lose_reply,
            "hold": hold,
            "duplicate": duplicate,
            "delay": delay,
        }
        for name, chance in self._chances.items():
            if not 0 <= chance <= 1:
                raise InvalidInput(f"Expected a probability from 0 to 1 as {name}, got {chance!r}.")

    def __repr__(self) -> str:
        chances = (f"{name}={chance:g}" for name, chance in self._chances.items() if chance)
        return f"Chances({', '.join([f'seed={self._choices.seed}', *chances])})"

    def next(self, call: str) -> Fault | None:
        """Draw the fault of the next call of this name."""
        if call not in self.calls if self.calls else call in SPARED:
            return None
        if call not in self._streams:
            self._streams[call] = self._choices.stream(call)
        stream = self._streams[call]
        # All are drawn, whichever hit, so that one probability doesn't shift the draws of another.
        hits = [name for name, chance in self._chances.items() if stream.chance(chance)]
        more = stream.below(1000)
        return self._fault(hits[0], more) if hits else None

    def _fault(self, name: str, more: int) -> Fault:
        """The fault of a name; `more` chooses among its details."""
        faults: dict[str, Fault] = {
            "crash": Crash("before" if more % 2 else "after"),
            "refuse": Refuse(),
            "lose_request": LoseRequest(),
            "lose_reply": LoseReply(),
            "hold": Hold(1 + more % 3),
            "duplicate": Duplicate(more % 4),
            "delay": Delay(self._by * (more + 1) / 1000),
        }
        return faults[name]
