"""Golden bytes: events of every shape that was ever stored load, in the shape of today (G9)."""

from pathlib import Path

import msgspec
import pytest

from eslab.aggregate import event_types, serializer_of
from eslab.payload.checksum import Checksum
from tests.domains.downloads.golden import CUSTOMER, EVENTS, FOLDERS, TYPES


class Holding(msgspec.Struct):
    """What the JSON beside a golden file says."""

    customer: str
    aggregate: str
    events: list[msgspec.Raw]


FILES = [folder / f"{name}.bin" for folder in FOLDERS for name in TYPES]


def test_G9_the_newest_golden_bytes_hold_every_event_as_it_is_now() -> None:
    """An event that changes, or a new one, needs a folder of its own."""
    for id, events in EVENTS.items():
        name = id.partition(":")[0]
        payload = (FOLDERS[-1] / f"{name}.bin").read_bytes()
        assert serializer_of(TYPES[name]).events(payload, Checksum.of_commits(CUSTOMER, id)) == events
        assert {type(event) for event in events} == set(event_types(TYPES[name]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_G9_golden_events_load(file: Path) -> None:
    """They are those that the JSON beside them names; a studio from before it was kept is None."""
    serializer = serializer_of(TYPES[file.stem])
    kinds = list(event_types(TYPES[file.stem]))
    holding = msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=Holding)
    expected = [event for each in holding.events for kind in kinds if (event := _decoded(each, kind))]
    checksum = Checksum.of_commits(holding.customer, holding.aggregate)
    assert serializer.events(file.read_bytes(), checksum) == expected
    assert len(expected) == len(holding.events)


def _decoded(raw: msgspec.Raw, kind: type) -> object:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        return None
