"""`eslab inspect` shows the rows, decoded, and marks broken ones, with the domain's code or without it."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from eslab import Aggregate, Event, EventStore, ManualClock, Repository, open_store
from eslab.cli import app
from eslab.lab.rows import rows as rows_frame
from eslab.operations.inspection import InspectedAggregate, inspect
from eslab.operations.inspection_text import show
from eslab.payload.encryption import NO_CIPHER, CustomerCipher
from eslab.payload.serializer import Envelope, snapshot_envelope
from eslab.request import latest_at
from eslab.snapshot import snapshot_of
from eslab.store import Commit, StoredSnapshot
from eslab.stores.keys import FileKeys, MemoryKeys, make_master
from eslab.stores.memory import MemoryStore
from tests.support.sample import START, Counted, Counter, Stamped, at, commits, row, sealed, sealed_snapshot, snapshot
from tests.support.ward import Chart, Diagnosed, diagnose, encrypted


class Weighed(Event):
    """Version 1: in pounds."""

    pounds: int


class WeighedNow(Event, tag=lambda _: "Weighed:2"):
    """Version 2: in grams."""

    grams: int


class Parcel(Aggregate):
    """Old weights are upcast."""

    upcasters: ClassVar[dict[str, Callable[..., Any]]] = {
        "Weighed:1": lambda raw: {"type": "Weighed:2", "grams": 454 * raw["pounds"]}
    }
    grams: set[int] = set()

    def apply(self, event: WeighedNow) -> None:
        self.grams.add(event.grams)


def look(store: EventStore, *arguments: Any, **options: Any) -> dict[str, InspectedAggregate]:
    """Ann's aggregates by id."""
    return {aggregate.id: aggregate for aggregate in inspect(store, "ann", *arguments, **options)}


def fill(store: EventStore, minutes: float, **events: list[Event]) -> list[Commit]:
    """One append."""
    made = commits(at(minutes), {f"{name}:1": some for name, some in events.items()})
    store.append("ann", made)
    return made


def test_a_commit_is_shown_as_it_says_of_itself(store: EventStore) -> None:
    """Time, request, types with versions, fields, size, digest, number of commits; needs no domain's code."""
    stored, _ = fill(store, 0, counter=[Counted("tea", 2)], other=[Stamped(1)])
    (inspected,) = look(store)["counter:1"].commits
    assert (inspected.time, inspected.request, inspected.event_time) == (
        START.isoformat(), str(at().id), str(stored.event_time),
    )  # fmt: skip
    assert (inspected.types, inspected.events) == ("Counted:1", [{"type": "Counted:1", "what": "tea", "amount": 2}])
    assert (inspected.bytes, inspected.crc, inspected.format, inspected.commits) == (len(stored.payload), True, 1, 2)
    assert (inspected.digest, inspected.problem, inspected.raw) == (stored.payload[3:19].hex(), None, None)


def test_the_directory_is_shown(store: EventStore) -> None:
    """Each aggregate's beginning and floor, in order, and only of ids with the prefix."""
    for minutes in range(3):
        fill(store, minutes, counter=[Counted("tea")], card=[Stamped(minutes)])
    store.mark("ann", "counter:1", floor=at(1).event_time)
    aggregates = look(store)
    assert [(it.id, it.first, it.floor) for it in aggregates.values()] == [
        ("card:1", START.isoformat(), None),
        ("counter:1", START.isoformat(), at(1).time.isoformat()),
    ]
    assert list(look(store, "card:")) == ["card:1"]
    assert look(store, "nothing") == {}


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str, bool]] = {
    "a flipped bit": (lambda payload: payload[:30] + bytes([payload[30] ^ 1]) + payload[31:], "checksum", False),
    "a cut": (lambda payload: payload[:-1], "checksum", False),
    "nothing": (lambda payload: b"", "checksum", False),
}


@pytest.mark.parametrize("how", BROKEN)
def test_G8_a_broken_row_is_marked_and_the_rest_is_shown(open_new: Callable[[], EventStore], how: str) -> None:
    """With its key, its size, and what is wrong with it."""
    breaks, message, crc = BROKEN[how]
    store = open_new()
    good, bad = (commits(at(i), {"counter:1": [Counted("tea")]})[0] for i in range(2))
    store.append("ann", [good, bad._replace(payload=breaks(bad.payload))])
    whole, broken = look(store)["counter:1"].commits
    assert (whole.problem, whole.crc) == (None, True)
    assert (broken.request, broken.crc, broken.types) == (str(at(1).id), crc, "?")
    assert broken.problem and message in broken.problem
    assert look(store)["counter:1"].broken == 1


def test_G8_a_row_that_no_request_can_have_written_is_marked(store: EventStore) -> None:
    """A foreign key doesn't stop the inspection."""
    store.append("ann", [row()._replace(event_time=latest_at(START)), *commits(at(1), {"counter:1": [Counted("x")]})])
    foreign, whole = look(store)["counter:1"].commits
    assert foreign.problem and "which no request has" in foreign.problem
    assert whole.problem is None


