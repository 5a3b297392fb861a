"""Folders and processes for the tests of clusters; `node` and `regions` come from tests/support/clusters.py."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from eslab.cluster.jars import fetch_jars

Process = subprocess.Popen[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A data folder of its own, so that names are free; the jars stay where they are."""
    if "background" in request.fixturenames:
        request.getfixturevalue("background").wait()  # what starts there belongs into the usual folder
    monkeypatch.setenv("ESLAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "clusters"


@pytest.fixture(scope="session")
def warm() -> Path:
    """A folder that has all jars."""
    return fetch_jars()[0].parent


@pytest.fixture
def python() -> Iterator[Callable[[str], Process]]:
    """Runs code in another Python process, which is killed when the test ends."""
    processes: list[Process] = []

    def run(code: str) -> Process:
        processes.append(
            subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
        )
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def eventually(happened: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait for it; returns whether it happened within this time."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def processes_in(folder: Path) -> list[psutil.Process]:
    """All processes with this folder in their command line: supervisors and nodes, not this test."""
    running = psutil.process_iter(["cmdline", "status"])
    return [
        process
        for process in running
        if process.pid != os.getpid() and process.info["status"] != psutil.STATUS_ZOMBIE and _names(process, folder)
    ]


def _names(process: psutil.Process, folder: Path) -> bool:
    return any(str(folder) in part for part in process.info["cmdline"] or ())
