"""Storms of retries: whatever fails, the right client counts each wish once; a wrong one, what was written unheard."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import AggregateService, Clock, EventStore, open_store
from eslab.domains.bakery import AddColor, Frosting, handle
from eslab.domains.downloads.service import DownloadService
from eslab.faults import (
    Chances,
    Crash,
    Delay,
    Duplicate,
    Hold,
    LoseReply,
    LoseRequest,
    Refuse,
    Retry,
    Script,
    Storm,
    side_by_side,
    storm,
)
from eslab.faults.kinds import Fault
from eslab.faults.storm import judge, tallies
from eslab.request import Request
from eslab.store import Commit
from eslab.stores.memory import MemoryStore

FAULTS: list[Fault | None] = [
    None,
    Refuse(),
    LoseRequest(),
    LoseReply(),
    Delay(timedelta(milliseconds=100)),
    Delay(timedelta(seconds=3)),
    Duplicate(),
    Duplicate(behind=3),
    Hold(behind=1),
    Hold(behind=4),
]
DEATHS: list[Fault | None] = [*FAULTS, Crash("before"), Crash("after")]
NETWORK = st.fixed_dictionaries({"send": st.lists(st.sampled_from(FAULTS), max_size=12)})
BEHIND = st.fixed_dictionaries(
    {call: st.lists(st.sampled_from(DEATHS), max_size=8) for call in ("read", "append")}
)  # fmt: skip
WISHES = 4


class Ledgered(MemoryStore):
    """A store in memory that notes which requests' appends arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: set[Any] = set()

    def append(self, customer_id: str, commits: Sequence[Commit], *args: Any, **options: Any) -> None:
        super().append(customer_id, commits, *args, **options)
        self.arrived.update(commit.event_time for commit in commits)


Faults = Mapping[str, Sequence[Fault | None]]


def stormed(client: str, network: Faults, behind: Faults) -> tuple[Storm, Ledgered]:
    store = Ledgered()
    scripts: dict[str, Any] = {"network": lambda: Script(**network), "behind": lambda: Script(**behind)}
    return storm(client=client, wishes=WISHES, retry=Retry(attempts=4), store=store, **scripts), store


# For any script of faults


@given(NETWORK, BEHIND)
def test_G3_the_right_client_counts_each_wish_at_most_once(network: Faults, behind: Faults) -> None:
    """And exactly once if it was acknowledged; the checker of the simulator finds no broken promise."""
    right, _ = stormed("same request", network, behind)
    assert (right.counts.twice, right.counts.lost) == (0, 0)
    assert right.counts.counted >= right.counts.acknowledged
    assert right.counts.acknowledged + right.counts.unknown == WISHES
    assert judge(right) == []


@given(NETWORK, BEHIND, st.sampled_from(["new request", "new time, same random part"]))
def test_G3_a_wrong_client_counts_once_more_for_each_write_that_it_did_not_hear_of(
    network: Faults, behind: Faults, client: str
) -> None:
    """Those and no others: as often as an append arrived and its attempt was not answered. No promise is broken."""
    wrong, store = stormed(client, network, behind)
    attempts = [attempt for outcome in wrong.outcomes for attempt in outcome.attempts]
    unheard = [one for one in attempts if one.is_open and one.request.event_time in store.arrived]
    assert wrong.counts.counted == wrong.counts.acknowledged + len(unheard)
    twice = [
        outcome
        for outcome in wrong.outcomes
        if sum(one in unheard for one in outcome.attempts) + outcome.acknowledged > 1
    ]
    assert (wrong.counts.twice, wrong.counts.lost) == (len(twice), 0)
    assert judge(wrong) == []


@given(NETWORK, BEHIND)
def test_all_clients_that_meet_no_lost_answer_are_equally_right(network: Faults, behind: Faults) -> None:
    """Only a write that nobody heard of tells them apart."""
    counts = [stormed(client, network, behind) for client in ("same request", "new request")]
    if all(not one.is_open for outcome in counts[1][0].outcomes for one in outcome.attempts):
        assert counts[0][0].counts[1:] == counts[1][0].counts[1:]


