"""The errors that every store raises: used after its end, in a fork, or for a read table that does not exist."""

from eslab.errors import StoreClosed, StoreUnavailable
from eslab.layout import Layout


def no_read_table(layout: Layout, store: object) -> StoreUnavailable:
    """The error raised when a read table does not exist."""
    return StoreUnavailable(
        f"{store} has no read table {layout.name}. A repository or service that is given the read table makes it in a "
        "file or a lab's keyspace; in another keyspace run: eslab schema apply"
    )


def closed(store: object) -> StoreClosed:
    """The error raised when a store is used after `close`."""
    return StoreClosed(f"The store is closed: {store}. Open it again.")


def forked(store: object) -> StoreClosed:
    """The error raised when a store is used in a fork of the process that opened it."""
    return StoreClosed(
        f"The store was opened before this process was forked: {store}. Its connections belong to the parent: open a "
        "store of its own in each process, after the fork, or start processes with multiprocessing's method spawn."
    )
