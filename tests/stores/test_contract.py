"""What every store promises, in the words of `eslab.store.EventStore`; a new store passes this unchanged."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain, count, permutations
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import EventStore, InvalidInput, OutcomeUnknown, StoreClosed
from eslab.request import latest_at
from eslab.store import FEW_SNAPSHOTS, Commit, Consistency, Head, LateCommits, Log, StoredSnapshot
from tests.conftest import alone
from tests.support.sample import DAY, MINUTE, START, at, cassandra_order, everything, fill, row, rows, time_at

OpenNew = Callable[[], EventStore]
LOW = st.integers(0, (1 << 62) - 1)
ODD_IDS = [
    "ключ",
    "名前",
    "a\0b",
    "a/b:c|d%_*",
    " ",
    "\t\n",
    "é",
    "e\u0301",
    "\U0001f9c1",
    "\uffff",
    "x" * 1024,
]
BAD_IDS = {"": "1 to 1024 bytes", "a\ud800b": "lone surrogate at position 1", "ü" * 513: "at most 1024 bytes, got 1026"}


def payloads(store: EventStore, after: dict[str, UUID | None], up_to: UUID | None = None) -> dict[str, list[bytes]]:
    """All pages of `read_many`, joined by aggregate."""
    found: dict[str, list[bytes]] = {id: [] for id in after}
    for id, page in store.read_many("ann", after, up_to):
        found[id] += page
    return found


# Order


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), LOW), unique=True, min_size=2, max_size=8))
def test_rows_stand_in_cassandras_order(open_new: OpenNew, times: list[tuple[int, int, int]]) -> None:
    """Rows of one millisecond and counter stand by their low eight bytes, compared as signed numbers."""
    store, keys = open_new(), [time_at(*time) for time in times]
    store.append("ann", [Commit("counter:1", key, "Counted", 1, key.bytes) for key in keys])
    expected = sorted(keys, key=cassandra_order)
    assert [each.event_time for each in rows(store)] == expected
    assert payloads(store, {"counter:1": None}) == {"counter:1": [key.bytes for key in expected]}


def test_low_bytes_of_0x80_and_above_come_first(store: EventStore) -> None:
    """In a tie of time the byte 0xff is less than 0x00, as in Cassandra: bytes are signed."""
    tied = [time_at(0, 7, low) for low in (0x00, 0x7F, 0x80, 0xFF)]
    store.append("ann", [Commit("counter:1", key, "Counted", 1, b"") for key in tied])
    assert [each.event_time.int & 0xFF for each in rows(store)] == [0x80, 0xFF, 0x00, 0x7F]


@given(st.permutations([row(i, b"%d" % i) for i in range(6)]))
def test_G4_any_order_of_arrival_gives_the_same_rows(open_new: OpenNew, arrival: list[Commit]) -> None:
    """Rows stand in the order of their keys, whatever order they came in."""
    store = open_new()
    for each in arrival:
        store.append("ann", [each])
    assert rows(store) == [row(i, b"%d" % i) for i in range(6)]


def test_aggregates_stand_by_the_bytes_of_their_utf8(store: EventStore) -> None:
    """An id outside the basic plane comes after U+FFFF, as its bytes do; in UTF-16 it would come before."""
    ids = ["counter:z", "counter:é", "counter:\uffff", "counter:\U00010000"]
    for id in reversed(ids):
        store.append("ann", [row(id=id)])
    assert list(store.heads_of_type("ann", "counter:")) == ids


# Upserts: the same key, the same winner


def test_G1_the_same_commits_twice_are_the_same_rows(store: EventStore) -> None:
    """Appending is an upsert: a repeat changes nothing, so every retry is safe."""
    made = [row(id="counter:1"), row(id="card:1")]
    store.append("ann", made)
    before = everything(store)
    store.append("ann", made)
    assert everything(store) == before
    assert rows(store, "card:1") == [made[1]]


@pytest.mark.parametrize("second_first", [False, True])
def test_G1_of_two_payloads_the_greater_in_bytes_stays(store: EventStore, second_first: bool) -> None:
    """One key, two payloads: the greater wins in both orders of arrival; type and version are for people only."""
    less = Commit("counter:1", at().event_time, "Voided", 9, b"\x7fzzzz")
    more = Commit("counter:1", at().event_time, "Counted", 1, b"\x80")
    for each in (more, less) if second_first else (less, more):
        store.append("ann", [each])
    assert [each.payload for each in rows(store)] == [more.payload]


def test_G1_of_two_payloads_the_longer_wins_after_a_common_start(store: EventStore) -> None:
    """Bytes compare as Cassandra compares them: a prefix is less than what goes on."""
    store.append("ann", [row(payload=b"abc")])
    store.append("ann", [row(payload=b"ab")])
    assert [each.payload for each in rows(store)] == [b"abc"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_G1_two_appends_have_one_winner_in_all_that_they_share(store: EventStore, order: Sequence[int]) -> None:
    """The same decision's rows stay in every aggregate that both touched; rows of its own stay beside."""
    one = [row(payload=b"1 one", id=f"counter:{id}") for id in "abc"]
    two = [row(payload=b"2 two", id=f"counter:{id}") for id in "bcd"]
    for each in ([one, two, one][i] for i in order):
        store.append("ann", each)
    assert {id: rows(store, f"counter:{id}")[0].payload for id in "abcd"} == {
        "a": b"1 one", "b": b"2 two", "c": b"2 two", "d": b"2 two",
    }  # fmt: skip


