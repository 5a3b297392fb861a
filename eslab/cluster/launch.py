"""From a wish to a running cluster: its name, its addresses, its files, its supervisor."""

import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from eslab.cluster import addresses
from eslab.cluster.certificates import make_certificates
from eslab.cluster.control import Owner, find_supervisor
from eslab.cluster.errors import ClusterError
from eslab.cluster.files import write_node_files
from eslab.cluster.folder import KEYS, PLAN, read_plan, remembered, write_plan
from eslab.cluster.jars import Say
from eslab.cluster.places import locked
from eslab.cluster.plan import Options, Plan, make_settings, parse_regions, regions_text
from eslab.cluster.process import kill_orphans
from eslab.cluster.running import children, join, leave, sweep
from eslab.cluster.runtime import Java

PATIENCE = 30.0
PAUSE = 0.05


class LaunchSpec(NamedTuple):
    """What somebody who starts a cluster asks for; what is not said stays as it was, or is the default."""

    name: str
    regions: str | None
    options: Options
    throwaway: bool


class Tools(NamedTuple):
    """What every node needs: Java and the jars."""

    java: Java
    jars: list[Path]


class Launched(NamedTuple):
    """A cluster whose nodes were started, now (`fresh`) or before; they may not answer yet."""

    plan: Plan
    folder: Path
    fresh: bool


def launch(spec: LaunchSpec, owner: Owner | None, tools: Tools, say: Say) -> Launched:
    """Find the cluster running, or start it; without an owner it is kept. Raises ClusterError.

    Only one process of this user at a time is in here, so names and addresses are given once.
    """
    with locked() as home:
        sweep(home)
        folder = home / spec.name
        if join(folder, owner):
            return Launched(_agreed(read_plan(folder), spec, folder, owner), folder, fresh=False)
        kill_orphans(folder)
        plan = make_plan(spec, home)
        say(f"Starting {regions_text(plan.regions)} with {tools.java}")
        _write(plan, folder, tools)
        _spawn(folder, owner)
        return Launched(plan, folder, fresh=True)


def make_plan(spec: LaunchSpec, home: Path) -> Plan:
    """A new cluster's plan, or the remembered one with the settings that were asked for. Raises ClusterError."""
    folder = home / spec.name
    if not (folder / PLAN).exists():
        taken = [node.host for plan in remembered(home) for node in plan.nodes]
        nodes = addresses.place_nodes(parse_regions(spec.regions or "us"), taken)
        return Plan(spec.name, nodes, make_settings(**spec.options), spec.throwaway)
    old = read_plan(folder)
    _check_regions(old, spec)
    nodes = old.nodes if old.relayed else addresses.place_nodes(old.regions, ())
    addresses.check_free(nodes)
    settings = make_settings(**{**msgspec.structs.asdict(old.settings), **spec.options})
    return Plan(old.name, nodes, settings, old.throwaway)


def _agreed(plan: Plan, spec: LaunchSpec, folder: Path, owner: Owner | None) -> Plan:
    """The plan of a cluster that runs; if it is not what was asked for, the cluster is left again."""
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
            f"Expected cluster {plan.name} with the regions it was made with, {regions_text(plan.regions)}, found "
            f"{spec.regions} asked for. Take another name, or remove it and its data: "
            f"eslab cluster destroy --name {plan.name}"
        )


def _check_settings(plan: Plan, spec: LaunchSpec) -> None:
    running, asked = (msgspec.structs.asdict(s) for s in (plan.settings, make_settings(**spec.options)))
    other = [f"{name}={running[name]!r}, not {asked[name]!r}" for name in spec.options if running[name] != asked[name]]
    if other:
        raise ClusterError(
            f"Expected cluster {plan.name} to run as asked, found it running with {'; '.join(other)}. "
            f"Stop it first: eslab cluster stop --name {plan.name}"
        )


def _write(plan: Plan, folder: Path, tools: Tools) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if plan.settings.encrypted:
        make_certificates(folder / KEYS, [node.host for node in plan.nodes], tools.java)
    write_plan(folder, plan, {node.name: write_node_files(plan, node, folder, *tools) for node in plan.nodes})


def _spawn(folder: Path, owner: Owner | None) -> None:
    who = (str(owner.pid), owner.handle) if owner else ("0", "")
    command = [sys.executable, "-m", "eslab.cluster.supervisor", str(folder), *who]
    with (folder / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(  # noqa: S603
            command,
            cwd=folder.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    children.append(supervisor)
    deadline = time.monotonic() + PATIENCE
    while not find_supervisor(folder):
        if supervisor.poll() is not None or time.monotonic() > deadline:
            supervisor.kill()
            raise ClusterError(_no_supervisor(folder))
        time.sleep(PAUSE)


def _no_supervisor(folder: Path) -> str:
    log = folder / "supervisor.log"
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    return f"Expected a supervisor for cluster {folder.name}, found that it ended: {' '.join(last)}. See {log}"
