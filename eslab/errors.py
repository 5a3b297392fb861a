"""Every error of eslab, each saying what was expected, what was found, where, and what to do next.

    EslabError
    ├── InvalidInput          an argument, a setting or a data file that can't be used
    ├── OutOfTime             a first request too late or too early; carries the service's time
    ├── RequestConflict       one request id, two different wishes
    ├── OutcomeUnknown        it may have happened; send the same request again
    ├── TooLarge              one command's append is above the limit
    ├── HistoryGone           the events are below the floor and no usable snapshot stands on it
    ├── Forgotten             the customer's key was destroyed, and with it what was encrypted
    ├── Unreadable            stored bytes that can't be trusted or understood
    └── StoreError            the store did not do what was asked
        ├── StoreClosed       used after close()
        ├── StoreUnavailable  can't be opened or reached, or is locked by others
        ├── StoreReadOnly     may be read, not written
        └── StoreFull         no room left

A rule that says no is not an error but an answer: see `eslab.event.Rejected`.
"""

from datetime import datetime


class EslabError(Exception):
    """Base of all errors here; the message is meant to be read by a person."""


class InvalidInput(EslabError, ValueError):
    """An argument, a setting or a data file can't be used; the message names it and the rule."""


class OutOfTime(EslabError):
    """A request decided for the first time must be at most `late` old and `early` ahead; nothing was written.

    `service_time` is the service's clock, so that a client can mend its own.
    """

    def __init__(self, message: str, service_time: datetime) -> None:
        super().__init__(message)
        self.service_time = service_time


class RequestConflict(EslabError):
    """A request id stands for one wish for ever; this one was used for another wish before."""


class OutcomeUnknown(EslabError):
    """Only a part of what the request wrote can be seen; sending the same request again is safe."""


class TooLarge(EslabError):
    """One command's append must stay within the limit; nothing was written."""


class HistoryGone(EslabError):
    """Events at or below the floor may be deleted, and no usable snapshot stands on the floor."""


class Forgotten(EslabError):
    """The customer was forgotten: what was encrypted for them can't be read any more, nor added to."""


class Unreadable(EslabError):
    """Stored bytes failed their checksum, can't be parsed, or hold a type or version unknown here."""


class StoreError(EslabError):
    """The store did not do what was asked; nothing is half-written."""


class StoreClosed(StoreError):
    """The store was closed; open it anew."""


class StoreUnavailable(StoreError):
    """The store can't be opened or reached, or others hold its lock for too long."""


class StoreReadOnly(StoreError):
    """The store may be read but not written."""


class StoreFull(StoreError):
    """The disk has no room; what was being written is undone."""
