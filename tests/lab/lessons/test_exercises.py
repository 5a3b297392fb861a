"""Each exercise accepts every right answer, not only the model's, and no loophole."""

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import pytest

from eslab import Rejected
from eslab.domains.bakery import ColorAdded
from eslab.domains.downloads.rules import Check
from eslab.lab.answers import Answer
from eslab.lab.lessons.exercises.downloads import three_a_day, which_write
from eslab.lab.lessons.exercises.downloads_rule import MISTAKES, PROBES
from eslab.lab.lessons.exercises.downloads_rule import NOW as RULE_NOW
from eslab.lab.lessons.exercises.event_store_on_cassandra import primary_key
from eslab.lab.lessons.exercises.frosting import at_least
from eslab.lab.lessons.exercises.query_first import one_run, shards
from eslab.lab.lessons.exercises.query_first_shards import BURSTS, FEWEST, MANY, MOST, SHARDS
from eslab.lab.lessons.exercises.versioned_serializer import needs_step, upcaster
from eslab.lab.lessons.exercises.versioned_serializer_step import Delivered, expected_of
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
        (lambda f, c, r: None, "write `return []` where no event is needed"),
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


def test_02_letters_may_be_written_in_any_kind_of_collection() -> None:
    """A list, a tuple and a text hold the same letters as a set."""
    for letters in ({"c", "e"}, ["e", "c"], ("c", "e"), "ce"):
        assert which_write.judge(Answer(letters)).passed is True


def test_02_the_wish_that_was_misjudged_is_shown_with_the_log() -> None:
    """The first one in the order of the task."""
    checked = which_write.judge(Answer({"b", "c", "e"}))
    assert checked.difference and checked.difference.when == "b: glow for the tv, under a new id"
    assert "glow given back on laptop" in checked.difference.given
    assert (checked.difference.expected, checked.difference.got) == ("no row is written", "b is in the answer")


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
        ("((title), month, request)", "each title has a partition for each month"),
        ("((month), title, request)", "each title has a partition for each month"),
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
    return Answer(namespace["partition"], [source], "partition")


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
        ("request.id.int % shards * 1.0", "The shard is a whole number, and 1.0 is a float"),
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


def test_05_each_change_is_judged_by_a_class_that_reads_a_row() -> None:
    """The letters are those after which the row is Unreadable."""
    assert needs_step.judge(Answer({"b", "d", "f"})).passed is True
    checked = needs_step.judge(Answer({"b", "d"}))
    assert checked.difference and checked.difference.expected == "the row is Unreadable"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"number": None, "street": "Baker Street"},
            "begins with the whole number 12 and a space, so 12 is its number",
        ),
        ({"number": 12, "street": "12 Baker Street"}, "so it is not a part of the street: 'Baker Street'"),
        ({"number": 12}, "The map has no street"),
        ({"number": "12", "street": "Baker Street"}, "The number is the text '12'"),
    ],
)
def test_05_the_feedback_names_the_field_that_is_wrong(fields: dict, said: str) -> None:
    """It says what is wrong with this map, and not how to write another one."""
    checked = upcaster.judge(Answer(lambda delivered: {"type": "Delivered:2", **fields}))
    assert checked.difference and said in checked.difference.why


@pytest.mark.parametrize(
    "address", ["Main Street 12", "Main Street 12b", "Straße des 17. Juni 135", "221B Baker Street"]
)
def test_05_only_a_number_at_the_beginning_is_a_number(address: str) -> None:
    """The task says so, and names these addresses."""
    assert expected_of(address) == Delivered(None, address)
    assert expected_of("5 5th Avenue") == Delivered(5, "5th Avenue")


def test_05_the_task_names_the_addresses_that_are_judged() -> None:
    """No case is judged that a reader would have to guess."""
    task = Path("notebooks/solutions/05_versioned_serializer.ipynb").read_text(encoding="utf-8")
    assert all(address in task for address in ("221B Baker Street", "Main Street 12b", "Straße des 17. Juni 135"))


def test_04_an_even_spread_is_never_refused_by_chance() -> None:
    """A shard of an even spread gets a quarter of the downloads, by the binomial distribution."""

    def at_most(most: int) -> Fraction:
        return Fraction(sum(comb(MANY, n) * (SHARDS - 1) ** (MANY - n) for n in range(most + 1)), SHARDS**MANY)

    of_one_shard = at_most(FEWEST - 1) + 1 - at_most(MOST)
    assert of_one_shard * SHARDS * (1 + len(BURSTS)) < Fraction(1, 10**8)


@pytest.mark.parametrize(
    "odd", ["sum(request.id.bytes)", "sum(map(ord, str(request.id)))", "hash(request.id.hex[-3:])"]
)
def test_04_a_spread_that_is_not_quite_even_gives_each_shard_its_share(odd: str) -> None:
    """Digits, letters and sums of them are good enough; the last one differs in another process, and only there."""
    assert shards.judge(shard_of(f"{odd} % shards")).broken in ("", "also in another process")


def test_04_the_columns_of_a_question_have_no_order_to_rely_on() -> None:
    """They are listed against the order of the key, whatever the seed of the process."""

    def by_order(partition: Any, clustering: Any, named: Any) -> bool:
        beyond = [column for column in named if column not in partition]
        return set(partition) <= named and beyond == list(clustering[: len(beyond)])

    assert "may name its columns in any order" in str(one_run.judge(Answer(by_order)))


def test_02_the_probes_tell_all_usual_mistakes_apart() -> None:
    """Otherwise a reader could be told of a mistake that somebody else makes."""
    counted = {why: tuple(mistake(probe) for probe in PROBES) for why, mistake in MISTAKES.items()}
    right = tuple(sum(each.counts for each in probe) for probe in PROBES)
    assert len({*counted.values(), right}) == len(MISTAKES) + 1


def test_02_a_download_counts_for_exactly_24_hours() -> None:
    """To the second, over midnight, and by the request's time."""
    edge = [each[-1] for rule in three_a_day.rules for each in rule.examples if "exactly 24 hours" in rule.says]
    assert [each.counts for each in edge] == [False, True, False]
    assert {(RULE_NOW - each.age).date() != RULE_NOW.date() for each in edge} == {True}
