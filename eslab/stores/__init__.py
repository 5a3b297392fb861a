"""The stores, opened by URL: `memory:`, `sqlite:///lab.db`, `cassandra://host1,host2/keyspace?dc=us`."""

from collections.abc import Mapping
from importlib import import_module
from urllib.parse import parse_qsl, urlsplit

from eslab.errors import InvalidInput
from eslab.store import EventStore

SCHEMES = {"memory": "MemoryStore", "sqlite": "SqliteStore", "cassandra": "CassandraStore"}


def open_store(url: str) -> EventStore:
    """Open the store that a URL names; only now its module is imported, and the driver that it needs.

    Raises `InvalidInput` for an unknown scheme or option, `StoreUnavailable` if the store can't be opened.
    """
    scheme = url.partition(":")[0] if isinstance(url, str) else ""
    if scheme not in SCHEMES or "\0" in url:
        raise InvalidInput(
            "Expected a store URL such as memory: or sqlite:///lab.db or cassandra://host/keyspace, "
            f"got {shown(url)!r}."
        )
    return getattr(import_module(f"eslab.stores.{scheme}"), SCHEMES[scheme]).open(url)


def existing(store: str) -> str:
    """The URL that opens a store only if it exists, so that a mistyped name of a file doesn't make a new one."""
    path, _, options = store.partition("?")
    if not path.startswith("sqlite:/") or "mode" in dict(parse_qsl(options, keep_blank_values=True)):
        return store
    return f"{path}?{options}&mode=rw" if options else f"{path}?mode=rw"


def url_options(url: str, allowed: Mapping[str, str]) -> dict[str, str]:
    """The options after the `?` of a store URL, or their defaults. Raises `InvalidInput` for an unknown one."""
    try:
        given = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    except ValueError as error:
        raise InvalidInput(f"Expected a store URL such as sqlite:///lab.db, got {shown(url)!r}: {error}.") from None
    if unknown := given.keys() - allowed.keys():
        raise InvalidInput(f"Expected options among {sorted(allowed)} in the store URL, got {sorted(unknown)}.")
    return {**allowed, **given}


def shown(url: object) -> str:
    """A URL as a message may show it: without the part before an @, which may hold a password."""
    scheme, _, rest = str(url).partition("://")
    return f"{scheme}://...@{rest.rpartition('@')[2]}" if "@" in rest else str(url)
