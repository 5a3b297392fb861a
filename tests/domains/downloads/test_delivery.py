"""Delivery: a licence whose token never went out is found, and then finished or taken back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab import EventStore, ManualClock, Repository, Request, StoreUnavailable, open_store, system_clock
from eslab.cli import app
from eslab.domains.downloads.delivery import find_undelivered
from eslab.domains.downloads.devices import ALL, Devices
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.drm import Claims, DrmUnavailable, LocalSigner
from eslab.domains.downloads.keys import lab_key, load_keys, make_key_file
from eslab.domains.downloads.license import License
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.read_tables import downloads_of
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import StudioRules
from eslab.faults import Crash, Crashed, FaultyDrm, Script
from tests.domains.downloads.support import service, stored
from tests.domains.downloads.test_crash import FIRST as REQUEST
from tests.domains.downloads.test_crash import STEPS, ask, dying
from tests.support.sample import DAY, HOUR, MINUTE, START, Faulty

SIGNER = LocalSigner([lab_key(7)])


def names(store: EventStore, before: Any = None) -> list[tuple[Any, Any]]:
    found = find_undelivered(Repository(store, ManualClock(START + HOUR)), "ann", before)
    return [(grant.name, grant.license_id) for grant in found]


@pytest.mark.parametrize("step", STEPS)
def test_a_licence_of_a_service_that_died_before_it_answered_is_found(step: str) -> None:
    """From the append on, whichever step was the last; until the request is repeated."""
    store = open_store("memory:")
    with pytest.raises(Crashed):
        ask(dying(store, step))
    recorded = STEPS.index(step) >= STEPS.index("after append")
    assert names(store) == ([(REQUEST.id, REQUEST.id)] if recorded else [])
    ask(dying(store, "never"))
    assert names(store) == []


class Off:
    """A DRM server that never answers."""

    def sign(self, claims: Claims) -> str:
        raise DrmUnavailable("the DRM server could not be reached", claims.license_id)


class Desk:
    """A service whose DRM server is off, and what it granted: Glow on the phone."""

    def __init__(self, store: EventStore | None = None) -> None:
        self.store, self.clock = store or open_store("memory:"), ManualClock(START)
        self.service: DownloadService = service(self.store, self.clock, StudioRules(1, licence_days=10), drm=Off())
        self.granted = self.service.request_download("ann", "phone", "glow", REQUEST)

    def repair(self) -> None:
        self.service.drm = SIGNER

    def undelivered(self) -> list[Any]:
        return find_undelivered(self.service.repository, "ann")


def test_it_is_finished_without_its_request() -> None:
    """The token is for the same licence; then it is delivered, and nothing more is written."""
    desk = Desk()
    (grant,) = desk.undelivered()
    assert str(grant) == (f"ann: glow on phone, licence {REQUEST.id}, granted 2026-01-05 09:00 UTC by {REQUEST.id}")
    desk.repair()
    answer = desk.service.deliver("ann", grant.device, grant.title, grant.license_id)
    assert SIGNER.verify(answer.token, desk.clock()).license_id == REQUEST.id
    assert desk.undelivered() == []
    before = stored(desk.store)
    assert desk.service.deliver("ann", "phone", "glow", REQUEST.id).token
    assert stored(desk.store) == before


def test_it_is_taken_back_and_counts_no_more() -> None:
    """The studio allows one download a year; the place on the device and in the year are free again."""
    desk = Desk()
    (grant,) = desk.undelivered()
    assert desk.service.take_back("ann", grant)
    assert not desk.service.take_back("ann", grant)
    repository = desk.service.repository
    assert repository.load("ann", Devices, ALL).held == []
    assert repository.load("ann", Downloaded, "glow").counted == {}
    assert downloads_of(repository, "Netflix", "2026-01") == {"glow": 0}
    assert desk.undelivered() == []
    desk.repair()
    repeated = desk.service.request_download("ann", "phone", "glow", REQUEST)
    assert isinstance(repeated, Granted) and repeated.unsigned == "the licence is revoked since 2026-01-05 09:00 UTC"
    desk.clock.advance(MINUTE)
    assert desk.service.request_download("ann", "phone", "glow", Request.at(desk.clock(), "again")).token


def test_a_renewal_that_was_never_delivered_is_found_and_taken_back_alone() -> None:
    """The licence and its token stay as they were."""
    desk = Desk()
    desk.repair()
    desk.service.request_download("ann", "phone", "glow", REQUEST)
    desk.service.drm = Off()
    desk.clock.advance(DAY)
    renewal = Request.at(desk.clock(), "renew")
    desk.service.renew("ann", "phone", "glow", REQUEST.id, renewal)
    (grant,) = desk.undelivered()
    assert (grant.name, grant.license_id, grant.renewal) == (renewal.id, REQUEST.id, True)
    desk.service.take_back("ann", grant)
    licence = desk.service.repository.load("ann", License, "phone/glow")
    assert (licence.end(REQUEST.id), licence.revoked, desk.undelivered()) == (START + 10 * DAY, {}, [])


@pytest.mark.parametrize("end", ["release", "revoke"])
def test_what_is_over_needs_no_token(end: str) -> None:
    """Given back or ended by time, it is not listed."""
    desk = Desk()
    getattr(desk.service, end)("ann", "phone", "glow", REQUEST.id, Request.at(START, end))
    assert desk.undelivered() == []
    late = Desk()
    late.clock.advance(10 * DAY)
    assert late.undelivered() == []


def test_a_request_that_is_being_answered_is_not_listed() -> None:
    """By the moment before which it must have been made."""
    desk = Desk()
    assert names(desk.store, START) == []
    assert names(desk.store, START + MINUTE) == [(REQUEST.id, REQUEST.id)]


def test_a_delivery_that_cannot_be_recorded_costs_no_token(caplog: pytest.LogCaptureFixture) -> None:
    """It is signed by then; the licence is listed until a token goes out again."""
    desk = Desk()
    faulty: Any = Faulty(desk.store)
    broken = service(faulty, desk.clock, StudioRules(1), drm=SIGNER)

    def refuse() -> None:
        raise StoreUnavailable("nobody answers")

    faulty.before = refuse
    answer = broken.request_download("ann", "phone", "glow", REQUEST)
    assert isinstance(answer, Granted) and answer.token
    assert f"The delivery of licence {REQUEST.id} is not recorded: nobody answers" in caplog.text
    assert [grant.name for grant in desk.undelivered()] == [REQUEST.id]


def test_a_delivery_is_recorded_once_for_each_grant_and_renewal() -> None:
    """However often it is signed."""
    desk = Desk()
    desk.repair()
    for _ in range(3):
        desk.service.request_download("ann", "phone", "glow", REQUEST)
        desk.clock.advance(MINUTE)
    assert len(stored(desk.store)) == 4
    for number in range(3):
        desk.service.start_playback("ann", "phone", "glow", REQUEST.id, Request.at(desk.clock(), f"play {number}"))
        desk.clock.advance(MINUTE)
    assert len(stored(desk.store)) == 5  # the first play
    desk.service.renew("ann", "phone", "glow", REQUEST.id, Request.at(desk.clock(), "renew"))
    assert len(stored(desk.store)) == 8  # licence, devices, and the delivery


# The commands of `eslab downloads`


def eslab(*args: str) -> Any:
    return CliRunner().invoke(app, ["downloads", *args])


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store in which two customers have a licence each whose token never went out."""
    store = open_store(f"sqlite:///{tmp_path}/lab.db")
    clock = ManualClock(system_clock() - timedelta(hours=1))
    for name in ("ann", "bob"):
        dies = FaultyDrm(SIGNER, Script(sign=[Crash("before")]), clock)
        with pytest.raises(Crashed):
            service(store, clock, drm=dies).request_download(name, "phone", "glow", Request.at(clock(), name))
    store.close()
    return f"sqlite:///{tmp_path}/lab.db"


