"""Work under a lock that no interrupt can keep.

Ctrl-C may come between any two instructions, and a notebook keeps the frames that it left; so no lock may depend on a
frame that ends, as it would in a generator. `with` over an object written in C is safe from signals: none comes between
the last instruction of its block and its exit. Only a debugger lets one in there, so the lock is given back once more.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Lock = Any  # a threading.RLock, which alone knows whose it is; typeshed has no public name for its type


def new_lock() -> Lock:
    """A lock for `alone`."""
    return threading.RLock()


def alone(lock: Lock, work: Callable[[], T]) -> T:
    """What `work` gives while this thread holds the lock; not nested."""
    try:
        with lock:
            return work()
    finally:
        give_back(lock)


def give_back(lock: Lock) -> None:
    """Release the lock if this thread holds it."""
    try:  # noqa: SIM105 - `suppress` is written in Python
        lock.release()
    except RuntimeError:
        pass