def test_G1_the_same_key_twice_in_one_append_has_the_same_winner(store: EventStore) -> None:
    """Even within one append the greater payload stays."""
    store.append("ann", [row(payload=b"2"), row(payload=b"1")])
    assert rows(store) == [row(payload=b"2")]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_an_append_is_all_or_nothing(store: EventStore, bad: str) -> None:
    """If one commit can't be written, none is, wherever it stands in the batch."""
    with pytest.raises(InvalidInput):
        store.append("ann", [row(id="counter:1"), row(id=bad), row(id="counter:2")])
    assert everything(store) == {}


def test_an_append_of_nothing_writes_nothing(store: EventStore) -> None:
    """An empty batch is fine."""
    store.append("ann", [])
    assert everything(store) == {}


# Reads


def test_a_read_begins_after_and_ends_with(store: EventStore) -> None:
    """`after` is exclusive, `up_to` inclusive; both may be left out, and needn't be the time of a row."""
    made = fill(store, 6)
    after, up_to = made[1].event_time, made[4].event_time
    assert list(store.rows("ann", "counter:1", after, up_to)) == made[2:5]
    assert list(store.rows("ann", "counter:1", after)) == made[2:]
    assert list(store.rows("ann", "counter:1", None, up_to)) == made[:5]
    assert list(store.rows("ann", "counter:1", latest_at(START), latest_at(at(3).time))) == made[1:4]


def test_a_read_between_crossed_bounds_is_empty(store: EventStore) -> None:
    """Nothing stands after a later and up to an earlier time."""
    made = fill(store, 3)
    assert payloads(store, {"counter:1": made[2].event_time}, made[0].event_time) == {"counter:1": []}


def test_pages_join_without_a_gap(store: EventStore) -> None:
    """A log of several pages reads as one, in payloads and in rows, from any place."""
    made = fill(store, 12_345)
    sizes = [len(page) for _, page in store.read_many("ann", {"counter:1": None})]
    assert len(sizes) > 1 and sum(sizes) == 12_345
    assert payloads(store, {"counter:1": None}) == {"counter:1": [each.payload for each in made]}
    assert rows(store) == made
    assert list(store.rows("ann", "counter:1", made[999].event_time)) == made[1000:]


@pytest.mark.parametrize("number", [1000, 2000])
def test_a_log_of_whole_pages_ends_with_its_last(store: EventStore, number: int) -> None:
    """No page is empty, and none is read twice, when the last one is full."""
    made = fill(store, number)
    assert rows(store) == made
    assert all(page for _, page in store.read_many("ann", {"counter:1": None}))


def test_many_aggregates_are_read_at_once(store: EventStore) -> None:
    """`read_many` reads each aggregate after its own place, and gives nothing for one without commits."""
    a, b = fill(store, 3, "counter:a"), fill(store, 3, "counter:b")
    found = payloads(store, {"counter:b": b[0].event_time, "counter:a": None, "counter:none": None})
    assert found["counter:a"] == [each.payload for each in a]
    assert found["counter:b"] == [each.payload for each in b[1:]]
    assert found["counter:none"] == []