def licences(url: str) -> dict[str, str]:
    """The licence of each customer, as the command lists them."""
    lines = eslab("undelivered", "--store", url).stdout.splitlines()
    return {line.partition(":")[0]: line.partition("licence ")[2].partition(",")[0] for line in lines}


def test_support_lists_and_finishes_them(url: str, tmp_path: Path) -> None:
    """The token verifies with the key, and the licence is no longer listed."""
    listed = eslab("undelivered", "--store", url)
    assert listed.exit_code == 0 and "2 undelivered. Sign one with `eslab downloads deliver`" in listed.stderr
    known = licences(url)
    keys = tmp_path / "keys.pem"
    make_key_file(keys)
    ann = ("--store", url, "--customer", "ann", "--licence", known["ann"])
    done = eslab("deliver", *ann, "--keys", str(keys))
    assert done.exit_code == 0, done.output
    assert LocalSigner(load_keys(keys)).verify(done.stdout.strip(), system_clock()).customer == "ann"
    assert list(licences(url)) == ["bob"]
    again = eslab("deliver", *ann, "--keys", str(keys))
    assert again.exit_code == 1
    assert again.stderr == (
        f"Expected an undelivered licence of customer 'ann', got {known['ann']}. "
        "List them with `eslab downloads undelivered`.\n"
    )


def test_support_takes_them_back(url: str) -> None:
    """And sees of which customer."""
    done = eslab("take-back", "--store", url, "--customer", "bob", "--licence", licences(url)["bob"])
    assert done.stdout.startswith("Taken back: bob: glow on phone, licence ")
    assert list(licences(url)) == ["ann"]
    one = eslab("undelivered", "--store", url, "--customer", "bob")
    assert (one.stdout, one.stderr) == ("", "No undelivered licences.\n")


def test_requests_on_their_way_are_left_out_by_age(url: str) -> None:
    """Ten minutes by default."""
    assert eslab("undelivered", "--store", url, "--minutes", "120").stdout == ""


def test_a_customer_that_cannot_be_read_stops_nobody_else(url: str) -> None:
    """It is named, the others are listed, and the exit code says that the list is incomplete."""
    store = open_store(url)
    (row,) = [commit for commit in stored(store, "ann") if commit.aggregate_id.startswith("license:")]
    store.append("ann", [row._replace(payload=b"\xff" + row.payload[1:])])
    store.close()
    listed = eslab("undelivered", "--store", url)
    assert listed.exit_code == 1
    assert [line.partition(":")[0] for line in listed.stdout.splitlines()] == ["bob"]
    assert "Left out customer 'ann': Unreadable commit" in listed.stderr
    assert "Incomplete: 1 customer can't be read" in listed.stderr
