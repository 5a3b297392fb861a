"""Event sourcing on Apache Cassandra: events are stored, and state is what they add up to.

This folder holds the path of a request. Read it in this order; each module uses only the ones before it:

    errors clock request                 the words
    display declared event
    payload/                             the bytes, from single values to whole payloads
    aggregate layout store writable      state, and what the core asks of a store
    bounds settings                      what all processes on a store share
    snapshot hydration settled           how a state is read
    hydration_cache
    recorded late_commits                what a request left behind, and how it is made safe
    read_table unit_of_work repository service

Then testing, stores/, and a domain: domains/bakery.py. The other rooms are in docs/architecture.md.
"""

from eslab.aggregate import Aggregate, SnapshotPolicy
from eslab.bounds import TimeBounds
from eslab.clock import Clock, ManualClock, system_clock
from eslab.errors import (
    EslabError,
    Forgotten,
    HistoryGone,
    Inconsistent,
    InvalidInput,
    OutcomeUnknown,
    OutOfTime,
    RequestConflict,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    TooLarge,
    Unreadable,
)
from eslab.event import Command, Event, Rejected, version
from eslab.hydration import Hydration
from eslab.hydration_cache import HydrationCache
from eslab.layout import Layout
from eslab.payload.encryption import KeyProvider
from eslab.read_table import ReadTable
from eslab.repository import Repository
from eslab.request import Request
from eslab.service import Accepted, AggregateService
from eslab.store import EventStore
from eslab.stores import open_store

__all__ = [
    "Accepted",
    "Aggregate",
    "AggregateService",
    "Clock",
    "Command",
    "EslabError",
    "Event",
    "EventStore",
    "Forgotten",
    "HistoryGone",
    "Hydration",
    "HydrationCache",
    "Inconsistent",
    "InvalidInput",
    "KeyProvider",
    "Layout",
    "ManualClock",
    "OutOfTime",
    "OutcomeUnknown",
    "ReadTable",
    "Rejected",
    "Repository",
    "Request",
    "RequestConflict",
    "SnapshotPolicy",
    "StoreClosed",
    "StoreError",
    "StoreFull",
    "StoreReadOnly",
    "StoreUnavailable",
    "TimeBounds",
    "TooLarge",
    "Unreadable",
    "open_store",
    "system_clock",
    "version",
]
