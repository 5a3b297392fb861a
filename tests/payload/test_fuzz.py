"""Bytes that a fuzzer makes up give a value or an `Unreadable`, in bounded time (G8)."""

import subprocess
import sys

import pytest

pytest.importorskip("atheris", reason="has no wheel for this machine")


@pytest.mark.full
def test_G8_a_fuzzer_finds_no_bytes_that_break_reading() -> None:
    """Half a minute from the golden bytes on; the command for longer ones is in tests/support/fuzz.py."""
    command = [sys.executable, "-m", "tests.support.fuzz", "-max_total_time=30", "-seed=7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done " in done.stderr
