"""An event store behind a line that fails, on any store and without patching.

clock = ManualClock(START)
store = Faulty(open_store("sqlite:"), Script(append=[LoseReply()]), clock)
bakery = AggregateService(store, Frosting, handle, clock)
bakery.send("ann", "frosting:1", MakeColor("purple"), request)      # raises OutcomeUnknown; the row is written
bakery.send("ann", "frosting:1", MakeColor("purple"), request)      # Accepted before
store.log                                                           # what happened, call by call
"""

from collections.abc import Generator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from eslab.faults.crossing import Log, customer_in
from eslab.faults.line import Line
from eslab.faults.plans import Plan
from eslab.faults.waiting import WaitingClock
from eslab.layout import Layout
from eslab.store import Commit, EventStore, Head, ReadRow
from eslab.store import Log as Hydrated

CALLS = frozenset(name for name in vars(EventStore) if not name.startswith("_")) - {"close", "lifetime", "rows"}


class Faulty(EventStore):
    """A store whose calls cross a line, where each may meet a fault of the plan; otherwise it is the store.

    A lost, late or held write raises `OutcomeUnknown`, a read `StoreUnavailable`, as a real store does. Of a call that
    is answered page by page, the fault meets the first page. `Line` says what the settings mean.
    """

    def __init__(
        self, store: EventStore, plan: Plan, clock: WaitingClock, *, caller: str = "service", **settings: Any
    ) -> None:
        """Raises `InvalidInput` for a plan that names a call which no store has."""
        self.store = store
        self.lifetime = store.lifetime
        self.line = Line(plan, clock, caller=caller, callee="store", calls=CALLS, **settings)

    def __repr__(self) -> str:
        return f"Faulty({self.store!r}, {self.line.plan})"

    @property
    def log(self) -> Log:
        """What happened, call by call."""
        return self.line.log

    def __getattr__(self, name: str) -> Any:
        """What this store has beside the protocol, such as the path of its file."""
        if name == "store":  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.store, name)

    def append(self, *args: Any, **options: Any) -> None:
        self._write("append", args, options)

    def replace(self, *args: Any, **options: Any) -> bool:
        return self._write("replace", args, options)

    def save_snapshot(self, *args: Any, **options: Any) -> None:
        self._write("save_snapshot", args, options)

    def delete_snapshot(self, *args: Any, **options: Any) -> None:
        self._write("delete_snapshot", args, options)

    def mark(self, *args: Any, **options: Any) -> None:
        self._write("mark", args, options)

    def note_safe(self, *args: Any, **options: Any) -> None:
        self._write("note_safe", args, options)

    def delete_events(self, *args: Any, **options: Any) -> None:
        self._write("delete_events", args, options)

    def make_read_tables(self, *args: Any, **options: Any) -> list[Layout]:
        return self._write("make_read_tables", args, options)

    def put_read_rows(self, *args: Any, **options: Any) -> None:
        self._write("put_read_rows", args, options)

    def empty_read_table(self, *args: Any, **options: Any) -> None:
        self._write("empty_read_table", args, options)

    def set_checkpoint(self, *args: Any, **options: Any) -> None:
        self._write("set_checkpoint", args, options)

    def swap_checkpoint(self, *args: Any, **options: Any) -> str:
        return self._write("swap_checkpoint", args, options)

    def read(self, *args: Any, **options: Any) -> dict[str, Hydrated]:
        return self._ask("read", args, options)

    def heads(self, *args: Any, **options: Any) -> dict[str, Head]:
        return self._ask("heads", args, options)

    def heads_of_type(self, *args: Any, **options: Any) -> dict[str, Head]:
        return self._ask("heads_of_type", args, options)

    def ids_of_commits(self, *args: Any, **options: Any) -> list[str]:
        return self._ask("ids_of_commits", args, options)

    def time(self, *args: Any, **options: Any) -> datetime | None:
        return self._ask("time", args, options)

    def missing_read_tables(self, *args: Any, **options: Any) -> list[Layout]:
        return self._ask("missing_read_tables", args, options)

    def checkpoint(self, *args: Any, **options: Any) -> str:
        return self._ask("checkpoint", args, options)

    def read_many(self, *args: Any, **options: Any) -> Generator[tuple[str, Sequence[bytes]], None, None]:
        return self._pages("read_many", args, options)

    def rows_many(self, *args: Any, **options: Any) -> Generator[tuple[str, Sequence[Commit]], None, None]:
        return self._pages("rows_many", args, options)

    def read_rows(self, *args: Any, **options: Any) -> Generator[Sequence[ReadRow], None, None]:
        return self._pages("read_rows", args, options)

    def customers(self, *args: Any, **options: Any) -> Generator[str, None, None]:
        return self._pages("customers", args, options)

    def close(self) -> None:
        """Close the store; what is still under way is lost."""
        self.line.drop()
        self.store.close()

    def _write(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return self.line.call(name, partial(getattr(self.store, name), *args, **options), about=customer_in(args))

    def _ask(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        call = partial(getattr(self.store, name), *args, **options)
        return self.line.call(name, call, writes=False, about=customer_in(args))

    def _pages(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Generator[Any, None, None]:
        yield from self._ask(name, args, options)
