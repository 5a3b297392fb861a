"""A process that dies between any two steps: repeating the request ends in the same one licence."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from eslab import EventStore, ManualClock, Repository, open_store
from eslab.domains.downloads.delivery import find_undelivered
from eslab.domains.downloads.devices import ALL, Devices
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.drm import LocalSigner
from eslab.domains.downloads.keys import lab_key
from eslab.domains.downloads.license import License
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.read_tables import downloads_of, licences_on, page_of
from eslab.domains.downloads.service import DownloadService
from eslab.faults import Crash, Crashed, Faulty, FaultyDrm, Script
from tests.domains.downloads.support import at, service, stored
from tests.support.sample import START

STEPS = [
    "before read",
    "after read",
    "before append",
    "after append",
    "before put_read_rows",
    "after put_read_rows",
    "before sign",
    "after sign",
]
FIRST = at(0, "Ann wants Glow")
SIGNER = LocalSigner([lab_key(7)])


def ask(desk: DownloadService) -> Granted:
    answer = desk.request_download("ann", "phone", "glow", FIRST)
    assert isinstance(answer, Granted)
    return answer


def dying(store: EventStore, step: str, **how: Any) -> DownloadService:
    """A service whose process dies at a step, or never."""
    when, _, call = step.partition(" ")
    script: Any = {call: [Crash("before" if when == "before" else "after")]} if call else {}
    of_store, of_drm = (Script(), Script(**script)) if call == "sign" else (Script(**script), Script())
    clock = ManualClock(START)
    return service(Faulty(store, of_store, clock, **how), clock, drm=FaultyDrm(SIGNER, of_drm, clock, **how))


def check_one_licence(store: EventStore, answer: Granted) -> None:
    """The same licence, issued once, counted once, held once, signed, and in every read table."""
    repository = Repository(store, ManualClock(START))
    assert answer.token and SIGNER.verify(answer.token, START).license_id == FIRST.id
    assert list(repository.load("ann", License, "phone/glow").periods) == [FIRST.id]
    assert list(repository.load("ann", Downloaded, "glow").downloads) == [FIRST.id]
    assert [hold.license_id for hold in repository.load("ann", Devices, ALL).held] == [FIRST.id]
    assert len(stored(store)) == 4  # three of the grant, and one that it was delivered
    assert find_undelivered(repository, "ann") == []
    assert [licence.license_id for licence in licences_on(repository, "ann", "phone")] == [FIRST.id]
    assert [title.downloads for title in page_of(repository, "ann")] == [1]
    assert downloads_of(repository, "Netflix", "2026-01") == {"glow": 1}


@pytest.mark.parametrize("step", STEPS)
def test_G3_dead_between_two_steps_the_repeat_ends_in_the_same_licence(step: str) -> None:
    """Before the append nothing is there, after it everything; never a half."""
    store = open_store("memory:")
    with pytest.raises(Crashed):
        ask(dying(store, step))
    assert len(stored(store)) == (3 if STEPS.index(step) >= STEPS.index("after append") else 0)
    answer = ask(dying(store, "never"))
    assert answer.repeated == (STEPS.index(step) >= STEPS.index("after append"))
    check_one_licence(store, answer)


def test_G3_dead_at_every_step_one_after_the_other() -> None:
    """An unlucky request that gets a step further each time."""
    store = open_store("memory:")
    for step in STEPS:
        with pytest.raises(Crashed):
            ask(dying(store, step))
    check_one_licence(store, ask(dying(store, "never")))


@pytest.mark.parametrize("name", ["start_playback", "renew", "release", "revoke"])
@pytest.mark.parametrize("step", STEPS[:4])
def test_G3_every_other_command_is_as_safe(name: str, step: str) -> None:
    """After the repeat the rows are those of a life without a death."""
    clean, broken = open_store("memory:"), open_store("memory:")
    for store in (clean, broken):
        ask(service(store, ManualClock(START)))
        if store is broken:
            with pytest.raises(Crashed):
                getattr(dying(store, step), name)("ann", "phone", "glow", FIRST.id, at(0, name))
        getattr(service(store, ManualClock(START)), name)("ann", "phone", "glow", FIRST.id, at(0, name))
    assert stored(broken) == stored(clean)


@pytest.mark.parametrize("step", STEPS)
def test_G2_killed_for_real(step: str, tmp_path: Path) -> None:
    """kill -9 of a process on SQLite at each step; another process repeats the request."""
    url = f"sqlite:///{tmp_path}/lab.db"
    done = subprocess.run(
        [sys.executable, "-m", "tests.domains.downloads.test_crash", url, step], timeout=60, check=False
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    with closing(open_store(url)) as store:
        check_one_licence(store, ask(dying(store, "never")))


if __name__ == "__main__":
    with closing(open_store(sys.argv[1])) as opened:
        ask(dying(opened, sys.argv[2], die=lambda: os.kill(os.getpid(), signal.SIGKILL)))
