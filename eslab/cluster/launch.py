"""From a launch specification to a started cluster: name, addresses, files, supervisor."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from eslab.cluster import addresses
from eslab.cluster.certificates import make_certificates
from eslab.cluster.config import write_config
from eslab.cluster.control import Owner, find_supervisor
from eslab.cluster.errors import ClusterError
from eslab.cluster.folder import KEYS, PLAN, read_plan, remembered, write_plan
from eslab.cluster.places import locked
from eslab.cluster.plan import Options, Plan, make_settings, parse_regions, regions_text
from eslab.cluster.process import kill_orphans
from eslab.cluster.progress import OnProgress
from eslab.cluster.running import children, join, leave, sweep, wait_until
from eslab.cluster.runtime import Java

PATIENCE = 30.0  # seconds for a supervisor to publish its address
PAUSE = 0.05  # short: it takes a fraction of a second


class LaunchSpec(NamedTuple):
    """The cluster that a caller asks for; what it leaves out stays as it was, or takes the default."""

    name: str
    regions: str | None
    options: Options
    throwaway: bool


class Tools(NamedTuple):
    """Java and the jars: every node needs both."""

    java: Java
    jars: list[Path]


class Launched(NamedTuple):
    """A cluster whose nodes were started, now (`fresh`) or earlier; they may not answer yet."""

    plan: Plan
    folder: Path
    fresh: bool


def launch(spec: LaunchSpec, owner: Owner | None, tools: Tools, on_progress: OnProgress) -> Launched:
    """Join the cluster if it is running, else start it; without an owner it runs until `stop`. Raises ClusterError.

    One process of this user at a time may be in here, so no name or address is given twice.
    """
    with locked() as home:
        sweep(home)
        folder = home / spec.name
        if join(folder, owner):
            on_progress(f"Cluster {spec.name} is already running")
            return Launched(_agreed(read_plan(folder), spec, folder, owner), folder, fresh=False)
        # Not running, but its supervisor may have died without its nodes, and they hold its addresses.
        kill_orphans(folder)
        plan = make_plan(spec, home)
        on_progress(f"Starting {regions_text(plan.regions)} with {tools.java}")
        _write(plan, folder, tools)
        _spawn(folder, owner)
        return Launched(plan, folder, fresh=True)


def make_plan(spec: LaunchSpec, home: Path) -> Plan:
    """The plan of a new cluster, or the stored one with the settings of `spec`. Raises ClusterError."""
    folder = home / spec.name
    if not (folder / PLAN).exists():
        taken = [node.host for plan in remembered(home) for node in plan.nodes]
        nodes = addresses.place_nodes(parse_regions(spec.regions or "us"), taken)
        return Plan(spec.name, nodes, make_settings(**spec.options), spec.throwaway)
    old = read_plan(folder)
    _check_regions(old, spec)
    # Cassandra's data knows the addresses, so they stay. A single node on 127.0.0.1 gets free ports at each start.
    nodes = old.nodes if old.relayed else addresses.place_nodes(old.regions, ())
    addresses.check_free(nodes)
    settings = make_settings(**{**msgspec.structs.asdict(old.settings), **spec.options})
    return Plan(old.name, nodes, settings, old.throwaway)


def _agreed(plan: Plan, spec: LaunchSpec, folder: Path, owner: Owner | None) -> Plan:
    """The plan of the running cluster that was joined; if it doesn't fit `spec`, leave it and raise ClusterError."""
    try:
        _check_regions(plan, spec)
        _check_settings(plan, spec)
    except ClusterError:
        if owner:
            leave(folder, owner)
        raise
    return plan


def _check_regions(plan: Plan, spec: LaunchSpec) -> None:
    if spec.regions and parse_regions(spec.regions) != plan.regions:
        raise ClusterError(
            f"Cluster {plan.name} was made with the regions {regions_text(plan.regions)} and can't be started with "
            f"{spec.regions}. Use another name, or remove the cluster and its data: "
            f"eslab cluster destroy --name {plan.name}"
        )


def _check_settings(plan: Plan, spec: LaunchSpec) -> None:
    now = msgspec.structs.asdict(plan.settings)
    asked = msgspec.structs.asdict(make_settings(**spec.options))
    changed = [f"{name}={now[name]!r}, not {asked[name]!r}" for name in spec.options if now[name] != asked[name]]
    if changed:
        raise ClusterError(
            f"Cluster {plan.name} is running with {'; '.join(changed)}. "
            f"Stop it first: eslab cluster stop --name {plan.name}"
        )


def _write(plan: Plan, folder: Path, tools: Tools) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if plan.settings.encrypted:
        make_certificates(folder / KEYS, [node.host for node in plan.nodes], tools.java)
    write_plan(folder, plan, {node.name: write_config(plan, node, folder, *tools) for node in plan.nodes})


def _spawn(folder: Path, owner: Owner | None) -> None:
    first_owner = (str(owner.pid), owner.handle) if owner else ("0", "")
    command = [sys.executable, "-m", "eslab.cluster.supervisor", str(folder), *first_owner]
    with (folder / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(  # noqa: S603
            command,
            cwd=folder.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the caller's terminal must not reach it
        )
    children.append(supervisor)
    try:
        wait_until(lambda: supervisor.poll() is not None or find_supervisor(folder) is not None, PATIENCE, PAUSE)
    except BaseException:  # Ctrl-C: nobody would own what it starts
        supervisor.terminate()
        raise
    if not find_supervisor(folder):
        supervisor.kill()
        raise ClusterError(_no_supervisor(folder))


def _no_supervisor(folder: Path) -> str:
    log = folder / "supervisor.log"
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    return f"The supervisor of cluster {folder.name} did not start: {' '.join(last)}. See {log}"
