"""The first contact with a node: does anything answer at this address, and is it a Cassandra that eslab can talk to?

The driver takes its whole timeout to learn that a port is no Cassandra's, and then says so in the words of its
protocol. One frame, OPTIONS, which a node answers before any login, tells as much at once.
"""

import socket
import ssl
from math import ceil

from eslab.errors import StoreUnavailable
from eslab.stores.cassandra.hosts import address

PROTOCOL = 5
PATIENCE = 5  # seconds for the answer, as in the driver's default; a node answers within milliseconds
OPTIONS = bytes([PROTOCOL, 0, 0, 0, 5, 0, 0, 0, 0])  # version, flags, stream (2), opcode, length of the body (4)
ANSWER = 0x80  # the bit that marks a frame from a server
ALERT = 0x15  # the first byte of TLS's own error message
CORRECT = "Correct host and port in the store URL; Cassandra's own port for clients is 9042"
LOCAL = "`eslab cluster status` shows the nodes on this machine, `eslab cluster start --keep` starts one"


def probe(host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> None:
    """Ask a node for its options: one connection, one wait. Raises `StoreUnavailable`: why it can't be used."""
    place = address(host, port)
    patience = min(ceil(timeout), PATIENCE)
    with _connected(host, port, patience) as connection:
        try:
            first = _ask(connection, host, tls)
        except TimeoutError:
            raise StoreUnavailable(
                f"{place} accepts connections but did not answer within {patience:g} s: the node is frozen or "
                f"overloaded, or it is no Cassandra. {CORRECT}; {LOCAL}."
            ) from None
        except ssl.SSLError as error:
            raise StoreUnavailable(f"{place} {_tls_fault(error)}") from None
        except OSError:
            first = b""
    if problem := _problem(first, tls):
        raise StoreUnavailable(f"{place} {problem}")


def _connected(host: str, port: int, patience: float) -> socket.socket:
    place = address(host, port)
    try:
        return socket.create_connection((host, port), timeout=patience)
    except (socket.gaierror, UnicodeError) as error:
        raise StoreUnavailable(
            f"No address is known for the host {host!r} ({error}). Correct the name in the store URL."
        ) from None
    except ConnectionRefusedError:
        raise StoreUnavailable(
            f"Nothing listens at {place}. Start Cassandra there ({LOCAL}), or correct host and port in the store URL."
        ) from None
    except OSError as error:
        reason = f"no answer within {patience:g} s" if isinstance(error, TimeoutError) else error.strerror or error
        raise StoreUnavailable(f"{place} can't be connected to: {reason}. {CORRECT}; {LOCAL}.") from None


def _ask(connection: socket.socket, host: str, tls: ssl.SSLContext | None) -> bytes:
    """The beginning of the answer, up to nine bytes; empty if the connection was closed."""
    if not tls:
        connection.sendall(OPTIONS)
        return connection.recv(len(OPTIONS))
    with tls.wrap_socket(connection, server_hostname=host) as encrypted:
        encrypted.sendall(OPTIONS)
        return encrypted.recv(len(OPTIONS))


def _problem(first: bytes, tls: ssl.SSLContext | None) -> str:
    """The reason why this answer is not one of a usable Cassandra, and what to do; "" if it is."""
    if not first:
        missing = "cert= and key=" if tls else "TLS (?ca=FILE, a certificate of its authority)"
        return f"closed the connection without an answer: it requires {missing}, or it is no Cassandra. {CORRECT}."
    if first[0] == ALERT:
        return "talks TLS only: add ?ca=FILE, the certificate of its authority, to the store URL."
    version = first[0] - ANSWER
    if 1 <= version < PROTOCOL:
        return (
            f"is too old: it speaks version {version} of Cassandra's native protocol, and eslab needs version "
            f"{PROTOCOL}. Use Apache Cassandra 4.0 or newer."
        )
    known = PROTOCOL <= version <= PROTOCOL + 1
    return "" if known else f"is no Cassandra: it answered {first!r}. {CORRECT}."


def _tls_fault(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that the authority in ca= did not sign: certificate verify failed "
            f"({error.verify_message}). Name the file of the right authority."
        )
    if "CERTIFICATE" in str(error).upper():
        return f"requires a certificate of the client that it trusts: name cert=FILE and key=FILE in the URL ({error})."
    # A node that misses the client's certificate may close the connection before or after it says so.
    return (
        f"did not agree on TLS ({error}): it may not use TLS, then leave ca= out; or it requires a certificate of the "
        f"client, then name cert= and key=; or it is no Cassandra. {CORRECT}."
    )