def test_many_aggregates_are_read_at_once_with_their_keys(store: EventStore) -> None:
    """`rows_many` gives the commits whose payloads `read_many` gives, from the same places, in pages that hold some."""
    a, b = fill(store, 3, "counter:a"), fill(store, 2500, "counter:b")
    after = {"counter:b": b[0].event_time, "counter:a": None, "counter:none": None}
    for up_to in (None, a[1].event_time):
        found: dict[str, list[Commit]] = {id: [] for id in after}
        for id, page in store.rows_many("ann", after, up_to):
            assert page
            found[id] += page
        assert {id: [each.payload for each in page] for id, page in found.items()} == payloads(store, after, up_to)
        assert found["counter:a"] == (a[:2] if up_to else a)
        assert found["counter:b"] == b[1 : 2 if up_to else None]


def test_a_log_is_read_with_its_keys_a_page_at_a_time(store: EventStore) -> None:
    """Neither the whole log at once nor row by row, and a reader may stop after the first page."""
    fill(store, 2500)
    pages = store.rows_many("ann", {"counter:1": None})
    assert 1 < len(next(pages)[1]) < 2500
    pages.close()


def test_an_aggregate_that_nobody_wrote_is_empty(store: EventStore) -> None:
    """Reading what isn't there is no error."""
    assert rows(store, "counter:none") == []
    assert store.heads("ann", ["counter:none"], at().event_time) == {"counter:none": Head(None, None, [], None)}
    assert store.heads_of_type("bob", "counter:") == {}


def test_a_reader_may_append_between_its_rows(open_new: OpenNew, store: EventStore) -> None:
    """A read in progress holds nobody up: not another thread, and not itself."""
    made = fill(store, 2500)
    for number, _ in enumerate(store.rows("ann", "counter:1")):
        if number % 1000 == 0:
            writer = Thread(target=store.append, args=("ann", [row(number, id="counter:other")]))
            writer.start()
            writer.join()
            store.append("ann", [row(number, id="counter:own")])
    assert number + 1 == len(made)
    assert len(rows(store, "counter:other")) == len(rows(store, "counter:own")) == 3


def test_the_row_of_a_request_is_found_by_its_key(store: EventStore) -> None:
    """`heads` gives the commit at the time asked for, and none where the aggregate has none."""
    made = fill(store, 3)
    heads = store.heads("ann", ["counter:1", "counter:2"], made[1].event_time)
    assert heads["counter:1"].recorded == made[1]
    assert heads["counter:2"].recorded is None
    assert store.heads("ann", ["counter:1"])["counter:1"].recorded is None


# The directory


def test_a_type_prefix_is_taken_letter_by_letter(store: EventStore) -> None:
    """`license:` finds neither `licensed:x` nor `License:x`, and % and _ are letters like others."""
    ids = ["license:", "license:%", "license:_", "license:a%b", "License:x", "licensed:x", "licens_:x", "license"]
    for id in ids:
        store.append("ann", [row(id=id)])
    assert list(store.heads_of_type("ann", "license:")) == ["license:", "license:%", "license:_", "license:a%b"]
    assert list(store.heads_of_type("ann", "licens_:")) == ["licens_:x"]
    assert list(store.heads_of_type("ann", "%")) == []


@pytest.mark.parametrize("prefix", ["a\0b:", "\U0001f9c1:", "\uffff:", "é"])
def test_a_prefix_may_be_any_text(store: EventStore, prefix: str) -> None:
    """A prefix with a NUL, or at the end of Unicode, finds what begins with it and nothing else."""
    for id in (f"{prefix}1", f"{prefix}2", "a\0c:1", "a:1", "\U0010ffff"):
        store.append("ann", [row(id=id)])
    assert list(store.heads_of_type("ann", prefix)) == [f"{prefix}1", f"{prefix}2"]


@pytest.mark.parametrize("arrival", list(permutations(range(3))))
def test_first_is_the_earliest_in_any_order(store: EventStore, arrival: Sequence[int]) -> None:
    """The directory says when an aggregate began: the earliest time, however late it came."""
    for minutes in arrival:
        store.append("ann", [row(minutes)])
    assert store.heads("ann", ["counter:1"])["counter:1"].first == at(0).event_time


