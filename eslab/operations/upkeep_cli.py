"""The commands that keep a store in order and walk over all customers: `eslab snapshots build`, `audit`, `repair`."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from eslab.clock import system_clock
from eslab.display import quantity
from eslab.errors import InvalidInput
from eslab.operations import backfill, full_audit, read_repair
from eslab.operations.cli import Jobs, Keys, Master, Store, Tables, customers_shown, jobs_on, key_file
from eslab.operations.discovery import aggregates_in, tables_in
from eslab.operations.walk import OnProgress
from eslab.repository import Repository
from eslab.stores import existing, open_store
from eslab.terminal import say

snapshots = typer.Typer(no_args_is_help=True)

Aggregates = Annotated[
    list[str],
    typer.Option("--aggregate", help="Module that defines aggregate types, or module:Class for one; repeatable."),
]
OneCustomer = Annotated[str, typer.Option("--customer", help="Only this customer.")]
Everybody = Annotated[
    bool, typer.Option("--all", help="All customers. If it is interrupted, run it again: it resumes.")
]


@snapshots.command()
def build(
    store: Store,
    aggregate: Aggregates,
    customer: OneCustomer = "",
    everybody: Everybody = False,
    jobs: Jobs = None,
    every: Annotated[
        int | None, typer.Option(help="Commits that wait to be folded, instead of the types' own.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(help="Snapshots of a fold that are kept, instead of the types' own.")
    ] = None,
    keys: Keys = None,
    master: Master = None,
) -> None:
    """Build the snapshots that are due; safe beside services that run. Exit code 1 if one could not be built."""
    types = aggregates_in(aggregate)
    one = one_customer(customer, everybody)
    with upkeep(store, keys, master) as (repository, progress):
        threads = jobs_on(repository.store, jobs)
        built = backfill.build_snapshots(repository, types, backfill.Override(every, keep), progress, one, threads)
    say(f"built: {quantity(built.rows, 'snapshot')} of {quantity(built.customers, 'customer')}")


def audit(
    store: Store,
    aggregate: Aggregates = [],  # noqa: B006 - typer needs a list
    module: Tables = [],  # noqa: B006 - typer needs a list
    customer: OneCustomer = "",
    everybody: Everybody = False,
    jobs: Jobs = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what follows from the events alone; delete wrong snapshots.")
    ] = False,
    keys: Keys = None,
    master: Master = None,
) -> None:
    """Compare snapshots, directory, digests and read tables with the events. Exit code 1 if a finding is left."""
    types = aggregates_in(aggregate)
    one = one_customer(customer, everybody)
    with upkeep(store, keys, master, module) as (repository, progress):
        threads = jobs_on(repository.store, jobs)
        found = full_audit.audit(repository, types, say, progress, repair=repair, customer_id=one, jobs=threads)
    repaired = quantity(found.rows, "finding")
    say(f"audited: {quantity(found.customers, 'customer')}, {repaired} repaired, none left")


def repair(
    store: Store,
    module: Tables = [],  # noqa: B006 - typer needs a list
    customer: OneCustomer = "",
    everybody: Everybody = False,
    jobs: Jobs = None,
) -> None:
    """Read all rows at ALL, so that Cassandra makes its regions equal; all replicas must be up."""
    one = one_customer(customer, everybody)
    layouts = [table.layout for table in tables_in(module)]
    with closing(open_store(existing(store))) as opened:
        if not read_repair.has_replicas(opened):
            say(f"Nothing to repair: {opened} keeps one copy of each row.")
            return
        with customers_shown() as progress:
            read = read_repair.repair(opened, system_clock, layouts, progress, one, jobs_on(opened, jobs))
    say(f"read at ALL, and equal everywhere: {quantity(read.rows, 'row')} of {quantity(read.customers, 'customer')}")


@contextmanager
def upkeep(
    store: str, keys: Path | None, master: Path | None, modules: list[str] | None = None
) -> Iterator[tuple[Repository, OnProgress]]:
    """A repository on the store, and a display of how many customers were visited."""
    known = key_file(keys, master)
    with closing(open_store(existing(store))) as opened:
        repository = Repository(opened, system_clock, keys=known, read_tables=tables_in(modules or []))
        with customers_shown() as progress:
            yield repository, progress


def one_customer(customer: str, everybody: bool) -> str | None:
    """The one customer that was named, or None for all."""
    if bool(customer) == everybody:
        found = "both" if everybody else "neither"
        raise InvalidInput(f"Expected --all or --customer, got {found}. Nothing was read.")
    return customer or None
