"""The aggregates of a customer that an operation can read: those of types that are known, and not forgotten."""

from collections.abc import Iterable

from eslab.aggregate import Aggregate, type_name
from eslab.errors import Forgotten
from eslab.hydration import Hydrator, cipher_of_types
from eslab.payload.encryption import NO_CIPHER
from eslab.repository import Repository


def hydrator_of(
    repository: Repository, customer_id: str, aggregate_types: Iterable[type[Aggregate]], ids: Iterable[str]
) -> Hydrator:
    """A hydrator of those aggregates that are of these types; encrypted ones of a forgotten customer are left out."""
    types = {type_name(it): it for it in aggregate_types}
    try:
        cipher = cipher_of_types(repository.keys, customer_id, types.values())
    except Forgotten:
        types = {name: it for name, it in types.items() if not it.encrypted}
        cipher = NO_CIPHER
    by_id = {id: types[name] for id in ids if (name := id.partition(":")[0]) in types}
    return Hydrator(repository.environment, customer_id, by_id, cipher)
