"""Lesson 09: the drift of two parted regions, on a real cluster if one is named, and on two SQLite files otherwise."""

from collections.abc import Sequence

import pandas

from eslab.errors import InvalidInput
from eslab.lab.lessons.drift import Drift, Wish, drift_on_sqlite


def drifts(made: Sequence[Wish], cluster: str = "") -> list[Drift]:
    """The drift of both designs; raises `InvalidInput` if the cluster isn't running, or has one region alone.

    The link between the first two regions of the cluster is cut and healed twice, which takes about a minute.
    """
    if not cluster:
        return drift_on_sqlite(made)
    from eslab.cluster import Cluster
    from eslab.lab.lessons.drift_on_cassandra import drift_on_cassandra

    found = Cluster.find(cluster)
    if not found.is_running or len(found.regions) < 2:
        raise InvalidInput(
            f"Expected a running cluster with two regions or more, got {found!r}. Start one with "
            f"eslab cluster start --name {cluster} --regions us,eu --keep"
        )
    one, other, *_ = found.regions
    return drift_on_cassandra(found, made, (one, other))


def drift_table(drifts: Sequence[Drift]) -> pandas.DataFrame:
    """A line for each design."""
    return pandas.DataFrame([drift.line() for drift in drifts])