# Side by side


def lossy() -> Chances:
    return Chances(7, lose_request=0.1, lose_reply=0.2)


def test_the_price_of_a_new_request_is_shown_side_by_side() -> None:
    """The same wishes and the same network: the right client counts 100, the wrong ones more."""
    right, new, half = (one.counts for one in side_by_side(network=lossy))
    assert (right.client, right.counted, right.twice, right.lost) == ("same request", 100, 0, 0)
    assert right.attempted > 100
    for wrong in (new, half):
        assert wrong.counted > 110 and wrong.twice > 10 and wrong.lost == 0


def test_G10_the_same_seed_is_the_same_storm() -> None:
    """To the last attempt and pause; another seed is another one."""
    first, second, other = (storm(network=lossy, seed=seed) for seed in (7, 7, 8))
    assert (repr(first.outcomes), repr(first.log)) == (repr(second.outcomes), repr(second.log))
    assert repr(first.outcomes) != repr(other.outcomes)


def bakery(store: EventStore, clock: Clock) -> Any:
    service = AggregateService(store, Frosting, handle, clock)
    return lambda number, request: service.send(f"guest {number}", "frosting:1", AddColor("red"), request)


def downloads(store: EventStore, clock: Clock) -> Any:
    service = DownloadService(store, clock)

    def send(number: int, request: Request) -> Any:
        return service.request_download(f"guest {number}", "phone", "glow", request)

    return send


@pytest.mark.parametrize("service", [bakery, downloads, tallies])
@pytest.mark.parametrize("url", ["memory:", "sqlite:"])
def test_any_service_on_any_store_can_be_stormed(service: Any, url: str) -> None:
    """Also by processes that die: they are started again, and the wishes go on."""
    store = open_store(url)
    behind = lambda: Chances(8, lose_reply=0.1, crash=0.1, hold=0.1, duplicate=0.1)  # noqa: E731
    retry = Retry(attempts=30, deadline=timedelta(hours=1))
    counts = storm(service, wishes=40, network=lossy, behind=behind, retry=retry, store=store).counts
    assert (counts.counted, counts.twice, counts.acknowledged, counts.lost) == (40, 0, 40, 0)
    assert counts.attempted > 60 and counts.written > 40
    store.close()


def test_a_storm_meets_every_fault() -> None:
    """Or it would prove nothing about those that it never met."""
    chances = {"refuse": 0.1, "lose_request": 0.1, "lose_reply": 0.1, "hold": 0.1, "duplicate": 0.1, "delay": 0.1}
    by = timedelta(seconds=3)
    met = storm(network=lambda: Chances(1, by=by, **chances), behind=lambda: Chances(2, crash=0.1, by=by, **chances))
    assert {type(crossing.fault) for crossing in met.log} == {type(fault) for fault in DEATHS}
    assert judge(met) == [] and (met.counts.twice, met.counts.lost) == (0, 0)


@pytest.mark.parametrize(("where", "call"), [("network", "send"), ("behind", "append")])
def test_in_the_end_everything_arrives(where: str, call: str) -> None:
    """Also what nobody sent anything after: the wish is unknown to its client, and counts."""
    plan: dict[str, Any] = {where: lambda: Script(**{call: [Hold(behind=99)]})}
    counts = storm(wishes=1, retry=Retry(attempts=1), **plan).counts
    assert (counts.unknown, counts.acknowledged, counts.counted) == (1, 0, 1)


def test_faults_need_no_extra() -> None:
    """Neither what the simulator needs nor what a DRM server does."""
    extras = "{'greenlet', 'cassandra', 'jwt', 'cryptography', 'pandas'}"
    code = f"import eslab.faults, sys; sys.exit(bool({extras} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_counts_make_a_data_frame() -> None:
    """One line for each client."""
    import pandas

    frame = pandas.DataFrame([one.counts for one in side_by_side(wishes=3)])
    assert frame["client"].tolist() == ["same request", "new request", "new time, same random part"]
    assert frame[["attempted", "written", "counted"]].values.tolist() == [[3, 3, 3]] * 3
