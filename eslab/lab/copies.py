"""Copies of the lessons for a reader to work in: an update brings new lessons and leaves the reader's text alone.

A file in the folder records the version of each lesson that the reader was given. A copy whose text is still that
version is unedited and follows its lesson. An edited copy is never written: the new version is put beside it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path

from eslab.errors import InvalidInput
from eslab.lab.files import write_whole

RECORD = ".eslab-lessons.json"
TEXT = ("cell_type", "source", "attachments")  # what a person writes; running a cell changes the rest


@dataclass
class Copied:
    """The result of a copy: the names of the notebooks that were added, updated, put beside an edited one, or kept."""

    target: Path
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)  # the edited copy, and the name of the new version
    kept: list[str] = field(default_factory=list)  # edited, and the lesson has not changed since

    def __str__(self) -> str:
        lines = [f"The lessons are in {self.target}: {len(self.added)} added, {len(self.updated)} updated."]
        if self.kept:
            lines.append(f"Kept as you edited them: {', '.join(self.kept)}.")
        lines += [
            f"You edited {name}, and the lesson has changed: the new version is {new}."
            for name, new in self.beside.items()
        ]
        return "\n".join(lines)


def copy_lessons(source: Path, target: Path) -> Copied:
    """Copy the notebooks of the folder `source` to `target`, and update those that the reader has not edited.

    Running a notebook is not editing it: its cells' text counts, its outputs don't. A copy that was deleted comes
    back. Can be repeated, and finishes what a killed copy began. Raises `InvalidInput` if `source` holds no
    notebooks, or if `target` can't be a folder for copies.
    """
    lessons = sorted(path for path in source.glob("*.ipynb") if path.is_file())
    _check(source, lessons, target)
    copied = Copied(target)
    try:
        target.mkdir(parents=True, exist_ok=True)
        given = _read_record(target)
        for lesson in lessons:
            _copy(lesson, target, given, copied)
    except OSError as error:
        raise InvalidInput(f"Expected a folder that you may write to at {target}: {error}. Name another.") from None
    return copied


def _check(source: Path, lessons: list[Path], target: Path) -> None:
    if not lessons:
        raise InvalidInput(f"Expected a folder with lessons at {source}, found no notebook there. Check the path.")
    if target.exists() and not target.is_dir():
        raise InvalidInput(f"Expected a folder for the lessons at {target}, found a file. Name another folder.")
    if target.resolve().is_relative_to(source.resolve()):
        raise InvalidInput(f"Expected a folder apart from the lessons' own, {source}, got {target}. Name another one.")
    for lesson in lessons:
        if (target / lesson.name).is_dir():
            raise InvalidInput(f"Expected {target / lesson.name} to be a notebook, found a folder. Move it away.")


def _copy(lesson: Path, target: Path, given: dict[str, str], copied: Copied) -> None:
    """Bring one lesson to the reader, and record it."""
    name = lesson.name
    content = lesson.read_bytes()
    version = _version(content)
    found = _found(target / name)
    if found is None:
        copied.added.append(name)
        write_whole(target / name, content)
    elif found == given.get(name) != version:
        copied.updated.append(name)
        write_whole(target / name, content)
    elif found != version and given.get(name) == version:
        copied.kept.append(name)
    elif found != version:
        copied.beside[name] = _put_beside(lesson, content, target, given)
    # Last, so that a copy killed before this line takes its own file for an edited one, and never the other way round.
    _record(target, given, name, version)


def _put_beside(lesson: Path, content: bytes, target: Path, given: dict[str, str]) -> str:
    """Write the lesson under the first name whose file is missing or was not edited."""
    version = _version(content)
    for name in _names_beside(lesson):
        found = _found(target / name)
        if found in (None, version, given.get(name)):
            if found != version:
                write_whole(target / name, content)
            _record(target, given, name, version)
            return name
    raise AssertionError("the names never end")


def _names_beside(lesson: Path) -> Iterator[str]:
    for number in count(1):
        yield f"{lesson.stem}.new{f'-{number}' if number > 1 else ''}.ipynb"


def _found(notebook: Path) -> str | None:
    """The version of a notebook; None if there is no file."""
    try:
        return _version(notebook.read_bytes())
    except FileNotFoundError:
        return None


def _version(content: bytes) -> str:
    """A hash of the text of a notebook's cells, or of all bytes if it is no notebook."""
    try:
        cells = json.loads(content)["cells"]
        text = json.dumps([[_joined(cell.get(name)) for name in TEXT] for cell in cells], sort_keys=True).encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        text = content
    return sha256(text).hexdigest()


def _joined(text: object) -> object:
    """A cell's source as one text: a notebook may store it as a list of lines."""
    return "".join(text) if isinstance(text, list) else text or None


def _read_record(target: Path) -> dict[str, str]:
    """The versions that the reader was given, by name; without a readable record every copy counts as edited."""
    try:
        given = json.loads((target / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return given if isinstance(given, dict) else {}


def _record(target: Path, given: dict[str, str], name: str, version: str) -> None:
    if given.get(name) != version:
        given[name] = version
        write_whole(target / RECORD, f"{json.dumps(given, indent=1)}\n".encode())
