"""Lesson 07: the messages between client, service and store about one wish, in the order of their log."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import pandas

from eslab.faults.crossing import Crossing, time_of_day
from eslab.faults.outcome import Attempt, Outcome
from eslab.faults.storm import Storm

ACTORS = ("client", "service", "store")
REQUEST, ANSWER, LOST = "request", "answer", "lost or too late"
TIME_OUT = -1  # in place of a message's number


@dataclass(frozen=True)
class Moment:
    """Something that happens to a message: it is sent, arrives, or its sender stops waiting."""

    time: datetime
    message: int  # its number, or TIME_OUT
    begins: bool


@dataclass(frozen=True)
class Message:
    """A message from one actor to another; it may get lost."""

    sender: str
    receiver: str
    text: str
    kind: str

    @property
    def is_lost(self) -> bool:
        """Does it never arrive?"""
        return self.kind == LOST


class Exchange:
    """The messages of one wish, and the order in which they were sent and arrived."""

    def __init__(self, outcome: Outcome, log: Sequence[Crossing]) -> None:
        """`log` has the client's calls, one for each attempt, and those of the service about this wish."""
        self.outcome = outcome
        self.sends = [crossing for crossing in log if crossing.caller == ACTORS[0]]
        self.calls = [crossing for crossing in log if crossing.caller != ACTORS[0]]
        self._served = _served(self.sends, self.calls)
        self.messages: list[Message] = []
        self.moments: list[Moment] = []
        for _, _, moments in sorted(self._parts(), key=lambda part: part[:2]):
            self.moments += moments

    @property
    def appends(self) -> int:
        """How often the store was asked to append, as far as it heard of it."""
        return sum(len(call.arrived) for call in self.calls if call.call == "append")

    def in_words(self) -> str:
        """The exchange in two sentences."""
        attempts, ids = len(self.sends), len({attempt.request for attempt in self.outcome.attempts})
        lost = sum(message.is_lost for message in self.messages)
        told = "The client has no answer" if self.outcome.error else "The client has its answer"
        return (
            f"The client sends the wish {_times(attempts)}, under {ids} {'id' if ids == 1 else 'ids'}. "
            f"{lost or 'No'} {'message is' if lost == 1 else 'messages are'} lost or too late. The store appends "
            f"{_times(self.appends)}. {told} in the end."
        )

    def table(self) -> pandas.DataFrame:
        """A line for each message and each time-out, in the order of the diagram."""
        return pandas.DataFrame(
            self._line(moment) for moment in self.moments if moment.begins or moment.message == TIME_OUT
        )

    def _line(self, moment: Moment) -> dict[str, str]:
        if moment.message == TIME_OUT:
            return {"time": time_of_day(moment.time), "from": "client", "to": "", "message": "time-out", "": ""}
        message = self.messages[moment.message]
        lost = "✗ lost" if message.is_lost else ""
        way = {"from": message.sender, "to": message.receiver, "message": message.text, "": lost}
        return {"time": time_of_day(moment.time), **way}

    def _parts(self) -> Iterator[tuple[datetime, int, list[Moment]]]:
        """What happens on each of the client's calls: it is sent, it arrives, it ends. With the order at one time."""
        for number, (attempt, send) in enumerate(zip(self.outcome.attempts, self.sends, strict=True)):
            request = self._new("client", "service", f"send …{str(attempt.request.id)[-6:]}", bool(send.arrived))
            yield send.began, 3, [Moment(send.began, request, True)]
            answers: list[int] = []
            for copy, time in enumerate(send.arrived):
                moments = [] if answers else [Moment(time, request, False)]
                moments += [moment for call in self._served[number, copy] for moment in self._call(call)]
                answers.append(self._new("service", "client", _answer(attempt), _is_heard(send) and not answers))
                is_late = send.ended is not None and time > send.ended
                yield time, 2 if is_late else 4, [*moments, Moment(time, answers[-1], True)]
            assert send.ended
            if _is_heard(send):
                yield send.ended, 5, [Moment(send.ended, answers[0], False)]
            else:
                yield send.ended, 1, [Moment(send.ended, TIME_OUT, False)]

    def _call(self, call: Crossing) -> Iterator[Moment]:
        asked = self._new("service", "store", call.call, True)
        yield Moment(call.began, asked, True)
        yield Moment(call.began, asked, False)
        answer = self._new("store", "service", "rows" if call.call == "read" else "done", True)
        yield Moment(call.began, answer, True)
        yield Moment(call.began, answer, False)

    def _new(self, sender: str, receiver: str, text: str, arrives: bool) -> int:
        kind = REQUEST if ACTORS.index(sender) < ACTORS.index(receiver) else ANSWER
        self.messages.append(Message(sender, receiver, text, kind if arrives else LOST))
        return len(self.messages) - 1


def _served(sends: Sequence[Crossing], calls: Sequence[Crossing]) -> dict[tuple[int, int], list[Crossing]]:
    """The service's calls, by the number of the attempt and of its delivery that they serve.

    Several deliveries may arrive at one moment, in the order in which they were sent. Each begins with the same call.
    """
    deliveries = [(time, number, copy) for number, send in enumerate(sends) for copy, time in enumerate(send.arrived)]
    served: dict[tuple[int, int], list[Crossing]] = {delivery[1:]: [] for delivery in deliveries}
    for moment, at_once in groupby(sorted(deliveries), key=itemgetter(0)):
        later = min((time for time, *_ in deliveries if time > moment), default=None)
        of_it = [call for call in calls if moment <= call.began and (later is None or call.began < later)]
        begins = [place for place, call in enumerate(of_it) if call.call == of_it[0].call]
        for (_, *delivery), begin, end in zip(at_once, begins, [*begins[1:], None], strict=False):
            served[delivery[0], delivery[1]] = of_it[begin:end]
    return served


def _is_heard(send: Crossing) -> bool:
    """Did the client get the answer to this call?"""
    return send.got == "answer"


def _answer(attempt: Attempt) -> str:
    if attempt.error is not None:
        return "answer"
    return "granted before" if getattr(attempt.answer, "repeated", False) else "answer"


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def exchange(storm: Storm, number: int, customer: str, calls: Iterable[str] = ("read", "append")) -> Exchange:
    """What happened to the wish of this number, of this customer; only these calls of the service are drawn."""
    begin = sum(len(outcome.attempts) for outcome in storm.outcomes[:number])
    outcome = storm.outcomes[number]
    sends = [crossing for crossing in storm.log if crossing.call == "send"][begin : begin + len(outcome.attempts)]
    own, shown = {id(send) for send in sends}, set(calls)
    log = [it for it in storm.log if id(it) in own or (it.about == customer and it.call in shown)]
    return Exchange(outcome, log)
