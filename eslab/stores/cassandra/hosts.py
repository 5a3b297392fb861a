"""The hosts in a Cassandra URL: names, IPv4 addresses, IPv6 addresses in brackets, and the port that they share."""

import ipaddress
from urllib.parse import unquote

from eslab.errors import InvalidInput

EXPECTED = "Expected cassandra://host1,host2:9042/keyspace"


def address(host: str, port: int) -> str:
    """Host and port as in a URL: `node1:9042`, `[::1]:9042`."""
    return f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """The host as in a URL, where the colons of an IPv6 address need brackets."""
    return f"[{host}]" if ":" in host else host


def parse_hosts(place: str) -> tuple[list[str], str]:
    """The hosts and their port, "" if there is none: `a,b:9042`, `[::1],b`. Raises `InvalidInput`.

    A port may follow each host if it is the same for all, since the nodes of a cluster share one.
    """
    # Not urllib's: it takes one host, and newer versions of it refuse brackets in any other position.
    parts = [_parse_host(part, place) for part in place.split(",")]
    ports = {port for _, port in parts if port is not None}
    if len(ports) > 1:
        raise InvalidInput(f"{EXPECTED} with one port for all hosts, got {sorted(ports)} in {place!r}.")
    return [host for host, _ in parts], "".join(ports)


def _parse_host(part: str, place: str) -> tuple[str, str | None]:
    host, colon, port = part.rpartition(":") if ":" in part.rpartition("]")[2] else (part, "", "")
    if ":" in host and not host.startswith("["):
        raise InvalidInput(f"{EXPECTED} with an IPv6 address in brackets, such as [::1]:9042, got {part!r}.")
    if host.startswith("["):
        host = _ipv6(host, part)
    if not host:
        raise InvalidInput(f"{EXPECTED}, got no host in {place!r}.")
    return host, port if colon else None


def _ipv6(host: str, part: str) -> str:
    try:
        return str(ipaddress.IPv6Address(unquote(host[1:].removesuffix("]")) if host.endswith("]") else ""))
    except ValueError as error:
        raise InvalidInput(f"{EXPECTED} with an IPv6 address such as [::1], got {part!r}: {error}.") from None
