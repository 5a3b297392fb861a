"""What of a decision is missing, by the aggregates that it says it touched."""

import pytest

from eslab.payload.serializer import touched_hash
from eslab.recorded import RecordedCommit, missing_in, outcome_unknown
from eslab.store import Head
from tests.support.sample import Counted, Stamped, at, commits, envelope_of

APPEND = {"card:1": [Stamped(1)], "counter:1": [Counted("tea")], "counter:2": [Counted("milk")]}


def seen(*ids: str) -> list[RecordedCommit]:
    """The commits of the append in these aggregates."""
    return [RecordedCommit(it, envelope_of(it)) for it in commits(at(), APPEND) if it.aggregate_id in ids]


def head(floor: float | None = None) -> Head:
    """The head of an aggregate with a floor at this minute, or none."""
    return Head(at(-9).event_time, None if floor is None else at(floor).event_time, [], None)


def test_a_decision_of_which_all_commits_are_seen_is_complete() -> None:
    """One for each touched aggregate."""
    assert missing_in(seen(*APPEND), {}) == set()


def test_G3_what_is_missing_is_named_by_its_hash() -> None:
    """So that it can be looked for among the customer's aggregates."""
    assert missing_in(seen("card:1"), {}) == {touched_hash("counter:1"), touched_hash("counter:2")}


@pytest.mark.parametrize(("floor", "missing"), [(-1, True), (0, False), (1, False), (None, True)])
def test_G6_a_commit_at_or_below_its_own_floor_is_not_missing(floor: float | None, missing: bool) -> None:
    """It may be gone."""
    found = missing_in(seen("card:1", "counter:1"), {"counter:2": head(floor)})
    assert found == ({touched_hash("counter:2")} if missing else set())


def test_G3_the_floor_of_an_aggregate_that_was_never_touched_does_not_count() -> None:
    """However many of those the request's new code loads."""
    heads = {id: head(1) for id in ("counter:3", "counter:4", "card:2")}
    assert missing_in(seen("card:1", "counter:1"), heads) == {touched_hash("counter:2")}


def test_an_unknown_outcome_says_how_many_commits_were_found() -> None:
    """Of how many."""
    decision = seen("card:1")
    error = outcome_unknown("ann", at(), decision, missing_in(decision, {}))
    assert f"Expected 3 commits of {at()} of customer 'ann', found 1. It may" in str(error)
