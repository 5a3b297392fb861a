"""Errors carry the place that their message names, and survive being copied and sent to another process."""

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from eslab import EslabError, OutOfTime, errors
from tests.support.sample import at

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EslabError)]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLACE = {"customer_id": "ann", "aggregate_id": "counter:1", "event_time": at().event_time}


def made(kind: type[EslabError], **place: Any) -> EslabError:
    """An error of a kind."""
    return OutOfTime("too late", NOON, **place) if kind is OutOfTime else kind("too late", **place)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_carries_the_place_that_it_names(kind: type[EslabError]) -> None:
    """Customer, aggregate and event time are attributes, and None unless they are given."""
    assert {name: getattr(made(kind), name) for name in PLACE} == dict.fromkeys(PLACE)
    assert {name: getattr(made(kind, **PLACE), name) for name in PLACE} == PLACE


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_pickling(kind: type[EslabError], protocol: int) -> None:
    """Class, message, place, notes and the service's time arrive as they were sent, by every protocol."""
    sent = made(kind, **PLACE)
    sent.add_note("seen in region us")
    received = pickle.loads(pickle.dumps(sent, protocol))
    assert (type(received), str(received), received.args) == (kind, "too late", ("too late",))
    assert vars(received) == vars(sent)
    assert vars(received).get("service_time") == (NOON if kind is OutOfTime else None)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_copying(kind: type[EslabError]) -> None:
    """A copy is equal in all that can be read of it."""
    for copied in (copy.copy(made(kind, **PLACE)), copy.deepcopy(made(kind, **PLACE))):
        assert (type(copied), str(copied), vars(copied)) == (kind, "too late", vars(made(kind, **PLACE)))
