"""The checks of the exercises: a line per case, with the given state, the expected result and the learner's result.

An exercise's source is its solution, in notebooks/solutions/; `learner_copy` makes the notebook that learners get.
"""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from eslab import Aggregate, Command, Event, EventStore, Rejected, Request, version
from eslab.aggregate import serializer_of
from eslab.domains.bakery import BOWL, ColorAdded, Frosting
from eslab.domains.downloads.catalogue import load_catalogue
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.devices import Devices, DownloadHeld, HoldEnded
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded
from eslab.domains.downloads.plans import Plan
from eslab.domains.downloads.rules import Ask, Check
from eslab.domains.downloads.studios import StudioRules
from eslab.lab.session import START
from eslab.lab.verdict import Verdict
from eslab.payload.checksum import Checksum
from eslab.payload.serializer import encode_append

if TYPE_CHECKING:
    from eslab.stores.cassandra import CassandraStore

Held = tuple[int, str, str]  # hours before the request, title, device
BY_TITLE = "exercise_by_title"
DOWNLOADS = [  # title, month, day, customer
    ("glow", "2026-01", 5, "ann"),
    ("glow", "2026-01", 6, "bob"),
    ("glow", "2026-01", 7, "ann"),
    ("glow", "2026-02", 35, "cleo"),
    ("1408", "2026-01", 8, "dan"),
]


class AtLeast(Command):
    """A goal: the frosting holds at least this many portions of a colour."""

    color: str
    portions: int


def check_at_least(handle: Callable[[Frosting, AtLeast, Request], list[ColorAdded]]) -> Verdict:
    """Check exercise 1: only the portions that are still missing become events."""
    cases = [
        ("cream", {}, 2, 2),
        ("one red", {"red": 1}, 2, 1),
        ("two red", {"red": 2}, 2, 0),
        ("three red", {"red": 3}, 2, 0),
        ("ten blue", {"blue": BOWL - 2}, 3, "Rejected"),
    ]
    lines = []
    for given, portions, wanted, expected in cases:
        frosting = Frosting(portions=dict(portions))
        result = _outcome(lambda f=frosting, n=wanted: len(handle(f, AtLeast("red", n), _request("exercise 1"))))
        lines.append(_line(f"given {given}, when at least {wanted} red", expected, result, "events"))
    return Verdict(lines)


def check_downloads_per_day(rule: Callable[[Ask], Check]) -> Verdict:
    """Check exercise 2: a rule of three downloads in 24 hours, of any title, on any device."""
    three = ("glow", "bolt", "amadeus")
    today = (1, 2, 3)
    cases: list[tuple[str, list[Held], str]] = [
        ("nothing yet", [], "passed, 0 of 3"),
        ("Glow on two devices", [(1, "glow", "phone"), (2, "glow", "tv")], "passed, 2 of 3"),
        ("three titles on one device", [(n, title, "phone") for n, title in zip(today, three, strict=True)],
         "broken, 3 of 3"),
        ("Glow three times, and one given back", [(n, "glow", "phone") for n in today], "broken, 3 of 3"),
        ("Glow three times, once 25 hours ago", [(n, "glow", "phone") for n in (1, 2, 25)], "passed, 2 of 3"),
        ("Glow three times, once exactly 24 hours ago", [(n, "glow", "phone") for n in (1, 2, 24)], "passed, 2 of 3"),
        ("Glow three times, once an hour later than this late wish", [(n, "glow", "phone") for n in (1, 2, -1)],
         "broken, 3 of 3"),
    ]  # fmt: skip
    return Verdict(
        [
            _line(f"given {given}", expected, _outcome(lambda h=held, g=given: _said(rule(_ask(h, "back" in g)))))
            for given, held, expected in cases
        ]
    )


def _ask(granted: list[Held], given_back: bool) -> Ask:
    """A request for Glow, three days after the start, with these downloads granted before it."""
    time = START + timedelta(days=3)
    seen = Downloaded()
    devices = Devices()
    for hours, title, device in granted:
        at = time - timedelta(hours=hours)
        id = Request.at(at, f"{title} on {device}").id
        devices.apply(DownloadHeld(id, device, title, at, "standard", 1, 1))
        if title == "glow":
            seen.apply(DownloadCounted(id, device, at, 1))
        if given_back and hours == 1:
            devices.apply(HoldEnded(id))
    command, title = RequestDownload("laptop", "glow"), load_catalogue()["glow"]
    return Ask(command, time, title, studio=StudioRules(), plan=Plan(), seen=seen, devices=devices)


def _said(check: Any) -> str:
    """A rule's check, in the words of the cases."""
    if not isinstance(check, Check):
        return f"{check!r}, which is no Check"
    words = f"{'passed' if check.passed else 'broken'}, {check.count} of {check.limit}"
    return words if check.passed or check.reason else f"{words}, without a reason"


