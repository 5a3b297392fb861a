"""A broken row is restored from an intact copy in a read table, or skipped with a mark that stays visible."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from eslab import EventStore, InvalidInput, ManualClock, Repository, SnapshotPolicy, StoreError, Unreadable, open_store
from eslab.cli import app
from eslab.operations.audit import find_strays
from eslab.operations.fork import fork
from eslab.operations.history import history
from eslab.operations.inspection import inspect
from eslab.operations.rebuild import rebuild
from eslab.operations.restore import restore, skip
from eslab.operations.snapshots import build_snapshot
from eslab.payload.encryption import CustomerCipher
from eslab.read_table import ReadTable
from eslab.request import sort_key
from eslab.store import Commit, ReadRow
from eslab.stores.keys import MemoryKeys
from eslab.stores.memory import MemoryStore
from eslab.stores.sqlite import SqliteStore
from tests.support.sample import (
    DAY,
    SHELF,
    START,
    Count,
    Counted,
    Counter,
    Faulty,
    at,
    commits,
    everything,
    rows,
)
from tests.support.ward import Chart, diagnose
from tests.test_read_table import BY_DAY, ON_SHELF, told

CHARTS = ReadTable(SHELF, {Chart: lambda customer, key, events: [(customer, key)]})
Break = Callable[[bytes], Any]
FLIP: Break = lambda payload: payload[:40] + bytes([payload[40] ^ 0x80]) + payload[41:]  # noqa: E731
BREAKS: dict[str, Break] = {
    "a flipped bit": FLIP,
    "a flipped bit of the digest": lambda payload: payload[:5] + bytes([payload[5] ^ 0xFF]) + payload[6:],
    "a greater payload": lambda payload: b"\xff" * len(payload),
    "a cut payload": lambda payload: payload[:9],
    "nothing": lambda payload: b"",
}


def damage(store: EventStore, commit: Commit, payload: Any, customer: str = "ann") -> None:
    """Put other bytes into a row behind the store's back."""
    key = (customer, commit.aggregate_id)
    match store:
        case MemoryStore():
            store._logs[customer][commit.aggregate_id].commits[sort_key(commit.event_time)] = commit._replace(
                payload=payload
            )
        case SqliteStore():
            update = "UPDATE events SET payload = ? WHERE customer_id = ? AND aggregate_id = ? AND event_time = ?"
            values = (payload, *key, sort_key(commit.event_time))
            store._file.write(lambda connection: connection.execute(update, values))
        case _:
            # Written later than the row: a restore that is stamped only one after the request would lose.
            session: Any = store.session  # type: ignore[attr-defined]
            key = (f"{getattr(store, 'prefix', '')}{customer}", commit.aggregate_id)
            written = "SELECT writetime(payload) FROM events WHERE customer_id=%s AND aggregate_id=%s AND event_time=%s"
            ((stamp,),) = session.execute(written, (*key, commit.event_time))
            session.execute(
                f"UPDATE events USING TIMESTAMP {stamp + 5} SET payload = %s "
                "WHERE customer_id = %s AND aggregate_id = %s AND event_time = %s",
                (payload, *key, commit.event_time),
            )


def lived(store: EventStore) -> Repository:
    """Three counts of Ann's, with their read rows."""
    repository, service = told(store, ManualClock(START))
    for minutes, what in enumerate(["tea", "milk", "rum"]):
        service.send("ann", "counter:1", Count(what), at(minutes - 3))
    return repository


def load(repository: Repository) -> Counter:
    """Ann's counter."""
    return repository.load("ann", Counter, "1")


MILK: UUID = at(-2).event_time
MIDDLE = ("ann", "counter:1", MILK)


@pytest.mark.parametrize("how", BREAKS)
def test_G8_a_broken_row_is_restored_from_a_read_table(store: EventStore, how: str) -> None:
    """Byte for byte, even if the broken bytes are the greater ones; a second time changes nothing."""
    repository = lived(store)
    before = everything(store)
    damage(store, rows(store)[1], BREAKS[how](rows(store)[1].payload))
    with pytest.raises(Unreadable) as broken:
        load(repository)
    where = (broken.value.customer_id, broken.value.aggregate_id, broken.value.event_time)
    assert where == MIDDLE
    assert str(restore(store, [ON_SHELF], *MIDDLE)) == "Restored from the read table shelf."
    assert everything(store) == before
    assert str(restore(store, [ON_SHELF], *MIDDLE)) == "The row is intact: nothing was written."
    assert load(repository).counts == {"tea": 1, "milk": 1, "rum": 1}


