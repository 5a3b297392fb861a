"""The reader's own record: guesses, checked answers and finished lessons, in a small file beside the notebooks.

`eslab run` executes notebooks without a reader: nothing is read from the record then, and nothing is written, so the
same run gives the same report everywhere.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from eslab.lab.files import write_whole

FILE = ".eslab-progress.json"
ANSWERS = "answers"  # the folder for texts that a reset replaces
ALONE = "ESLAB_WITHOUT_READER"  # set by `eslab run` in the kernels that it starts

GUESSES, CHECKED, DONE = "guesses", "checked", "done"  # the sections of the record


def is_reading() -> bool:
    """Does a person run this notebook?"""
    return not os.environ.get(ALONE)


def recall(section: str, name: str) -> Any:
    """What was kept under this name; None if nothing was, or without a reader."""
    return _read().get(section, {}).get(name) if is_reading() else None


def keep(section: str, name: str, value: Any) -> None:
    """Keep a value that JSON can hold.

    The file is replaced as a whole. Where it can't be written, the record lasts as long as the kernel does not ask.
    """
    if not is_reading():
        return
    record = _read()
    record.setdefault(section, {})[name] = value
    with suppress(OSError):
        write_whole(Path(FILE), json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def keep_text(name: str, text: str) -> Path:
    """Keep a text in the folder `answers`, under the first name that is free or holds the same text."""
    content = text.rstrip("\n") + "\n"
    folder = Path(ANSWERS)
    folder.mkdir(exist_ok=True)
    number = 1
    while True:
        path = folder / f"{name}{f'-{number}' if number > 1 else ''}.py"
        if not path.exists():
            write_whole(path, content)
            return path
        if path.read_text(encoding="utf-8") == content:
            return path
        number += 1


def _read() -> dict[str, dict[str, Any]]:
    """The record; a file that can't be read as one is moved aside, since a person may want to look at it."""
    path = Path(FILE)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    except ValueError:
        record = None
    if isinstance(record, dict) and all(isinstance(section, dict) for section in record.values()):
        return record
    with suppress(OSError):
        path.replace(path.with_name(f"{FILE}.broken"))
    return {}
