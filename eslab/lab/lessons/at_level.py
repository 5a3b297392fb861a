"""Lesson 08: a store whose reads and appends wait for more than the region of the service."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

from eslab.store import Commit, Consistency, EventStore, ReadRow

READS = {"read", "heads", "heads_of_type", "ids_of_commits", "read_many", "rows_many"}


class AtLevel:
    """Passes every call on to a store, and what would be LOCAL at another level."""

    def __init__(self, store: EventStore, level: Consistency) -> None:
        self.store = store
        self.level = level

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        """Append at the level, unless another one is asked for."""
        self.store.append(customer_id, commits, self._raised(consistency), read_rows)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.store, name)
        if name not in READS:
            return call

        def at_level(*arguments: Any, **options: Any) -> Any:
            bound = signature(call).bind(*arguments, **options)
            bound.apply_defaults()
            bound.arguments["consistency"] = self._raised(bound.arguments["consistency"])
            return call(*bound.args, **bound.kwargs)

        return at_level

    def _raised(self, level: Consistency) -> Consistency:
        return self.level if level is Consistency.LOCAL else level