def test_first_of_an_append_of_several_rows_is_the_earliest(store: EventStore) -> None:
    """One append may bring many rows of one aggregate."""
    store.append("ann", [row(2), row(1), row(3)])
    assert store.heads("ann", ["counter:1"])["counter:1"].first == at(1).event_time


@pytest.mark.parametrize("arrival", list(permutations(range(3))))
def test_floor_is_the_highest_in_any_order(store: EventStore, arrival: Sequence[int]) -> None:
    """The floor only moves up."""
    for minutes in arrival:
        store.mark("ann", "counter:1", floor=at(minutes).event_time)
    assert store.heads("ann", ["counter:1"])["counter:1"].floor == at(2).event_time


@pytest.mark.parametrize("floor_first", [False, True])
def test_first_and_floor_stand_beside_each_other(store: EventStore, floor_first: bool) -> None:
    """Neither hides the other, whichever came first."""
    steps = [lambda: store.append("ann", [row(1)]), lambda: store.mark("ann", "counter:1", floor=at(0).event_time)]
    for step in reversed(steps) if floor_first else steps:
        step()
    head = store.heads_of_type("ann", "counter:")["counter:1"]
    assert (head.first, head.floor) == (at(1).event_time, at(0).event_time)


# Deleting


def test_G6_events_are_deleted_only_below_the_floor(store: EventStore) -> None:
    """Without a floor at or above, deleting is refused and says where: a reader would miss them silently."""
    made = fill(store, 4)
    with pytest.raises(InvalidInput, match=r"floor of customer '.*ann', aggregate 'counter:1' .* found None"):
        store.delete_events("ann", "counter:1", made[1].event_time)
    store.mark("ann", "counter:1", floor=made[1].event_time)
    with pytest.raises(InvalidInput, match=f"found {made[1].event_time}"):
        store.delete_events("ann", "counter:1", made[2].event_time)
    assert rows(store) == made


def test_G6_deleting_ends_with_the_time_given(store: EventStore) -> None:
    """Rows up to and including the time go, later ones and other aggregates stay, `first` still says when it began."""
    made, other = fill(store, 4), fill(store, 4, "counter:2")
    store.mark("ann", "counter:1", floor=made[2].event_time)
    store.delete_events("ann", "counter:1", made[1].event_time)
    assert rows(store) == made[2:]
    assert rows(store, "counter:2") == other
    assert store.heads("ann", ["counter:1"])["counter:1"].first == made[0].event_time


def test_a_late_row_below_the_floor_changes_nothing_above_it(store: EventStore) -> None:
    """Whether the delete that came before it hides it is the store's affair: nobody reads below the floor."""
    made = fill(store, 3)
    store.mark("ann", "counter:1", floor=made[1].event_time)
    store.delete_events("ann", "counter:1", made[1].event_time)
    store.append("ann", [row(0.5)])
    assert list(store.rows("ann", "counter:1", made[1].event_time)) == [made[2]]


# One read of heads and commits


def whole_log(store: EventStore, log: Log, id: str, after: UUID | None) -> list[Commit]:
    """The commits of a read, with those that follow them."""
    commits = log.commits()
    assert log.payloads == [commit.payload for commit in commits]
    assert log.last == (commits[-1].event_time if commits else None)
    return [*commits, *(store.rows("ann", id, log.last or after) if log.more else [])]


@pytest.mark.parametrize("number", [0, 1, 3, 250])
def test_one_read_gives_heads_and_the_first_commits(store: EventStore, number: int) -> None:
    """Of each aggregate after its own base; where others follow, it says so, and they begin after the last one."""
    long, short = fill(store, number), fill(store, 3, "counter:2")
    keep(store, 1, 1, id="counter:2")
    after = {"counter:1": None, "counter:2": at(1).event_time, "card:9": None}
    logs = store.read("ann", after)
    assert list(logs) == list(after)
    assert {id: log.head for id, log in logs.items()} == store.heads("ann", list(after))
    assert whole_log(store, logs["counter:1"], "counter:1", None) == long
    assert whole_log(store, logs["counter:2"], "counter:2", after["counter:2"]) == short[2:]
    assert logs["card:9"].head == Head(snapshots=[]) and not logs["card:9"].more
    assert whole_log(store, logs["card:9"], "card:9", None) == []


