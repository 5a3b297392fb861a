"""`eslab cluster`: the commands. What they need is imported when one of them runs."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from eslab.cluster.cluster import Cluster

DEFAULT_NAME = "lab"
LOOK_EVERY = 1.0  # seconds between two looks whether somebody else stopped the cluster

app = typer.Typer(
    help="Run a real Cassandra on this machine, in one or more regions, and break it on purpose.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Option(help="Which cluster.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="A region such as asia, or a node such as us/2.")]
Other = Annotated[str | None, typer.Argument(metavar="[TARGET]", help="The other end; if not said, all others.")]


@app.command()
def start(
    regions: Annotated[str | None, typer.Option(help="us, or us,eu,asia, or us:3; if not said, as it was.")] = None,
    name: Name = DEFAULT_NAME,
    keep: Annotated[bool, typer.Option("--keep", help="Return, and leave it running until stop.")] = False,
    commitlog_sync: Annotated[str | None, typer.Option(help="batch, periodic or group.")] = None,
    heap: Annotated[str | None, typer.Option(help="Java heap of each node, such as 512m.")] = None,
    authentication: Annotated[bool | None, typer.Option(help="Clients must log in.")] = None,
    tls: Annotated[bool | None, typer.Option(help="Clients must use TLS.")] = None,
    client_certificates: Annotated[bool | None, typer.Option(help="Clients must show a certificate.")] = None,
) -> None:
    """Start a cluster, or find it running. Without --keep it ends with this command."""
    from eslab.cluster.cluster import Cluster

    asked: dict[str, Any] = {
        "commitlog_sync": commitlog_sync,
        "heap": heap,
        "authentication": authentication,
        "tls": tls,
        "client_certificates": client_certificates,
    }
    options = {option: value for option, value in asked.items() if value is not None}
    began = time.monotonic()
    with (
        suppress(KeyboardInterrupt),
        Cluster.start(regions, name, keep=keep, say=typer.echo, **options) as cluster,
    ):
        typer.echo(f"Up after {time.monotonic() - began:.0f} s\n{cluster.status()}\n\n{_ways_in(cluster)}")
        if not keep:
            typer.echo("Ctrl-C ends it; with --keep it would run on.")
        while not keep and cluster.is_running:
            time.sleep(LOOK_EVERY)


@app.command()
def stop(name: Name = DEFAULT_NAME) -> None:
    """End a cluster; its data stays."""
    cluster = _find(name)
    cluster.stop()
    typer.echo(f"Cluster {name} is stopped; its data stays in {cluster.folder}")


@app.command()
def status(name: Annotated[str | None, typer.Option(help="Which cluster; if not said, all.")] = None) -> None:
    """Nodes up or down, their memory and addresses, and the links that are cut or delayed."""
    from eslab.cluster.cluster import Cluster

    clusters = [_find(name)] if name else Cluster.find_all()
    if not clusters:
        typer.echo("There is no cluster. Start one: eslab cluster start --regions us,eu,asia")
    for cluster in clusters:
        typer.echo(f"{cluster!r}, {'running' if cluster.is_running else 'stopped'}")
        if cluster.is_running:
            typer.echo(cluster.status())


@app.command()
def logs(
    target: Target,
    name: Name = DEFAULT_NAME,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of each log.")] = 50,
) -> None:
    """The end of the logs of a region's nodes or of one node; of a stopped cluster too."""
    typer.echo(_find(name).log(target, lines))


@app.command()
def destroy(name: Name = DEFAULT_NAME, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False) -> None:
    """End a cluster and remove its data; asks first."""
    cluster = _find(name)
    if not yes:
        typer.confirm(f"Remove cluster {name} and all its data in {cluster.folder}?", abort=True)
    cluster.destroy()
    typer.echo(f"Cluster {name} is gone.")


@app.command()
def freeze(target: Target, name: Name = DEFAULT_NAME) -> None:
    """Stop nodes in mid-step (SIGSTOP), until thaw."""
    _find(name).freeze(target)


@app.command()
def thaw(target: Target, name: Name = DEFAULT_NAME) -> None:
    """Let frozen nodes go on."""
    _find(name).thaw(target)


@app.command()
def kill(target: Target, name: Name = DEFAULT_NAME) -> None:
    """End nodes with no chance to tidy up (kill -9), until revive."""
    _find(name).kill(target)


@app.command()
def revive(target: Target, name: Name = DEFAULT_NAME) -> None:
    """Start killed nodes again on what their disks hold."""
    _find(name).revive(target)


@app.command()
def cut(target: Target, other: Other = None, name: Name = DEFAULT_NAME) -> None:
    """Let nothing pass between two regions or nodes, until heal."""
    _find(name).cut(target, other)


@app.command()
def heal(
    target: Annotated[str | None, typer.Argument(metavar="[TARGET]", help="One end; if not said, all links.")] = None,
    other: Other = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Mend cut links."""
    _find(name).heal(target, other)


@app.command()
def delay(
    target: Target,
    other: Annotated[str, typer.Argument(metavar="TARGET", help="The other end.")],
    time: Annotated[str, typer.Argument(metavar="TIME", help="Each way, such as 75ms; 0ms for none.")],
    name: Name = DEFAULT_NAME,
) -> None:
    """Let every byte between two regions or nodes take so long each way."""
    _find(name).delay(target, other, time)


def _find(name: str) -> "Cluster":
    from eslab.cluster.cluster import Cluster

    return Cluster.find(name)


def _ways_in(cluster: "Cluster") -> str:
    """A store URL for each region, without the password."""
    urls = [f"Store: {cluster.url('lab', region, login=False)}" for region in cluster.regions]
    note = [f"User and password: {cluster.folder / 'login.json'}"] if cluster.plan.settings.authentication else []
    return "\n".join(urls + note)
