"""What an error of the driver means here, and what to do next."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from cassandra import (
    AuthenticationFailed,
    DriverException,
    InvalidRequest,
    OperationTimedOut,
    ReadTimeout,
    RequestExecutionException,
    Unauthorized,
    Unavailable,
    WriteTimeout,
)
from cassandra.cluster import NoHostAvailable

from eslab.errors import EslabError, OutcomeUnknown, StoreError, StoreUnavailable
from eslab.stores.cassandra.connection import Options

TIMEOUTS = (OperationTimedOut, ReadTimeout, WriteTimeout)
OF_THE_DRIVER = (NoHostAvailable, DriverException, RequestExecutionException)


@contextmanager
def translate_errors(options: Options, writing: bool = False) -> Generator[None, None, None]:
    """Raise our own error in place of the driver's; a write without an answer is an `OutcomeUnknown`."""
    try:
        yield
    except OF_THE_DRIVER as error:
        raise _meaning(error, options, writing) from error


def _meaning(error: Exception, options: Options, writing: bool) -> EslabError:
    causes = _causes(error)
    if any(isinstance(cause, AuthenticationFailed | Unauthorized) for cause in causes):
        return StoreUnavailable(
            f"{options} refuses the user {options.user!r} or the password; name others in the URL or in "
            "ESLAB_CASSANDRA_USER and ESLAB_CASSANDRA_PASSWORD."
        )
    if any(isinstance(cause, InvalidRequest) for cause in causes):
        return StoreError(f"{options} refuses the statement: {error}. Mend it and ask again.")
    if writing:  # even if too few replicas are up: an attempt before, or beside, may have written
        return OutcomeUnknown(
            f"Expected an answer of {options} within {options.timeout:g} s, got {error}. It may have happened: send "
            "the same request again, it can't count twice."
        )
    if any(isinstance(cause, TIMEOUTS) for cause in causes):
        return StoreUnavailable(f"{options} did not answer within {options.timeout:g} s. Try again.")
    if any(isinstance(cause, Unavailable) for cause in causes):
        return StoreUnavailable(f"{options} has too few replicas up for this: {error}. Try later.")
    return StoreUnavailable(f"{options} can't be reached: {error}. Look with `eslab cluster status`.")


def _causes(error: Exception) -> list[Any]:
    """The error, and what each host said."""
    said = (error.errors or {}) if isinstance(error, NoHostAvailable) else {}
    return [error, *(said.values() if isinstance(said, dict) else said)]
