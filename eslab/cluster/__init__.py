"""A real Apache Cassandra on this machine, from Python packages alone: nodes, regions, and links that can be cut.

    with Cluster.start(regions="us,eu,asia") as cluster:
        cluster.cut("asia")
        ...
        cluster.heal()

The room, in reading order; a module imports only modules listed below it:

    cli             the commands of `eslab cluster`; `__main__` runs them without the rest of eslab
    cluster         `Cluster`: start, find, inspect, stop, and every fault
    launch          from a launch specification to started nodes: name, addresses, files, supervisor
    running         join, leave, wait for and end a running cluster; clean up after a crash
    sessions        driver sessions: wait until the nodes see each other, create the login
    supervisor      the process that owns the nodes and obeys orders
    relay           the network between the nodes, which can be cut and delayed
    control         the orders that callers send to the supervisor, and its replies
    process         one node as an operating-system process
    config          the configuration files of a node, for Cassandra and for Java
    certificates    keys and certificates for TLS
    addresses       a range of loopback addresses for each cluster
    folder          the files in a cluster's folder: plan, start commands, login, keys, logs
    plan            regions, nodes, tokens and settings, and how they are parsed
    jars, runtime   Cassandra's jars and a Java that runs them; `pin` rewrites the lock file of the jars
    places          the cache folder, the clusters folder, and the lock on all clusters
    progress        the callback that reports progress
    errors          what can go wrong

It uses nothing else of eslab except its base error.
"""

from eslab.cluster.cluster import Cluster
from eslab.cluster.control import LinkStatus, NodeStatus, Status
from eslab.cluster.errors import ClusterError, NoAddress, NodeFailed, NoJars, NoJava, NotRunning
from eslab.cluster.plan import CommitLogSync, Node, Options, Plan, Settings

__all__ = [
    "Cluster",
    "ClusterError",
    "CommitLogSync",
    "LinkStatus",
    "NoAddress",
    "NoJars",
    "NoJava",
    "Node",
    "NodeFailed",
    "NodeStatus",
    "NotRunning",
    "Options",
    "Plan",
    "Settings",
    "Status",
]
