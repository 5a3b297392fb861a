"""When to send again: pauses that grow, a budget that all wishes of a process share, and two ways to stop waiting."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from threading import Lock, Thread
from typing import Any, TypeVar

from eslab.errors import InvalidInput
from eslab.faults.waiting import WaitingClock

Answer = TypeVar("Answer")
Within = Callable[[Callable[[], Any], timedelta], Any]  # calls a function; raises TimeoutError if that takes longer


@dataclass(frozen=True)
class Retry:
    """How often, and for how long, one wish is sent.

    The pause before attempt n + 1 is drawn from 0 to `pause * 2**(n - 1)`, at most `longest_pause`: exponential backoff
    with full jitter, after Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). Without jitter
    the clients that failed together come back together.
    """

    attempts: int = 5  # at most, the first one included
    timeout: timedelta = timedelta(seconds=1)  # for one answer
    deadline: timedelta = timedelta(seconds=30)  # for all attempts; none is begun after it
    pause: timedelta = timedelta(milliseconds=100)
    longest_pause: timedelta = timedelta(seconds=5)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidInput(f"Expected at least 1 attempt, got {self.attempts}.")
        for name in ("timeout", "deadline", "pause", "longest_pause"):
            if getattr(self, name) < timedelta():
                raise InvalidInput(f"Expected a {name} of 0 or more, got {getattr(self, name)}.")

    def pause_after(self, attempt: int, random: Random) -> timedelta:
        """The pause after the attempt of this number, which failed."""
        most = min(self.longest_pause, self.pause * 2 ** min(attempt - 1, 32))
        return most * random.random()


class Budget:
    """Tokens that all wishes of a process share, so that retries end when nearly everything fails.

    The rule is gRPC's (proposal A6, "Throttling Retry Attempts and Hedged RPCs"): each failed attempt takes one token,
    each answer gives back `ratio` of one, and there is no retry while half of the tokens or fewer are left. A first
    attempt is always made. Safe to share between threads.
    """

    def __init__(self, tokens: float = 10, ratio: float = 0.1) -> None:
        if tokens <= 0 or ratio < 0:
            raise InvalidInput(f"Expected tokens above 0 and a ratio of 0 or more, got {tokens} and {ratio}.")
        self.most, self.ratio = tokens, ratio
        self.tokens = tokens
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"Budget({self.tokens:.4g} of {self.most:g} tokens)"

    def answered(self) -> None:
        """Count an answer."""
        self._change(self.ratio)

    def failed(self) -> bool:
        """Count a failed attempt; may it be made again?"""
        return self._change(-1) > self.most / 2

    def _change(self, by: float) -> float:
        with self._lock:
            self.tokens = min(self.most, max(0, self.tokens + by))
            return self.tokens


def measured(clock: WaitingClock) -> Within:
    """Call, and take an answer that came too late for none: for a virtual clock, which moves only within the call."""

    def within(call: Callable[[], Answer], timeout: timedelta) -> Answer:
        began = clock()
        answer = call()
        if clock() - began > timeout:
            raise TimeoutError
        return answer

    return within


def in_a_thread(call: Callable[[], Answer], timeout: timedelta) -> Answer:
    """Call in a thread, and stop waiting in time: for real time. What was called goes on, and may still write."""
    came: list[Answer] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            came.append(call())
        except BaseException as error:
            raised.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout.total_seconds())
    if raised:
        raise raised[0]
    if not came:
        raise TimeoutError
    return came[0]
