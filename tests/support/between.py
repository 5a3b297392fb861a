"""A store that lets something else happen between two calls of a process, as another process would."""

from collections.abc import Callable
from functools import partial
from typing import Any

from eslab import EventStore


class Between:
    """A store that runs something once, before or after the next call of a name."""

    def __init__(self, store: EventStore, when: str, name: str, run: Callable[[], object]) -> None:
        self._store, self._name = store, name
        self._runs = {"before": run if when == "before" else None, "after": run if when == "after" else None}

    @property
    def ran(self) -> bool:
        return not any(self._runs.values())

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        return partial(self._around, call) if name == self._name else call

    def _around(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self._run("before")
        result = call(*args, **options)
        self._run("after")
        return result

    def _run(self, when: str) -> None:
        run, self._runs[when] = self._runs[when], None
        if run:
            run()
