"""Three real regions that were parted for longer than hints are kept: `eslab repair` makes them equal (G2, G4).

pytest -m "full and cassandra" -s tests/operations/test_read_repair_regions.py       shows seconds and rows
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from cassandra import ConsistencyLevel
from cassandra.query import SimpleStatement

from eslab import Event, Repository
from eslab.clock import ManualClock
from eslab.cluster import Cluster
from eslab.operations.read_repair import NAME
from eslab.operations.snapshots import build_snapshot
from eslab.operations.walk import load_checkpoint
from eslab.stores.cassandra import CassandraStore
from tests.operations.test_full_audit import LATE, LATER, ONE
from tests.support.cassandra import on_cassandra, opened
from tests.support.sample import DAY, ROOT, Counted, Counter, Stamped, at, commits, fill

REGIONS = ("us", "eu", "asia")
CUSTOMERS = [f"customer {number:03}" for number in range(900)]
HINT_WINDOW = 1  # second; by default it is 3 h
TABLES = ("events", "aggregates", "snapshots")
Process = subprocess.Popen[str]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Three regions of one node each, which keep hints for a region that is away for one second at most."""
    with Cluster.start(regions=",".join(REGIONS), config={"max_hint_window": f"{HINT_WINDOW}s"}) as cluster:
        yield cluster


@pytest.fixture
def stores(cluster: Cluster) -> Iterator[dict[str, CassandraStore]]:
    """A store in each region."""
    with ExitStack() as stack:
        yield {
            region: stack.enter_context(opened(cluster.url("lab_apart", region) + "&timeout=3")) for region in REGIONS
        }


def held(stores: Mapping[str, CassandraStore], table: str = "events") -> dict[str, set[Any]]:
    """The rows of each region's own replica: nobody else is asked, which would repair them."""
    select = SimpleStatement(f"SELECT * FROM {table}", consistency_level=ConsistencyLevel.LOCAL_ONE)
    return {region: set(store.session.execute(select)) for region, store in stores.items()}


def are_equal(stores: Mapping[str, CassandraStore]) -> bool:
    """Do all regions hold the same rows in every table?"""
    return all(us == eu == asia for us, eu, asia in (held(stores, table).values() for table in TABLES))


def eventually(happened: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def part(cluster: Cluster) -> None:
    """Cut all links, and wait until nobody keeps hints any more."""
    cluster.cut("us")
    cluster.cut("eu", "asia")
    eventually(lambda: {len(down) for down in cluster.down().values()} == {2} and len(cluster.down()) == 3)
    time.sleep(2 * HINT_WINDOW)


def write_apart(stores: Mapping[str, CassandraStore]) -> None:
    """Each region appends to customers of its own, and to some that others append to as well."""

    def append(region: str, customer: str, id: str, event: Event) -> None:
        requests = [at(minute, region) for minute in range(3)]
        stores[region].append(customer, [commits(it, {id: [event]}, customer=customer)[0] for it in requests])

    with ThreadPoolExecutor(8) as pool:
        written = [pool.submit(append, "us", customer, "counter:1", Counted("tea")) for customer in CUSTOMERS[:600]]
        written += [pool.submit(append, "eu", customer, "counter:1", Counted("tea")) for customer in CUSTOMERS[300:]]
        written += [pool.submit(append, "asia", customer, "card:1", Stamped(7)) for customer in CUSTOMERS[::3]]
        for each in written:
            each.result()
    stores["us"].append("ann", commits(LATE, {"counter:1": [Counted("rum")]}))  # and its writer dies


def command(*arguments: str) -> Process:
    """A command of eslab in a process of its own."""
    line = [sys.executable, "-m", "eslab", *arguments]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def said(process: Process, code: int) -> str:
    """What a command printed, once it has ended with this code."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == code, output
    return output


@pytest.mark.full
@on_cassandra
def test_G4_after_eslab_repair_regions_that_were_parted_hold_the_same(
    cluster: Cluster, stores: dict[str, CassandraStore]
) -> None:
    """A replica goes away in the middle, and a repair is killed; both leave a checkpoint, and nothing wrong."""
    us = stores["us"]
    url = cluster.url("lab_apart", "us")
    audit = ["audit", "--store", url, "--aggregate", "tests.support.sample"]
    fill(us, 10)
    assert build_snapshot(Repository(us, ManualClock(LATER - DAY)), "ann", Counter, "1", ONE)
    eventually(lambda: are_equal(stores))

    part(cluster)
    write_apart(stores)
    cluster.heal()
    cluster.wait()
    time.sleep(15)  # hints are delivered every 10 s: there are none
    before = held(stores)
    everything = set().union(*before.values())
    print(f"\nof {len(everything):,} commits {missing(before, everything)} are missing")
    assert all(len(rows) < 0.9 * len(everything) for rows in before.values())

    output = said(command(*audit, "--customer", "ann"), 1)
    assert "found one of 10 commits, and a replay of 11: .counts['rum'] is nothing in the snapshot" in output

    def after() -> str:
        return load_checkpoint(us, NAME).after

    first = command("repair", "--store", f"{url}&timeout=3", "--all", "--jobs", "1")
    eventually(lambda: after() != "")
    cluster.freeze("asia")
    assert "did not answer within 3 s" in said(first, 1)
    cluster.thaw("asia")
    cluster.wait()
    came_to = after()
    between = held(stores)
    assert all(before[region] < between[region] < everything for region in REGIONS)

    second = command("repair", "--store", url, "--all", "--jobs", "2")
    eventually(lambda: after() != came_to)
    second.send_signal(signal.SIGKILL)
    said(second, -signal.SIGKILL)
    assert not are_equal(stores)

    began = time.monotonic()
    third = said(command("repair", "--store", url, "--all"), 0)
    print(f"{third.splitlines()[-1]}, in {time.monotonic() - began:.1f} s")
    assert are_equal(stores) and held(stores)["asia"] == everything

    assert "1 findings repaired" in said(command(*audit, "--customer", "ann", "--repair"), 0)
    assert "audited: 901 customers, 0 findings repaired, none left" in said(command(*audit, "--all"), 0)


def missing(held: Mapping[str, set[Any]], everything: set[Any]) -> str:
    """How many rows each region lacks."""
    return ", ".join(f"{len(everything - rows):,} in {region}" for region, rows in held.items())