@pytest.mark.parametrize("base", [None, 0, 1, 2, 5])
def test_one_read_finds_the_commits_of_a_request(store: EventStore, base: float | None) -> None:
    """Among the commits, and behind the base that was named."""
    made, other = fill(store, 4), row(2, id="counter:2")
    store.append("ann", [other])
    start = None if base is None else at(base).event_time
    logs = store.read("ann", {"counter:1": start, "counter:2": None, "counter:3": start}, at(2).event_time)
    assert [log.head.recorded for log in logs.values()] == [made[2], other, None]
    logs = store.read("ann", {"counter:1": start}, at(2, "another wish").event_time)
    assert logs["counter:1"].head.recorded is None


def test_one_read_ends_with_the_moment_given(store: EventStore) -> None:
    """That moment included."""
    made = fill(store, 4)
    log = store.read("ann", {"counter:1": made[0].event_time}, up_to=made[2].event_time)["counter:1"]
    rest = store.rows("ann", "counter:1", log.last, made[2].event_time) if log.more else []
    assert [*log.commits(), *rest] == made[1:3]


@pytest.mark.parametrize("ids", [["counter:1"], ["counter:1", "counter:2"]])
@pytest.mark.parametrize(("up_to", "before"), [(None, 6), (4, 5), (2, 3), (1.5, 2), (-1, 0)])
def test_one_read_gives_the_newest_few_snapshots(
    store: EventStore, ids: list[str], up_to: float | None, before: int
) -> None:
    """Those up to the moment given; it says whether others follow them, and gives all if it is asked to."""
    for id in ids:
        for minutes in range(6):
            keep(store, minutes, 1, id=id)
    after = dict.fromkeys(ids)
    every = {id: head.snapshots for id, head in store.heads("ann", ids).items()}
    assert not any(head.older for head in store.heads("ann", ids).values())
    for id, log in store.read("ann", after, up_to=None if up_to is None else at(up_to).event_time).items():
        fitting = [it for it in log.head.snapshots if it in every[id][6 - before :]]
        assert fitting == every[id][6 - before :][: len(fitting)] and len(fitting) >= min(before, FEW_SNAPSHOTS)
        assert log.head.older == (len(fitting) < before)
    whole = store.read("ann", after, up_to=at(1).event_time, all_snapshots=True)
    assert {id: log.head.snapshots for id, log in whole.items()} == every
    assert not any(log.head.older for log in whole.values())


def test_one_read_of_one_aggregate_gives_no_more_than_the_newest_few(store: EventStore) -> None:
    """So its cost does not grow with the number of snapshots; of one moment the greater folds come first."""
    for minutes, fold in [(1, 1), (1, 2), (2, 1), (3, 1), (3, 9)]:
        keep(store, minutes, fold)
    (log,) = store.read("ann", {"counter:1": None}).values()
    assert [(it.up_to, it.fold) for it in log.head.snapshots] == [
        (at(minutes).event_time, fold) for minutes, fold in [(3, 9), (3, 1), (2, 1)]
    ]


# Marks


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_marks_only_rise(store: EventStore, order: Sequence[int]) -> None:
    """The highest floors stay, the earliest late commit, and the latest moment; what isn't given stays as it is."""
    marks: list[dict[str, Any]] = [
        {"floor": at(1).event_time, "late": LateCommits(at(7).event_time, START + 9 * MINUTE)},
        {"intended": at(3).event_time, "late": LateCommits(at(5).event_time, START + 8 * MINUTE)},
        {"floor": at(2).event_time, "intended": at(2).event_time},
    ]
    for number in order:
        store.mark("ann", "counter:1", **marks[number])
    head = store.heads("ann", ["counter:1"])["counter:1"]
    assert (head.floor, head.intended) == (at(2).event_time, at(3).event_time)
    assert head.late == LateCommits(at(5).event_time, START + 9 * MINUTE)
    assert head.highest_floor == at(3).event_time
    assert list(store.heads_of_type("ann", "counter:")) == ["counter:1"]


def test_commits_are_noted_as_safe(store: EventStore) -> None:
    """One by one; the rows stay what they were."""
    made = fill(store, 3)
    store.note_safe("ann", made[1:2], LATER)
    found = [store.heads("ann", ["counter:1"], each.event_time)["counter:1"] for each in made]
    assert [(head.recorded, head.safe) for head in found] == list(zip(made, [False, True, False], strict=True))
    assert store.read("ann", {"counter:1": None}, made[1].event_time)["counter:1"].head.safe
    assert rows(store) == made


