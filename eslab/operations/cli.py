"""The commands of operations: `eslab inspect`, `row`, `schema-lock`, `read-tables` and `schema`."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from eslab.clock import system_clock
from eslab.display import quantity
from eslab.errors import InvalidInput
from eslab.layout import Layout
from eslab.operations import inspection
from eslab.operations import rebuild as rebuilding
from eslab.operations import restore as restoring
from eslab.operations import schema_lock as lock
from eslab.operations import settings as changing
from eslab.operations.discovery import aggregates_in, commands_in, tables_in
from eslab.operations.parallel import check_jobs
from eslab.operations.read_repair import has_replicas
from eslab.operations.walk import OnProgress
from eslab.payload.encryption import NO_CIPHER, CustomerCipher, KeyProvider, RowCipher
from eslab.repository import Repository
from eslab.request import Request
from eslab.settings import Settings, kept
from eslab.store import EventStore
from eslab.stores import existing, open_store
from eslab.terminal import say

read_tables = typer.Typer(no_args_is_help=True)
row = typer.Typer(no_args_is_help=True)
schema = typer.Typer(no_args_is_help=True)

Store = Annotated[str, typer.Option(help="Store URL.")]
Tables = Annotated[
    list[str], typer.Option("--module", help="Module that defines read tables, or module:NAME for a single one.")
]
Customer = Annotated[str, typer.Option(help="The customer's id.")]
AggregateId = Annotated[str, typer.Option(help="The aggregate's id, such as license:phone/glow.")]
EventTime = Annotated[str, typer.Option(help="The row's event time, or the id of its request.")]
Keys = Annotated[Path | None, typer.Option(help="The file of customers' keys, for encrypted rows.", exists=True)]
Master = Annotated[Path | None, typer.Option(help="The file of the master key, for --keys.", exists=True)]
Jobs = Annotated[
    int | None, typer.Option(help="Threads, each on other customers; default: 8 on Cassandra, 1 elsewhere.")
]
Regions = Annotated[str, typer.Option(help="Replicas of each region, such as us=3,eu=3; default: at most 3 of each.")]
JOBS_ON_A_NETWORK = 8
DOWNLOADS = ["eslab.domains.downloads.read_tables"]


def inspect(
    store: Store,
    customer: Annotated[str, typer.Option(help="The customer's id.")],
    aggregate: Annotated[str, typer.Option(help="An id or its beginning, such as license:")] = "",
    module: Annotated[
        list[str] | None, typer.Option(help="Module of the domain's aggregates: shows how their code reads the rows.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="The file of customers' keys, to decrypt encrypted rows.", exists=True)
    ] = None,
    master: Annotated[Path | None, typer.Option(help="The file of the master key, for --keys.", exists=True)] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Show the bytes too, in hexadecimal digits.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one line for each aggregate.")] = False,
) -> None:
    """Show the rows of a customer, decoded; exit code 1 if a row is broken. Needs no domain's code."""
    from rich.console import Console

    from eslab.operations import inspection_text

    types = aggregates_in(module or [])
    cipher = _cipher(keys, master, customer)
    with closing(open_store(existing(store))) as opened:
        aggregates = inspection.inspect(opened, customer, aggregate, types, cipher, raw)
        if as_json:
            broken = sum(_print_json(inspected) for inspected in aggregates)
        else:
            broken = inspection_text.show(customer, aggregates, Console(highlight=False))
    raise typer.Exit(1 if broken else 0)


def schema_lock(
    modules: Annotated[list[str] | None, typer.Argument(help="Modules of aggregates; default: eslab.domains.")] = None,
    file: Annotated[Path, typer.Option(help="The lock file.", dir_okay=False)] = lock.LOCK,
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit code 1 if old rows don't fit.")] = False,
) -> None:
    """Keep the shapes of events, snapshots and commands, and refuse a change that old rows or requests don't fit."""
    named = modules or ["eslab.domains"]
    now = lock.lock_of(aggregates_in(named), commands_in(named))
    (lock.check if check else lock.write_lock)(file, now)
    shapes = len(lock.read_lock(file).entries())
    fit = "fits" if len(now.aggregates) == 1 else "fit"
    say(f"{file} holds {quantity(shapes, 'shape')}; {quantity(len(now.aggregates), 'aggregate type')} {fit} them.")


