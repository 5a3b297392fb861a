"""Errors of the cluster, each saying what was expected, what was found, where, and what to do next.

EslabError
└── ClusterError      the cluster can't do what was asked
    ├── NoJava        no Java 11 or 17 on this machine
    ├── NoJars        Cassandra's jars are not here, and could not be fetched
    ├── NoAddress     this machine has no loopback address left for the nodes
    ├── NodeFailed    a node ended, or did not answer in time
    └── NotRunning    no cluster of this name runs
"""

from eslab.errors import EslabError


class ClusterError(EslabError):
    """The cluster can't do what was asked; the message names it and the way out."""


class NoJava(ClusterError):
    """Cassandra 5 runs on Java 11 or 17, and neither was found."""


class NoJars(ClusterError):
    """Every jar must be here with the sha256 sum that the lock file names; one could not be fetched."""


class NoAddress(ClusterError):
    """Each node needs loopback addresses of its own; this machine has none that are free."""


class NodeFailed(ClusterError):
    """A node ended by itself or did not answer in time; the message shows the end of its log."""


class NotRunning(ClusterError):
    """A fault or a question needs a cluster that runs; start it first."""
