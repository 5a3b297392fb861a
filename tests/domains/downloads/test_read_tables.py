"""Three questions, one read each: their answers are what hydration says, live and rebuilt, late and concurrent."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given

from eslab import EventStore, InvalidInput, ManualClock, Rejected, Repository, open_store
from eslab.bench.play import play as play_lives
from eslab.domains.downloads.catalogue import load_catalogue
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.license import License
from eslab.domains.downloads.read_tables import (
    CUSTOMER_PAGES,
    DOWNLOADS_BY_STUDIO,
    LICENCES_BY_DEVICE,
    READ_TABLES,
    SHARDS,
    downloads_of,
    licences_on,
    page_of,
)
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.workload import BEGAN, customers
from eslab.operations import rebuild
from eslab.payload.encoding import encode
from tests.conftest import REAL
from tests.domains.downloads.support import CATALOGUE, Edge, at, service, time_at
from tests.domains.downloads.test_law import ARRIVALS, DEVICES, play
from tests.domains.downloads.test_reconcile import Region, meet, request_at
from tests.support.sample import DAY, START, Faulty

MONTHS = [f"{year}-{month:02}" for year in (2025, 2026, 2027) for month in range(1, 13)]


@pytest.fixture
def desk(store: EventStore, clock: ManualClock) -> DownloadService:
    return service(store, clock)


def answers(repository: Repository, customer: str = "ann") -> list[Any]:
    """All that the tables say of a customer."""
    on_devices = [licences_on(repository, customer, device) for device in DEVICES]
    return [on_devices, page_of(repository, customer)]


def by_studio(repository: Repository) -> dict[tuple[str, str], dict[str, int]]:
    studios = {title.studio for title in CATALOGUE.values()}
    months = {(studio, month): dict(downloads_of(repository, studio, month)) for studio in studios for month in MONTHS}
    return {key: titles for key, titles in months.items() if titles}


def counted_by_hydration(repository: Repository) -> dict[tuple[str, str], dict[str, int]]:
    """The same from the events of everybody."""
    counted: dict[tuple[str, str], dict[str, int]] = {}
    for customer in repository.store.customers():
        for title, seen in repository.load_all(customer, Downloaded).items():
            for download in seen.counted.values():
                month = counted.setdefault((CATALOGUE[title].studio, f"{download.time:%Y-%m}"), {})
                month[title] = month.get(title, 0) + 1
    return counted


def test_what_does_this_device_hold(desk: DownloadService, clock: ManualClock) -> None:
    """Every licence with its title and its status now."""
    edge = Edge(clock)
    glow, dark = edge.request(), edge.request()
    desk.request_download("ann", "phone", "glow", glow)
    desk.request_download("ann", "phone", "dark", dark, country="DE")
    desk.request_download("ann", "tv", "glow", edge.request())
    desk.release("ann", "phone", "dark", dark.id, edge.request())
    licences = licences_on(desk.repository, "ann", "phone")
    assert [(licence.title, licence.license_id, licence.status.state) for licence in licences] == [
        ("dark", dark.id, "released"),
        ("glow", glow.id, "active"),
    ]
    assert licences_on(desk.repository, "ann", "laptop") == licences_on(desk.repository, "bob", "phone") == []


def test_what_does_the_customer_see_of_it_all(desk: DownloadService, clock: ManualClock) -> None:
    """Titles with their downloads, and their licences on all devices, the newest first."""
    edge = Edge(clock)
    first, second = edge.request(), edge.request()
    desk.request_download("ann", "phone", "glow", first)
    desk.request_download("ann", "tv", "glow", second)
    desk.renew("ann", "phone", "glow", first.id, edge.request())
    (page,) = page_of(desk.repository, "ann")
    assert (page.title, page.downloads) == ("glow", 2)
    assert [(licence.device, licence.license_id, licence.renewals) for licence in page.licences] == [
        ("tv", second.id, 0),
        ("phone", first.id, 1),
    ]


def test_how_often_was_what_downloaded(desk: DownloadService, clock: ManualClock) -> None:
    """By studio and month of the request in UTC, of all customers."""
    for days, customer, title in (0, "ann", "glow"), (0, "bob", "glow"), (1, "ann", "mad-max"), (27, "ann", "glow"):
        clock.now = time_at(days)
        assert not isinstance(desk.request_download(customer, "phone", title, at(days, customer)), Rejected)
    assert downloads_of(desk.repository, "Netflix", "2026-01") == {"glow": 2}
    assert downloads_of(desk.repository, "Netflix", "2026-02") == {"glow": 1}
    assert downloads_of(desk.repository, "MGM", "2026-01") == {"mad-max": 1}
    assert downloads_of(desk.repository, "Nobody", "2026-01") == {}


@pytest.mark.parametrize("month", ["2026-3", "2026-13", "March", ""])
def test_a_month_that_is_none_is_refused(desk: DownloadService, month: str) -> None:
    """It would find nothing, and tell that no title was downloaded."""
    with pytest.raises(InvalidInput, match="Expected a month such as 2026-03"):
        downloads_of(desk.repository, "Netflix", month)


def test_a_studios_month_is_spread_over_shards() -> None:
    """By the download's id, so that a premiere's writes don't all go to one node."""
    clock, store = ManualClock(START), open_store("memory:")
    desk, edge = service(store, clock), Edge(ManualClock(START))
    for number in range(200):
        clock.now = edge.clock.now
        desk.request_download(f"customer {number}", "phone", "glow", edge.request())
        clock.now = edge.clock.now
    shards = [("Netflix", "2026-01", str(shard)) for shard in range(SHARDS)]
    sizes = [sum(map(len, store.read_rows(DOWNLOADS_BY_STUDIO.layout, [shard]))) for shard in shards]
    assert sum(sizes) == 200 and min(sizes) > 10


