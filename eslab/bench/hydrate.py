"""The cost of hydration by the length of the stream and the interval of its snapshots, from the bare read upwards.

baseline      a bare one-column SELECT of the payloads, on the same tables, page by page
baseline:row  one bare SELECT of a single row by its whole key
read          the store's `read_many`, all pages dropped
decode        checksums and typed decode of the same pages, which are in memory already
hydrate       `Repository.hydrate` when all events have settled: look-up, snapshot, read, decode, fold; cold and warm
live          the same at the moment of the last event: no snapshot holds the events younger than `fold_after` yet
build         the real builder folds one interval of events into a snapshot, and deletes the fourth newest
peer:NAME     a peer's own way to load the same events from its own store of the same kind, by its own snapshots
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from eslab import EventStore, ManualClock
from eslab.aggregate import serializer_of
from eslab.bench.keeper import SLACK, Keeper
from eslab.bench.loads import TEMPERATURES, Load, Target, costs_of, repeat_of
from eslab.bench.measure import RUNS, Measure, Report, Row, row, single_row, time_calls, versions_of
from eslab.bench.peers import Peer, open_peer
from eslab.bench.sample import CUSTOMER, FROSTING, Sample, state_after
from eslab.bench.stream import END, SPREAD, Stream
from eslab.bench.targets import Target as Place
from eslab.bench.targets import target
from eslab.errors import InvalidInput
from eslab.payload.checksum import Checksum

LENGTHS = (1_000, 10_000, 100_000)
INTERVALS = (None, 100)
NOTE = (
    "One aggregate of small events that one process reads again and again while they are in memory: this can't show "
    "a cold disk, a network, large events, or what your own apply costs."
)
OnStep = Callable[[str], object]  # is called with what is done now, in words


def measure_hydration(
    store: str = "sqlite",
    lengths: Sequence[int] = LENGTHS,
    intervals: Sequence[int | None] = INTERVALS,
    spread: timedelta = SPREAD,
    runs: int = RUNS,
    peers: Sequence[str] = (),
    sample: Sample = FROSTING,
    on_step: OnStep = lambda step: None,
) -> Report:
    raise NotImplementedError
