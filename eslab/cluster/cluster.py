"""`Cluster`: a real Cassandra on this machine, its regions and its faults; for notebooks, tests and commands."""

import itertools
import secrets
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack
from urllib.parse import quote, urlencode

from eslab.cluster import running
from eslab.cluster.control import Do, Order, Owner, Status, ask, find_supervisor
from eslab.cluster.errors import ClusterError
from eslab.cluster.folder import client_keys, read_down, read_log, read_login, read_plan, remembered
from eslab.cluster.jars import fetch_jars
from eslab.cluster.launch import LaunchSpec, Tools, launch
from eslab.cluster.places import clusters_folder, locked, usable_folders
from eslab.cluster.plan import Options, Plan, check_name, parse_delay, regions_text
from eslab.cluster.progress import OnProgress, silent
from eslab.cluster.runtime import find_java

if TYPE_CHECKING:
    from cassandra.cluster import Session


class Cluster(AbstractContextManager["Cluster"]):
    """A cluster of real Cassandra nodes in one or more regions, on loopback addresses of this machine.

    Use it as a context manager: `with Cluster.start(regions="us,eu,asia") as cluster: ...`. Unless it is kept, it ends
    with the block, or with the process, even by kill -9. The target of a fault is a region (`us`) or a node (`us/2`).
    """

    def __init__(self, plan: Plan, folder: Path, owner: Owner | None) -> None:
        self.plan = plan
        self.folder = folder
        self.joined = False  # was it running already when `start` was called?
        self._owner = owner

    def __repr__(self) -> str:
        return f"Cluster {self.name}: {regions_text(self.regions)}"

    @classmethod
    def start(
        cls,
        regions: str | None = None,
        name: str | None = None,
        *,
        keep: bool = False,
        on_progress: OnProgress | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """Start a cluster, or join the running one of this name; returns when all its nodes see each other.

        In a cluster that runs already, dead nodes are started again; frozen nodes and cut links stay as they are.

        regions      `us` (one node), `us,eu,asia` or `us:3`; by default those that the cluster has, or `us`
        name         a named cluster keeps its data when it stops; without a name, its data is removed
        keep         keep it running after this process has ended, until `stop`
        on_progress  called with a sentence at every step; by default a download is printed and nothing else
        options      how the nodes run: see `eslab.cluster.plan.Settings`

        Takes about 6 s for one node and 20 s for three (docs/cluster.md), 0.6 GB of memory a node, and the first time
        70 MB from Maven Central. Raises NoJava, NoJars, NoAddress, NodeFailed, ClusterError.
        """
        spec = LaunchSpec(check_name(name or f"tmp-{secrets.token_hex(4)}"), regions, options, throwaway=not name)
        owner = None if keep else Owner.me()
        with usable_folders():
            tools = Tools(find_java(), fetch_jars(on_progress or print))
            launched = launch(spec, owner, tools, on_progress or silent)
        cluster = cls(launched.plan, launched.folder, owner)
        cluster.joined = not launched.fresh
        try:
            cluster._settle(launched.fresh, on_progress or silent)
        except BaseException:
            # Leave nothing behind (Ctrl-C included), but never stop a cluster that others had started or joined.
            if launched.fresh and not owner:
                cluster.stop()
            else:
                cluster.close()
            raise
        return cluster

    @classmethod
    def find(cls, name: str) -> Self:
        """Find a cluster by name, running or stopped, without owning it. Raises ClusterError if there is none."""
        folder = clusters_folder() / check_name(name)
        return cls(read_plan(folder), folder, owner=None)

    @classmethod
    def find_all(cls) -> list[Self]:
        """All clusters of this user, running or stopped, in order of their names."""
        home = clusters_folder()
        return [cls(plan, home / plan.name, owner=None) for plan in remembered(home)]

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up this handle; the cluster ends if it has no other owner and is not kept."""
        if self._owner:
            running.leave(self.folder, self._owner)
            self._owner = None

    def stop(self) -> None:
        """Stop it for every owner; the data of a named cluster stays."""
        running.end(self.folder)
        self._owner = None

    def destroy(self) -> None:
        """Stop it and remove its data, without asking."""
        self.stop()
        with locked():
            shutil.rmtree(self.folder, ignore_errors=True)

    # Its addresses

    @property
    def name(self) -> str:
        """Its name; a random one if none was given."""
        return self.plan.name

    @property
    def regions(self) -> dict[str, int]:
        """The number of nodes in every region."""
        return self.plan.regions

    @property
    def port(self) -> int:
        """The port for CQL connections, the same at all nodes."""
        return self.plan.nodes[0].cql_port

    def addresses(self, target: str | None = None) -> list[str]:
        """The CQL contact points of a region, of one node, or of all nodes."""
        return [node.host for node in (self.plan.pick(target) if target else self.plan.nodes)]

    def url(self, keyspace: str, region: str | None = None, *, login: bool = True) -> str:
        """The URL of a store: `cassandra://127.64.0.1:9042/lab?dc=us`, with login and key files if needed.

        `region` is the first one by default. `login=False` omits user and password, so that it can be shown.
        """
        region = region or self.plan.nodes[0].region
        query = {"dc": region} | {name: str(path) for name, path in self.keys.items()}
        user = "{}:{}@".format(*map(quote, self.login)) if login and self.login else ""
        hosts = ",".join(self.addresses(region))
        return f"cassandra://{user}{hosts}:{self.port}/{keyspace}?{urlencode(query, safe='/')}"

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password, if clients must log in."""
        if not self.plan.settings.authentication:
            return None
        login = read_login(self.folder)
        return login.user, login.password

    @property
    def keys(self) -> dict[str, Path]:
        """The files that a client needs: `ca` with TLS; `cert` and `key` as well if it must show a certificate."""
        return client_keys(self.folder, self.plan)

    def session(self, region: str | None = None) -> AbstractContextManager["Session"]:
        """A session of cassandra-driver, in one region or over all nodes in turn; closed at the end of the block."""
        # Imported here and below: the driver is slow to load, and most commands don't need it.
        from eslab.cluster import sessions

        return sessions.session(self.plan, self.folder, region)

    # Its state

    @property
    def is_running(self) -> bool:
        """Is it running now?"""
        return find_supervisor(self.folder) is not None

    def status(self) -> Status:
        """State, memory and address of every node, and the links that are cut or delayed; prints as a table."""
        return ask(self.folder, Order("status"))

    def down(self) -> dict[str, list[str]]:
        """The nodes that each live node thinks are down, by its log; nodes that see all others are left out."""
        living = {node.name for node in self.status().nodes if node.state != "dead"}
        seen = {node.name: read_down(self.folder, self.plan, node) for node in self.plan.nodes if node.name in living}
        return {name: down for name, down in seen.items() if down}

    def log(self, target: str, lines: int = 50) -> str:
        """The last lines of the logs of a region's nodes or of one node."""
        return "\n".join(read_log(self.folder, node, lines) for node in self.plan.pick(target))

    def wait(self) -> None:
        """Wait until all nodes are up and see each other. Raises NodeFailed if one is dead, frozen or cut off."""
        from eslab.cluster import sessions

        running.check_alive(self.plan, self.folder, running.wait_until_up(self.plan, self.folder))
        sessions.wait_until_settled(self.plan, self.folder)

    # Faults

    def freeze(self, target: str) -> None:
        """Pause nodes (SIGSTOP) until `thaw`: their connections stay open, and they answer nothing."""
        self._order("freeze", target)

    def thaw(self, target: str) -> None:
        """Resume frozen nodes (SIGCONT); hints bring the writes that they missed, after about 10 s."""
        self._order("thaw", target)

    def kill(self, target: str) -> None:
        """Kill nodes (kill -9); what they have not written to disk is lost."""
        self._order("kill", target)

    def revive(self, target: str) -> None:
        """Start killed nodes again with the data on their disks; returns when they answer. Raises NodeFailed."""
        self._order("revive", target)
        status = running.wait_until_up(self.plan, self.folder)
        running.check_alive(self.plan, self.folder, status, target)

    def cut(self, a: str, b: str | None = None) -> None:
        """Cut the links between two regions or nodes, or between one and all others, until `heal`."""
        ask(self.folder, Order("cut", pairs=self._links(a, b)))

    def heal(self, a: str | None = None, b: str | None = None) -> None:
        """Heal the cut links between two regions or nodes, those of one, or all; delays stay."""
        ask(self.folder, Order("heal", pairs=self._links(a, b)))

    def delay(self, a: str, b: str, time: str) -> None:
        """Delay every byte between two regions or nodes, each way: `75ms`, or `0ms` for no delay."""
        ask(self.folder, Order("delay", pairs=self._links(a, b), seconds=parse_delay(time)))

    def _order(self, do: Do, target: str) -> None:
        ask(self.folder, Order(do, nodes=[node.name for node in self.plan.pick(target)]))

    def _links(self, a: str | None, b: str | None) -> list[tuple[str, str]]:
        ends = [[node.name for node in (self.plan.pick(end) if end else self.plan.nodes)] for end in (a, b)]
        links = [(one, other) for one, other in itertools.product(*ends) if one != other]
        if not links:
            raise ClusterError(
                f"Expected two ends of a link in cluster {self.name} ({regions_text(self.regions)}), got "
                f"{a or 'all'} and {b or 'all others'}: there is no link between them."
            )
        return links

    def _settle(self, fresh: bool, on_progress: OnProgress) -> None:
        from eslab.cluster import sessions

        status = running.wait_until_up(self.plan, self.folder)
        if not fresh and (dead := [node.name for node in status.nodes if node.state == "dead"]):
            on_progress(f"Starting again what is dead: {', '.join(dead)}")
            ask(self.folder, Order("revive", nodes=dead))
            status = running.wait_until_up(self.plan, self.folder)
        running.check_alive(self.plan, self.folder, status)
        if fresh and self.plan.settings.authentication:
            sessions.make_login(self.plan, self.folder)
        # Whoever joins a cluster in the middle of a fault must not wait for the end of the fault.
        if all(node.state == "up" for node in status.nodes) and not any(link.cut for link in status.links):
            sessions.wait_until_settled(self.plan, self.folder)
