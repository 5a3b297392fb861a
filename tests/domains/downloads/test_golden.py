"""Golden bytes: events of every shape that was ever stored load, in the shape of today (G9)."""

from pathlib import Path

import msgspec
import pytest

from eslab.aggregate import event_types, serializer_of
from tests.domains.downloads.golden import EVENTS, FOLDERS, TYPES

FILES = [folder / f"{name}.bin" for folder in FOLDERS for name in TYPES]


def test_G9_the_newest_golden_bytes_hold_every_event_as_it_is_now() -> None:
    """An event that changes, or a new one, needs a folder of its own."""
    for id, events in EVENTS.items():
        name = id.partition(":")[0]
        assert serializer_of(TYPES[name]).events((FOLDERS[-1] / f"{name}.bin").read_bytes()) == events
        assert {type(event) for event in events} == set(event_types(TYPES[name]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_G9_golden_events_load(file: Path) -> None:
    """They are those that the JSON beside them names; a studio from before it was kept is None."""
    serializer = serializer_of(TYPES[file.stem])
    kinds = list(event_types(TYPES[file.stem]))
    raw = msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=list[msgspec.Raw])
    expected = [event for each in raw for kind in kinds if (event := _decoded(each, kind))]
    assert serializer.events(file.read_bytes()) == expected
    assert len(expected) == len(raw)


def _decoded(raw: msgspec.Raw, kind: type) -> object:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        return None
