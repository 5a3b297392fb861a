"""A real Apache Cassandra on this machine, from Python packages alone: nodes, regions, and links that can be cut.

    with Cluster.start(regions="us,eu,asia") as cluster:
        cluster.cut("asia")
        ...
        cluster.heal()

Read it in this order: `cluster` (the front door), `launch` and `running` (a cluster's life), `supervisor` and `relay`
(the process that keeps it, the network between its nodes), `files` (what Cassandra is told), `runtime` and `jars`
(Java, and Cassandra itself). It knows nothing of the rest of eslab but its base error.
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
