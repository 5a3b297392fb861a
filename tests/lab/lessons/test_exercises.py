"""Each exercise accepts every right answer, not only the model's, and no loophole."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from eslab import Rejected
from eslab.domains.bakery import ColorAdded
from eslab.domains.downloads.rules import Check
from eslab.lab.answers import Answer
from eslab.lab.lessons.exercises.downloads import three_a_day
from eslab.lab.lessons.exercises.event_store_on_cassandra import primary_key
from eslab.lab.lessons.exercises.frosting import at_least
from eslab.lab.lessons.exercises.query_first import shards
from eslab.lab.lessons.exercises.versioned_serializer import upcaster
from tests.support.cassandra import emptied


def missing_portions(frosting: Any, command: Any) -> int:
    """The portions that a goal still needs."""
    return max(0, command.portions - frosting.portions.get(command.color, 0))


def with_a_tuple(frosting: Any, command: Any, request: Any) -> Any:
    """A right answer that returns a tuple, and another reason."""
    missing = missing_portions(frosting, command)
    if missing > 12 - sum(frosting.portions.values()):
        raise Rejected("my own rule", "no")
    return tuple(ColorAdded(command.color) for _ in range(missing))


def test_01_any_sequence_of_the_missing_events_is_right() -> None:
    """The rule's name, its words and the kind of sequence are the reader's."""
    assert at_least.judge(Answer(with_a_tuple)).passed is True


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (lambda f, c, r: [ColorAdded("blue")] * missing_portions(f, c), "got [ColorAdded(color='blue')]"),
        (lambda f, c, r: None, "got None\nA handler returns a list of events"),
        (lambda f, c, r: [ColorAdded(c.color)] * missing_portions(f, c) if f.nothing else [], "AttributeError"),
    ],
)
def test_01_the_smallest_case_is_shown_with_its_events(wrong: Callable, shown: str) -> None:
    """On an empty bowl, one portion is enough to show each of these."""
    checked = at_least.judge(Answer(wrong))
    assert checked.passed is False
    assert "given nothing, when AtLeast(color='red', portions=1): expected [ColorAdded(color='red')]" in str(checked)
    assert shown in str(checked)


def test_01_a_brim_that_is_refused_is_shown_exactly_full() -> None:
    """Twelve portions are not too many."""

    def too_careful(frosting: Any, command: Any, request: Any) -> Any:
        if missing_portions(frosting, command) + sum(frosting.portions.values()) >= 12:
            raise Rejected("bowl", "too small")
        return [ColorAdded(command.color)] * missing_portions(frosting, command)

    checked = at_least.judge(Answer(too_careful))
    assert checked.difference and len(checked.difference.given) + checked.difference.expected.count("Added") >= 1
    assert "A bowl may be exactly full" in str(checked)


def test_02_a_rule_may_count_in_its_own_way() -> None:
    """A loop and another reason are as good."""

    def by_age(ask: Any) -> Check:
        ages = [ask.time - hold.time for hold in ask.devices.holds.values()]
        count = len([age for age in ages if age < timedelta(hours=24)])
        return Check(count < 3, "enough for today", limit=3, count=count)

    assert three_a_day.judge(Answer(by_age)).passed is True


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (lambda ask: Check(len(ask.devices.holds) < 3, "", limit=3, count=len(ask.devices.holds)), "without a reason"),
        (lambda ask: Check(len(ask.devices.holds) < 3, "too many"), "A Check gives its numbers"),
        (lambda ask: ask.nothing, "AttributeError"),
    ],
)
def test_02_a_check_without_its_numbers_is_wrong(wrong: Callable, shown: str) -> None:
    """A broken rule says why, and every rule says how many of how many."""
    checked = three_a_day.judge(Answer(wrong))
    assert (checked.passed, shown in str(checked)) == (False, True)


@pytest.mark.cassandra
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("key", "broken"),
    [
        ("((title, month), request)", ""),
        ("((month, title), request)", ""),
        ("((title, month), request, customer_id)", ""),
        ("((title), month, request)", "no partition grows for ever"),
        ("((month), title, request)", "no partition grows for ever"),
        ("((title, month), customer_id)", "no download replaces another, and a repeated request stays one row"),
        ("nonsense", "no download replaces another, and a repeated request stays one row"),
    ],
)
def test_03_a_key_for_downloads_by_title(node, key: str, broken: str) -> None:
    """Five rows, the question answered in order, a partition for each title and month."""
    store = emptied(node.url("lab_lesson"))
    try:
        assert primary_key.judge(Answer(key, store=store)).broken == broken
    finally:
        store.close()


def shard_of(expression: str) -> Answer:
    """An answer whose shard is this expression, as the text of a cell."""
    source = f"def partition(studio, request, shards):\n    return studio, f'{{request.time:%Y-%m}}', {expression}"
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    return Answer(namespace["partition"], source)


@pytest.mark.parametrize(
    "right",
    [
        "request.id.int % shards",
        "request.id.bytes[-1] % shards",
        "hash(request.id) % shards",
        "int(request.id.hex[-6:], 16) % shards",
    ],
)
def test_04_any_shard_that_follows_from_the_request_is_right(right: str) -> None:
    """The hash of a UUID is that of a number, which is the same in every process."""
    assert shards.judge(shard_of(right)).passed is True


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        ("hash(str(request.id)) % shards", "in another process"),
        ("request.time.minute % shards", "A shard that follows from the clock"),
        ("request.time.second % shards", "A shard that follows from the clock"),
        ("int(request.time.timestamp()) // 60 % shards", "A shard that follows from the clock"),
        ("request.id.int % shards * 1.0", "a whole number from 0 to shards - 1"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_04_a_shard_of_the_process_or_of_the_clock_is_wrong(wrong: str, shown: str) -> None:
    """A retry at another server would go elsewhere; a burst would go to one shard."""
    checked = shards.judge(shard_of(wrong))
    assert (checked.passed, shown in str(checked)) == (False, True)


def test_05_a_step_may_split_in_its_own_way() -> None:
    """With `split`, a changed copy and another order of fields."""

    def step(delivered: Any) -> Any:
        new = {**delivered, "type": "Delivered:2", "street": delivered.get("address"), "number": None}
        words = new.pop("address").split()
        if words[0].isdecimal():
            new["number"], new["street"] = int(words[0]), " ".join(words[1:])
        return new

    assert upcaster.judge(Answer(step)).passed is True


@pytest.mark.parametrize(
    "wrong",
    [
        lambda delivered: {**delivered, "type": "Delivered:2"},
        lambda delivered: {"type": "Delivered:2", "number": delivered["address"].split()[0], "street": ""},
        lambda delivered: delivered.update(type="Delivered:2") or delivered,
    ],
)
def test_05_the_error_of_the_load_is_shown(wrong: Callable) -> None:
    """Missing fields and a number as text are `Unreadable`."""
    checked = upcaster.judge(Answer(wrong))
    assert (checked.passed, "Unreadable" in str(checked)) == (False, True)
