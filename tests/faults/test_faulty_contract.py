"""A store behind a line that never fails keeps the contract of every store, whichever store it is.

The tests are those of tests/stores, unchanged.
"""

from collections.abc import Callable

import pytest

from eslab import EventStore, ManualClock
from eslab.faults import Faulty, Script
from tests.conftest import REAL
from tests.stores import test_contract, test_read_tables
from tests.support.sample import START

tables = test_read_tables.tables
for part, module in ("store", test_contract), ("read_tables", test_read_tables):
    tests = {name: test for name, test in vars(module).items() if name.startswith("test_")}
    globals().update({f"{name}_of_{part}": test for name, test in tests.items()})


FULL = [*REAL, pytest.mark.full]
KINDS = ["memory", "sqlite", pytest.param("cassandra", marks=FULL), pytest.param("us3", marks=FULL)]


@pytest.fixture(params=KINDS)
def open_new(open_new: Callable[[], EventStore]) -> Callable[[], EventStore]:
    """Opens a new, empty store of the kind under test, behind a line without faults."""
    return lambda: Faulty(open_new(), Script(), ManualClock(START))


@pytest.fixture
def store(open_new: Callable[[], EventStore]) -> EventStore:
    """A new store."""
    return open_new()
