"""Studio rules: each studio's limits for its titles. Their data are data/studio_rules.toml, read once."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from eslab import display
from eslab.domains.downloads.files import Country, Toml, data_file
from eslab.domains.downloads.versions import Number, Versions, load_versions
from eslab.domains.downloads.years import Year

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class StudioRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of one studio; None is no limit."""

    downloads_per_title_per_year: Count | None = None
    year: Literal["rolling", "calendar"] = "rolling"
    time_zone: ZoneInfo | None = None  # in which a calendar year begins; None: UTC
    licence_days: Positive | None = None  # from the grant, and from each renewal
    hours_after_first_play: Positive | None = None
    renewals_per_licence: Count | None = None
    renewals_per_year: Count | None = None  # of a title on a device
    devices_per_title: Count | None = None  # that hold it at the same time
    blocked_countries: frozenset[Country] = frozenset()

    @property
    def years(self) -> Year:
        """The studio's way of counting years."""
        return Year(self.year, self.time_zone)

    def _repr_html_(self) -> str:
        blocked = ", ".join(sorted(self.blocked_countries)) or None
        return display.table("Limits of a studio", {**display.fields(self), "blocked_countries": blocked})


class RuleSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of the rules: the limits of each named studio, and those of all others."""

    version: Number
    effective_from: date
    default: StudioRules
    studios: dict[str, StudioRules]

    def for_studio(self, studio: str) -> StudioRules:
        """The limits of a studio; the default for a studio that is not named here."""
        return self.studios.get(studio, self.default)


Rules = Versions[RuleSet]


class _Studios(msgspec.Struct):
    studios: dict[str, dict[str, Any]]


@cache
def load_rules(path: Path | None = None) -> Rules:
    """The rules of a TOML file (our own by default); read once per file, errors name file, line and key."""
    return load_versions(path or data_file("studio_rules.toml"), _rule_set)


def _rule_set(toml: Toml, raw: dict[str, Any], index: int) -> RuleSet:
    tables = toml.checked(raw, _Studios, "versions", index).studios
    studios = toml.named(tables, StudioRules, "versions", index, "studios")
    default = toml.checked(raw.get("default", {}), StudioRules, "versions", index, "default")
    return toml.checked({**raw, "default": default, "studios": studios}, RuleSet, "versions", index)
