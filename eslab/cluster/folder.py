"""The files in a cluster's folder: plan, start commands, login, a client's keys, and the logs of the nodes."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from eslab.cluster.errors import ClusterError
from eslab.cluster.plan import Node, Plan

PLAN = "cluster.json"
COMMANDS = "start.json"
LOGIN = "login.json"
KEYS = "keys"
STARTS = "Cassandra version: "  # logged once at each start of a node
SEEN = re.compile(r"InetAddress (\S+) is now (UP|DOWN)")


class Login(msgspec.Struct, frozen=True):
    """User and password of a cluster with authentication."""

    user: str
    password: str


# Made here once: msgspec crashes if two threads decode the same type for the first time at the same moment.
_plans = msgspec.json.Decoder(Plan)
_logins = msgspec.json.Decoder(Login)


def write_plan(folder: Path, plan: Plan, commands: dict[str, list[str]]) -> None:
    """Store the plan, and the start command of every node for the supervisor."""
    # The plan makes the folder a cluster (see `remembered`), so it comes last.
    (folder / COMMANDS).write_bytes(msgspec.json.encode(commands))
    # Renamed, so that a crash leaves no half a plan, with which no cluster could be listed or started.
    new = folder / f"{PLAN}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(plan)))
    new.replace(folder / PLAN)


def read_plan(folder: Path) -> Plan:
    """The plan in this folder. Raises ClusterError if there is none, or one that can't be read."""
    try:
        return _plans.decode((folder / PLAN).read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise ClusterError(
            f"There is no readable cluster named {folder.name} in {folder.parent} ({error}). "
            f"Start it: eslab cluster start --name {folder.name}, or list all clusters: eslab cluster status"
        ) from None


def read_commands(folder: Path) -> dict[str, list[str]]:
    """The start command of every node, by the node's name."""
    return msgspec.json.decode((folder / COMMANDS).read_bytes(), type=dict[str, list[str]])


def remembered(home: Path) -> Iterator[Plan]:
    """The plans of all clusters, running or stopped, in order of their names."""
    return (read_plan(file.parent) for file in sorted(home.glob(f"*/{PLAN}")))


def options_argument(node_folder: Path) -> str:
    """The argument of Java that names a node's options, and by which its process is found."""
    return f"@{node_folder / 'conf' / 'jvm.options'}"


def write_login(folder: Path, login: Login) -> None:
    """Store the login, readable by this user alone."""
    # The mode is set while the file is still empty: the password is never readable by others.
    (folder / LOGIN).touch(mode=0o600)
    (folder / LOGIN).write_bytes(msgspec.json.encode(login))


def read_login(folder: Path) -> Login:
    """The login of the cluster's own superuser."""
    return _logins.decode((folder / LOGIN).read_bytes())


def client_keys(folder: Path, plan: Plan) -> dict[str, Path]:
    """The files that a client needs: `ca` with TLS; `cert` and `key` as well if it must show a certificate."""
    keys = folder / KEYS
    ca = {"ca": keys / "ca.pem"} if plan.settings.encrypted else {}
    own = {"cert": keys / "client.pem", "key": keys / "client-key.pem"} if plan.settings.client_certificates else {}
    return ca | own


def read_log(folder: Path, node: Node, lines: int) -> str:
    """The last lines of a node's log, then those of Java's own output."""
    logs = folder / node.folder / "logs"
    files = [file for name in ("system", "console") if (file := logs / f"{name}.log").exists()]
    return "\n".join(line for file in files for line in file.read_text(errors="replace").splitlines()[-lines:])


def read_down(folder: Path, plan: Plan, node: Node) -> list[str]:
    """The nodes that this node thinks are down, by what its log said last of each; all, before it has met them."""
    logs = folder / node.folder / "logs"
    others = {f"/{other.host}:{other.storage_port}": other.name for other in plan.nodes if other != node}
    down = set(others.values())
    # Rotated logs first, from the oldest.
    for file in (*sorted(logs.glob("system.*.log"), reverse=True), *logs.glob("system.log")):
        for line in file.read_text(errors="replace").splitlines():
            if STARTS in line:
                down = set(others.values())
            elif seen := SEEN.search(line):
                (down.add if seen[2] == "DOWN" else down.discard)(others.get(seen[1], ""))
    return sorted(down - {""})
