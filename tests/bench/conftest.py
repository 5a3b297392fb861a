"""Benchmarks tested here write to memory where the machine has such a disk: no speed is asserted, and fsync is slow."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from eslab.bench import loads

MEMORY = Path("/dev/shm")  # Linux
ENOUGH = 1 << 30  # bytes; a container may have only 64 MB there


@pytest.fixture(autouse=True)
def tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory, for named files and for the benchmarks' own; the usual one where that is too small."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ENOUGH:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="eslab-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(autouse=True)
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short call is timed a few times in each run, not hundreds of times: what is right is right in each."""
    monkeypatch.setattr(loads, "CALLS_IN_A_RUN", 3)
