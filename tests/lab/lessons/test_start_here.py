"""Lesson 00: an answer that is lost, the database asked directly, and what its exercises accept."""

from typing import Any

import pytest

from eslab import InvalidInput, OutcomeUnknown, Rejected, open_store
from eslab.domains.bakery import AddColor, MakeColor, open_bakery
from eslab.lab.answers import Answer
from eslab.lab.lessons.exercises.start_here import deliveries, rows_after_each, until_answered, which_wrote
from eslab.lab.lessons.start_here import ask, losing_an_answer
from eslab.lab.session import open_lab

EVENTS = "SELECT customer_id, aggregate_id FROM events"


def test_the_first_append_is_written_and_its_answer_is_lost() -> None:
    """Later answers arrive, and all else is the store's own."""
    lab = open_lab("sqlite:", 7)
    bakery = open_bakery(losing_an_answer(lab), lab.clock)
    request = lab.request()
    with pytest.raises(OutcomeUnknown, match="send the same request again"):
        bakery.send("ann", "frosting:1", MakeColor("purple"), request)
    assert ask(lab.store, EVENTS).values.tolist() == [["ann", "frosting:1"]]
    again: Any = bakery.send("ann", "frosting:1", MakeColor("purple"), request)
    assert again.repeated and again.state.portions == {"red": 1, "blue": 1}
    bakery.send("ann", "frosting:1", AddColor("red"), lab.request())
    assert len(ask(lab.store, EVENTS)) == 2


def test_a_store_without_tables_cannot_be_asked() -> None:
    """The error names one that can."""
    with pytest.raises(InvalidInput, match=r"got MemoryStore, which has no tables.*sqlite:"):
        ask(open_store("memory:"), EVENTS)


@pytest.mark.cassandra
@pytest.mark.timeout(600)
def test_cassandra_understands_the_same_statement(node) -> None:
    """A SELECT without conditions is SQL and CQL."""
    lab = open_lab(node.url("lab_start"), 7)
    open_bakery(lab.store, lab.clock).send("ann", "frosting:1", AddColor("red"), lab.request())
    assert ask(lab.store, EVENTS).values.tolist() == [["ann", "frosting:1"]]
    lab.store.close()


def test_seven_deliveries_write_three_rows() -> None:
    """Those that the exercise asks for; a tuple or a set of them is as good as a list."""
    assert rows_after_each() == [1, 1, 1, 2, 3, 3, 3]
    assert len(deliveries()) == 7
    assert which_wrote.judge(Answer({5, 4, 1})).passed is which_wrote.judge(Answer((1, 4, 5))).passed is True
    assert which_wrote.judge(Answer([1, 4, 5, 6])).passed is False
    assert {which_wrote.judge(Answer(it)).passed for it in (3, "145", [1, 4, 5, 8])} == {None}


def capped(send: Any, make_request: Any) -> Any:
    """A client that tries six times and asks nothing about the answer."""
    request = make_request()
    for _ in range(6):
        try:
            return send(request)
        except OutcomeUnknown:
            continue
    raise OutcomeUnknown("Six attempts, no answer.")


def recursive(send: Any, make_request: Any) -> Any:
    """A client that passes its request on to itself."""

    def attempt(request: Any) -> Any:
        try:
            return send(request)
        except OutcomeUnknown:
            return attempt(request)

    return attempt(make_request())


@pytest.mark.parametrize("right", [capped, recursive])
def test_any_client_that_keeps_its_request_is_right(right: Any) -> None:
    """A limit above five attempts, or no loop at all."""
    assert until_answered.judge(Answer(right)).passed is True


def test_the_smallest_loss_is_shown() -> None:
    """One lost answer is enough to show that a client counts twice."""

    def careless(send: Any, make_request: Any) -> Any:
        try:
            return send(make_request())
        except OutcomeUnknown:
            return send(make_request())

    checked = until_answered.judge(Answer(careless))
    assert checked.difference and checked.difference.given == ["the answer is lost on its way back"]
    assert "got 2 red" in str(checked) and "A new request is a new wish." in str(checked)


def test_a_client_may_not_turn_a_rejection_into_an_error() -> None:
    """The caller gets the answer itself."""

    def raises(send: Any, make_request: Any) -> Any:
        answer = capped(send, make_request)
        if isinstance(answer, Rejected):
            raise ValueError("rejected")
        return answer

    assert until_answered.judge(Answer(raises)).passed is False
