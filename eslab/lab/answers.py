"""A reader's answer: its value, the cells it comes from, and calls that never leave the check with a traceback."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import groupby
from time import monotonic, process_time
from types import FrameType
from typing import Any

from eslab import EventStore, Rejected
from eslab.lab import cells, raised
from eslab.lab.rebuilding import NotRebuilt, needed

ELSEWHERE = 20.0  # seconds that a second process may take
PATIENCE = 4  # times the seconds that an answer may compute, until it is stopped whatever it does
AGAIN = 0.5  # seconds until an answer that goes on after its time is stopped again


class Undecided(BaseException):
    """Raised where a check can't tell whether an answer is right; the message is the reason.

    It is no `Exception`, so that neither an answer nor the search for a counter-example catches it.
    """


@dataclass(frozen=True)
class Outcome:
    """What a call of an answer came to: a value, or the error that it raised."""

    value: Any = None
    error: BaseException | None = None
    advice: str = ""  # to whoever wrote the answer, about an error that isn't a rejection

    @property
    def is_rejected(self) -> bool:
        """Did the answer raise `Rejected`?"""
        return isinstance(self.error, Rejected)

    def __str__(self) -> str:
        try:
            return in_words(self.value) if self.error is None else error_in_words(self.error)
        except Exception:
            return f"a {type(self.value if self.error is None else self.error).__name__} that can't be shown"


def in_words(value: Any) -> str:
    """A value as Python shows it; in a list, equal neighbours are counted.

    >>> in_words(["red", "red", "blue"])
    "['red' (2 times), 'blue']"
    """
    if not isinstance(value, list):
        return repr(value)
    runs = [(item, len(list(run))) for item, run in groupby(map(repr, value))]
    return f"[{', '.join(f'{item} ({count} times)' if count > 1 else item for item, count in runs)}]"


def error_in_words(error: BaseException) -> str:
    """An error as a traceback ends with it.

    >>> error_in_words(KeyError("red"))
    "KeyError: 'red'"
    """
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@dataclass(frozen=True)
class Answer:
    """A reader's answer: a function or a plain value, and how another process can make it again."""

    value: Any
    cells: Sequence[str] = ()  # the texts that were run, in order
    name: str = ""  # under which they define the answer; empty if none does
    store: EventStore | None = None  # for an exercise that is checked on a store

    @property
    def source(self) -> str:
        """The text of the cell that defines the answer; empty if nobody knows it."""
        return cells.text_of(self.name, self.cells)

    def __call__(self, *arguments: Any) -> Outcome:
        """Call the answer; its errors are outcomes, and what it prints is dropped: a check calls it hundreds of times.

        One that raises `NotImplementedError` is not written yet.
        """
        if not callable(self.value):
            raise Undecided(f"the answer is {self.value!r}, not a function.")
        try:
            with redirect_stdout(StringIO()):
                return Outcome(self.value(*arguments))
        except NotImplementedError:
            raise Undecided("the answer raises NotImplementedError, so it isn't written yet.") from None
        except Rejected as rejected:
            return Outcome(error=rejected)
        except (Undecided, KeyboardInterrupt):
            raise
        except BaseException as error:  # show whatever the reader's code raises
            return Outcome(error=error, advice=raised.advice(self.value, arguments, error))

    def elsewhere(self, expression: str, setup: str = "") -> Any:
        """The value of an expression over the answer's name, in a second process with another seed for `hash`.

        Takes about half a second. The value must be one that JSON can hold.
        """
        shown = f"import json, sys\nsys.stdout.write('\\n' + json.dumps({expression}))"
        script = f"{self.remade()}\n{setup}\n{shown}"
        another = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
        environment = {**os.environ, "PYTHONHASHSEED": another, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", script]
        try:
            done = subprocess.run(  # noqa: S603 - the reader's own code
                command, env=environment, capture_output=True, text=True, timeout=ELSEWHERE, check=False
            )
        except subprocess.TimeoutExpired:
            raise Undecided(f"in a second process the answer didn't end within {ELSEWHERE:g} s.") from None
        if done.returncode:
            problem = done.stderr.strip().rpartition("\n")[2]
            lacks = problem.startswith(("NameError", "ImportError", "ModuleNotFoundError"))
            advice = " Define or import in a cell what it uses." if lacks else ""
            raise Undecided(f"in a second process the answer ends with {problem}.{advice}")
        return json.loads(done.stdout.rpartition("\n")[2])

    def remade(self) -> str:
        """The statements that make the answer in another process."""
        if not self.name:
            raise Undecided("a second process must make your function too, and no cell defines it under a name.")
        try:
            return needed(self.name, self.cells)
        except NotRebuilt as refused:
            raise Undecided(
                f"a second process must make your function too. It uses {refused}, and the check repeats no such call. "
                "Write it with its arguments, constants and functions of your own."
            ) from None


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `Undecided` if the block computes longer than this, or takes `PATIENCE` times as long.

    The second happens in a sleep, or on a busy machine. Only where the system has timers, and in the main thread.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    ended = False
    began, computed = monotonic(), process_time()

    def stop(_: int, frame: FrameType | None) -> None:
        took, is_over = monotonic() - began, process_time() - computed >= seconds
        if ended or _swallows(frame) or not (is_over or took >= PATIENCE * seconds):
            return
        limit = seconds if is_over else took
        raise Undecided(f"the answer didn't end within {limit:.2g} s. Is there a loop without an end, or a sleep?")

    before = signal.signal(signal.SIGALRM, stop)
    # Again and again, since the first one may come too early, or meet code that swallows whatever is raised.
    signal.setitimer(signal.ITIMER_REAL, seconds, min(AGAIN, seconds))
    try:
        try:
            yield
        finally:
            ended = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _swallows(frame: FrameType | None) -> bool:
    """Is this code that Python calls by itself? What is raised there is printed, and lost."""
    return frame is not None and frame.f_code.co_name in ("__del__", "gc_callback")


def is_stub(answer: Any, source: str, stub: str, name: str) -> bool:
    """Is an answer still what the stub gives? `source` is the text that it was written in, empty if nobody knows it."""
    if answer is ... or not callable(answer):
        stubbed = cells.value_in(stub, name)
        return answer is ... or (type(answer) is type(stubbed) and answer == stubbed)
    return bool(source) and cells.is_same_code(source, stub)
