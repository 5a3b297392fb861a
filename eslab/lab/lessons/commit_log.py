"""Lesson 03: kill -9 of a node amid appends, and the acknowledged commits that are missing afterwards, by name."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from eslab import EventStore, OutcomeUnknown, StoreError, StoreUnavailable, display, open_store
from eslab.bench.sample import commit, request
from eslab.display import quantity
from eslab.lab.lessons.cassandra import KEYSPACE, LessonNode, start_node
from eslab.store import Commit

if TYPE_CHECKING:
    from eslab.cluster import Cluster
    from eslab.cluster.plan import CommitLogSync

CUSTOMER = "ann"
WRITERS = 16  # threads that append until the node is killed, each to a frosting of its own
SECONDS = 1.5  # of appends before each kill
FINDS = 40  # tries to reach a node that was started again, two a second
PATIENCE = 3  # seconds until an append to a killed node counts as lost


class Answer(NamedTuple):
    """The acknowledgement of a commit: the commit's number in its frosting, and the moment in seconds."""

    number: int
    at: float


class Lost(NamedTuple):
    """A commit that was acknowledged and is gone."""

    frosting: str
    commit: int
    ms_before_the_last_answer: int


Acknowledged = dict[Commit, Answer]


@dataclass(frozen=True)
class Killed:
    """The result of kill -9 amid appends: what was acknowledged before the last kill, and what of it is gone."""

    commitlog_sync: str
    kills: int
    acknowledged: int
    lost: Sequence[Lost]

    def _repr_html_(self) -> str:
        return display.table(
            f"commitlog_sync: {self.commitlog_sync}",
            {
                "killed": quantity(self.kills, "time"),
                "acknowledged before the last kill": f"{self.acknowledged:,}",
                "of these, missing afterwards": f"{len(self.lost):,}",
            },
        )


def kill_amid_appends(commitlog_sync: "CommitLogSync", kills: int = 1, node: LessonNode | None = None) -> Killed:
    """Append to a node of one replica until kill -9, start it again, and find the commits that are gone.

    The victim is the lesson's own node, if it is given and runs with this setting; else a throw-away node. Stops at
    the first kill that loses a commit, and after `kills` at the latest. Each kill takes about 8 s, a new node as long.
    """
    with _victim(commitlog_sync, node) as cluster:
        killed = _kill(cluster, 1)
        while not killed.lost and killed.kills < kills:
            killed = _kill(cluster, killed.kills + 1)
    return killed


def when_back(store: EventStore, customer: str) -> int:
    """The number of a customer's commits, as soon as the store has found its revived node again, in 4 s or so."""
    for _ in range(FINDS):
        try:
            return sum(1 for id in store.heads_of_type(customer, "") for _ in store.rows(customer, id))
        except StoreUnavailable:
            time.sleep(0.5)
    raise StoreUnavailable(f"{store} was not reached for {FINDS / 2:.0f} s after its node was started again.")


def _victim(commitlog_sync: "CommitLogSync", node: LessonNode | None) -> AbstractContextManager["Cluster"]:
    own = node.own if node else None
    if own and own.plan.settings.commitlog_sync == commitlog_sync:
        return nullcontext(own)
    return start_node(commitlog_sync=commitlog_sync)


def _kill(cluster: "Cluster", kill: int) -> Killed:
    acknowledged = _append_until_killed(cluster, kill)
    cluster.revive("us")
    return Killed(cluster.plan.settings.commitlog_sync, kill, len(acknowledged), _missing(cluster, acknowledged))


def _append_until_killed(cluster: "Cluster", kill: int) -> Acknowledged:
    acknowledged: Acknowledged = {}
    with closing(open_store(f"{cluster.url(KEYSPACE)}&timeout={PATIENCE}")) as store:
        arguments = [(store, f"{kill}-{writer}", acknowledged) for writer in range(1, WRITERS + 1)]
        writers = [Thread(target=_append, args=each) for each in arguments]
        for writer in writers:
            writer.start()
        time.sleep(SECONDS)
        cluster.kill("us")
        for writer in writers:
            writer.join()
    return acknowledged


def _append(store: EventStore, frosting: str, acknowledged: Acknowledged) -> None:
    """Append commit after commit until the node is dead; the outcome of the last one is unknown."""
    try:
        for number in count():
            made = commit(frosting, number, request(number), CUSTOMER)
            store.append(CUSTOMER, [made])
            acknowledged[made] = Answer(number, time.perf_counter())
    except (OutcomeUnknown, StoreError):
        return


def _missing(cluster: "Cluster", acknowledged: Acknowledged) -> list[Lost]:
    """The acknowledged commits that the revived node doesn't have, in order of their answers."""
    last = max((answer.at for answer in acknowledged.values()), default=0.0)
    with closing(open_store(cluster.url(KEYSPACE))) as store:
        frostings = sorted({made.aggregate_id for made in acknowledged})
        there = {row for frosting in frostings for row in store.rows(CUSTOMER, frosting)}
    return [
        Lost(made.aggregate_id, answer.number, round((last - answer.at) * 1000))
        for made, answer in sorted(acknowledged.items(), key=lambda each: each[1].at)
        if made not in there
    ]
