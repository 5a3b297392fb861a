"""Makes commits safe that were appended so late that a snapshot may have missed them (G5).

A snapshot folds what is older than the bounds allow any first decision to be. Whoever appends more slowly than they
say, or finds an old commit that nobody made safe, raises the mark of late commits in the directory: from then on
readers begin from no snapshot that may lack them.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from eslab.clock import time_on
from eslab.errors import OutcomeUnknown
from eslab.hydration import Environment
from eslab.recorded import is_below
from eslab.request import Request, time_of
from eslab.store import Commit, Consistency, LateCommits, place


def make_safe(environment: Environment, customer_id: str, request: Request, commits: Sequence[Commit]) -> None:
    """Write commits of a request everywhere, mark them as late, and note that this was done.

    Five waits on all regions. Raises `OutcomeUnknown` if the history of one of them is archived or about to be: it may
    be in the state already, and may not. After any `StoreError` send the same request again.
    """
    store = environment.store
    _check_floors(environment, customer_id, request, commits)
    store.append(customer_id, commits, Consistency.EVERYWHERE)
    raise_mark(environment, customer_id, [(commit.aggregate_id, commit.event_time) for commit in commits])
    # A rotation that missed the mark has raised its intended floor before this look.
    _check_floors(environment, customer_id, request, commits)
    store.note_safe(customer_id, commits, time_on(environment.clock))


def raise_mark(environment: Environment, customer_id: str, places: Collection[tuple[str, UUID]]) -> None:
    """Make readers pass over every snapshot that was made till now and reaches to these event times, by aggregate id.

    Again if that took so long that a snapshot may have been built in between.
    """
    longest = environment.bounds.append
    while True:
        took = environment.timer()
        until = time_on(environment.clock) + longest
        for id, event_time in places:
            environment.store.mark(customer_id, id, late=LateCommits(event_time, until))
        if took() <= longest:
            return


def _check_floors(environment: Environment, customer_id: str, request: Request, commits: Sequence[Commit]) -> None:
    ids = [commit.aggregate_id for commit in commits]
    heads = environment.store.heads(customer_id, ids, consistency=Consistency.EVERYWHERE)
    for commit in commits:
        floor = heads[commit.aggregate_id].highest_floor
        if floor and is_below(commit.event_time, floor):
            raise OutcomeUnknown(
                f"Expected {request} above the floor {time_of(floor).isoformat()} of "
                f"{place(customer_id, commit.aggregate_id)}, below which history is archived. It may have happened and "
                "may be in the state already: look with `eslab inspect`.",
                customer_id=customer_id,
                aggregate_id=commit.aggregate_id,
                event_time=request.event_time,
            )
