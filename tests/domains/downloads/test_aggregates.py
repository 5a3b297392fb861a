"""The aggregates: any order of the same commits folds to the same state, and what ends a licence, when."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import Event, ManualClock, Repository, open_store
from eslab.domains.downloads.devices import Devices, DownloadHeld, HoldEnded, HoldExpired, HoldRenewed
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded, DownloadVoided
from eslab.domains.downloads.license import (
    License,
    LicenseDelivered,
    LicenseExpired,
    LicenseIssued,
    LicenseReleased,
    LicenseRenewed,
    LicenseRevoked,
    PlaybackStarted,
    RenewalVoided,
    Status,
)
from eslab.payload.encoding import encode
from tests.domains.downloads.support import at, folded, id_at, time_at
from tests.support.sample import START, commits

DAYS = st.integers(0, 400)
NAMES = st.integers(0, 3).map(id_at)  # few, so that events meet
TIMES = DAYS.map(time_at)
ENDS = st.none() | TIMES
HOURS = st.none() | st.integers(1, 100)


def issue(day: int, ends: int | None, hours: int | None) -> LicenseIssued:
    """The terms of a grant follow from its request, so a name never has two terms in one log."""
    return LicenseIssued(id_at(day), time_at(day), None if ends is None else time_at(ends), hours)


def renewal(day: int, of: int) -> LicenseRenewed:
    return LicenseRenewed(id_at(of), id_at(day, "renewal"), time_at(day), time_at(day + 30), 48, 1)


PERIODS = st.integers(0, 3).map(id_at) | st.integers(0, 3).map(lambda day: id_at(day, "renewal"))
EVENTS = {
    Downloaded: st.one_of(
        st.integers(0, 3).map(lambda day: DownloadCounted(id_at(day), "phone", time_at(day), 1)),
        st.builds(DownloadVoided, NAMES),
    ),
    License: st.one_of(
        st.integers(0, 3).map(lambda day: issue(day, 10 * day, day)),
        st.integers(0, 3).map(lambda day: renewal(day, 3 - day)),
        st.builds(PlaybackStarted, NAMES, PERIODS, TIMES),
        st.builds(LicenseDelivered, NAMES, PERIODS, TIMES),
        st.builds(LicenseExpired, NAMES, PERIODS, TIMES),
        st.builds(LicenseReleased, NAMES, TIMES),
        st.builds(LicenseRevoked, NAMES, TIMES, st.just("left the plan")),
        st.builds(RenewalVoided, NAMES, PERIODS),
    ),
    Devices: st.one_of(
        st.integers(0, 3).map(lambda day: DownloadHeld(id_at(day), "phone", "glow", time_at(day), "standard", 1, 1)),
        st.integers(0, 3).map(
            lambda day: HoldRenewed(id_at(3 - day), id_at(day, "renewal"), time_at(day), "standard", 1, 1)
        ),
        st.builds(HoldExpired, NAMES, PERIODS),
        st.builds(HoldEnded, NAMES),
    ),
}


@pytest.mark.parametrize("aggregate_type", EVENTS, ids=lambda aggregate_type: aggregate_type.__name__)
@given(data=st.data())
def test_G4_any_order_of_the_same_events_folds_to_the_same_state(aggregate_type: type, data: st.DataObject) -> None:
    """Also where names are met before what they name, and where an event is met twice; to the last byte."""
    events = data.draw(st.lists(EVENTS[aggregate_type], max_size=12))
    other = data.draw(st.permutations([*events, *events[:2]]))
    assert encode(folded(aggregate_type, other)) == encode(folded(aggregate_type, events))


L, R = id_at(0), id_at(20, "renewal")
ISSUED, RENEWED = issue(0, 30, 48), renewal(20, 0)


@pytest.mark.parametrize(
    ("events", "ends"),
    [
        ([ISSUED], 30),
        ([issue(0, None, None)], None),
        ([issue(0, None, 48), PlaybackStarted(L, L, time_at(3))], 5),
        ([ISSUED, PlaybackStarted(L, L, time_at(3))], 5),
        ([ISSUED, PlaybackStarted(L, L, time_at(29))], 30),
        ([ISSUED, PlaybackStarted(L, L, time_at(9)), PlaybackStarted(L, L, time_at(3))], 5),
        ([ISSUED, RENEWED], 50),
        ([ISSUED, PlaybackStarted(L, L, time_at(3)), RENEWED], 50),
        ([ISSUED, RENEWED, PlaybackStarted(L, R, time_at(21))], 30),
        ([ISSUED, PlaybackStarted(L, L, time_at(3)), RENEWED, PlaybackStarted(L, R, time_at(22))], 24),
        ([ISSUED, LicenseExpired(L, L, time_at(30)), RENEWED], 50),
        ([ISSUED, RENEWED, LicenseExpired(L, R, time_at(50))], 50),
        ([ISSUED, RENEWED, RenewalVoided(L, R)], 30),
    ],
)
def test_a_licence_ends_with_the_latest_of_its_periods(events: list[Event], ends: int | None) -> None:
    """A period ends at its expiry or some hours after its first play; an expiry never outweighs another period."""
    assert folded(License, events).end(L) == (None if ends is None else time_at(ends))


REVOKED, RELEASED = LicenseRevoked(L, time_at(9), "left the plan"), LicenseReleased(L, time_at(8))


@pytest.mark.parametrize(
    ("events", "day", "status"),
    [
        ([ISSUED], 29, Status("active")),
        ([ISSUED], 30, Status("expired", time_at(30))),
        ([ISSUED, RELEASED], 10, Status("released", time_at(8))),
        ([ISSUED, RELEASED], 40, Status("released", time_at(8))),
        ([RELEASED, ISSUED], 5, Status("released", time_at(8))),
        ([ISSUED, RELEASED, REVOKED], 10, Status("revoked", time_at(9))),
        ([RENEWED, PlaybackStarted(L, R, time_at(21))], 22, Status("not known here yet")),
        ([REVOKED], 10, Status("revoked", time_at(9))),
        ([REVOKED, ISSUED, RENEWED], 10, Status("revoked", time_at(9))),
    ],
)
def test_revoked_wins_then_released_then_time(events: list[Event], day: int, status: Status) -> None:
    """Regardless of other events, and of the order in which they arrive."""
    licence = folded(License, events)
    assert licence.status(L, time_at(day)) == status


def test_a_status_says_since_when() -> None:
    """In one line."""
    assert str(Status("revoked", datetime(2026, 1, 5, 9, 0))) == "revoked since 2026-01-05 09:00 UTC"
    assert str(Status("active")) == "active"


class FirstLicenseIssued(Event, tag="LicenseIssued:1"):
    """As the first release wrote it."""

    license_id: UUID
    time: datetime


class FirstDownloadCounted(Event, tag="DownloadCounted:1"):
    """As the first release wrote it."""

    request_id: UUID
    device: str
    time: datetime


def test_G9_the_first_events_load_with_defaults() -> None:
    """A licence from before there were terms never ends; versions that were not kept are 0."""
    store = open_store("memory:")
    counted, issued = FirstDownloadCounted(L, "phone", time_at(0)), FirstLicenseIssued(L, time_at(0))
    store.append("ann", commits(at(0), {"downloaded:glow": [counted], "license:phone/glow": [issued]}))
    repository = Repository(store, ManualClock(START))
    licence = repository.load("ann", License, "phone/glow")
    assert licence.end(L) is None and licence.status(L, time_at(3000)).state == "active"
    assert repository.load("ann", Downloaded, "glow").downloads[L] == DownloadCounted(L, "phone", time_at(0), 0)


def test_a_download_grows_the_states_by_no_more_than_documented() -> None:
    """The figures of docs/downloads.md, in bytes of a snapshot: held, played, delivered, and ended by time."""
    states = Devices(), Downloaded(), License()
    devices, downloaded, licence = states
    for day in range(100):
        id, time, title = id_at(day), time_at(day), "stranger-things"
        devices.apply(DownloadHeld(id, "phone", title, time, "standard", 1, 1, "Netflix"))
        devices.apply(HoldExpired(id, id))
        downloaded.apply(DownloadCounted(id, "phone", time, 1, "Netflix"))
        licence.apply(LicenseIssued(id, time, time, 48, 1, "Netflix"))
        for event in (PlaybackStarted, LicenseDelivered, LicenseExpired):
            licence.apply(event(id, id, time))
    assert [len(encode(state)) <= 100 * most for state, most in zip(states, (250, 170, 300), strict=True)] == [True] * 3


def test_what_devices_hold_is_counted_by_licence() -> None:
    """A device that asked twice holds a title under two licences, until both have ended."""
    holds: list[Any] = [DownloadHeld(id_at(d), "phone", "glow", time_at(d), "standard", 1, 1) for d in (0, 1)]
    assert len(folded(Devices, holds).held) == 2
    assert len(folded(Devices, [*holds, HoldEnded(L)]).held) == 1
    assert folded(Devices, [*holds, HoldEnded(L), HoldExpired(id_at(1), id_at(1))]).held == []