def test_a_row_that_breaks_again_is_restored_again(store: EventStore) -> None:
    """Each time later than what it replaces."""
    repository = lived(store)
    for payload in (b"", b"\xff" * 99, b"\0"):
        damage(store, rows(store)[1], payload)
        restore(store, [ON_SHELF], *MIDDLE)
        assert load(repository).total == 3


def test_a_table_outside_the_partition_is_asked_by_its_key(store: EventStore) -> None:
    """Nobody can say which partition it is, once the events are unreadable."""
    lived(store)
    rebuild(Repository(store, ManualClock(START), read_tables=[BY_DAY]))
    damage(store, rows(store)[1], b"")
    with pytest.raises(Unreadable, match="found none"):
        restore(store, [BY_DAY], *MIDDLE)
    keys = [(f"{START:%Y-%m-%d}", shard) for shard in ("0", "1", "2", "3")]
    held = [key for key in keys for page in store.read_rows(BY_DAY.layout, [key]) for it in page
            if it.commit.event_time == MILK]  # fmt: skip
    assert restore(store, [BY_DAY], *MIDDLE, key=held[0]).table == "days"


def put(store: EventStore, commit: Commit, customer: str = "ann") -> None:
    """Make this the only row of the read table."""
    store.empty_read_table(SHELF)
    store.put_read_rows([ReadRow(SHELF, (customer, "milk"), commit)])


def refused(store: EventStore, match: str) -> None:
    """Nothing is restored, for this reason, and nothing is written."""
    before = everything(store)
    with pytest.raises(Unreadable, match=match) as error:
        restore(store, [ON_SHELF], *MIDDLE)
    assert (error.value.customer_id, error.value.aggregate_id, error.value.event_time) == MIDDLE
    assert everything(store) == before


def test_G8_a_damaged_copy_is_refused(store: EventStore) -> None:
    """It would replace one broken row by another."""
    lived(store)
    good = rows(store)[1]
    damage(store, good, b"broken")
    put(store, good._replace(payload=FLIP(good.payload)))
    refused(store, "shelf: the checksum of .* does not match")


def test_G8_a_copy_of_another_row_is_refused(store: EventStore) -> None:
    """Its checksum says for which aggregate it was written, its digest for which time and events."""
    lived(store)
    tea, milk, _ = rows(store)
    damage(store, milk, FLIP(milk.payload))
    (elsewhere,) = commits(at(-2), {"counter:2": [Counted("milk")]})
    for copy, match in [
        (tea, "its digest is .*, and the broken row's is"),
        (elsewhere, "copied from another customer"),
    ]:
        put(store, milk._replace(payload=copy.payload))
        refused(store, match)
    damage(store, milk, b"")
    put(store, milk._replace(payload=tea.payload))
    refused(store, "the digest does not fit the request's 1 commit: the row was copied from another time")


def test_G8_a_copy_in_another_customers_partition_is_not_found(store: EventStore) -> None:
    """Whatever it holds."""
    lived(store)
    milk = rows(store)[1]
    damage(store, milk, b"")
    put(store, milk, customer="bob")
    refused(store, "found none")


def twice(store: EventStore) -> tuple[dict[str, Commit], dict[str, Commit]]:
    """One request, decided twice over two counters: its losing and its winning commits."""
    decisions = [
        {it.aggregate_id: it for it in commits(at(-2), {f"counter:{id}": [Counted("milk", n * id)] for id in (1, 2)})}
        for n in (1, 2)
    ]
    lost, won = sorted(decisions, key=lambda decision: decision["counter:1"].payload)
    store.make_read_tables([SHELF])
    store.append("ann", [*lost.values()])
    store.append("ann", [*won.values()])
    return lost, won


def test_G1_a_copy_of_the_losing_decision_is_refused(store: EventStore) -> None:
    """The request's commits in other aggregates tell which decision counts."""
    lost, won = twice(store)
    damage(store, won["counter:1"], b"")
    put(store, lost["counter:1"])
    refused(store, "lost against another one")
    put(store, won["counter:1"])
    assert restore(store, [ON_SHELF], *MIDDLE).table == "shelf"
    assert rows(store) == [won["counter:1"]]


