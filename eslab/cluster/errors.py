"""Errors of the cluster; a message says what is wrong, with which values, where, and what to do next.

EslabError
└── ClusterError      the cluster can't do what was asked
    ├── NoJava        no Java 11 or 17 on this machine
    ├── NoJars        Cassandra's jars are missing and could not be fetched
    ├── NoAddress     no free loopback addresses for the nodes
    ├── NodeFailed    a node ended or did not answer in time
    └── NotRunning    the cluster is not running
"""

from eslab.errors import EslabError


class ClusterError(EslabError):
    """The cluster can't do what was asked; the message names the cluster and the way out."""


class NoJava(ClusterError):
    """There is no Java 11 or 17; Cassandra 5 runs on these two."""


class NoJars(ClusterError):
    """A jar with the sha256 sum of the lock file could not be fetched."""


class NoAddress(ClusterError):
    """There are no free loopback addresses for the nodes; every node needs its own."""


class NodeFailed(ClusterError):
    """A node ended by itself or did not answer in time; the message shows the end of its log."""


class NotRunning(ClusterError):
    """A fault or a query needs a running cluster; start it first."""
