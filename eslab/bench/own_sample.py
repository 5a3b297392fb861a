"""A sample of the user's own: an aggregate type, and a function that makes the event of each number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eslab import Aggregate, Event
from eslab.aggregate import check_event, serializer_of
from eslab.bench.sample import FROSTING, Sample
from eslab.errors import InvalidInput
from eslab.operations.discovery import member


def find_sample(aggregate: str, function: str) -> Sample:
    """The sample that `module:CLASS` and `module:FUNCTION` name; frosting if neither is given."""
    if not aggregate and not function:
        return FROSTING
    if not aggregate or not function:
        raise InvalidInput(
            f"Expected both --aggregate MODULE:CLASS and --sample MODULE:FUNCTION, got only {aggregate or function}."
        )
    return own_sample(member(aggregate), member(function))


def own_sample(aggregate_type: type[Aggregate], make: Callable[[int], Any]) -> Sample:
    """A sample whose states are folded in memory, event by event; raises `InvalidInput` for an encrypted type."""
    check_plain(aggregate_type)
    made = _Made(aggregate_type, make)
    return Sample(aggregate_type, made.event, made.state_after)


def check_plain(aggregate_type: type[Aggregate]) -> None:
    """Refuse what is no aggregate type, and an encrypted one, whose key would be measured too."""
    serializer_of(aggregate_type)
    if aggregate_type.encrypted:
        raise InvalidInput(
            f"Expected an aggregate type in plain, got {aggregate_type.__name__}, which is encrypted. "
            "`eslab bench encryption` shows what that adds."
        )


@dataclass(frozen=True)
class _Made:
    """Events that the user's function makes, each checked, and the states that they add up to."""

    aggregate_type: type[Aggregate]
    make: Callable[[int], Any]

    def event(self, number: int) -> Event:
        try:
            event = self.make(number)
        except Exception as error:  # the user's own code, which may do anything
            raise InvalidInput(
                f"Expected the sample's event number {number}, its function raised {type(error).__name__}: {error}."
            ) from error
        check_event(self.aggregate_type, event)
        return event

    def state_after(self, events: int) -> Aggregate:
        state = self.aggregate_type()
        for number in range(events):
            state.apply(self.event(number))
        return state
