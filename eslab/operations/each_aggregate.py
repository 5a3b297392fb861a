"""Work on the aggregates of one customer, of which a broken one stops nobody."""

from collections.abc import Callable, Iterable

from eslab.aggregate import Aggregate, type_name
from eslab.errors import EslabError, Forgotten, HistoryGone, InvalidInput, StoreUnavailable, Unreadable
from eslab.operations.walk import Damaged
from eslab.repository import Repository
from eslab.store import Consistency, Head

Work = Callable[[type[Aggregate], str, Head], int]  # of a type, an id and its head; returns how many rows it wrote
BROKEN = (Unreadable, HistoryGone, InvalidInput)  # errors of one aggregate, which say nothing of the next one


def each_aggregate(
    repository: Repository, customer_id: str, aggregate_types: Iterable[type[Aggregate]], work: Work
) -> int:
    """Do the work on all aggregates of these types, listed EVERYWHERE; returns the rows that were written.

    Encrypted aggregates of a forgotten customer are passed over. Raises `Damaged` at the end, with the errors of those
    whose work failed. An error of the store or a region ends it at once.
    """
    rows = 0
    problems: list[EslabError] = []
    for aggregate_type in aggregate_types:
        prefix = f"{type_name(aggregate_type)}:"
        for id, head in repository.store.heads_of_type(customer_id, prefix, Consistency.EVERYWHERE).items():
            try:
                rows += work(aggregate_type, id, head)
            except Forgotten:
                break
            except (*BROKEN, StoreUnavailable) as error:
                if isinstance(error, StoreUnavailable) and error.customer_id is None:  # a region, not one long history
                    raise
                problems.append(error)
    if problems:
        raise Damaged(rows, problems)
    return rows
