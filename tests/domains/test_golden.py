"""Golden bytes: events of every shape that was ever stored load, in the shape of today (G9)."""

from pathlib import Path

import msgspec
import pytest

from eslab.aggregate import event_types, serializer_of
from eslab.payload.checksum import Checksum
from tests.domains.golden import CUSTOMER, DOMAINS, Golden


class Holding(msgspec.Struct):
    """What the JSON beside a golden file says."""

    customer: str
    aggregate: str
    events: list[msgspec.Raw]


FILES = [(golden, folder / f"{name}.bin") for golden in DOMAINS for folder in golden.folders for name in golden.types]


@pytest.mark.parametrize("golden", DOMAINS, ids=lambda golden: golden.domain)
def test_G9_the_newest_golden_bytes_hold_every_event_as_it_is_now(golden: Golden) -> None:
    """An event that changes, or a new one, needs a folder of its own."""
    for id, events in golden.events.items():
        name = id.partition(":")[0]
        payload = (golden.folders[-1] / f"{name}.bin").read_bytes()
        assert serializer_of(golden.types[name]).events(payload, Checksum.of_commits(CUSTOMER, id)) == events
        assert {type(event) for event in events} == set(event_types(golden.types[name]))


@pytest.mark.parametrize(("golden", "file"), FILES, ids=[f"{file.parent.name}/{file.stem}" for _, file in FILES])
def test_G9_golden_events_load(golden: Golden, file: Path) -> None:
    """They are those that the JSON beside them names; a studio from before it was kept is None."""
    serializer = serializer_of(golden.types[file.stem])
    kinds = list(event_types(golden.types[file.stem]))
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
