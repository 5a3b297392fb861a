"""Studio rules: how often a title may be downloaded. They are data/studio_rules.toml, read once.

Rules come in versions, each in force from the start of its day in UTC until the next one starts. The version in
force at the time of the request decides, however late the request arrives.
"""

import tomllib
from datetime import UTC, date, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import msgspec

from eslab.clock import to_ms
from eslab.domains.downloads.files import checked, data_file, read
from eslab.errors import InvalidInput


class StudioRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one studio allows; None is no limit."""

    downloads_per_title_per_year: Annotated[int, msgspec.Meta(ge=0)] | None = None


class RuleSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of the rules: what each named studio allows, and what all others do."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    effective_from: date
    default: StudioRules
    studios: dict[str, StudioRules]

    def for_studio(self, studio: str) -> StudioRules:
        """What the studio allows; a studio that is not named here allows the default."""
        return self.studios.get(studio, self.default)


class Rules(msgspec.Struct, frozen=True):
    """All versions of the rules, oldest first."""

    versions: tuple[RuleSet, ...]
    invented: bool = False  # are the figures made up, for teaching?

    def at(self, time: datetime) -> RuleSet:
        """The version in force at a time; `InvalidInput` before the first one, or for a time without a zone."""
        to_ms(time)  # refuses a time without a zone
        day = time.astimezone(UTC).date()
        started = [rules for rules in self.versions if rules.effective_from <= day]
        if not started:
            first = self.versions[0].effective_from
            raise InvalidInput(f"Expected a time from {first} on, when the first rules start, got {time}.")
        return started[-1]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    versions: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]
    invented: bool = False


class _Studios(msgspec.Struct):
    studios: dict[str, dict[str, Any]]


@cache
def load_rules(path: Path | None = None) -> Rules:
    """The rules of a TOML file (our own by default); read once per file.

    Raises `InvalidInput` with file, key, what was expected and what was found.
    """
    path = path or data_file("studio_rules.toml")
    try:
        content = tomllib.loads(read(path))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path}: Expected TOML, found an error: {error}; mend it there.") from error
    file = checked(content, _File, str(path))
    versions = tuple(_rule_set(raw, f"{path}, versions[{at}]") for at, raw in enumerate(file.versions))
    for earlier, later in pairwise(versions):
        if not (earlier.version < later.version and earlier.effective_from < later.effective_from):
            raise InvalidInput(
                f"{path}, version {later.version}: Expected a number above {earlier.version} and a start after "
                f"{earlier.effective_from}, found {later.version} and {later.effective_from}; "
                "put versions in order, each with its own day."
            )
    return Rules(versions, file.invented)


def _rule_set(raw: dict[str, Any], where: str) -> RuleSet:
    """One version; each studio is checked by itself, since msgspec does not name the key that is wrong in a dict."""
    studios = {
        name: checked(figures, StudioRules, f"{where}.studios.{name}")
        for name, figures in checked(raw, _Studios, where).studios.items()
    }
    default = checked(raw.get("default", {}), StudioRules, f"{where}.default")
    return checked({**raw, "default": default, "studios": studios}, RuleSet, where)
