"""`eslab bench compare`: the figures of two files, row by row, where both say that the same was measured."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eslab.bench.measure import FIGURES
from eslab.errors import InvalidInput

TIMES = ("median_s", "p99_s")
NAMES = ("measure", "scenario")  # the column that names a row
TITLE = (*NAMES, "temperature")
COUNTS = tuple(it for it in FIGURES if it not in (*TIMES, "min_s", "max_s", "per_second", "runs", "error"))
Key = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Figures:
    """What a file of `eslab bench` holds; rows by what was measured."""

    file: Path
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    rows: Mapping[Key, Mapping[str, Any]]

    @classmethod
    def read(cls, file: Path) -> "Figures":
        """Read a file. Raises `InvalidInput` for one that holds no figures, or the same row twice."""
        try:
            report = json.loads(file.read_text(encoding="utf-8"))
            rows = [(_key(row), row) for row in report["rows"]]
            by_key = dict(rows)
            machine, versions = dict(report["machine"]), dict(report["versions"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidInput(
                f"Expected the JSON of a command of eslab bench in {file}, found none: {type(error).__name__} {error}. "
                "Write one with --json."
            ) from None
        if len(by_key) < len(rows):
            twice = next(key for at, (key, _) in enumerate(rows) if key in dict(rows[:at]))
            raise InvalidInput(f"Expected each row once in {file}, found {label(twice)} twice.")
        return cls(file, machine, versions, by_key)


@dataclass(frozen=True)
class Comparison:
    """Two files of figures; the ratios are those of the second to the first."""

    before: Figures
    after: Figures

    @property
    def both(self) -> list[Key]:
        """What both files hold, in the order of the second."""
        return [key for key in self.after.rows if key in self.before.rows]

    def only_in(self, figures: Figures) -> list[Key]:
        """What only this one of the two holds."""
        other = self.before if figures is self.after else self.after
        return [key for key in figures.rows if key not in other.rows]

    def ratio(self, key: Key, figure: str) -> float | None:
        """The second figure in parts of the first; None if one of them is missing or not above zero."""
        before, after = (it.rows[key].get(figure) for it in (self.before, self.after))
        return after / before if before and after else None

    def counts(self, key: Key) -> Iterator[str]:
        """The counts that differ, such as waits, and memory; each with both figures."""
        before, after = self.before.rows[key], self.after.rows[key]
        for name in COUNTS:
            if name in before and name in after and before[name] != after[name]:
                yield f"{name} {before[name]:,} to {after[name]:,}"

    def warnings(self) -> Iterator[str]:
        """How the machines and versions differ: then the ratios say less, or nothing."""
        for what, one, other in (
            ("machine", self.before.machine, self.after.machine),
            ("versions", self.before.versions, self.after.versions),
        ):
            for name in dict.fromkeys([*one, *other]):
                if one.get(name) != other.get(name):
                    yield f"{what} differ in {name}: {one.get(name, 'none')} and {other.get(name, 'none')}"


def common(keys: Sequence[Key]) -> Key:
    """What is the same in all of them, such as the store, in the order of the first."""
    return tuple(it for it in keys[0] if it[0] not in TITLE and all(it in key for key in keys)) if keys else ()


def label(key: Key, known: Key = ()) -> str:
    """What was measured, in words, without what is known already."""
    name = " ".join(str(dict(key)[it]) for it in TITLE if it in dict(key))
    return ", ".join([name, *settings(it for it in key if it not in known)])


def settings(items: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """The settings in a key, each in words; zero and empty ones are left out."""
    return (f"{name}={value}" for name, value in items if name not in TITLE and value)


def _key(row: Mapping[str, Any]) -> Key:
    if not any(name in row for name in NAMES):
        raise KeyError(NAMES[0])
    return tuple((name, value) for name, value in sorted(row.items()) if name not in FIGURES)