def check_primary_key(store: EventStore, key: str) -> Verdict:
    """Check exercise 3 on the lesson's Cassandra: a table for "who downloaded a title in a month, newest first?"."""
    session = cast("CassandraStore", store).session

    def fill() -> int:
        columns = "title text, month text, request timeuuid, customer_id text"
        session.execute(f"DROP TABLE IF EXISTS {BY_TITLE}")
        session.execute(f"CREATE TABLE {BY_TITLE} ({columns}, PRIMARY KEY {key})")
        for title, month, day, customer in [*DOWNLOADS, DOWNLOADS[0]]:  # the first is sent twice
            row = (title, month, Request.at(START + timedelta(days=day), f"download {day}").event_time, customer)
            session.execute(f"INSERT INTO {BY_TITLE} (title, month, request, customer_id) VALUES (%s, %s, %s, %s)", row)  # noqa: S608
        return len(session.execute(f"SELECT title FROM {BY_TITLE}").all())  # noqa: S608

    def ask() -> str:
        where = "WHERE title = 'glow' AND month = '2026-01' ORDER BY request DESC"
        return ", ".join(who for (who,) in session.execute(f"SELECT customer_id FROM {BY_TITLE} {where}"))  # noqa: S608

    def partitions() -> int:
        cluster = cast(Any, session.cluster)
        table = cluster.metadata.keyspaces[session.keyspace].tables[BY_TITLE]
        columns = ", ".join(column.name for column in table.partition_key)
        return len(session.execute(f"SELECT DISTINCT {columns} FROM {BY_TITLE}").all())  # noqa: S608

    cases = [
        ("five downloads, one of them sent twice", 5, fill, "rows"),
        ("who downloaded glow in January, newest first", "ann, bob, ann", ask, ""),
        ("a partition for each title and month", 3, partitions, "partitions"),
    ]
    return Verdict([_line(case, expected, _outcome(run), unit) for case, expected, run, unit in cases])


class FirstDelivered(Event, tag="Delivered:1"):
    """A delivery as it was stored before it had a number and a street."""

    address: str


class Delivered(Event, tag=version(2)):
    """A delivery, with a number if the house has one."""

    number: int | None
    street: str


def check_upcaster(split_address: Callable[[dict[str, Any]], Any]) -> Verdict:
    """Check exercise 5: a step from version 1 to version 2 that splits an address."""

    class Deliveries(Aggregate):
        upcasters = {"Delivered:1": split_address}

        def apply(self, event: Delivered) -> None:
            """Nothing to fold: the events are only read."""

    def load(address: str) -> Any:
        id, time = "deliveries:1", Request.at(START, address).event_time
        payload = encode_append("ann", time, {id: [FirstDelivered(address)]}, bytes(8))[id]
        (event,) = serializer_of(Deliveries).events(payload, Checksum.of_commits("ann", id))
        return event

    def unchanged() -> str:
        stored = {"type": "Delivered:1", "address": "12 Baker Street"}
        split_address(stored)
        return str(stored)

    cases = [
        ("12 Baker Street", Delivered(12, "Baker Street")),
        ("Baker Street", Delivered(None, "Baker Street")),
        ("221B Baker Street", Delivered(None, "221B Baker Street")),
    ]
    lines = [
        _line(f"given {address}", str(expected), str(_outcome(lambda a=address: load(a))))
        for address, expected in cases
    ]
    kept = str({"type": "Delivered:1", "address": "12 Baker Street"})
    return Verdict([*lines, _line("the map that it received, afterwards", kept, _outcome(unchanged))])


def check_partition(partition: Callable[[str, Request, int], tuple[str, str, int]]) -> Verdict:
    """Check exercise 4: the partition of a download in "a studio's downloads in a month", spread over shards."""
    requests = [Request.at(START + timedelta(minutes=n), f"download {n}") for n in range(2000)]

    def shards() -> list[int]:
        chosen = [partition("ACME", request, 4)[2] for request in requests]
        return sorted({shard for shard in chosen if 400 <= chosen.count(shard) <= 600})

    def named() -> str:
        studio, month, _ = partition("ACME", requests[0], 4)
        return f"{studio}, {month}"

    def repeated() -> int:
        return len({partition("ACME", requests[0], 4) for _ in range(100)})

    cases = [
        ("a download on the fifth of January 2026", "ACME, 2026-01", named, ""),
        ("the same request a hundred times", 1, repeated, "partition"),
        ("two thousand requests, shards that hold a quarter or so", "[0, 1, 2, 3]", lambda: str(shards()), ""),
    ]
    return Verdict([_line(case, expected, _outcome(run), unit) for case, expected, run, unit in cases])


def learner_copy(solution: Any) -> Any:
    """Return the learner's notebook: a cell with a stub shows the stub instead of the solution."""
    notebook = deepcopy(solution)
    for cell in notebook.cells:
        if "stub" in cell.metadata:
            cell.source = cell.metadata.pop("stub")
    return notebook


def _request(key: str) -> Request:
    return Request.at(START, key)


def _outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Rejected:
        return "Rejected"
    except Exception as error:  # show whatever the learner's code raises
        return f"{type(error).__name__}: {error}"


def _line(case: str, expected: Any, result: Any, unit: str = "") -> tuple[bool, str]:
    words = f"{expected} {unit}" if isinstance(expected, int) else expected
    return expected == result, f"{case}: expected {words}" + ("" if expected == result else f", got {result}")
