"""A world with a virtual clock, in which unchanged synchronous code runs as processes that can be paused and killed.

Each process is a greenlet: plain code, with plain calls, that stands still whenever it waits for the world. Only one
runs at a time, and time passes only while all of them wait; so a year takes no time, and every run of the same choices
is the same run.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any, Generic, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from eslab.faults.choices import Choices, Stream

T = TypeVar("T")
TURNS = (0.0, 1e-6, 1e-5, 1e-3)  # seconds that a step of one process may take while others take theirs


class Answer(Generic[T]):
    """A value or an error that will be known later; a process waits for it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._waiting: list[Process] = []
        self._value: T | None = None
        self._error: BaseException | None = None
        self.done = False

    def give(self, value: T) -> None:
        """Answer with a value; only the first answer counts."""
        self._value = self._value if self.done else value
        self._finish()

    def fail(self, error: BaseException) -> None:
        """Answer with an error; only the first answer counts."""
        self._error = self._error if self.done else error
        self._finish()

    def wait(self, timeout: float | None = None) -> T:
        """Stand still until the answer is known; raises the error that it is, or `TimeoutError`."""
        if not self.done and getcurrent() is self._world.hub:
            self._world.run(until=lambda: self.done)
        elif not self.done:
            process = self._world.current()
            self._waiting.append(process)
            if timeout is not None:
                self._world.after(timeout, lambda: self._give_up(process))
            process.stand_still()
        if not self.done:
            raise TimeoutError
        if self._error:
            raise self._error
        return self._value  # type: ignore[return-value] - it was given

    def _finish(self) -> None:
        self.done = True
        for process in self._waiting:
            self._world.after(0, process.go_on)
        self._waiting.clear()

    def _give_up(self, process: "Process") -> None:
        if process in self._waiting:
            self._waiting.remove(process)
            process.go_on()


class Process:
    """One thread of work in the world: a client, a builder of snapshots, a rotator."""

    def __init__(self, world: "World", name: str, work: Callable[[], Any]) -> None:
        self.name = name
        self.choices: Stream = world.choices.stream(name)
        self.ended: Answer[Any] = Answer(world)
        self.killed = False
        self._world = world
        self._work = work
        self._greenlet = greenlet(self._run, world.hub)

    def go_on(self) -> None:
        """Run until the process waits again; called by the world's loop only."""
        if not self.killed:
            self._world.running = self
            self._greenlet.switch()

    def stand_still(self) -> None:
        """Give way to the rest of the world until `go_on`."""
        self._world.hub.switch()

    def kill(self) -> None:
        """Never run again: as after kill -9, no `finally` of the process has any effect on the world."""
        self.killed = True

    def drop(self) -> None:
        """Free the greenlet of a process that will never go on."""
        self.killed = True
        if self._greenlet and not self._greenlet.dead:
            self._greenlet.throw(GreenletExit)

    def _run(self) -> None:
        try:
            self.ended.give(self._work())
        except GreenletExit:
            raise
        except Exception as error:
            self.ended.fail(error)


class World:
    """The virtual time, what will happen at which moment of it, and the processes."""

    def __init__(self, choices: Choices, start: datetime) -> None:
        self.choices = choices
        self.hub = getcurrent()
        self.now = 0.0  # seconds since the start
        self.over = False
        self.running: Process | None = None
        self.processes: list[Process] = []
        self.pauses = 0.0  # the chance that a process pauses at a call to the world
        self.kills = 0.0  # the chance that it is killed there
        self.lengths: tuple[float, ...] = (0.5,)  # the seconds that a pause may take
        self.met: dict[str, int] = {}  # what happened how often, such as "pauses"
        self.start = start
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._ties = count()

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something when so many seconds have passed."""
        heappush(self._agenda, (self.now + seconds, next(self._ties), call))

    def spawn(self, name: str, work: Callable[[], Any], delay: float = 0.0) -> Process:
        """Start a process; its name is that of its stream of choices, so no two may share one."""
        process = Process(self, name, work)
        self.processes.append(process)
        self.after(delay, process.go_on)
        return process

    def current(self) -> Process:
        """The process that is running."""
        assert self.running is not None and getcurrent() is not self.hub
        return self.running

    def who(self) -> str:
        """The name of the running process; that of the end of the world's story, outside of all processes, is "end"."""
        return "end" if getcurrent() is self.hub else self.current().name

    def sleep(self, seconds: float) -> None:
        """Let time pass in the running process."""
        process = self.current()
        self.after(seconds, process.go_on)
        process.stand_still()

    def step(self) -> None:
        """Let the running process be paused or killed here: every call that it makes to the world begins with this."""
        if getcurrent() is self.hub or self.over:
            return
        process = self.current()
        if self.kills and process.choices.chance(self.kills):
            self.meet("kills")
            process.kill()
            process.stand_still()
        if self.pauses and process.choices.chance(self.pauses):
            self.meet("pauses")
            self.sleep(process.choices.among(self.lengths))

    def clock(self, offset: float = 0.0) -> Callable[[], datetime]:
        """A clock of a process or a machine, wrong by `offset` seconds. A look at it is a call to the world."""

        def look() -> datetime:
            self.step()
            return self.start + timedelta(seconds=self.now + offset)

        return look

    def stopwatch(self) -> float:
        """Seconds on a clock that nobody sets. A look at it is a call to the world."""
        self.step()
        return self.now

    def meet(self, what: str) -> None:
        """Count something that happened, for the summary."""
        self.met[what] = self.met.get(what, 0) + 1

    def give_way(self) -> None:
        """Let any other process that is ready run before the running one goes on."""
        if getcurrent() is not self.hub and not self.over:
            self.step()
            self.sleep(self.current().choices.among(TURNS))

    def run_in_any_order(self) -> list[int]:
        """Let everything happen, and choose at every moment which of the ready processes goes on.

        Returns how many there were at each choice.
        """
        order = self.choices.stream("order")
        could: list[int] = []
        agenda = self._agenda
        while agenda:
            ready = [heappop(agenda)]
            while agenda and agenda[0][0] == ready[0][0]:
                ready.append(heappop(agenda))
            chosen = 0
            if len(ready) > 1:
                could.append(len(ready))
                chosen = order.below(len(ready))
            self.now, _, call = ready.pop(chosen)
            for entry in ready:
                heappush(agenda, entry)
            call()
        return could

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Let everything happen that is on the agenda, until a condition is met or nothing is left."""
        agenda = self._agenda
        while agenda and not until():
            self.now, _, call = heappop(agenda)
            call()

    def close(self) -> None:
        """End the processes that were killed or never ended, and let go of all that was still to happen."""
        self.over = True
        for process in self.processes:
            process.drop()
        self.processes.clear()
        self._agenda.clear()
