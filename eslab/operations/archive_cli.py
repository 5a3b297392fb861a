"""The commands that move old events to an archive and read them there: `eslab rotate`, `eslab archive`."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time
from pathlib import Path
from time import sleep
from typing import Annotated

import typer

from eslab.display import duration, quantity
from eslab.errors import InvalidInput
from eslab.operations.archive import Archive, events_in_json
from eslab.operations.cli import AggregateId, Customer, Jobs, Keys, Master, Store, jobs_on
from eslab.operations.discovery import aggregates_in
from eslab.operations.rotation import rotate_all
from eslab.operations.upkeep_cli import Aggregates, Everybody, OneCustomer, one_customer, upkeep
from eslab.request import Request
from eslab.store import Commit
from eslab.stores import existing, open_store
from eslab.terminal import say

archive = typer.Typer(no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--archive", help="The folder of the archive.")]


def rotate(
    store: Store,
    aggregate: Aggregates,
    before: Annotated[str, typer.Option(help="Events of requests before this day in UTC go, such as 2025-01-01.")],
    folder: Folder,
    customer: OneCustomer = "",
    everybody: Everybody = False,
    jobs: Jobs = None,
    keys: Keys = None,
    master: Master = None,
) -> None:
    """Move events to an archive and delete them in the store; states stay. If it is interrupted, run it again."""
    types = aggregates_in(aggregate)
    one = one_customer(customer, everybody)
    day = _day(before)
    with upkeep(store, keys, master) as (repository, progress):

        def wait(seconds: float) -> None:
            end = repository.clock().timestamp() + seconds
            say(
                f"Waiting until {datetime.fromtimestamp(end, UTC):%H:%M:%S} UTC, as long as a hydration may take "
                f"({duration(repository.bounds.grace)}), before events are deleted."
            )
            sleep(seconds)

        rotated = rotate_all(
            repository,
            types,
            day,
            Archive(folder),
            on_progress=progress,
            customer_id=one,
            jobs=jobs_on(repository.store, jobs),
            wait=wait,
        )
    say(f"rotated {rotated}")


@archive.command()
def read(
    folder: Folder,
    customer: Customer,
    aggregate: AggregateId,
    store: Annotated[str, typer.Option(help="Store URL, for the events that are not archived.")] = "",
) -> None:
    """Print what is archived of an aggregate, with --store its whole past: time, request and events of each commit."""
    opened = Archive(folder)
    past = _past(opened, store, customer, aggregate) if store else opened.commits(customer, aggregate)
    for line in _lines(customer, past):
        say(line)
    if not past:
        raise InvalidInput(f"Expected commits of customer {customer!r}, aggregate {aggregate!r}, found none.")


@archive.command()
def check(folder: Folder) -> None:
    """Read the whole archive: files by their sha256, commits by their checksums."""
    opened = Archive(folder)
    commits = opened.check()
    say(f"{folder}: {quantity(commits, 'commit')} of {quantity(len(opened.customers()), 'customer')}, all intact")


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise InvalidInput(f"Expected a day, such as 2025-01-01, got {text!r}.") from None


def _past(archive: Archive, url: str, customer: str, aggregate: str) -> list[Commit]:
    with closing(open_store(existing(url))) as store:
        return archive.past(store, customer, aggregate)


def _lines(customer: str, commits: Sequence[Commit]) -> Iterator[str]:
    for commit in commits:
        request = Request.from_event_time(commit.event_time)
        yield f"{request.time.isoformat()}\t{request.id}\t{events_in_json(customer, commit) or '(encrypted)'}"
