"""`eslab schema`: make the tables in Cassandra, or show the CQL that would."""

from typing import Annotated

import typer

from eslab.errors import InvalidInput
from eslab.layout import Layout
from eslab.operations.read_table_commands import tables_in
from eslab.stores.cassandra import read_tables, schema
from eslab.stores.cassandra.connection import Options, connect
from eslab.stores.cassandra.errors import translate_errors

app = typer.Typer(no_args_is_help=True)
Module = Annotated[
    list[str], typer.Option(help="Read tables too: the module that defines them, such as my.domain.read_tables.")
]
Regions = Annotated[
    str, typer.Option(help="Replicas of each region, such as us=3,eu=3; by default those that are found, 3 at most.")
]


@app.command()
def apply(
    store: Annotated[str, typer.Argument(help="cassandra://host1,host2:9042/keyspace")],
    regions: Regions = "",
    module: Module = [],  # noqa: B006 - typer's way
) -> None:
    """Make the keyspace and its tables where they are missing; safe to repeat, and for several at once."""
    options, layouts = Options.parse(store), _layouts(module)
    with translate_errors(options):
        cluster, session = connect(options)
        try:
            schema.apply(session, options, _replicas(regions))
            schema.ensure_schema(session, options)
            if layouts:
                read_tables.apply(session, options, layouts)
                read_tables.ensure(session, options, layouts)
        finally:
            cluster.shutdown()
    typer.echo(f"{options} holds schema version {schema.VERSION}.")


@app.command()
def show(
    keyspace: Annotated[str, typer.Option(help="The keyspace's name.")] = "lab",
    regions: Regions = "us=1",
    module: Module = [],  # noqa: B006 - typer's way
) -> None:
    """Show the CQL of the keyspace and its tables; needs no Cassandra."""
    Options.parse(f"cassandra://nowhere/{keyspace}")  # refuses a name that is none
    layouts = _layouts(module)
    more = read_tables.statements(keyspace, layouts) if layouts else []
    for statement in (*schema.statements(keyspace, _replicas(regions)), *more):
        typer.echo(f"{statement};\n")


def _layouts(modules: list[str]) -> list[Layout]:
    return [table.layout for table in tables_in(modules)]


def _replicas(regions: str) -> dict[str, int]:
    found = {}
    for part in filter(None, regions.split(",")):
        region, _, count = part.partition("=")
        if not region.replace("-", "").replace("_", "").isalnum() or not count.isdigit() or not int(count):
            raise InvalidInput(f"Expected regions such as us=3,eu=3, got {part!r}.")
        found[region] = int(count)
    return found
