"""Keys, and a repository that has them."""

from random import Random

import pytest

from eslab import EventStore, ManualClock, Repository
from eslab.stores.keys import MemoryKeys


@pytest.fixture
def keys() -> MemoryKeys:
    """Keys that follow from a seed."""
    return MemoryKeys(Random(7).randbytes)


@pytest.fixture
def ward(store: EventStore, clock: ManualClock, keys: MemoryKeys) -> Repository:
    """A repository with keys over the store under test."""
    return Repository(store, clock, keys=keys)