def test_G1_an_older_decision_of_the_same_request_is_refused(store: EventStore) -> None:
    """Of a request that touched one aggregate, by what is left of the broken row."""
    lost, won = sorted(
        (commits(at(-2), {"counter:1": [Counted("milk", n)]})[0] for n in (1, 2)), key=lambda it: it.payload
    )
    store.make_read_tables([SHELF])
    store.append("ann", [won])
    damage(store, won, FLIP(won.payload))
    put(store, lost)
    refused(store, "and the broken row's is")
    store.put_read_rows([ReadRow(SHELF, ("ann", "elsewhere"), won)])
    assert restore(store, [ON_SHELF], *MIDDLE).table == "shelf"
    assert rows(store) == [won]


def test_G8_the_commit_of_another_aggregate_is_refused(store: EventStore) -> None:
    """Also of one that the same request touched."""
    _, won = twice(store)
    damage(store, won["counter:1"], b"")
    put(store, won["counter:1"]._replace(payload=won["counter:2"].payload))
    refused(store, "copied from another customer or aggregate")


def test_two_broken_rows_of_one_request_are_restored_one_after_the_other(store: EventStore) -> None:
    """While the other one is broken too, it may be the missing commit."""
    _, won = twice(store)
    for commit in won.values():
        damage(store, commit, b"")
    put(store, won["counter:1"])
    store.put_read_rows([ReadRow(SHELF, ("ann", "other"), won["counter:2"])])
    for id in won:
        assert restore(store, [ON_SHELF], "ann", id, MILK).table == "shelf"


def test_a_row_that_is_not_there_or_below_the_floor_is_refused(store: EventStore) -> None:
    """Nobody reads below the floor, and a restore would bring back what was deleted."""
    lived(store)
    damage(store, rows(store)[1], b"")
    for wrong in (("bob", *MIDDLE[1:]), ("ann", "counter:2", MILK), ("ann", "counter:1", at(7).event_time)):
        with pytest.raises(InvalidInput, match="found none"):
            restore(store, [ON_SHELF], *wrong)
        with pytest.raises(InvalidInput, match="found none"):
            skip(store, *wrong, "a reason")
    store.mark("ann", "counter:1", floor=at(-1).event_time)
    with pytest.raises(InvalidInput, match="below the floor"):
        restore(store, [ON_SHELF], *MIDDLE)


def test_encrypted_rows_are_restored_with_their_keys(store: EventStore, clock: ManualClock) -> None:
    """Without them nobody can tell whether a copy belongs there."""
    keys = MemoryKeys()
    repository = Repository(store, clock, keys=keys, read_tables=[CHARTS])
    diagnose(repository, "measles")
    ((commit),) = rows(store, "chart:1")
    damage(store, commit, b"")
    where = ("ann", "chart:1", commit.event_time)
    with pytest.raises(Unreadable, match="name the keys"):
        restore(store, [CHARTS], *where)
    with pytest.raises(Unreadable, match=r"does not belong here|no key"):
        restore(store, [CHARTS], *where, cipher=CustomerCipher(MemoryKeys(), "ann"))
    assert restore(store, [CHARTS], *where, cipher=CustomerCipher(keys, "ann")).table == "shelf"
    assert repository.load("ann", Chart, "1").illnesses == {"measles"}


def test_a_payload_that_is_no_bytes_is_restored(tmp_path: Path) -> None:
    """SQLite keeps a value of any type in any column."""
    with closing(open_store(f"sqlite:///{tmp_path}/x.db")) as store:
        repository = lived(store)
        before = everything(store)
        for wrong in ("text", 7, 1.5):
            damage(store, rows(store)[1], wrong)
            assert restore(store, [ON_SHELF], *MIDDLE).table == "shelf"
            assert everything(store) == before
        assert load(repository).total == 3


def test_an_encrypted_row_is_skipped(store: EventStore, clock: ManualClock) -> None:
    """The mark is in clear, and names no event."""
    repository = Repository(store, clock, keys=MemoryKeys())
    diagnose(repository, "measles")
    diagnose(repository, "flu", at(1))
    first, _ = rows(store, "chart:1")
    damage(store, first, FLIP(first.payload))
    assert skip(store, "ann", "chart:1", first.event_time, "lost")
    chart = repository.load("ann", Chart, "1")
    assert (chart.illnesses, len(chart.skipped_rows)) == ({"flu"}, 1)


# Skipped


