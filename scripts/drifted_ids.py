"""Execute one statement in two parted regions of a real Cassandra, and count what both hold when the link is back.

    python scripts/drifted_ids.py                 40 wishes, about two minutes
    python scripts/drifted_ids.py --wishes 200

It starts two regions of its own, and ends them. First each region evaluates `uuid()` and `now()`; then id and time come
with the request. At last one region acknowledges wishes alone, is killed, and comes back. Lesson 09 tells the story,
and docs/cluster.md says what was seen.
"""

import argparse

from eslab.cluster import Cluster
from eslab.lab.lessons.drift import wishes
from eslab.lab.lessons.drift_on_cassandra import drift_on_cassandra, lost_by_failover


def main() -> None:
    """Start two regions, run both experiments, and print a line for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--wishes", type=int, default=40, metavar="NUMBER")
    count = parser.parse_args().wishes
    with Cluster.start(regions="us,eu") as cluster:
        for drift in drift_on_cassandra(cluster, wishes(count)):
            print(drift, flush=True)
        failover = lost_by_failover(cluster, count)
        print(
            f"us acknowledged {failover.acknowledged} wishes and was killed. eu holds {failover.held} of them, "
            f"{failover.returned} when us has come back, and {failover.repaired} after a repair"
        )


if __name__ == "__main__":
    main()
