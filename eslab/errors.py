"""The errors of eslab; a message says what was expected, what was given instead, where, and what to do next.

    EslabError
    ├── InvalidInput          an argument, a setting or a data file that can't be used
    ├── OutOfTime             a first request too late or too early; carries the service's time
    ├── RequestConflict       one request id, two different commands
    ├── OutcomeUnknown        it may have happened; send the same request again
    ├── TooLarge              the append of one command is above the limit
    ├── HistoryGone           the events are below the floor, and no snapshot at the floor is usable
    ├── Forgotten             the customer's key was destroyed, and with it what was encrypted
    ├── Unreadable            stored bytes that can't be trusted or understood
    ├── Inconsistent          stored rows that contradict each other, found by an audit
    └── StoreError            the store did not do what was asked
        ├── StoreClosed       used after close()
        ├── StoreUnavailable  can't be opened or reached, or others hold its lock
        ├── StoreReadOnly     may be read, not written
        └── StoreFull         no room left

A command that the rules forbid is not an error but an answer: see `eslab.event.Rejected`.
"""

import copyreg
from datetime import datetime
from reprlib import repr as short
from typing import Any
from uuid import UUID


def reduced(error: Exception) -> tuple[Any, ...]:
    """What `__reduce__` of an exception returns, so that it survives pickle and copy whatever its constructor takes.

    Python would call the class with `args` alone, which is too little for a constructor that must have more, and wrong
    for one that makes the message. So the copy is made without `__init__`, and takes all attributes.
    """
    return copyreg.__newobj__, (type(error), *error.args), error.__dict__  # type: ignore[attr-defined] - not in typeshed


def expect(kind: type | tuple[type, ...], name: str, value: Any, hint: str = "") -> None:
    """Refuse an argument of another type at the edge, by its name; `hint` says what to write."""
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join("None" if one is type(None) else one.__name__ for one in kinds)
        raise InvalidInput(f"Expected {wanted} as {name}, got {short(value)}{f'; {hint}' if hint else ''}.")


class EslabError(Exception):
    """Base of every error here. The message is for people; the row that it names is in the attributes, for programs.

    `customer_id`, `aggregate_id` and `event_time` are None where the error is about no customer, aggregate or commit.
    """

    def __init__(
        self,
        message: str,
        *,
        customer_id: str | None = None,
        aggregate_id: str | None = None,
        event_time: UUID | None = None,
    ) -> None:
        super().__init__(message)
        self.customer_id = customer_id
        self.aggregate_id = aggregate_id
        self.event_time = event_time

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)


class InvalidInput(EslabError, ValueError):
    """An argument, a setting or a data file can't be used; the message names it and the rule."""


class OutOfTime(EslabError):
    """A request decided for the first time must be at most `late` old and `early` ahead; nothing was written.

    `service_time` is the time on the service's clock, so that a client can correct its own.
    """

    def __init__(self, message: str, service_time: datetime, **where: Any) -> None:
        super().__init__(message, **where)
        self.service_time = service_time


class RequestConflict(EslabError):
    """A request id belongs to one command for ever; this one was used for another command before."""


class OutcomeUnknown(EslabError):
    """Only a part of what the request wrote can be read, or a write got no answer; send the same request again."""


class TooLarge(EslabError):
    """The append of one command must stay within the limit; nothing was written."""


class HistoryGone(EslabError):
    """Events at or below the floor may be deleted, and no snapshot at the floor is usable."""


class Forgotten(EslabError):
    """The customer was forgotten: what was encrypted for them can't be read any more, nor added to."""


class Unreadable(EslabError):
    """Stored bytes failed their checksum, can't be parsed, or hold a type or version that this code doesn't know."""


class Inconsistent(EslabError):
    """Stored rows contradict each other; an audit says which, and the next step."""


class StoreError(EslabError):
    """The store did not do what was asked; nothing is half-written."""


class StoreClosed(StoreError):
    """The store was closed; open it again."""


class StoreUnavailable(StoreError):
    """The store can't be opened or reached, or others hold its lock for too long."""


class StoreReadOnly(StoreError):
    """The store may be read but not written."""


class StoreFull(StoreError):
    """The disk has no room; what was being written was undone."""