def test_G8_a_skipped_row_is_shown_by_every_reader(store: EventStore, caplog: pytest.LogCaptureFixture) -> None:
    """State, log, history, inspect, fork: none passes over it silently."""
    repository = lived(store)
    damage(store, rows(store)[1], b"broken")
    mark = skip(store, *MIDDLE, "ticket 17")
    assert mark and mark.payload == b"broken"
    assert skip(store, *MIDDLE, "ticket 18") == mark
    said = f"the row of 'counter:1' at {MILK} was skipped: ticket 17"
    for loaded in (load(repository), fork(store, "ann")):
        state = loaded if isinstance(loaded, Counter) else load(Repository(loaded, loaded.clock))
        assert state.counts == {"tea": 1, "rum": 1}
        assert state.skipped_rows == (mark,)
        assert said in repr(state) and said.replace("'", "&#x27;") in state._repr_html_()
    assert said in caplog.text
    assert list(history(repository, "ann", Counter, "1")["event"]) == ["Counted", "(skipped)", "Counted"]
    (inspected,) = inspect(store, "ann")
    assert [(it.skipped, it.problem) for it in inspected.commits] == [(None, None), ("ticket 17", None), (None, None)]
    assert find_strays(repository, "ann", [Counter]) == []
    assert "without" not in repr(Counter()) and Counter().skipped_rows == ()


def test_G5_no_snapshot_hides_a_skipped_row(store: EventStore) -> None:
    """One that holds its events is deleted, none is built over it."""
    repository = lived(store)
    later = Repository(store, ManualClock(START + 2 * DAY))
    assert build_snapshot(later, "ann", Counter, "1", SnapshotPolicy(every=1))
    damage(store, rows(store)[1], b"broken")
    assert skip(store, *MIDDLE, "lost")
    assert load(repository).skipped_rows
    assert build_snapshot(later, "ann", Counter, "1", SnapshotPolicy(every=1)) is None
    restore(store, [ON_SHELF], *MIDDLE)
    assert build_snapshot(later, "ann", Counter, "1", SnapshotPolicy(every=1))
    assert load(repository).counts == {"tea": 1, "milk": 1, "rum": 1}


def test_G5_no_snapshot_that_is_built_during_a_skip_hides_the_row(store: EventStore) -> None:
    """A builder that still gets the intact bytes, from another replica, may be quicker, and the skip be slow."""
    lived(store)
    milk = rows(store)[1]
    clock = ManualClock(START + 2 * DAY)

    def build() -> None:
        damage(store, milk, milk.payload)
        clock.advance(timedelta(minutes=30))
        assert build_snapshot(Repository(store, clock), "ann", Counter, "1", SnapshotPolicy(every=1))
        damage(store, milk, b"broken")

    damage(store, milk, b"broken")
    assert skip(Racing(store, build), *MIDDLE, "lost", clock=clock)  # type: ignore[arg-type]
    assert load(Repository(store, clock)).skipped_rows


def test_G5_a_skip_that_was_killed_half_way_is_completed_by_its_repeat(store: EventStore) -> None:
    """The row was replaced, and the snapshots were not yet passed over a second time."""
    repository = lived(store)
    damage(store, rows(store)[1], b"broken")
    skip(store, *MIDDLE, "lost", clock=ManualClock(START))
    until = store.heads("ann", ["counter:1"])["counter:1"].late.until  # type: ignore[union-attr]
    skip(store, *MIDDLE, "lost", clock=ManualClock(START + 3 * DAY))
    assert store.heads("ann", ["counter:1"])["counter:1"].late.until > until  # type: ignore[union-attr]
    assert load(repository).skipped_rows


def test_G3_a_repeat_of_a_skipped_request_is_refused(store: EventStore) -> None:
    """Its answer is lost; an empty one would be a lie. Other requests are decided, and see the mark."""
    lived(store)
    damage(store, rows(store)[1], b"broken")
    skip(store, *MIDDLE, "lost")
    _, service = told(store, ManualClock(START))
    with pytest.raises(Unreadable, match="was skipped: lost; make a new request"):
        service.send("ann", "counter:1", Count("milk"), at(-2))
    assert service.send("ann", "counter:1", Count("milk"), at(0)).state.skipped_rows


def test_a_skipped_row_can_still_be_restored(store: EventStore) -> None:
    """Its broken bytes are kept, and compared with a copy."""
    repository = lived(store)
    tea, milk, _ = rows(store)
    damage(store, milk, FLIP(milk.payload))
    skip(store, *MIDDLE, "lost")
    put(store, milk._replace(payload=tea.payload))
    refused(store, "and the broken row's is")
    put(store, milk)
    assert restore(store, [ON_SHELF], *MIDDLE).table == "shelf"
    assert load(repository).skipped_rows == ()


