"""The errors of the driver in the words of eslab: which error each one becomes, and what to do next."""

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
from cassandra.connection import ConnectionException
from cassandra.protocol import ErrorMessage

from eslab.errors import EslabError, OutcomeUnknown, StoreError, StoreReadOnly, StoreUnavailable
from eslab.stores.cassandra.connection import Options

TIMEOUTS = (OperationTimedOut, ReadTimeout, WriteTimeout)
OF_THE_DRIVER = (NoHostAvailable, DriverException, RequestExecutionException, ConnectionException, ErrorMessage)


@contextmanager
def translate_errors(options: Options, writing: bool = False) -> Generator[None, None, None]:
    """Raise an error of eslab in place of the driver's; for a write without an answer that is `OutcomeUnknown`."""
    try:
        yield
    except OF_THE_DRIVER as error:
        raise _meaning(error, options, writing) from error


def _meaning(error: Exception, options: Options, writing: bool) -> EslabError:
    causes = _causes(error)
    if any(isinstance(cause, AuthenticationFailed) for cause in causes):
        refused = f"refuses the user {options.user!r} or the password" if options.user else "requires a login"
        return StoreUnavailable(
            f"{options} {refused}; name user and password in the URL (cassandra://user:password@host/keyspace) or in "
            "ESLAB_CASSANDRA_USER and ESLAB_CASSANDRA_PASSWORD."
        )
    if any(isinstance(cause, Unauthorized) for cause in causes):
        kind = StoreReadOnly if writing else StoreUnavailable
        return kind(
            f"{options} forbids this to the user {options.user!r}: {error}. GRANT the permission, or name another user."
        )
    if any(isinstance(cause, InvalidRequest) for cause in causes):
        return StoreError(f"{options} refuses the statement: {error}. Correct it and send it again.")
    # Even if too few replicas are up: an earlier attempt of the driver, or a speculative one, may have written.
    if writing:
        return OutcomeUnknown(
            f"{options} did not confirm the write within {options.timeout:g} s: {error}. It may have happened: send "
            "the same request again, it can't count twice."
        )
    if any(isinstance(cause, TIMEOUTS) for cause in causes):
        return StoreUnavailable(f"{options} did not answer within {options.timeout:g} s. Try again.")
    if any(isinstance(cause, Unavailable) for cause in causes):
        return StoreUnavailable(f"{options} has too few replicas up for this: {error}. Try later.")
    if any(isinstance(cause, ErrorMessage) for cause in causes):
        return StoreUnavailable(f"{options} failed to answer: {error}. Try again; if it stays, see the node's log.")
    return StoreUnavailable(f"{options} can't be reached: {error}. Look with `eslab cluster status`.")


def _causes(error: Exception) -> list[Any]:
    """The error, and the error of each host if all were tried."""
    by_host = (error.errors or {}) if isinstance(error, NoHostAvailable) else {}
    return [error, *(by_host.values() if isinstance(by_host, dict) else by_host)]
