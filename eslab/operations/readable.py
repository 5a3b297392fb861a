"""The aggregates of a customer that an operation can read: those of types that are known, and not forgotten."""

from collections.abc import Iterable

from eslab.aggregate import Aggregate, serializer_of, type_name
from eslab.errors import Forgotten
from eslab.hydration import Hydrator, cipher_of_types
from eslab.payload.encryption import NO_CIPHER, require_keys
from eslab.repository import Repository


def check_types(
    repository: Repository, aggregate_types: Iterable[type[Aggregate]], folded: Iterable[type[Aggregate]]
) -> None:
    """Refuse classes that can't be read, and encrypted ones to be folded without keys, before every aggregate does."""
    for aggregate_type in aggregate_types:
        serializer_of(aggregate_type)
    if any(it.encrypted for it in folded):
        require_keys(repository.keys)


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