def test_a_rebuilt_read_table_shows_the_mark_too(store: EventStore) -> None:
    """Its key follows from the aggregate; a table whose key follows from the events loses the row."""
    lived(store)
    damage(store, rows(store)[1], b"broken")
    skip(store, *MIDDLE, "lost")
    by_customer = ReadTable(SHELF, {Counter: lambda customer, key, events: [(customer, key)]})
    repository = Repository(store, ManualClock(START), read_tables=[by_customer])
    rebuild(repository)
    (found,) = repository.read(by_customer, ("ann",))
    assert (found.state.counts, len(found.state.skipped_rows)) == ({"tea": 1, "rum": 1}, 1)


def test_an_intact_row_is_never_skipped(store: EventStore) -> None:
    """Nor is one skipped without a reason."""
    lived(store)
    before = everything(store)
    assert skip(store, *MIDDLE, "a mistake") is None
    with pytest.raises(InvalidInput, match="Expected a reason"):
        skip(store, *MIDDLE, "  ")
    assert everything(store) == before


class Racing(Faulty):
    """A store in which somebody else is quicker, between the look and the write."""

    def __init__(self, store: EventStore, other: Callable[[], object]) -> None:
        super().__init__(store)
        self.other: Callable[[], object] | None = other

    def replace(self, *arguments: Any) -> bool:
        other, self.other = self.other, None
        if other:
            other()
        return self.store.replace(*arguments)


def test_of_two_at_once_the_restored_row_stays(store: EventStore) -> None:
    """A skip that comes late doesn't overwrite it; two restores write the same."""
    repository = lived(store)
    milk = rows(store)[1]
    for late in (lambda at: skip(at, *MIDDLE, "lost"), lambda at: restore(at, [ON_SHELF], *MIDDLE)):
        damage(store, milk, b"\xff")
        late(Racing(store, lambda: restore(store, [ON_SHELF], *MIDDLE)))
        assert load(repository).counts == {"tea": 1, "milk": 1, "rum": 1}


def test_of_a_restore_that_comes_after_a_skip_it_is_said(store: EventStore) -> None:
    """It may be tried again."""
    lived(store)
    damage(store, rows(store)[1], b"\xff")
    with pytest.raises(StoreError, match="somebody else is changing this row"):
        restore(Racing(store, lambda: skip(store, *MIDDLE, "lost")), [ON_SHELF], *MIDDLE)  # type: ignore[arg-type]
    assert restore(store, [ON_SHELF], *MIDDLE).table == "shelf"


class Killed(BaseException):
    """The end of the process."""


def test_a_skip_that_is_killed_half_way_leaves_the_row_broken(store: EventStore) -> None:
    """Its snapshots are gone, and the row is refused; a repeat goes on."""

    def killed() -> None:
        raise Killed

    repository = lived(store)
    assert build_snapshot(Repository(store, ManualClock(START + 2 * DAY)), "ann", Counter, "1", SnapshotPolicy(every=1))
    damage(store, rows(store)[1], b"broken")
    with pytest.raises(Killed):
        skip(Racing(store, killed), *MIDDLE, "lost")  # type: ignore[arg-type]
    with pytest.raises(Unreadable):
        load(repository)
    assert skip(store, *MIDDLE, "lost")


# The commands


def run(url: str, *arguments: str) -> Any:
    """Call `eslab row` on Ann's license."""
    where = ["--store", url, "--customer", "ann", "--aggregate", "license:phone/glow", "--event-time"]
    return CliRunner().invoke(app, ["row", arguments[0], *where, *arguments[1:]])


def test_the_commands_restore_and_skip(tmp_path: Path) -> None:
    """By event time or request id."""
    from eslab.domains.downloads.service import DownloadService

    url = f"sqlite:///{tmp_path}/x.db"
    store = open_store(url)
    DownloadService(store, ManualClock(START)).request_download("ann", "phone", "glow", at())
    (commit,) = rows(store, "license:phone/glow")
    damage(store, commit, b"broken")
    done = run(url, "skip", str(at().id), "--reason", "ticket 17\x1b[2J")
    assert (done.exit_code, "\x1b" in done.stdout) == (0, False)
    assert done.stdout.startswith("Marked: the row of 'license:phone/glow' at ")
    assert run(url, "restore", str(at().event_time)).stdout == "Restored from the read table customer_pages.\n"
    assert run(url, "restore", str(at().id)).stdout == "The row is intact: nothing was written.\n"
    assert run(url, "skip", str(at().id), "--reason", "x").stdout == "The row is intact: nothing was written.\n"
    for wrong in ("yesterday", "00000000-0000-4000-8000-000000000000"):
        assert run(url, "restore", wrong).exit_code == 1
    assert rows(store, "license:phone/glow") == [commit]
    store.close()
