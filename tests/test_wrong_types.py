"""Wrong types are refused at the edge, with the name of the argument, and nothing is written."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest

from eslab import (
    AggregateService,
    InvalidInput,
    ManualClock,
    Repository,
    Request,
    SnapshotPolicy,
    TimeBounds,
    open_store,
)
from eslab.domains.downloads.service import DownloadService
from eslab.layout import Layout
from eslab.operations.audit import find_strays
from eslab.operations.history import history
from eslab.operations.inspection import inspect
from eslab.operations.rebuild import catch_up
from eslab.operations.snapshots import build_snapshot
from eslab.read_table import ReadTable
from eslab.request import latest_at
from eslab.stores.memory import MemoryStore
from tests.support.sample import START, Count, Counter, at, everything, handle

STORE = MemoryStore()
REPOSITORY = Repository(STORE, lambda: START)
SERVICE = AggregateService(STORE, Counter, handle, lambda: START)
DOWNLOADS = DownloadService(STORE, lambda: START)
TEA = Count("tea")
WRONG = [None, 7, True, 1.5, b"ann", [], object(), "", "\ud800"]  # as text that names something
NO_TIME: list[Any] = [datetime(2026, 1, 1), "2026-01-01", 0, "", 7.5, True, START.date()]
NO_OBJECT: list[Any] = [None, "text", 7, b"bytes", object()]


def name_of(customer: Any) -> list[Callable[[], object]]:
    """Every public call that names a customer."""
    return [
        lambda: SERVICE.send(customer, "counter:1", TEA, at()),
        lambda: SERVICE.load(customer, "counter:1"),
        lambda: REPOSITORY.load(customer, Counter, "1"),
        lambda: REPOSITORY.hydrate(customer, Counter, "1"),
        lambda: REPOSITORY.load_all(customer, Counter),
        lambda: REPOSITORY.begin(customer, at(), TEA),
        lambda: REPOSITORY.forget(customer),
        lambda: DOWNLOADS.request_download(customer, "phone", "glow", at()),
        lambda: DOWNLOADS.explain(customer, TEA, at()),  # type: ignore[arg-type]
        lambda: DOWNLOADS.reconcile(customer),
        lambda: build_snapshot(REPOSITORY, customer, Counter, "1"),
        lambda: history(REPOSITORY, customer, Counter, "1"),
        lambda: find_strays(REPOSITORY, customer, [Counter]),
        lambda: list(inspect(STORE, customer)),
        lambda: STORE.append(customer, []),
    ]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_customer_is_named_by_text(wrong: Any) -> None:
    """In every public call."""
    for call in name_of(wrong):
        with pytest.raises(InvalidInput, match="customer id"):
            call()


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_an_aggregate_is_named_by_text(wrong: Any) -> None:
    """Its key and its id."""
    keyed: list[Callable[[], object]] = [
        lambda: REPOSITORY.load("ann", Counter, wrong),
        lambda: REPOSITORY.begin("ann", at(), TEA).load((Counter, wrong)),
        lambda: build_snapshot(REPOSITORY, "ann", Counter, wrong),
        lambda: history(REPOSITORY, "ann", Counter, wrong),
    ]
    for call in keyed:
        with pytest.raises(InvalidInput, match="aggregate key"):
            call()
    for call in (lambda: SERVICE.send("ann", wrong, TEA, at()), lambda: SERVICE.load("ann", wrong)):
        with pytest.raises(InvalidInput, match=r"aggregate_id|the id of a Counter"):
            call()


CASES: dict[str, Callable[[Any], object]] = {
    "request": lambda wrong: SERVICE.send("ann", "counter:1", TEA, wrong),
    "command": lambda wrong: SERVICE.send("ann", "counter:1", wrong, at()),
    " request": lambda wrong: TimeBounds().check(wrong, START),
    "aggregate_type": lambda wrong: REPOSITORY.load("ann", wrong, "1"),
    " aggregate_type": lambda wrong: REPOSITORY.load_all("ann", wrong),
    "  aggregate_type": lambda wrong: AggregateService(STORE, wrong, handle, lambda: START),
    "address": lambda wrong: REPOSITORY.begin("ann", at(), TEA).load(wrong),
    "store": lambda wrong: Repository(wrong, lambda: START),
    "clock": lambda wrong: Repository(STORE, wrong),
    " clock": lambda wrong: Request.new(wrong, Random(1)),
    "random": lambda wrong: Request.new(lambda: START, wrong),
    "handle": lambda wrong: AggregateService(STORE, Counter, wrong, lambda: START),
    "table": lambda wrong: REPOSITORY.read(wrong),
    "read_tables": lambda wrong: Repository(STORE, lambda: START, read_tables=wrong),
    " read_tables": lambda wrong: Repository(STORE, lambda: START, read_tables=[wrong]),
    "by": lambda wrong: ManualClock(START).advance(wrong),
    "late": lambda wrong: TimeBounds(late=wrong),
    "append": lambda wrong: TimeBounds(append=wrong),
    "event_time": lambda wrong: Request.from_event_time(wrong),
    "request id": lambda wrong: Request.parse(wrong),
    "store URL": lambda wrong: open_store(wrong),
}


@pytest.mark.parametrize("wrong", NO_OBJECT, ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize("name", CASES)
def test_an_argument_of_another_type_is_named(name: str, wrong: Any) -> None:
    """Nothing that belongs there: None, text, a number, bytes, any object."""
    with pytest.raises(InvalidInput, match=re.escape(name.strip())):
        CASES[name](wrong)
    assert everything(STORE) == {}


OPTIONAL: dict[str, Callable[[Any], object]] = {
    "bounds": lambda wrong: Repository(STORE, lambda: START, wrong),
    "keys": lambda wrong: Repository(STORE, lambda: START, keys=wrong),
    "policy": lambda wrong: build_snapshot(REPOSITORY, "ann", Counter, "1", wrong),
    "every": lambda wrong: SnapshotPolicy(every=str(wrong)),  # type: ignore[arg-type]
    "key": lambda wrong: Request.at(START, wrong if not isinstance(wrong, str) else 7),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("wrong", [0, "text", 7, b"bytes", object()], ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize("name", OPTIONAL)
def test_an_optional_argument_of_another_type_is_named(name: str, wrong: Any) -> None:
    """Also one that is false, such as 0."""
    with pytest.raises(InvalidInput, match=name):
        OPTIONAL[name](wrong)


@pytest.mark.parametrize("wrong", NO_TIME, ids=repr)
def test_a_time_needs_a_zone(wrong: Any) -> None:
    """Wherever one is given, and from every clock; 0 and an empty text are no missing time."""
    store = MemoryStore()
    service = AggregateService(store, Counter, handle, lambda: wrong)
    times: dict[str, list[Callable[[], object]]] = {
        "as_of": [
            lambda: REPOSITORY.load("ann", Counter, "1", wrong),
            lambda: REPOSITORY.load_all("ann", Counter, wrong),
            lambda: SERVICE.load("ann", "counter:1", wrong),
        ],
        "time": [lambda: Request.at(wrong, "key"), lambda: ManualClock(wrong), lambda: latest_at(wrong)],
        "now": [lambda: TimeBounds().check(at(), wrong)],
        "the time of the clock": [
            lambda: Request.new(lambda: wrong, Random(1)),
            lambda: service.send("ann", "counter:1", TEA, at()),
            lambda: build_snapshot(service.repository, "ann", Counter, "1"),
            lambda: catch_up(service.repository),
        ],
    }
    for name, calls in times.items():
        for call in calls:
            with pytest.raises(InvalidInput, match=f"a datetime with a time zone, got .* as {name}; write"):
                call()
    assert everything(store) == {}


def test_a_clock_may_tell_another_zone() -> None:
    """It is the same moment: the answer, and a checkpoint, are in UTC."""
    store = MemoryStore()
    zone = timezone(timedelta(hours=5, minutes=30))

    def clock() -> datetime:
        return START.astimezone(zone)

    service = AggregateService(store, Counter, handle, clock)
    assert service.send("ann", "counter:1", TEA, at()).state.total == 1  # type: ignore[union-attr]
    table = ReadTable(Layout("days", ("day",)), {Counter: lambda customer, key, events: [("monday",)]})
    catch_up(Repository(store, clock, read_tables=[table]))
    assert f'"{START.replace(tzinfo=None).isoformat()}Z"' in store.checkpoint("complete days")


def test_a_time_that_python_can_not_hold_is_refused() -> None:
    """Bounds, clocks and what is added to them stay within the calendar."""
    with pytest.raises(InvalidInput, match=r"at most 36,500 days, got .* as fold_after"):
        TimeBounds(fold_after=timedelta.max)
    with pytest.raises(InvalidInput, match=r"at most 36,500 days, got .* as late"):
        TimeBounds(late=timedelta.max)
    with pytest.raises(InvalidInput, match="Expected a time from year 1 to 9999"):
        ManualClock(START).advance(timedelta.max)


ID = str(at().id)


@pytest.mark.parametrize(
    "text",
    [ID.upper(), f"{{{ID}}}", f"urn:uuid:{ID}", ID.replace("-", ""), f" {ID}", f"{ID}\n", f"{ID}\0", f"-{ID}",
     repr(at()), ID.replace("-", "", 1), ID.encode(), at().id, at(), "\ud800", True],
)  # fmt: skip
def test_a_request_is_parsed_from_one_form_only(text: Any) -> None:
    """Python reads more forms of a UUID; then one request would have several names."""
    with pytest.raises(InvalidInput, match=r"Expected a request id \(UUIDv7\) such as"):
        Request.parse(text)
    assert Request.parse(ID) == at()


def test_a_download_names_its_wrong_field() -> None:
    """The service's arguments become fields of a command, which are checked together."""
    with pytest.raises(InvalidInput, match=r"device"):
        DOWNLOADS.request_download("ann", 7, "glow", at())  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"license_id"):
        DOWNLOADS.release("ann", "phone", "glow", "no uuid", at())  # type: ignore[arg-type]