def test_the_clock_of_the_store_is_a_moment_or_none(store: EventStore) -> None:
    """A store on this machine has none of its own."""
    assert store.time() is None or isinstance(store.time(), datetime)


# Snapshots


def snapshots(store: EventStore, id: str = "counter:1") -> list[tuple[UUID, int, bytes]]:
    return [tuple(each) for each in store.heads("ann", [id])[id].snapshots]


LATER = START + DAY
_moments = count()


def keep(store: EventStore, minutes: float, fold: int, payload: bytes = b"state", id: str = "counter:1") -> None:
    written_at = START + next(_moments) * MINUTE
    store.save_snapshot("ann", id, StoredSnapshot(at(minutes).event_time, fold, payload), written_at)


def test_snapshots_stand_newest_first_then_by_fold(store: EventStore) -> None:
    """The newest comes first; of one moment, the greater fold."""
    for minutes, fold in [(1, 1), (3, 1), (2, 2), (2, 1), (2, 10)]:
        keep(store, minutes, fold)
    expected = [(3, 1), (2, 10), (2, 2), (2, 1), (1, 1)]
    assert snapshots(store) == [(at(minutes).event_time, fold, b"state") for minutes, fold in expected]


def test_a_snapshot_replaces_that_of_its_moment_and_fold(store: EventStore) -> None:
    """The last one written stays, even if it is less in bytes; another fold's stays beside."""
    keep(store, 1, 1, b"zzz")
    keep(store, 1, 2, b"other")
    keep(store, 1, 1, b"aaa")
    assert snapshots(store) == [(at(1).event_time, 2, b"other"), (at(1).event_time, 1, b"aaa")]