class Counting(Faulty):
    """Counts the reads of read tables, and forbids all others."""

    reads = 0

    def read_rows(self, layout: Any, keys: Any) -> Any:
        self.reads += len(keys)
        return self.store.read_rows(layout, keys)

    def __getattribute__(self, name: str) -> Any:
        assert name not in ("heads", "heads_of_type", "read_many", "rows_many")
        return super().__getattribute__(name)


def test_each_question_is_one_read(store: EventStore, clock: ManualClock) -> None:
    """Of one partition; for a studio's month of every shard, all in one wait."""
    service(store, clock).request_download("ann", "phone", "glow", at(0))
    counting = Counting(store)
    repository = Repository(counting, clock, read_tables=READ_TABLES)  # type: ignore[arg-type]
    for ask, reads in (
        (lambda: licences_on(repository, "ann", "phone"), 1),
        (lambda: page_of(repository, "ann"), 1),
        (lambda: downloads_of(repository, "Netflix", "2026-01"), SHARDS),
    ):
        counting.reads = 0
        assert ask()
        assert counting.reads == reads


@given(ARRIVALS)
def test_G4_the_tables_say_what_hydration_says(arrivals: list[Any]) -> None:
    """For any commands, however late."""
    desk, _ = play(open_store("memory:"), arrivals)
    repository = desk.repository
    now = repository.clock()
    licences = repository.load_all("ann", License)
    expected = {
        (name, licence.status(name, now), licence.end(name))
        for licence in licences.values()
        for name in licence.licences
    }
    on_devices = [licence for device in DEVICES for licence in licences_on(repository, "ann", device)]
    on_page = [licence for title in page_of(repository, "ann") for licence in title.licences]
    for listed in (on_devices, on_page):
        assert {(licence.license_id, licence.status, licence.ends) for licence in listed} == expected
        assert len(listed) == len(expected)
    assert {title.title: title.downloads for title in page_of(repository, "ann")} == {
        title: len(seen.counted) for title, seen in repository.load_all("ann", Downloaded).items()
    }
    assert by_studio(repository) == counted_by_hydration(repository)


@given(ARRIVALS)
def test_G6_rebuilt_tables_say_the_same(arrivals: list[Any]) -> None:
    """Row for row what the service wrote."""
    store = open_store("memory:")
    desk, _ = play(store, arrivals)
    live = [answers(desk.repository), by_studio(desk.repository)]
    rebuild.rebuild(desk.repository)
    assert [answers(desk.repository), by_studio(desk.repository)] == live


def test_what_parted_regions_granted_too_much_counts_no_more_when_it_is_taken_back() -> None:
    """The void stands in its grant's month, though it was decided in another one; live and rebuilt."""
    us, europe = Region(), Region(off=1)
    for region, hours in ((us, 1), (us, 2), (us, 4), (europe, 3), (europe, 5)):
        region.clock.now = START + DAY / 4
        region.ask(request_at(hours))
    meet(us, europe)
    us.clock.now = START + 40 * DAY
    assert us.service.reconcile("ann").commits == 2
    rebuild.rebuild(us.service.repository)
    assert downloads_of(us.service.repository, "Netflix", "2026-01") == {"glow": 3}
    (page,) = page_of(us.service.repository, "ann")
    assert page.downloads == 3
    assert Counter(licence.status.state for licence in page.licences)["revoked"] == 2


def rows_of(store: EventStore, count: int) -> list[bytes]:
    """All rows of the three tables, as bytes."""
    names = list(customers(count))
    rows = []
    for table in (LICENCES_BY_DEVICE, CUSTOMER_PAGES):
        rows += [row for name in names for page in store.read_rows(table.layout, [(name,)]) for row in page]
    titles = {row.commit.aggregate_id.partition(":")[2] for row in rows}
    studios = {title.studio for id, title in load_catalogue().items() if id in titles}
    shards = [(studio, month, str(shard)) for studio in studios for month in MONTHS[12:15] for shard in range(SHARDS)]
    rows += [row for page in store.read_rows(DOWNLOADS_BY_STUDIO.layout, shards) for row in page]
    return sorted(encode((row.layout.name, row.key, row.commit)) for row in rows)


@pytest.mark.parametrize(
    "open_new", ["sqlite", pytest.param("cassandra", marks=REAL)], indirect=True
)  # fmt: skip
def test_G6_rebuilt_tables_of_whole_lives_are_equal_to_the_live_ones(store: EventStore) -> None:
    """Every row of three tables after two months of six customers, with retries and late requests."""
    play_lives(store, 6, 60, seed=7, workers=3)
    live = rows_of(store, 6)
    repository = Repository(store, ManualClock(BEGAN + 61 * DAY), read_tables=READ_TABLES)
    done = rebuild.rebuild(repository)
    assert done.rows == len(live) > 80
    assert rows_of(store, 6) == live
