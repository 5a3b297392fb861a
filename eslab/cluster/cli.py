"""The commands of `eslab cluster`. They import what they need when they run, so that `--help` is quick."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eslab.terminal import say

if TYPE_CHECKING:
    from eslab.cluster.cluster import Cluster

DEFAULT_NAME = "lab"
LOOK_EVERY = 1.0  # seconds between two checks whether the cluster was stopped from elsewhere

app = typer.Typer(
    help="Run a real Cassandra on this machine, in one or more regions, and break it on purpose.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Option(help="Name of the cluster.")]
Regions = Annotated[str | None, typer.Option(help="us, us,eu,asia or us:3; default: as before, or us if new.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="A region, such as asia, or a node, such as us/2.")]
Other = Annotated[str | None, typer.Argument(metavar="OTHER", help="The other end; default: all others.")]


@app.command()
def start(
    regions: Regions = None,
    name: Name = DEFAULT_NAME,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running until stop.")] = False,
    commitlog_sync: Annotated[str | None, typer.Option(help="batch (default), periodic or group.")] = None,
    heap: Annotated[str | None, typer.Option(help="Java heap of a node, such as 512m.")] = None,
    authentication: Annotated[bool | None, typer.Option(help="Clients must log in.")] = None,
    tls: Annotated[bool | None, typer.Option(help="Clients must use TLS.")] = None,
    client_certificates: Annotated[bool | None, typer.Option(help="Clients must show a certificate.")] = None,
) -> None:
    """Start a cluster, or join a running one. Without --keep, it ends with this command."""
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
        Cluster.start(regions, name, keep=keep, on_progress=say, **options) as cluster,
    ):
        up = "Running" if cluster.joined else f"Up after {time.monotonic() - began:.0f} s"
        say(f"{up}\n{cluster.status()}\n\n{_ways_in(cluster)}")
        if not keep:
            say("Press Ctrl-C to stop it. Use --keep to leave a cluster running.")
        while not keep and cluster.is_running:
            time.sleep(LOOK_EVERY)


@app.command()
def stop(name: Name = DEFAULT_NAME) -> None:
    """Stop a cluster; its data stays."""
    cluster = _find(name)
    cluster.stop()
    say(f"Cluster {name} is stopped; its data stays in {cluster.folder}")


@app.command()
def status(name: Annotated[str | None, typer.Option(help="Name of the cluster; default: all.")] = None) -> None:
    """Show the state, memory and address of every node, and the links that are cut or delayed."""
    from eslab.cluster.cluster import Cluster

    clusters = [_find(name)] if name else Cluster.find_all()
    if not clusters:
        say("There is no cluster. Start one: eslab cluster start --regions us,eu,asia")
    for cluster in clusters:
        say(f"{cluster!r}, {'running' if cluster.is_running else 'stopped'}")
        if cluster.is_running:
            say(cluster.status())
            for node, others in cluster.down().items():
                say(f"{node} thinks that these are down: {', '.join(others)}")


@app.command()
def url(
    region: Annotated[str | None, typer.Argument(metavar="REGION", help="Default: the first one.")] = None,
    name: Name = DEFAULT_NAME,
    keyspace: Annotated[str, typer.Option(help="Name of the keyspace.")] = "lab",
) -> None:
    """Print the URL of a store on the cluster, without user and password, for use in other commands."""
    say(_find(name).url(keyspace, region, login=False))


@app.command()
def logs(
    target: Target,
    name: Name = DEFAULT_NAME,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Number of lines of every log.")] = 50,
) -> None:
    """Show the last lines of the logs of a region or a node, even if the cluster is stopped."""
    say(_find(name).log(target, lines))


@app.command()
def destroy(name: Name = DEFAULT_NAME, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False) -> None:
    """Stop a cluster and remove its data; asks first."""
    cluster = _find(name)
    if not yes:
        typer.confirm(f"Remove cluster {name} and all its data in {cluster.folder}?", abort=True)
    cluster.destroy()
    say(f"Cluster {name} and its data are gone.")


@app.command()
def freeze(target: Target, name: Name = DEFAULT_NAME) -> None:
    """Pause nodes (SIGSTOP) until thaw."""
    _find(name).freeze(target)


@app.command()
def thaw(target: Target, name: Name = DEFAULT_NAME) -> None:
    """Resume frozen nodes."""
    _find(name).thaw(target)


@app.command()
def kill(target: Target, name: Name = DEFAULT_NAME) -> None:
    """Kill nodes (kill -9); revive starts them again."""
    _find(name).kill(target)


@app.command()
def revive(target: Target, name: Name = DEFAULT_NAME) -> None:
    """Start killed nodes again with the data on their disks."""
    _find(name).revive(target)


@app.command()
def cut(target: Target, other: Other = None, name: Name = DEFAULT_NAME) -> None:
    """Cut the network between two regions or nodes, until heal."""
    _find(name).cut(target, other)


@app.command()
def heal(
    target: Annotated[str | None, typer.Argument(metavar="TARGET", help="One end; default: all links.")] = None,
    other: Other = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Heal cut links; delays stay."""
    _find(name).heal(target, other)


@app.command()
def delay(
    target: Target,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The other end.")],
    time: Annotated[str, typer.Argument(metavar="TIME", help="Delay each way, such as 75ms; 0ms for no delay.")],
    name: Name = DEFAULT_NAME,
) -> None:
    """Delay every byte between two regions or nodes, each way."""
    _find(name).delay(target, other, time)


def _find(name: str) -> "Cluster":
    from eslab.cluster.cluster import Cluster

    return Cluster.find(name)


def _ways_in(cluster: "Cluster") -> str:
    """The store URL of every region that answers, without the password."""
    from eslab.cluster.folder import LOGIN

    up = {node.region for node in cluster.status().nodes if node.state == "up"}
    urls = [
        f"Store: {cluster.url('lab', region, login=False)}"
        if region in up
        else f"No node of {region} is up. Resume a frozen one: eslab cluster thaw {region} --name {cluster.name}"
        for region in cluster.regions
    ]
    note = [f"User and password: {cluster.folder / LOGIN}"] if cluster.plan.settings.authentication else []
    return "\n".join(urls + note)
