"""A cluster's folder: the plan that it remembers, the commands that start its nodes, their logs."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from eslab.cluster.errors import ClusterError
from eslab.cluster.plan import Node, Plan

PLAN = "cluster.json"
COMMANDS = "start.json"
KEYS = "keys"


def write_plan(folder: Path, plan: Plan, commands: dict[str, list[str]]) -> None:
    """Remember the plan, and for the supervisor the command of each node."""
    (folder / COMMANDS).write_bytes(msgspec.json.encode(commands))
    (folder / PLAN).write_bytes(msgspec.json.format(msgspec.json.encode(plan)))


def read_plan(folder: Path) -> Plan:
    """What the folder remembers. Raises ClusterError if it holds no cluster, or one that can't be read."""
    try:
        return msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as error:
        raise ClusterError(
            f"Expected a cluster named {folder.name} in {folder.parent}, found none ({error}). "
            f"Start it: eslab cluster start --name {folder.name}; or see which there are: eslab cluster status"
        ) from None


def read_commands(folder: Path) -> dict[str, list[str]]:
    """The command that starts each node."""
    return msgspec.json.decode((folder / COMMANDS).read_bytes(), type=dict[str, list[str]])


def remembered(home: Path) -> Iterator[Plan]:
    """The plans of all clusters, running or not, by name."""
    return (read_plan(file.parent) for file in sorted(home.glob(f"*/{PLAN}")))


def read_log(folder: Path, node: Node, lines: int) -> str:
    """The end of a node's log, and of what Java itself said."""
    logs = folder / node.folder / "logs"
    files = [file for name in ("system", "console") if (file := logs / f"{name}.log").exists()]
    return "\n".join(line for file in files for line in file.read_text(errors="replace").splitlines()[-lines:])