def test_one_snapshot_is_deleted(store: EventStore) -> None:
    """That of one moment and fold; deleting what isn't there is fine."""
    for minutes, fold in [(1, 1), (1, 2), (2, 1)]:
        keep(store, minutes, fold)
    store.delete_snapshot("ann", "counter:1", at(1).event_time, 1, LATER)
    store.delete_snapshot("ann", "counter:1", at(9).event_time, 1, LATER)
    store.delete_snapshot("bob", "counter:1", at(2).event_time, 1, LATER)
    assert [(up_to, fold) for up_to, fold, _ in snapshots(store)] == [(at(2).event_time, 1), (at(1).event_time, 2)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_several_writes_of_a_snapshot_the_latest_stays(store: EventStore, order: Sequence[int]) -> None:
    """By the moment that stamps it, in whatever order they arrive; a delete that is older changes nothing."""
    for number in order:
        state = StoredSnapshot(at(1).event_time, 1, b"zyx"[number : number + 1])
        store.save_snapshot("ann", "counter:1", state, START + number * MINUTE)
    store.delete_snapshot("ann", "counter:1", at(1).event_time, 1, START + MINUTE)
    assert snapshots(store) == [(at(1).event_time, 1, b"x")]
    store.delete_snapshot("ann", "counter:1", at(1).event_time, 1, START + 2 * MINUTE)
    assert snapshots(store) == []


def test_a_snapshot_alone_is_no_aggregate(store: EventStore) -> None:
    """The directory lists what has a commit or a floor."""
    keep(store, 1, 1)
    assert store.heads_of_type("ann", "counter:") == {}


# Ids


@pytest.mark.parametrize("id", ODD_IDS)
def test_odd_ids_are_kept_apart(store: EventStore, id: str) -> None:
    """Any Unicode text of up to 1,024 bytes is an id, of a customer and of an aggregate, letter by letter."""
    store.append(id, [row(id=id, payload=b"odd")])
    store.append("ann", [row(id="a", payload=b"plain")])
    assert everything(store, id) == {id: (Head(at().event_time, None, [], None), [row(id=id, payload=b"odd")])}
    assert [list(store.rows(*pair)) for pair in [("ann", id), (id, "a"), (id.strip() + "x", id)]] == [[], [], []]


def test_the_aggregates_with_a_commit_are_listed_from_the_events(store: EventStore) -> None:
    """Each once and in order; one that has only a floor or a snapshot has none."""
    store.append("ann", [row(minutes, id=id) for id in ("counter:2", "counter:1", "license:a") for minutes in (1, 2)])
    store.append("bob", [row(id="counter:9")])
    store.mark("ann", "counter:3", floor=at(9).event_time)
    store.mark("ann", "counter:2", floor=at(9).event_time)
    store.delete_events("ann", "counter:2", at(9).event_time)
    for consistency in (Consistency.LOCAL, Consistency.EVERYWHERE):
        assert store.ids_of_commits("ann", consistency) == ["counter:1", "license:a"]
    assert store.ids_of_commits("nobody") == []


@given(st.lists(st.text(min_size=1, max_size=6), unique=True, min_size=1, max_size=8))
def test_any_ids_stand_in_order_and_apart(open_new: OpenNew, ids: list[str]) -> None:
    """Whatever the text, each id finds its own rows, and all stand by their UTF-8 bytes."""
    store = open_new()
    for id in ids:
        store.append("ann", [row(id=id, payload=id.encode())])
    assert list(store.heads_of_type("ann", "")) == sorted(ids, key=str.encode)
    assert {id: rows(store, id)[0].payload for id in ids} == {id: id.encode() for id in ids}


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("kind", ["customer", "aggregate"])
def test_ids_that_no_store_can_keep_are_refused(store: EventStore, kind: str, bad: str) -> None:
    """Empty, too long or with a lone surrogate: refused with the kind of id and the limit named."""
    with pytest.raises(InvalidInput, match=f"{kind} id .*{BAD_IDS[bad]}"):
        store.append(bad if kind == "customer" else "ann", [row(id=bad if kind == "aggregate" else "counter:1")])


def test_one_id_under_two_customers_is_two_aggregates(store: EventStore) -> None:
    """Nothing of one customer shows under another: rows, directory, snapshots, deletes."""
    fill(store, 2, customer="ann")
    bobs = fill(store, 3, customer="bob")
    store.mark("ann", "counter:1", floor=bobs[1].event_time)
    store.delete_events("ann", "counter:1", bobs[1].event_time)
    assert everything(store, "bob") == {"counter:1": (Head(bobs[0].event_time, None, [], None), bobs)}
    assert rows(store, customer="ann") == []


# Close, and threads


def test_closing_twice_is_fine(store: EventStore) -> None:
    """The second close has nothing to do."""
    store.close()
    store.close()


CALLS: dict[str, Callable[[EventStore], Any]] = {
    "append": lambda store: store.append("ann", [row()]),
    "heads": lambda store: store.heads("ann", ["counter:1"]),
    "heads_of_type": lambda store: store.heads_of_type("ann", "counter:"),
    "read_many": lambda store: list(store.read_many("ann", {"counter:1": None})),
    "rows_many": lambda store: list(store.rows_many("ann", {"counter:1": None})),
    "rows": lambda store: rows(store),
    "save_snapshot": lambda store: keep(store, 1, 1),
    "delete_snapshot": lambda store: store.delete_snapshot("ann", "counter:1", at().event_time, 1, START),
    "read": lambda store: store.read("ann", {"counter:1": None}),
    "note_safe": lambda store: store.note_safe("ann", [row()], START),
    "mark": lambda store: store.mark("ann", "counter:1", floor=at().event_time),
    "delete_events": lambda store: store.delete_events("ann", "counter:1", at().event_time),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_store_says_so(store: EventStore, call: str) -> None:
    """Every method of a closed store raises `StoreClosed`, for which opening anew is the advice."""
    fill(store, 3)
    store.close()
    with pytest.raises(StoreClosed, match=r"The store is closed: .*\. Open it again\."):
        CALLS[call](store)


def work(store: EventStore, threads: int, job: Callable[[int], None]) -> list[BaseException]:
    """Run `job(0)`, `job(1)`, ... at the same moment, each in a thread, and return what they raised."""
    raised: list[BaseException] = []
    together = Barrier(threads)

    def one(number: int) -> None:
        together.wait()
        try:
            job(number)
        except BaseException as error:
            raised.append(error)

    running = [Thread(target=one, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return raised


def test_threads_that_append_at_once_lose_nothing(store: EventStore) -> None:
    """A store is shared between threads; every acknowledged row is there, in order."""
    made = [[row(i, key=f"{thread} {i}") for i in range(40)] for thread in range(6)]

    def append(thread: int) -> None:
        for each in made[thread]:
            store.append("ann", [each])

    assert work(store, 6, append) == []
    assert rows(store) == sorted(chain(*made), key=lambda each: cassandra_order(each.event_time))


def test_threads_that_write_one_key_agree(store: EventStore) -> None:
    """Whoever comes last, the greater payload stays."""
    assert work(store, 6, lambda thread: store.append("ann", [row(payload=b"%d" % thread)])) == []
    assert rows(store) == [row(payload=b"5")]


@pytest.mark.parametrize("rounds", [1, pytest.param(4, marks=pytest.mark.full)])  # one may cost a whole time-out
def test_closing_amid_appends_ends_them_cleanly(open_new: OpenNew, rounds: int) -> None:
    """Closing ends whoever is at work with `StoreClosed`, or `OutcomeUnknown` in the middle of a write."""
    for _ in range(rounds):
        store = open_new()

        def job(thread: int, store: EventStore = store) -> None:
            for number in range(100_000):
                if thread == 0 and number == 20:
                    store.close()
                store.append("ann", [row(number, key=str(thread))])
                rows(store)

        assert {type(error) for error in work(store, 4, job)} <= {StoreClosed, OutcomeUnknown}


# Replacing a broken row


@pytest.mark.parametrize("payload", [b"\0", b"payload+", b""])
def test_a_damaged_row_is_replaced_by_greater_or_smaller_bytes(store: EventStore, payload: bytes) -> None:
    """With type and version; neighbours and the directory stay. Again and again."""
    store.append("ann", [row(0), row(1), row(2)])
    before = everything(store)
    for written in (row(1, payload), row(1, b"third"), row(1)):
        (damaged,) = [it.payload for it in rows(store) if it.event_time == written.event_time]
        assert store.replace("ann", written._replace(event_type="Other", version=7), damaged)
        assert rows(store) == [row(0), written._replace(event_type="Other", version=7), row(2)]
    assert store.replace("ann", row(1), row(1).payload)
    assert everything(store) == before


def test_a_row_that_holds_other_bytes_by_now_is_not_replaced(store: EventStore) -> None:
    """Somebody else restored it meanwhile. Nor is one made where there is none."""
    store.append("ann", [row()])
    before = everything(store)
    assert not store.replace("ann", row(payload=b"late"), b"damaged")
    assert not store.replace("ann", row(9), b"damaged")
    assert not store.replace("bob", row(), b"payload")
    assert not store.replace("ann", row(id="counter:2"), b"payload")
    assert everything(store) == before
    assert everything(store, "bob") == {}


def test_a_replaced_row_is_deleted_below_the_floor(store: EventStore) -> None:
    """It was written later than its request, but not later than the delete."""
    store.append("ann", [row(0), row(1)])
    for _ in range(3):
        assert store.replace("ann", row(0), b"payload")
    store.mark("ann", "counter:1", floor=row(0).event_time)
    store.delete_events("ann", "counter:1", row(0).event_time)
    assert rows(store) == [row(1)]


def test_a_checkpoint_is_swapped_only_if_it_is_still_the_same(store: EventStore) -> None:
    """What is kept then is returned; so a repeat, and whoever comes second, is told. Empty is none."""
    assert store.swap_checkpoint("settings", "one", "two") == ""
    assert store.swap_checkpoint("settings", "", "one") == "one"
    assert store.swap_checkpoint("settings", "", "two") == "one"
    assert store.swap_checkpoint("settings", "one", "two", Consistency.EVERYWHERE) == "two"
    assert store.swap_checkpoint("settings", "one", "two") == "two"
    assert [store.checkpoint("settings", level) for level in (Consistency.LOCAL, Consistency.QUORUM)] == ["two"] * 2
    assert store.checkpoint("other") == ""


@alone
def test_of_threads_that_swap_at_once_one_wins(store: EventStore) -> None:
    """All are told the same text. Beside a frozen replica, some may be told that the outcome is unknown."""
    told: list[str] = []
    assert work(store, 6, lambda thread: told.append(store.swap_checkpoint("settings", "", str(thread)))) == []
    assert len(told) == 6 and {*told} == {store.checkpoint("settings")}
