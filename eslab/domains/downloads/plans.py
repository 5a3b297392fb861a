"""Plans: how many downloads each subscription allows. Their data are data/plans.toml, read once."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

from eslab.domains.downloads.files import Toml, data_file
from eslab.domains.downloads.versions import Number, Versions, load_versions

Count = Annotated[int, msgspec.Meta(ge=0)]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of one plan; None is no limit."""

    devices: Count | None = None  # with downloads on them
    downloads_per_device: Count | None = None
    downloads: Count | None = None  # on all devices


class PlanSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of the plans, by name."""

    version: Number
    effective_from: date
    plans: dict[str, Plan]


Plans = Versions[PlanSet]


class _Plans(msgspec.Struct):
    plans: dict[str, dict[str, Any]]


@cache
def load_plans(path: Path | None = None) -> Plans:
    """The plans of a TOML file (our own by default); read once per file, errors name file, line and key."""
    return load_versions(path or data_file("plans.toml"), _plan_set)


def _plan_set(toml: Toml, raw: dict[str, Any], index: int) -> PlanSet:
    tables = toml.checked(raw, _Plans, "versions", index).plans
    plans = toml.named(tables, Plan, "versions", index, "plans")
    return toml.checked({**raw, "plans": plans}, PlanSet, "versions", index)