@read_tables.command()
def rebuild(store: Store, module: Tables = DOWNLOADS, jobs: Jobs = None) -> None:
    """Empty the read tables and write them from all events. If it is interrupted, run it again: it resumes."""
    _write_tables(store, module, rebuilding.rebuild, "rebuilt", jobs)


@read_tables.command("catch-up")
def catch_up(
    store: Store,
    module: Tables = DOWNLOADS,
    everything: Annotated[bool, typer.Option("--all", help="Read all commits, not only the latest.")] = False,
    jobs: Jobs = None,
) -> None:
    """Write the rows that services left out when they died, since the last run; run it regularly."""
    _write_tables(store, module, partial(rebuilding.catch_up, everything=everything), "caught up", jobs)


@read_tables.command()
def status(store: Store, module: Tables = DOWNLOADS) -> None:
    """Show up to which moment the read tables are certainly complete; makes none that is missing."""
    with closing(open_store(existing(store))) as opened:
        for name, state in rebuilding.status(opened, tables_in(module)).items():
            say(f"{name}: {state}")


@row.command("restore")
def restore_row(
    store: Store,
    customer: Customer,
    aggregate: AggregateId,
    event_time: EventTime,
    module: Tables = DOWNLOADS,
    key: Annotated[
        list[str] | None,
        typer.Option(help="The values of the partition, in order, of a table outside the customer's partition."),
    ] = None,
    keys: Keys = None,
    master: Master = None,
) -> None:
    """Write the intact copy of a broken or skipped row, from a read table, over it. Repeat it if it was interrupted."""
    cipher = _cipher(keys, master, customer)
    tables = tables_in(module)
    with closing(open_store(existing(store))) as opened:
        at = _event_time(event_time)
        say(restoring.restore(opened, tables, customer, aggregate, at, cipher=cipher, key=key or ()))


@row.command("skip")
def skip_row(
    store: Store,
    customer: Customer,
    aggregate: AggregateId,
    event_time: EventTime,
    reason: Annotated[str, typer.Option(help="The reason, which every reader of the row will be shown.")],
    keys: Keys = None,
    master: Master = None,
) -> None:
    """Go on without the events of a broken row that can't be restored: a mark says so wherever the row is read."""
    cipher = _cipher(keys, master, customer)
    with closing(open_store(existing(store))) as opened:
        mark = restoring.skip(opened, customer, aggregate, _event_time(event_time), reason, cipher=cipher)
    say(f"Marked: {mark}" if mark else restoring.INTACT)


@schema.command()
def apply(
    store: Annotated[str, typer.Argument(help="cassandra://host1,host2:9042/keyspace")],
    regions: Regions = "",
    module: Tables = [],  # noqa: B006 - typer needs a list
) -> None:
    """Create the keyspace and its tables where they are missing. Idempotent; concurrent runs are safe."""
    from eslab.stores.cassandra import read_tables as cassandra_read_tables
    from eslab.stores.cassandra import schema as cassandra_schema
    from eslab.stores.cassandra.connection import Options, connect
    from eslab.stores.cassandra.errors import translate_errors

    options = Options.parse(store)
    layouts = _layouts(module)
    with translate_errors(options):
        cluster, session = connect(options)
        try:
            cassandra_schema.apply(session, options, _replicas(regions))
            cassandra_schema.ensure_schema(session, options)
            if layouts:
                cassandra_read_tables.apply(session, options, layouts)
                cassandra_read_tables.ensure(session, options, layouts)
        finally:
            cluster.shutdown()
    say(f"{options} holds schema version {cassandra_schema.VERSION}.")


@schema.command()
def show(
    keyspace: Annotated[str, typer.Option(help="The keyspace's name.")] = "lab",
    regions: Regions = "us=1",
    module: Tables = [],  # noqa: B006 - typer needs a list
) -> None:
    """Show the CQL of the keyspace and its tables; needs no running Cassandra."""
    from eslab.stores.cassandra import read_tables as cassandra_read_tables
    from eslab.stores.cassandra import schema as cassandra_schema
    from eslab.stores.cassandra.connection import Options

    Options.parse(f"cassandra://nowhere/{keyspace}")  # refuses an invalid name
    layouts = _layouts(module)
    of_layouts = cassandra_read_tables.statements(keyspace, layouts) if layouts else []
    for statement in (*cassandra_schema.statements(keyspace, _replicas(regions)), *of_layouts):
        say(f"{statement};\n")


