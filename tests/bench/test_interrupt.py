"""Ctrl-C in a benchmark leaves nothing behind: no file, no traceback, no half-written figures."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

ENDLESS = "bench hydrate --store sqlite --events 1000000 --peer eventsourcing"
PATIENCE = 120  # seconds, for a machine that does much else


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupt_while_events_are_stored_leaves_nothing(tmp_path: Path) -> None:
    """The folder with the store is there when it comes, and gone afterwards."""
    figures = tmp_path / "figures.json"
    folder = tmp_path / "temporary"
    folder.mkdir()
    command = [sys.executable, "-m", "eslab", *ENDLESS.split(), "--json", str(figures)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
        end = monotonic() + PATIENCE
        while not [*folder.glob("*/eslab.db-wal")] and monotonic() < end:
            sleep(0.05)
        assert bench.poll() is None
        bench.send_signal(signal.SIGINT)
        _, said = bench.communicate(timeout=PATIENCE)
    assert bench.returncode != 0
    assert [*folder.iterdir()] == []
    assert not figures.exists()
    assert "Traceback" not in said
