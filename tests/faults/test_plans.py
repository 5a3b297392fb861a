"""Which fault the next call meets: from a script, or by chance from a seed."""

from datetime import timedelta
from itertools import repeat
from typing import Any

import pytest

from eslab import AggregateService, InvalidInput, ManualClock, StoreUnavailable, open_store
from eslab.faults import (
    Chances,
    Crash,
    Delay,
    Duplicate,
    Faulty,
    Hold,
    Line,
    LoseReply,
    LoseRequest,
    Refuse,
    Script,
)
from eslab.faults.kinds import Fault
from tests.support.sample import START, Counter, handle, row, rows


def test_a_script_is_met_call_by_call_and_name_by_name() -> None:
    """Behind its end no call meets a fault."""
    script = Script(append=[None, LoseReply()], read=repeat(Refuse()))
    assert [script.next("append") for _ in range(4)] == [None, LoseReply(), None, None]
    assert [script.next("read") for _ in range(3)] == [Refuse()] * 3
    assert script.next("mark") is None


@pytest.mark.parametrize(("wrong", "advice"), [(LoseReply, r"write LoseReply\(\)"), ("lose it", "'lose it'")])
def test_a_script_of_anything_else_than_faults_is_refused(wrong: Any, advice: str) -> None:
    """With what to write instead."""
    with pytest.raises(InvalidInput, match=f"Expected a fault or None in the script of append, got .*{advice}"):
        Script(append=[wrong]).next("append")


@pytest.mark.parametrize("plan", [Script(apend=[LoseReply()]), Chances(7, lose_reply=1, calls={"apend"})], ids=repr)
def test_a_plan_for_a_call_that_does_not_exist_is_refused(plan: Any) -> None:
    """It would never be met, and whatever is tested with it would pass."""
    with pytest.raises(InvalidInput, match=r"Expected calls of the store in .*, got apend; it has append, check"):
        Faulty(open_store("memory:"), plan, ManualClock(START))
    with pytest.raises(InvalidInput, match="got apend; it has append"):
        Line(plan, ManualClock(START)).over(print, "append")


def drawn(chances: Chances, call: str = "append", number: int = 300) -> list[Fault | None]:
    return [chances.next(call) for _ in range(number)]


def test_G10_chance_is_a_function_of_seed_call_and_number() -> None:
    """Other calls in between change nothing, so a longer story begins like the shorter one."""
    settings: dict[str, Any] = {"lose_request": 0.1, "lose_reply": 0.1, "duplicate": 0.1, "delay": 0.1}
    alone = drawn(Chances(7, **settings))
    beside = Chances(7, **settings)
    mixed: list[Fault | None] = []
    for _ in range(300):
        drawn(beside, "read", 3)
        mixed += drawn(beside, "append", 1)
    assert alone == mixed == drawn(Chances(7, **settings))
    assert alone != drawn(Chances(8, **settings)) and alone != drawn(Chances(7, **settings), "read")
    assert {type(fault) for fault in alone} == {type(None), LoseRequest, LoseReply, Duplicate, Delay}


def test_a_greater_chance_keeps_the_faults_of_the_smaller_one() -> None:
    """So a slider adds faults, and doesn't deal new ones; nor does one chance move the faults of another."""
    few, many = drawn(Chances(7, lose_reply=0.1)), drawn(Chances(7, lose_reply=0.3, lose_request=0.001))
    kept = [later for before, later in zip(few, many, strict=True) if before]
    assert 10 < len(kept) < len([fault for fault in many if fault])
    assert [fault for fault in kept if fault != LoseRequest()] == [LoseReply()] * len(kept)


def test_each_chance_is_met_about_as_often_as_it_says() -> None:
    """Alone, one in five."""
    for name, kind in {"crash": Crash, "refuse": Refuse, "hold": Hold, "delay": Delay}.items():
        faults = [fault for fault in drawn(Chances(7, **{name: 0.2}), number=1000) if fault]
        assert {type(fault) for fault in faults} == {kind}
        assert 150 < len(faults) < 250


def test_chance_spares_the_calls_by_which_a_service_starts() -> None:
    """So a service can be made on a store that fails always; named calls are met alone."""
    clock = ManualClock(START)
    service = AggregateService(Faulty(open_store("memory:"), Chances(7, refuse=1), clock), Counter, handle, clock)
    with pytest.raises(StoreUnavailable):
        service.load("ann", "counter:1")
    store = Faulty(open_store("memory:"), Chances(7, refuse=1, calls={"append"}), clock)
    with pytest.raises(StoreUnavailable):
        store.append("ann", [row()])
    assert rows(store) == []


@pytest.mark.parametrize("chance", [-0.1, 1.1])
def test_a_chance_that_is_none_is_refused(chance: float) -> None:
    """Named, with its value."""
    with pytest.raises(InvalidInput, match=f"Expected a probability from 0 to 1 as hold, got {chance}"):
        Chances(7, hold=chance)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: Hold(0), "1 or more later calls for a fault, got 0"),
        (lambda: Duplicate(-1), "0 or more later calls for a fault, got -1"),
        (lambda: Delay(timedelta(-1)), "a duration of 0 or more for a fault, got"),
        (lambda: Delay(3), "a duration of 0 or more for a fault, got 3"),
        (lambda: Crash("befor"), '"before" or "after" for a fault, got \'befor\''),
        (lambda: Script(append=LoseReply()), r"a list of faults in the script of append, got .*; write \[LoseReply"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(make: Any, found: str) -> None:
    """Instead of one that is never met, or another one that is."""
    with pytest.raises(InvalidInput, match=f"Expected {found}"):
        make()
