"""Lessons that start a Cassandra node of their own, and whether this machine can run one.

Such a lesson says so in its notebook's metadata: `"eslab": {"starts_cassandra": "always"}`, or `"on another store"` if
a store URL of Cassandra is enough for it.
"""

from collections.abc import Callable

from nbformat import NotebookNode

from eslab.errors import EslabError

NODE_MEMORY = 1.0  # GB that one node takes, heap and all; see docs/cluster.md


def starts_cassandra(notebook: NotebookNode, store: str) -> bool:
    """Does this notebook start a node when it runs on this store?"""
    own = notebook.metadata.get("eslab")
    when = own.get("starts_cassandra") if isinstance(own, dict) else None
    return when == "always" or (when == "on another store" and not store.startswith("cassandra:"))


def no_cassandra(say: Callable[[str], None]) -> str:
    """The reason why no node can run here, with what to do; empty if one can. Fetches missing jars: 70 MB at first."""
    try:
        from eslab.cluster.jars import fetch_jars
        from eslab.cluster.runtime import find_java

        if problem := too_little_memory():
            return problem
        find_java()
        fetch_jars(say)
    except ImportError as error:
        return (
            f"Expected the packages of Cassandra, {error}. Run: pip install 'eslab[cassandra]'; in a clone, make venv."
        )
    except (EslabError, OSError) as error:
        return str(error)
    return ""


def too_little_memory() -> str:
    """What is missing to the memory of one node; empty if there is enough."""
    free = free_memory()
    if free >= NODE_MEMORY:
        return ""
    return f"Expected {NODE_MEMORY:.1f} GB of free memory for a node, found {free:.1f} GB. Close other programs."


def free_memory() -> float:
    """The memory that programs can still take, in GB."""
    import psutil

    return psutil.virtual_memory().available / 1e9