KEYS = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text() | st.binary() | st.floats()
VALUES = st.recursive(
    KEYS | st.builds(msgspec.msgpack.Ext, st.integers(-128, 127), st.binary()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_G8_whatever_an_event_holds_can_be_shown(fields: dict[str, Any]) -> None:
    """As text and as JSON: anything that msgpack can hold, although no type of ours would."""
    store = MemoryStore()
    events = msgspec.Raw(msgspec.msgpack.encode([fields]))
    store.append("ann", [row(payload=sealed(Envelope(bytes(16), 1, bytes(4), bytes(8), events)))])
    aggregates = look(store)
    assert json.loads(msgspec.json.encode(aggregates))
    show("ann", aggregates.values(), Console(file=StringIO()))


@pytest.mark.parametrize("depth", [100, 800, 5000])
def test_G8_events_that_nest_deeply_are_shown_or_marked(depth: int) -> None:
    """They never stop the inspection of the others. Between the depths it is Python's own limit that decides."""
    store = MemoryStore()
    nested = msgspec.Raw(b"\x91\x81\xa1x" + b"\x91" * depth + b"\xc0")
    store.append("ann", [row(payload=sealed(Envelope(bytes(16), 1, bytes(4), bytes(8), nested)))])
    aggregates = look(store)
    assert json.loads(msgspec.json.encode(aggregates))
    broken = aggregates["counter:1"].broken
    assert show("ann", aggregates.values(), Console(file=StringIO())) == broken
    assert broken in {100: [0], 800: [0, 1], 5000: [1]}[depth]


def test_with_the_domains_code_upcasts_are_shown(store: EventStore) -> None:
    """The types that the code reads, if they differ from the stored ones."""
    fill(store, 0, parcel=[Weighed(1)])
    fill(store, 1, parcel=[WeighedNow(5)])
    assert [commit.read_as for commit in look(store)["parcel:1"].commits] == [None, None]
    old, new = look(store, types=[Parcel])["parcel:1"].commits
    assert (old.types, old.read_as) == ("Weighed:1", ["Weighed:2"])
    assert (new.types, new.read_as, new.problem) == ("Weighed:2", None, None)


def test_with_the_domains_code_what_it_cannot_read_is_marked(store: EventStore) -> None:
    """Without that code the same row is fine: its bytes are intact."""
    fill(store, 0, counter=[Stamped(1)])
    assert look(store)["counter:1"].commits[0].problem is None
    (inspected,) = look(store, types=[Counter])["counter:1"].commits
    assert inspected.problem and "event type Stamped" in inspected.problem
    assert inspected.types == "Stamped:1"


def test_snapshots_are_shown_with_their_use(store: EventStore) -> None:
    """An intact one of this fold, at or above the floor, is usable; without the domain's code it is unknown."""
    fill(store, 0, counter=[Counted("tea")])
    for minutes in (1, 2, 3, 4):
        store.save_snapshot("ann", "counter:1", snapshot(at(minutes), Counter({"tea": 1})), START)
    older = sealed_snapshot(at(5), 2, snapshot_envelope("counter", 1, START, Counter()))
    other = sealed_snapshot(at(3), 1, snapshot_envelope("other", 1, START, Counter()))
    for spoilt in older, StoredSnapshot(at(4).event_time, 1, b"broken"), other:
        store.save_snapshot("ann", "counter:1", spoilt, at(9).time)
    store.mark("ann", "counter:1", floor=at(2).event_time)
    known = look(store, types=[Counter])["counter:1"].snapshots
    assert [(it.time, it.fold, it.usable) for it in known] == [
        (at(5).time.isoformat(), 2, False),
        (at(4).time.isoformat(), 1, False),
        (at(3).time.isoformat(), 1, False),
        (at(2).time.isoformat(), 1, True),
        (at(1).time.isoformat(), 1, False),
    ]
    problems = [it.problem for it in known]
    assert problems[0] is problems[3] is problems[4] is None
    assert problems[1] and "checksum" in problems[1]
    assert problems[2] and "expected a snapshot of counter" in problems[2]
    assert [it.usable for it in look(store)["counter:1"].snapshots] == [None, False, None, None, None]


def test_encrypted_rows_are_shown_as_such(store: EventStore, clock: ManualClock) -> None:
    """The fields in clear, and nothing else; with the keys, everything."""
    keys = MemoryKeys()
    diagnose(Repository(store, clock, keys=keys), "measles")
    (inspected,) = look(store, types=[Chart])["chart:1"].commits
    assert (inspected.encrypted, inspected.types, inspected.events, inspected.problem) == (
        True,
        "(encrypted)",
        [],
        None,
    )
    assert (inspected.format, inspected.commits) == (3, 1)
    (inspected,) = look(store, types=[Chart], cipher=CustomerCipher(keys, "ann"))["chart:1"].commits
    assert (inspected.encrypted, inspected.events) == (True, [{"type": "Diagnosed:1", "illness": "measles"}])


def test_encrypted_snapshots_are_shown_as_such(store: EventStore) -> None:
    """Whether they are usable is known only with the keys."""
    cipher = CustomerCipher(MemoryKeys(), "ann")
    store.append("ann", [encrypted(cipher, commit) for commit in commits(at(), {"chart:1": [Diagnosed("x")]})])
    store.save_snapshot(
        "ann", "chart:1", snapshot_of("ann", "chart:1", Chart({"x"}), 1, at(1).event_time, START, cipher), START
    )
    for known, usable in [(NO_CIPHER, None), (cipher, True)]:
        (inspected,) = look(store, types=[Chart], cipher=known)["chart:1"].snapshots
        assert (inspected.encrypted, inspected.usable, inspected.problem) == (True, usable, None)


def test_the_frame_of_the_lab_shows_the_same(store: EventStore) -> None:
    """The same values as `inspect`."""
    fill(store, 0, counter=[Counted("tea"), Counted("milk")])
    store.append("ann", [row(1)])
    frame = rows_frame(store, "ann", "counter:")
    assert list(frame["events"]) == ["Counted:1, Counted:1", "?"]
    assert list(frame["digest"]) == [look(store)["counter:1"].commits[0].digest[:8], ""]


# The command


def run(url: str, *arguments: str) -> Any:
    """Call the command on an existing store."""
    return CliRunner().invoke(app, ["inspect", "--store", url, "--customer", "ann", *arguments])


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with a plain, an encrypted and a broken row; keys beside it."""
    url = f"sqlite:///{tmp_path}/x.db"
    make_master(tmp_path / "master.key")
    store = open_store(url)
    fill(store, 0, card=[Stamped(7)])
    diagnose(Repository(store, ManualClock(START), keys=FileKeys(tmp_path / "k.db", tmp_path / "master.key")), "flu")
    store.append("ann", [row(1, id="counter:\x1b[2J")])
    store.close()
    return url


def test_the_command_shows_a_line_for_each_row(url: str) -> None:
    """Tab-separated if the output is not a terminal; a broken row gives exit code 1."""
    done = run(url)
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"card:1: began {START.isoformat()}, floor none, 0 snapshots, 1 commit, ")
    assert lines[2].split("\t")[:4] == [START.isoformat(), str(at().id), "Stamped:1 place=7", "66"]
    assert "\t(encrypted)\t" in done.stdout
    assert "✗ the checksum of 7 bytes does not match" in done.stdout
    assert lines[-1] == "1 broken row: see the notes marked with ✗."
    assert done.exit_code == 1


def test_the_command_lets_no_row_move_the_cursor(url: str) -> None:
    """Control characters in ids and fields are shown, not obeyed."""
    assert "\x1b" not in run(url).stdout


def test_the_command_shows_one_type_alone(url: str) -> None:
    """It says so if there is none."""
    assert run(url, "--aggregate", "card:").exit_code == 0
    assert run(url, "--aggregate", "x").stdout == "Nothing is stored there for customer 'ann'.\n"


def test_the_command_speaks_json(url: str) -> None:
    """One aggregate a line, with the bytes on request."""
    done = run(url, "--json", "--raw", "--aggregate", "card:1")
    (line,) = done.stdout.splitlines()
    (commit,) = json.loads(line)["commits"]
    assert (commit["events"], commit["crc"]) == ([{"type": "Stamped:1", "place": 7}], True)
    assert msgspec.msgpack.decode(bytes.fromhex(commit["raw"]))[4] == [{"type": "Stamped:1", "place": 7}]


def test_the_command_decrypts_with_the_keys(url: str, tmp_path: Path) -> None:
    """Both files are needed."""
    keys = ["--keys", str(tmp_path / "k.db"), "--master", str(tmp_path / "master.key"), "--aggregate", "chart:"]
    assert "Diagnosed:1 illness='flu'" in run(url, *keys).stdout
    assert "--keys and --master together" in run(url, *keys[:2]).stderr


def test_the_command_reads_with_a_domains_code(url: str) -> None:
    """Of the named module; it marks the rows that this code can't read."""
    store = open_store(url)
    store.append("ann", commits(at(5), {"frosting:1": [Stamped(1)]}))
    store.close()
    arguments = ["--aggregate", "frosting:1"]
    assert run(url, *arguments).exit_code == 0
    assert "found event type Stamped in version 1" in run(url, *arguments, "--module", "eslab.domains.bakery").stdout


def test_the_command_makes_no_store(tmp_path: Path) -> None:
    """A mistyped name is an error, not an empty file."""
    done = run(f"sqlite:///{tmp_path}/typo.db")
    assert (done.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert "typo.db: unable to open database file, since there is none. Check the name" in done.stderr


@pytest.mark.parametrize("width", [40, 80, 120, 300])
def test_no_id_is_broken_on_a_terminal(store: EventStore, width: int) -> None:
    """However narrow it is: there the fields of a row stand below each other."""
    fill(store, 0, card=[Stamped(7)])
    terminal = Console(file=StringIO(), force_terminal=True, width=width, color_system=None)
    show("ann", inspect(store, "ann"), terminal)
    shown = terminal.file.getvalue()
    assert all(word in shown for word in (str(at().id), START.isoformat(), "Stamped:1 place=7", "66"))
