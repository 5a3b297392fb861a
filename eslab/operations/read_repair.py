"""Reads all that is stored at ALL, so that Cassandra makes its replicas, and so its regions, equal.

Hints alone don't: on three regions under load, one of which was frozen for 8 s, hundreds of rows were still missing
minutes later. A read at ALL compares all replicas and writes to each what it lacks, before it answers.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from eslab.clock import Clock
from eslab.layout import Layout
from eslab.operations.walk import OnProgress, Walked, silent, unusable, walk_or_visit
from eslab.store import Consistency, EventStore

NAME = "repair"


def repair(
    store: EventStore,
    clock: Clock,
    layouts: Sequence[Layout] = (),
    on_progress: OnProgress = silent,
    customer_id: str | None = None,
    jobs: int = 1,
) -> Walked:
    """Read the rows of all customers at ALL, or of one; returns how many rows were read.

    Directory, snapshots and commits, and the customer's rows in these read tables; a catch-up writes those in other
    partitions. While one replica is away, this raises `StoreUnavailable`. Called again after a crash, it resumes. On a
    store on this machine it reads everything and repairs nothing: there is one copy. `jobs` threads read.
    """
    work = partial(_read, store, [layout for layout in layouts if layout.with_customer])
    return walk_or_visit(store, clock, NAME, work, on_progress, unusable, customer_id, jobs, Consistency.ALL)


def has_replicas(store: EventStore) -> bool:
    """Does the store keep several copies, on other machines?"""
    return store.time() is not None


def _read(store: EventStore, layouts: Sequence[Layout], customer_id: str) -> int:
    heads = store.heads_of_type(customer_id, "", Consistency.ALL)
    rows = sum(1 + len(head.snapshots) for head in heads.values())
    ids = dict.fromkeys(store.ids_of_commits(customer_id, Consistency.ALL))
    with closing(store.rows_many(customer_id, ids, consistency=Consistency.ALL)) as pages:
        rows += _count(page for _, page in pages)
    for layout in layouts:
        with closing(store.read_rows(layout, [(customer_id,)], Consistency.ALL)) as found:
            rows += _count(found)
    return rows


def _count(pages: Iterable[Sequence[Any]]) -> int:
    return sum(map(len, pages))
