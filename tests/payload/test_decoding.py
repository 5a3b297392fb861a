"""Decoders are built under one lock, so that threads may first use a type at the same moment."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal

import msgspec
import pytest

from eslab.payload.decoding import building, built, decoder
from tests.support.sample import ROOT


class Shape(msgspec.Struct):
    """A type that no other test uses."""

    sides: int = 3


def first_uses(rounds: int) -> subprocess.CompletedProcess[str]:
    """Let four threads first use the same new types, in a process of their own, since a fault would end this one."""
    command = [sys.executable, "-m", "tests.support.first_use", str(rounds)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_G4_threads_may_first_use_a_type_at_the_same_moment() -> None:
    """Without the lock msgspec crashes the process in one of the first rounds."""
    done = first_uses(40)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.full
def test_G4_threads_may_first_use_many_types_at_the_same_moment() -> None:
    """The same, a thousand times."""
    done = first_uses(1000)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_type_has_one_decoder() -> None:
    """Whoever asks for it; `built` returns the type itself."""
    with ThreadPoolExecutor(4) as pool:
        assert [each.decode(b"\x80") for each in pool.map(decoder, [Shape] * 8)] == [Shape()] * 8
    assert decoder(Shape) is decoder(Shape)
    assert msgspec.convert({"sides": 4}, built(Shape)) == Shape(4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_never_waits_for_a_thread_that_it_lacks() -> None:
    """A fork waits until no other thread is building a type, so that the lock is free in the child."""
    held, release = Signal(), Signal()

    def hold() -> None:
        with building:
            held.set()
            release.wait(0.05)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        held.wait()
        child = os.fork()
        if not child:
            os._exit(0 if building.acquire(timeout=2) else 1)
        release.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_G4_two_threads_never_build_at_the_same_moment() -> None:
    """A second thread waits, even for another type."""
    with ThreadPoolExecutor(1) as pool:
        with building:
            waiting = pool.submit(decoder, list[Shape])
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.05)
        assert waiting.result(timeout=10).decode(b"\x90") == []
