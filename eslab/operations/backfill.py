"""Builds the snapshots of all customers: after a fold has changed, or regularly, beside live traffic.

A walk (operations/walk.py) of `build_snapshot`, which is safe beside everything else. An aggregate that can't be read
stops nobody: it is named at the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from eslab.aggregate import Aggregate, SnapshotPolicy, address, type_name
from eslab.display import quantity
from eslab.operations.each_aggregate import each_aggregate
from eslab.operations.readable import check_types
from eslab.operations.snapshots import build_snapshot
from eslab.operations.walk import OnProgress, Walked, silent, walk_or_visit
from eslab.repository import Repository
from eslab.store import Head


@dataclass(frozen=True)
class Override:
    """What replaces a part of the types' own policies, where it is given; a type that has none gets one by `every`."""

    every: int | None = None
    keep: int | None = None

    def of(self, aggregate_type: type[Aggregate]) -> SnapshotPolicy | None:
        """The policy for a type; None for never."""
        policy = aggregate_type.snapshot_policy
        if policy is None and self.every is not None:
            policy = SnapshotPolicy()
        changes = {name: value for name, value in vars(self).items() if value is not None}
        return replace(policy, **changes) if policy else None

    def __str__(self) -> str:
        return "".join(f" {name} {value}" for name, value in vars(self).items() if value is not None)


def build_snapshots(
    repository: Repository,
    aggregate_types: Sequence[type[Aggregate]],
    override: Override | None = None,
    on_progress: OnProgress = silent,
    customer_id: str | None = None,
    jobs: int = 1,
) -> Walked:
    """Build the snapshots that are due, of all customers' aggregates of these types, or of one customer's.

    Called again after a crash, it resumes. Raises `Unreadable` at its end with the aggregates of which none could be
    built, and `StoreUnavailable` while a region can't be reached. Costs a customer a wait for each type, and for each
    aggregate those of `build_snapshot`; `jobs` threads build.
    """
    override = override or Override()
    check_types(repository, aggregate_types, (it for it in aggregate_types if override.of(it)))
    policies = {it: policy for it in aggregate_types if (policy := override.of(it))}
    name, work = _name(aggregate_types, override), partial(_build, repository, policies)
    return walk_or_visit(repository.store, repository.clock, name, work, on_progress, _summary, customer_id, jobs)


def _build(repository: Repository, policies: Mapping[type[Aggregate], SnapshotPolicy], customer_id: str) -> int:
    """Build those of one customer."""

    def build(aggregate_type: type[Aggregate], id: str, head: Head) -> int:
        _, key = address(aggregate_type, id)
        return build_snapshot(repository, customer_id, aggregate_type, key, policies[aggregate_type]) is not None

    return each_aggregate(repository, customer_id, policies, build)


def _name(aggregate_types: Sequence[type[Aggregate]], override: Override) -> str:
    """The name of the walk: with another fold or policy it begins at the first customer."""
    folds = sorted(f"{type_name(it)} fold {it.fold_version}" for it in aggregate_types)
    return f"snapshots of {', '.join(folds)}{override}"


def _summary(name: str, problems: int, walked: Walked) -> str:
    return (
        f"Incomplete: {name}, none for {quantity(problems, 'aggregate')}. Built: {quantity(walked.rows, 'snapshot')} "
        f"of {quantity(walked.customers, 'customer')}. Hydration of the others only takes longer; solve these, then "
        "run it again:"
    )
