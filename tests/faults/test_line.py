"""A line between two actors: what each fault does to a call, what its caller sees, and what is recorded."""

from datetime import timedelta
from typing import Any

import pytest

from eslab import AggregateService, InvalidInput, ManualClock, OutcomeUnknown, Rejected, StoreUnavailable, open_store
from eslab.faults import (
    Crash,
    Crashed,
    Delay,
    Duplicate,
    Hold,
    Line,
    LoseReply,
    LoseRequest,
    RealTime,
    Refuse,
    Script,
)
from eslab.faults.kinds import Fault
from tests.support.sample import START, Count, Counter, at, handle

SECOND = timedelta(seconds=1)


class Box:
    """What has arrived behind a line whose calls meet these faults, one after the other."""

    def __init__(self, *faults: Fault | None, **settings: Any) -> None:
        self.clock = ManualClock(START)
        self.inside: list[str] = []
        self.line = Line(Script(put=faults), self.clock, caller="ann", callee="box", **settings)
        self.put = self.line.over(self._put, "put")

    def _put(self, thing: str) -> str:
        self.inside.append(thing)
        return f"{thing} is in"

    def put_all(self, things: str) -> list[object]:
        """What the caller sees of each."""
        seen: list[object] = []
        for thing in things:
            try:
                seen.append(self.put(thing))
            except (OutcomeUnknown, StoreUnavailable, Crashed) as error:
                seen.append(type(error))
        return seen

    @property
    def seconds(self) -> float:
        return (self.clock() - START).total_seconds()


# What each fault does


def test_a_line_without_faults_is_as_good_as_none() -> None:
    """The answer comes at once, and is recorded."""
    box = Box()
    assert (box.put("a"), box.inside, box.seconds) == ("a is in", ["a"], 0)
    assert [repr(crossing) for crossing in box.line.log] == ["09:00:00.000 ann → box: put of a; answer"]


@pytest.mark.parametrize(
    ("fault", "seen", "inside", "seconds"),
    [
        (Refuse(), StoreUnavailable, [], 0),
        (LoseRequest(), OutcomeUnknown, [], 10),
        (LoseReply(), OutcomeUnknown, ["a"], 10),
        (Delay(3 * SECOND), "a is in", ["a"], 3),
        (Delay(10 * SECOND), "a is in", ["a"], 10),
        (Delay(11 * SECOND), OutcomeUnknown, [], 10),
        (Duplicate(), "a is in", ["a", "a"], 0),
        (Duplicate(behind=1), "a is in", ["a"], 0),
        (Hold(), OutcomeUnknown, [], 10),
        (Crash("before"), Crashed, [], 0),
        (Crash("after"), Crashed, ["a"], 0),
    ],
    ids=str,
)
def test_a_fault_meets_one_call(fault: Fault, seen: object, inside: list[str], seconds: float) -> None:
    """What the caller sees, what has arrived by then, and how long the caller waited."""
    box = Box(fault)
    assert (box.put_all("a"), box.inside, box.seconds) == ([seen], inside, seconds)


def test_what_is_lost_on_the_way_there_and_back_and_what_is_held_look_the_same() -> None:
    """So a caller can't know whether it happened, and is told to send the same request again."""
    said = set()
    for fault in (LoseRequest(), LoseReply(), Hold()):
        with pytest.raises(OutcomeUnknown, match="send the same request again") as unknown:
            Box(fault).put("a")
        said.add(str(unknown.value))
    assert said == {"The box did not confirm the put within 10 s. It may have happened: send the same request again."}


@pytest.mark.parametrize(("behind", "inside"), [(1, "bacd"), (2, "bcad"), (3, "bcda"), (9, "bcd")])
def test_a_held_call_arrives_behind_later_ones(behind: int, inside: str) -> None:
    """And with the last call at the earliest, if there are fewer of them: then it is still under way."""
    box = Box(Hold(behind))
    assert box.put_all("abcd")[0] is OutcomeUnknown
    assert "".join(box.inside) == inside
    box.line.deliver()
    assert sorted(box.inside) == [*"abcd"]


def test_a_duplicate_arrives_a_second_time_behind_later_calls() -> None:
    """Its caller was answered long ago."""
    box = Box(None, Duplicate(behind=1))
    assert OutcomeUnknown not in box.put_all("abcd")
    assert "".join(box.inside) == "abcbd"


def test_a_call_that_takes_longer_than_its_caller_waits_arrives_all_the_same() -> None:
    """Before the first call that is made after its time."""
    box = Box(Delay(30 * SECOND))
    box.put_all("ab")
    assert box.inside == ["b"]
    box.clock.advance(20 * SECOND)
    box.put("c")
    assert box.inside == ["b", "a", "c"]


def test_what_is_under_way_when_the_line_is_dropped_never_arrives() -> None:
    """A network may lose what it held."""
    box = Box(Hold())
    box.put_all("a")
    box.line.drop()
    box.put_all("bc")
    assert box.inside == ["b", "c"]


def test_an_answer_that_comes_too_late_is_lost() -> None:
    """However the time was spent, by the callee or on the way."""
    box = Box(timeout=SECOND)
    slow = box.line.over(lambda: box.clock.advance(2 * SECOND), "put")
    with pytest.raises(OutcomeUnknown, match="within 1 s"):
        slow()
    near, far = Box(timeout=SECOND, latency=0.5 * SECOND), Box(timeout=SECOND, latency=0.6 * SECOND)
    assert (near.put_all("a"), far.put_all("a")) == (["a is in"], [OutcomeUnknown])
    assert (near.inside, far.inside) == (["a"], ["a"])