@schema.command()
def settings(
    store: Store,
    changes: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="Change a setting, such as late=7d; repeatable.")
    ] = [],  # noqa: B006 - typer needs a list
    offline: Annotated[
        bool, typer.Option("--offline", help="No process runs: change all at once; deletes snapshots in between.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in seconds; null is for ever.")] = False,
) -> None:
    """Show the settings that all processes on a store share, or change them in an order that is safe."""
    values = changing.parse_changes(changes)
    if "lifetime" in values and not store.startswith("cassandra:"):
        raise InvalidInput("Expected a store on Cassandra to set lifetime: all others keep commits for ever.")
    with closing(open_store(existing(store))) as opened:
        steps = changing.change(opened, values, system_clock(), offline) if values else []
        known = kept(opened)
    if as_json:
        say(json.dumps(changing.seconds(known) if known else {}))
    elif known:
        _print_settings(known)
    else:
        say("No settings are kept yet: the first repository on this store keeps its own.")
    for step in steps:
        say(step, err=as_json)


def _print_settings(settings: Settings) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "value", "meaning")
    for name, value in settings.in_words().items():
        table.add_row(name, value, changing.MEANINGS[name])
    Console(highlight=False).print(table)


def _print_json(aggregate: inspection.InspectedAggregate) -> int:
    """Print an aggregate; returns the number of its broken rows."""
    text = msgspec.json.encode(aggregate).decode()
    # Only in strings can there be what can't be printed; JSON's own escapes stand for it, so the value stays the same.
    say("".join(it if it.isprintable() else json.dumps(it)[1:-1] for it in text))
    return aggregate.broken


def _event_time(text: str) -> UUID:
    """The event time that is written here, or that of the request whose id is."""
    try:
        id = UUID(text)
    except ValueError:
        raise InvalidInput(
            f"Expected an event time or a request id, got {text!r}; `eslab inspect` shows both."
        ) from None
    return id if id.version == 1 else Request(id).event_time


def _cipher(keys: Path | None, master: Path | None, customer: str) -> RowCipher:
    """The customer's cipher, if keys are named."""
    known = key_file(keys, master)
    return CustomerCipher(known, customer) if known else NO_CIPHER


def key_file(keys: Path | None, master: Path | None) -> KeyProvider | None:
    """The keys in a file, if it is named."""
    if keys is None and master is None:
        return None
    if keys is None or master is None:
        raise InvalidInput("Expected --keys and --master together, got one of them. Nothing was read.")
    from eslab.stores.keys import FileKeys

    return FileKeys(keys, master)


def _write_tables(
    store: str, modules: list[str], write: Callable[..., rebuilding.Done], done: str, jobs: int | None
) -> None:
    with _repository(store, modules) as repository, customers_shown() as progress:
        written = write(repository, progress, jobs=jobs_on(repository.store, jobs))
    rows = f"{quantity(written.rows, 'row')} of {quantity(written.customers, 'customer')}"
    say(f"{done}: {rows} in {', '.join(written.tables)}")


def jobs_on(store: EventStore, jobs: int | None) -> int:
    """The threads of a walk over a store: as many as were named, or several where most of the time is a wait.

    One elsewhere: Python's threads share one processor, so on SQLite they only get in each other's way.
    """
    if jobs is None:
        return JOBS_ON_A_NETWORK if has_replicas(store) else 1
    check_jobs(jobs)
    return jobs


@contextmanager
def customers_shown() -> Iterator[OnProgress]:
    """Show how many customers a walk has visited; what is printed meanwhile stands above."""
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("customers", total=None)
        yield lambda rows: progress.advance(task)


@contextmanager
def _repository(store: str, modules: list[str]) -> Iterator[Repository]:
    with closing(open_store(existing(store))) as opened:
        yield Repository(opened, system_clock, read_tables=tables_in(modules))


def _layouts(modules: list[str]) -> list[Layout]:
    return [table.layout for table in tables_in(modules)]


def _replicas(regions: str) -> dict[str, int]:
    replicas: dict[str, int] = {}
    for part in filter(None, regions.split(",")):
        region, _, count = part.partition("=")
        if not region.replace("-", "").replace("_", "").isalnum() or not count.isdigit() or not int(count):
            raise InvalidInput(f"Expected regions such as us=3,eu=3, got {part!r}.")
        replicas[region] = int(count)
    return replicas
