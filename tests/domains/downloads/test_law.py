"""The law: the next hydration shows what the service returned, however late and in whatever order requests arrive.

Random commands, with requests of random times, arrive in a random order at the real service on the memory store.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from eslab import EventStore, ManualClock, Rejected, Repository, Request, SnapshotPolicy, open_store
from eslab.domains.downloads.devices import ALL, Devices
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.license import License, license_key
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.plans import Plan
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import StudioRules
from eslab.operations.snapshots import build_snapshot
from eslab.payload.encoding import encode
from tests.domains.downloads.support import service, stored
from tests.support.sample import START

DEVICES, TITLES = ["phone", "tablet"], ["glow", "dark", "mad-max"]
OFTEN = ["request_download"] * 4 + ["start_playback", "renew", "expire"] * 3 + ["release", "revoke"]
KINDS = (Downloaded, License, Devices)
NAMED = ["start_playback", "renew", "release", "revoke", "expire"]
TERMS = StudioRules(
    downloads_per_title_per_year=5,
    licence_days=1,
    hours_after_first_play=3,
    renewals_per_licence=2,
    devices_per_title=1,
)
PLAN = Plan(devices=2, downloads_per_device=2, downloads=3)

# An arrival: the minutes that pass, the age of the request by then, the command, its device, its title, and the licence
# that it names, of those granted there.
ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 1400),
        st.sampled_from(["request_download", "request_download", *NAMED]),
        st.sampled_from(DEVICES),
        st.sampled_from(TITLES),
        st.integers(0, 2),
    ),
    max_size=25,
)


def play(
    store: EventStore, arrivals: list[Any], start: datetime = START
) -> tuple[DownloadService, list[tuple[Request, Any, Any]]]:
    """Let the commands arrive; every answer is compared with what a fresh reader sees."""
    clock = ManualClock(start)
    desk = service(store, clock, TERMS, PLAN)
    answers, granted = [], {}
    for number, (passed, age, name, device, title, which) in enumerate(arrivals):
        request = Request.at(
            clock.advance(passed * timedelta(minutes=1)) - timedelta(minutes=age), f"request {start} {number}"
        )
        known = granted.setdefault((device, title), [])
        licence = [known[which % len(known)] if known else Request.at(START, "unknown").id] if name in NAMED else []
        call = (name, ("ann", device, title, *licence, request))
        before = stored(store)
        answer = getattr(desk, name)(*call[1], **({"country": "DE"} if name in ("request_download", "renew") else {}))
        if isinstance(answer, Rejected):
            assert stored(store) == before
        else:
            shown(store, clock, answer)
            if name == "request_download":
                known.append(request.id)
        answers.append((request, call, answer))
    return desk, answers


def shown(store: EventStore, clock: ManualClock, answer: Granted) -> None:
    """The next hydration shows what the service returned."""
    licence = Repository(store, clock).load("ann", License, license_key(answer.device, answer.title))
    assert licence.status(answer.license_id, clock()) == answer.status
    assert licence.end(answer.license_id) == answer.ends


@given(ARRIVALS)
def test_G4_what_the_service_returned_is_what_the_next_hydration_shows(arrivals: list[Any]) -> None:
    """For every command, late ones included; a rejection changes nothing."""
    play(open_store("memory:"), arrivals)


@given(ARRIVALS)
def test_G3_every_command_repeated_later_writes_nothing_and_names_the_same_licence(arrivals: list[Any]) -> None:
    """The repeats come in the same order, after all is done."""
    store = open_store("memory:")
    desk, answers = play(store, arrivals)
    before = stored(store)
    recorded = {Request.from_event_time(commit.event_time) for commit in before}
    for request, (name, arguments), answer in answers:
        if request in recorded:
            more = {"country": "DE"} if name in ("request_download", "renew") else {}
            again = getattr(desk, name)(*arguments, **more)
            assert (again.license_id, again.repeated) == (answer.license_id, True)
    assert stored(store) == before


@given(ARRIVALS, st.randoms(use_true_random=False))
def test_G4_the_same_rows_in_any_order_are_the_same_state(arrivals: list[Any], random: Any) -> None:
    """Another region gets the rows in another order, some of them twice."""
    here, there = open_store("memory:"), open_store("memory:")
    desk, _ = play(here, arrivals)
    rows = stored(here)
    for row in random.sample(rows, len(rows)) + rows[:3]:
        there.append("ann", [row])
    for aggregate_type in KINDS:
        mine = desk.repository.load_all("ann", aggregate_type)
        assert encode(mine) == encode(Repository(there, desk.repository.clock).load_all("ann", aggregate_type))


@given(ARRIVALS)
def test_G5_snapshot_plus_tail_equals_full_replay(arrivals: list[Any]) -> None:
    """For every aggregate, half-way through and a day later."""
    store, half = open_store("memory:"), len(arrivals) // 2
    desk, _ = play(store, arrivals[:half])
    clock = ManualClock(desk.repository.clock() + timedelta(hours=27))
    for aggregate_type in KINDS:
        for key in desk.repository.load_all("ann", aggregate_type):
            build_snapshot(Repository(store, clock), "ann", aggregate_type, key, SnapshotPolicy(every=1))
    rest, _ = play(store, [(*arrival[:1], 0, *arrival[2:]) for arrival in arrivals[half:]], clock.now)
    bare = open_store("memory:")
    bare.append("ann", stored(store))
    for aggregate_type in KINDS:
        mine = rest.repository.load_all("ann", aggregate_type)
        assert encode(mine) == encode(Repository(bare, clock).load_all("ann", aggregate_type))


@given(ARRIVALS)
def test_limits_hold_where_decisions_do_not_overlap(arrivals: list[Any]) -> None:
    """At one desk, one command after the other, however late: no grant ever exceeds a limit."""
    desk, _ = play(open_store("memory:"), arrivals)
    devices = desk.repository.load("ann", Devices, ALL)
    assert len({(hold.device, hold.title) for hold in devices.held}) <= 3
    assert desk.reconcile("ann").overshoots == []
    assert desk.reconcile("ann").commits == 0


def year(number: int) -> list[Any]:
    """Ann's evenings, of which some come late."""
    random = Random(7)
    return [
        (random.randint(0, 400), random.choice([0, 0, 900]), random.choice(OFTEN),
         random.choice(DEVICES), random.choice(TITLES), random.randint(0, 2))
        for _ in range(number)
    ]  # fmt: skip


def test_the_arrivals_meet_every_answer() -> None:
    """So that the laws above are about something."""
    _, answers = play(open_store("memory:"), year(400))
    rejected = {answer.rule for _, _, answer in answers if isinstance(answer, Rejected)}
    states = {answer.status.state for _, _, answer in answers if isinstance(answer, Granted)}
    assert states == {"active", "released", "revoked", "expired"}
    assert {"licence", "given back", "ended", "not yet ended", "downloads per title per year"} <= rejected
    assert {"devices per title", "renewals per licence"} <= rejected


def test_G4_every_store_ends_in_the_same_state(store: EventStore) -> None:
    """The same commands, on every store."""
    here, _ = play(store, year(80))
    there, _ = play(open_store("memory:"), year(80))
    for aggregate_type in KINDS:
        assert encode(here.repository.load_all("ann", aggregate_type)) == encode(
            there.repository.load_all("ann", aggregate_type)
        )
    assert stored(store) == stored(there.repository.store)