def test_a_call_takes_its_time_each_way() -> None:
    """So a diagram can show when it was sent, when it arrived, and when the answer did."""
    box = Box(latency=0.25 * SECOND)
    box.put("a")
    (crossing,) = box.line.log
    times = [crossing.began, *crossing.arrived, crossing.ended]
    assert [(time - START).total_seconds() for time in times if time] == [0, 0.25, 0.5]


# A process that dies


def test_a_dead_process_sends_nothing_more() -> None:
    """Not even from a `finally`."""
    box = Box(Crash("after"))
    with pytest.raises(Crashed):
        try:
            box.put("a")
        finally:
            box.put("last words")
    assert (box.inside, box.line.dead) == (["a"], True)


def test_what_a_dead_process_sent_still_arrives() -> None:
    """The network knows nothing of its death."""
    box = Box(Hold(behind=2), Crash("before"))
    box.put_all("ab")
    box.line.deliver()
    assert box.inside == ["a"]


def test_no_handler_of_exceptions_swallows_a_crash() -> None:
    """A client that logs every error and goes on must not outlive its own death."""
    box = Box(Crash("before"))
    with pytest.raises(Crashed):
        try:
            box.put("a")
        except Exception:
            box.inside.append("swallowed")
    assert box.inside == []


def test_the_other_side_sees_of_a_crash_only_that_no_answer_comes() -> None:
    """The caller is another process, which lives."""
    box = Box(Crash("after"))
    tablet = Line(Script(), box.clock, caller="tablet", callee="ann", log=box.line.log)
    with pytest.raises(OutcomeUnknown, match="The ann did not confirm the put within 10 s"):
        tablet.over(box.put)("a")
    assert [repr(crossing).partition(" ")[2] for crossing in box.line.log] == [
        "tablet → ann: put of a; OutcomeUnknown after 10 s",
        "ann → box: put of a, the process dies after the call; Crashed",
    ]


def test_a_process_may_be_killed_for_real() -> None:
    """`die` comes first; if it returns, the process dies as before."""
    said: list[str] = []
    box = Box(Crash("before"), die=lambda: said.append("kill -9"))
    assert (box.put_all("a"), said) == ([Crashed], ["kill -9"])


# The record


def test_the_record_tells_what_happened_to_each_call() -> None:
    """As sentences, and as lines of a table."""
    box = Box(LoseRequest(), Duplicate(), Hold(behind=1), timeout=SECOND)
    box.put_all("abcd")
    assert [repr(crossing) for crossing in box.line.log] == [
        "09:00:00.000 ann → box: put of a, the request is lost on its way, not carried out; OutcomeUnknown after 1 s",
        "09:00:01.000 ann → box: put of b, the request arrives twice, carried out 2 times; answer",
        "09:00:01.000 ann → box: put of c, the request arrives late, behind the next call; OutcomeUnknown after 1 s",
        "09:00:02.000 ann → box: put of d; answer",
    ]
    assert box.line.log[0].line() == {
        "time": "09:00:00.000", "actor": "ann", "to": "box", "call": "put of a",
        "fault": "the request is lost on its way", "carried out": 0, "got": "OutcomeUnknown",
    }  # fmt: skip


def test_a_late_arrival_that_fails_is_recorded_and_disturbs_nobody() -> None:
    """Its caller has gone."""
    clock = ManualClock(START)
    line = Line(Script(send=[Hold()]), clock)

    def send(thing: str) -> str:
        if thing == "bad":
            raise InvalidInput("Expected a good thing.")
        return thing

    over = line.over(send)
    with pytest.raises(OutcomeUnknown):
        over("bad")
    assert over("good") == "good"
    assert [crossing.got for crossing in line.log] == ["OutcomeUnknown, and InvalidInput later", "answer"]


def test_an_error_is_an_answer_and_is_lost_and_late_like_one() -> None:
    """The second time that a duplicate fails is nobody's concern, and a process dies all the same."""
    faults = [None, LoseReply(), Duplicate(), Crash("after"), None]
    clock = ManualClock(START)
    line = Line(Script(send=faults), clock, timeout=SECOND)
    over = line.over(handle_badly, "send")
    for error in (InvalidInput, OutcomeUnknown, InvalidInput, Crashed):
        with pytest.raises(error):
            over()
    assert [len(crossing.arrived) for crossing in line.log] == [1, 1, 2, 1]
    late = Line(Script(), clock, timeout=SECOND, latency=SECOND).over(handle_badly)
    with pytest.raises(OutcomeUnknown):
        late()


def handle_badly() -> None:
    raise InvalidInput("Expected something else.")


def test_a_rejection_crosses_as_an_answer() -> None:
    """A service is behind a line as any function is."""
    clock = ManualClock(START)
    service = AggregateService(open_store("memory:"), Counter, handle, clock)
    line = Line(Script(send=[Duplicate()]), clock, caller="tablet", callee="counter")
    answer = line.over(service.send)("ann", "counter:1", Count("a", 1000), at(0))
    assert isinstance(answer, Rejected)
    assert repr(line.log[0]) == (
        "09:00:00.000 tablet → counter: send of ann, the request arrives twice, carried out 2 times; answer"
    )


def test_real_time_passes_by_sleeping() -> None:
    """And never backwards."""
    clock = RealTime()
    before = clock()
    clock.advance(timedelta(milliseconds=2))
    clock.advance(timedelta(milliseconds=-2))
    assert clock() - before >= timedelta(milliseconds=1)


def test_a_line_that_runs_backwards_is_refused() -> None:
    """Time that is negative would be none."""
    with pytest.raises(InvalidInput, match="Expected timeout and latency of 0 or more"):
        Box(latency=-SECOND)
