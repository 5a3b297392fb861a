"""A real Cassandra on this machine, its regions and its faults: the front door for notebooks, tests and commands."""

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
from eslab.cluster.folder import KEYS, read_log, read_plan, remembered
from eslab.cluster.jars import Say, fetch_jars
from eslab.cluster.launch import LaunchSpec, Tools, launch
from eslab.cluster.places import clusters_folder, locked
from eslab.cluster.plan import Options, Plan, check_name, parse_delay, regions_text
from eslab.cluster.runtime import find_java

if TYPE_CHECKING:
    from cassandra.cluster import Session


def silent(sentence: str) -> None:
    """Say nothing about what goes well."""


class Cluster(AbstractContextManager["Cluster"]):
    """A cluster of real Cassandra nodes, in one or more regions, on this machine's loopback addresses.

    Use it as a block: `with Cluster.start(regions="us,eu,asia") as cluster: ...`. It ends with the block, or with
    the process however that ends, unless it is kept. The target of a fault is a region (`us`) or a node (`us/2`).
    """

    def __init__(self, plan: Plan, folder: Path, owner: Owner | None) -> None:
        self.plan = plan
        self.folder = folder
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
        say: Say | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """Start a cluster, or find the one of this name running; returns when all its nodes see each other.

        regions   `us` (one node, the default), `us,eu,asia`, `us:3`; not said, a named cluster's stay as they were
        name      data stays when it stops, for whoever starts it again; without a name, data goes with the cluster
        keep      it outlives this process, until `stop`
        say       is told what happens; if it isn't given, only a download is told, by print
        options   how the nodes run: see `eslab.cluster.plan.Settings`

        Takes about 6 s for one node and 20 s for three (docs/cluster.md), 0.6 GB of memory for each, and the first
        time 70 MB from Maven Central. Raises NoJava, NoJars, NoAddress, NodeFailed, ClusterError.
        """
        tools = Tools(find_java(), fetch_jars(say or print))
        spec = LaunchSpec(check_name(name or f"tmp-{secrets.token_hex(4)}"), regions, options, throwaway=not name)
        owner = None if keep else Owner.me()
        launched = launch(spec, owner, tools, say or silent)
        cluster = cls(launched.plan, launched.folder, owner)
        try:
            cluster._settle(launched.fresh)
        except BaseException:
            cluster.stop() if launched.fresh else cluster.close()
            raise
        return cluster

    @classmethod
    def find(cls, name: str) -> Self:
        """The cluster of this name, running or stopped, without owning it. Raises ClusterError if there is none."""
        folder = clusters_folder() / check_name(name)
        return cls(read_plan(folder), folder, owner=None)

    @classmethod
    def find_all(cls) -> list[Self]:
        """All clusters of this user, running or stopped, by name."""
        home = clusters_folder()
        return [cls(plan, home / plan.name, owner=None) for plan in remembered(home)]

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """This handle is done with the cluster; it ends if nobody else holds it and it is not kept."""
        if self._owner:
            running.leave(self.folder, self._owner)
            self._owner = None

    def stop(self) -> None:
        """End it for everybody; the data of a named cluster stays."""
        running.end(self.folder)
        self._owner = None

    def destroy(self) -> None:
        """End it and remove its data, without asking."""
        self.stop()
        with locked():
            shutil.rmtree(self.folder, ignore_errors=True)

    # Where it is

    @property
    def name(self) -> str:
        """Its name; made up for a throw-away cluster."""
        return self.plan.name

    @property
    def regions(self) -> dict[str, int]:
        """Each region and how many nodes it has."""
        return self.plan.regions

    @property
    def port(self) -> int:
        """Where all nodes take CQL connections."""
        return self.plan.nodes[0].cql_port

    def addresses(self, target: str | None = None) -> list[str]:
        """The CQL contact points of a region, of one node, or of all."""
        return [node.host for node in (self.plan.pick(target) if target else self.plan.nodes)]

    def url(self, keyspace: str, region: str | None = None, *, login: bool = True) -> str:
        """How a store opens it: `cassandra://127.64.0.1:9042/lab?dc=us`, with login and key files if it needs them.

        Without a region, the first one. `login=False` leaves user and password out, to show it to somebody.
        """
        region = region or self.plan.nodes[0].region
        query = {"dc": region} | {name: str(path) for name, path in self.keys.items()}
        who = "{}:{}@".format(*map(quote, self.login)) if login and self.login else ""
        hosts = ",".join(self.addresses(region))
        return f"cassandra://{who}{hosts}:{self.port}/{keyspace}?{urlencode(query, safe='/')}"

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password, if clients must log in."""
        if not self.plan.settings.authentication:
            return None
        from eslab.cluster.sessions import login_of

        own = login_of(self.folder)
        return own.user, own.password

    @property
    def keys(self) -> dict[str, Path]:
        """The files that a client of an encrypted cluster needs: `ca`, and `cert` and `key` if it must show one."""
        settings, folder = self.plan.settings, self.folder / KEYS
        ca = {"ca": folder / "ca.pem"} if settings.encrypted else {}
        own = {"cert": folder / "client.pem", "key": folder / "client-key.pem"} if settings.client_certificates else {}
        return ca | own

    def session(self, region: str | None = None) -> AbstractContextManager["Session"]:
        """A plain session of cassandra-driver, in one region or taking all nodes in turn; closed with its block."""
        from eslab.cluster import sessions

        return sessions.session(self.plan, self.folder, region)

    # How it is

    @property
    def is_running(self) -> bool:
        """Does it run now?"""
        return find_supervisor(self.folder) is not None

    def status(self) -> Status:
        """Each node's state, memory and address, and the links that are cut or delayed; print it to read it."""
        return ask(self.folder, Order("status"))

    def log(self, target: str, lines: int = 50) -> str:
        """The end of the logs of a region's nodes or of one node."""
        return "\n".join(read_log(self.folder, node, lines) for node in self.plan.pick(target))

    def wait(self) -> None:
        """Until all nodes are up and see each other. Raises NodeFailed if one is dead, frozen or cut off."""
        from eslab.cluster import sessions

        running.check_alive(self.plan, self.folder, running.wait_until_up(self.plan, self.folder))
        sessions.wait_until_settled(self.plan, self.folder)

    # Faults

    def freeze(self, target: str) -> None:
        """Stop nodes in mid-step (SIGSTOP): they keep their connections and answer nothing, until `thaw`."""
        self._order("freeze", target)

    def thaw(self, target: str) -> None:
        """Let frozen nodes go on (SIGCONT); hints bring what they missed, 10 s later or so."""
        self._order("thaw", target)

    def kill(self, target: str) -> None:
        """End nodes with no chance to tidy up (kill -9); what they had not written to disk is lost."""
        self._order("kill", target)

    def revive(self, target: str) -> None:
        """Start killed nodes again on what their disks hold; returns when they answer. Raises NodeFailed."""
        self._order("revive", target)
        status = running.wait_until_up(self.plan, self.folder)
        running.check_alive(self.plan, self.folder, status, target)

    def cut(self, a: str, b: str | None = None) -> None:
        """Let nothing pass between two regions or nodes any more, or between one and all others."""
        ask(self.folder, Order("cut", pairs=self._links(a, b)))

    def heal(self, a: str | None = None, b: str | None = None) -> None:
        """Mend a cut link, those of one region or node, or all; delays stay."""
        ask(self.folder, Order("heal", pairs=self._links(a, b)))

    def delay(self, a: str, b: str, time: str) -> None:
        """Let every byte between two regions or nodes take so long each way: `75ms`, `0ms` for none."""
        ask(self.folder, Order("delay", pairs=self._links(a, b), seconds=parse_delay(time)))

    def _order(self, do: Do, target: str) -> None:
        ask(self.folder, Order(do, nodes=[node.name for node in self.plan.pick(target)]))

    def _links(self, a: str | None, b: str | None) -> list[tuple[str, str]]:
        ends = [[node.name for node in (self.plan.pick(t) if t else self.plan.nodes)] for t in (a, b)]
        links = [(one, other) for one, other in itertools.product(*ends) if one != other]
        if not links:
            raise ClusterError(
                f"Expected two ends of a link in cluster {self.name} ({regions_text(self.regions)}), found "
                f"{a or 'all'} and {b or 'all others'}: there is no link between them."
            )
        return links

    def _settle(self, fresh: bool) -> None:
        from eslab.cluster import sessions

        status = running.wait_until_up(self.plan, self.folder)
        if fresh:
            running.check_alive(self.plan, self.folder, status)
        if fresh and self.plan.settings.authentication:
            sessions.make_login(self.plan, self.folder)
        if all(node.state == "up" for node in status.nodes) and not any(link.cut for link in status.links):
            sessions.wait_until_settled(self.plan, self.folder)
