"""Audits customers: whether what is stored beside the events is what they add up to, and repairs what can be.

Of each aggregate it compares every snapshot with a replay, and the directory with the first commit; it proves the
digest of every append, and compares the read tables. Only what follows from the events alone is repaired: a late commit
is made safe, a wrong snapshot above the floor deleted, an entry of the directory or a read row written again. All else
is named with the next step.

Safe beside services that run: what was found while an aggregate changed is looked at again. One broken customer stops
nobody. Memory holds the states of one aggregate, the commits of appends that are not seen as a whole yet, and the
customer's rows in read tables.
"""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from threading import Lock
from uuid import UUID

from eslab.aggregate import Aggregate, type_name
from eslab.display import quantity
from eslab.errors import HistoryGone, OutcomeUnknown, Unreadable
from eslab.hydration import ATTEMPTS, Hydrator
from eslab.operations.findings import Finding, contradiction, moment
from eslab.operations.proofs import Proofs
from eslab.operations.readable import check_types, hydrator_of
from eslab.operations.refold import Refold
from eslab.operations.row_check import RowCheck
from eslab.operations.walk import Damaged, OnProgress, Walked, silent, walk_or_visit
from eslab.recorded import is_below, parse
from eslab.repository import Repository
from eslab.request import is_after
from eslab.store import Commit, Consistency, EventStore, Head, place

OnFinding = Callable[[Finding], object]
MISSING = "Run `eslab repair`; if they are in no region, restore them from a backup."
RESTORE = "Restore it with `eslab row restore`, or go on without it with `eslab row skip`."


def audit(
    repository: Repository,
    aggregate_types: Sequence[type[Aggregate]],
    on_finding: OnFinding,
    on_progress: OnProgress = silent,
    *,
    repair: bool = False,
    customer_id: str | None = None,
    jobs: int = 1,
) -> Walked:
    """Audit all customers, or one; returns how many findings were repaired.

    Aggregates of these types, and of those in the repository's read tables, are folded; of all others only the
    directory and the digests are looked at. Called again after a crash, it resumes. Raises `Unreadable` at its end with
    the findings that are left, and `StoreUnavailable` while a region can't be reached. Reads everything EVERYWHERE.
    `jobs` threads each audit other customers; `on_finding` is called by one of them at a time.
    """
    types = [*dict.fromkeys([*aggregate_types, *(it for table in repository.read_tables for it in table.keys)])]
    check_types(repository, types, types)
    name, work = _name(repository, types, repair), partial(_audit, repository, types, on_finding, repair, Lock())
    return walk_or_visit(repository.store, repository.clock, name, work, on_progress, _summary, customer_id, jobs)


def audit_customer(
    repository: Repository, aggregate_types: Sequence[type[Aggregate]], customer_id: str, repair: bool = False
) -> list[Finding]:
    """What is wrong with one customer; with `repair`, each finding that is gone afterwards says so."""
    found = _Audit(repository, aggregate_types, customer_id).findings()
    repairs = [finding.repair for finding in found if repair and finding.repair]
    for each in repairs:
        with suppress(OutcomeUnknown, HistoryGone):  # the history was archived meanwhile: it is found again
            each()
    if not repairs:
        return found
    left = _Audit(repository, aggregate_types, customer_id).findings()
    still = {finding.key for finding in left}
    return [*(replace(it, repaired=True) for it in found if it.key not in still), *left]


def _audit(
    repository: Repository,
    aggregate_types: Sequence[type[Aggregate]],
    on_finding: OnFinding,
    repair: bool,
    telling: Lock,
    customer_id: str,
) -> int:
    findings = audit_customer(repository, aggregate_types, customer_id, repair)
    with telling:
        for finding in findings:
            on_finding(finding)
    left = [finding.error for finding in findings if not finding.repaired]
    if left:
        raise Damaged(len(findings) - len(left), left)
    return len(findings)


class _Audit:
    """One look at one customer."""

    def __init__(self, repository: Repository, aggregate_types: Sequence[type[Aggregate]], customer_id: str) -> None:
        self.repository = repository
        self.customer_id = customer_id
        self.heads = _all_heads(repository.store, customer_id)
        self.hydrator = hydrator_of(repository, customer_id, aggregate_types, self.heads)
        self.proofs = Proofs(repository.store, customer_id, self.hydrator.cipher)
        self.rows = RowCheck(repository, self.hydrator)

    def findings(self) -> list[Finding]:
        """All that contradicts the events."""
        found = [finding for id, head in self.heads.items() for finding in self._of_aggregate(id, head)]
        self.proofs.end(list(self.heads))
        return [*found, *self.proofs.findings, *self.rows.end()]

    def _of_aggregate(self, id: str, head: Head) -> list[Finding]:
        """The findings of one aggregate; if there are any, they count only if it did not change meanwhile."""
        found: list[Finding] = []
        for attempt in range(ATTEMPTS):
            took = self.repository.environment.timer()
            found = _Pass(self, id, head, again=bool(attempt)).findings()
            if not found:
                break
            now = self.repository.store.heads(self.customer_id, [id], consistency=Consistency.EVERYWHERE)[id]
            if now == head and took() <= self.repository.bounds.grace:
                break
            head = now
        return found


class _Pass:
    """One pass over the commits of one aggregate."""

    def __init__(self, audit: _Audit, id: str, head: Head, again: bool) -> None:
        self._audit = audit
        self._store = audit.repository.store
        self._hydrator: Hydrator = audit.hydrator
        self._id = id
        self._head = head
        self._again = again  # proofs and read rows have seen its commits before
        self._refold = Refold(audit.repository, audit.hydrator, id, head) if id in audit.hydrator.types else None
        self._first: Commit | None = None
        self._findings: list[Finding] = []

    def findings(self) -> list[Finding]:
        """Read all commits above the floor, and compare."""
        customer, after = self._audit.customer_id, {self._id: self._head.floor}
        try:
            with closing(self._store.rows_many(customer, after, consistency=Consistency.EVERYWHERE)) as pages:
                for _, commits in pages:
                    for commit in commits:
                        self._look_at(commit)
        except Unreadable as error:  # a row that the store can't even give, and perhaps others behind it
            self._broken(error)
            return self._findings
        of_snapshots = self._refold.end() if self._refold else []
        return [*self._findings, *self._of_directory(), *of_snapshots]

    def _look_at(self, commit: Commit) -> None:
        self._first = self._first or commit
        try:
            recorded = parse(self._audit.customer_id, commit)
            if not self._again:
                self._audit.proofs.add(recorded)
            if self._refold:
                events = self._hydrator.events_of(commit, recorded.envelope)
                self._refold.fold(commit, events)
                if not self._again:
                    self._audit.rows.expect(commit, events)
        except Unreadable as error:
            self._broken(error)

    def _broken(self, error: Unreadable) -> None:
        if self._refold:
            self._refold.stop()
        self._audit.rows.spare(error.aggregate_id, error.event_time)
        where = (error.customer_id, error.aggregate_id, error.event_time)
        self._findings.append(contradiction("commit", f"{error} {RESTORE}", *where))

    def _of_directory(self) -> list[Finding]:
        """Is the entry of the aggregate what its first commit says? Below a floor, nobody knows."""
        head, commit = self._head, self._first
        if commit and (head.first is None or is_after(head.first, commit.event_time)):
            found = f"{_at(head.first)}. `eslab audit --repair` writes the entry again."
            return [self._wrong_entry(commit.event_time, found, self._write_entry)]
        if head.first is None or is_below(head.first, head.floor) or self._store.lifetime:
            return []
        if commit is None or is_after(commit.event_time, head.first):
            found = f"{_at(commit and commit.event_time)} to be the first: commits are missing. {MISSING}"
            return [self._wrong_entry(head.first, found)]
        return []

    def _write_entry(self) -> None:
        """Append the first commit once more: that changes nothing but the entry."""
        if self._first:
            self._store.append(self._audit.customer_id, [self._first], Consistency.EVERYWHERE)

    def _wrong_entry(self, first: UUID, found: str, repair: Callable[[], None] | None = None) -> Finding:
        customer = self._audit.customer_id
        expected = f"Expected the first commit of {place(customer, self._id)} at {moment(first)}"
        return contradiction("directory", f"{expected}, found {found}", customer, self._id, first, repair)


def _all_heads(store: EventStore, customer_id: str) -> dict[str, Head]:
    """The heads of all aggregates, those that have commits and no entry in the directory too."""
    heads = store.heads_of_type(customer_id, "", Consistency.EVERYWHERE)
    missing = [id for id in store.ids_of_commits(customer_id, Consistency.EVERYWHERE) if id not in heads]
    return heads | (store.heads(customer_id, missing, consistency=Consistency.EVERYWHERE) if missing else {})


def _at(event_time: UUID | None) -> str:
    return moment(event_time) if event_time else "nothing"


def _name(repository: Repository, aggregate_types: Sequence[type[Aggregate]], repair: bool) -> str:
    folds = sorted(f"{type_name(it)} fold {it.fold_version}" for it in aggregate_types)
    tables = sorted(table.layout.name for table in repository.read_tables)
    return f"{'repairing audit' if repair else 'audit'} of {', '.join([*folds, *tables])}"


def _summary(name: str, problems: int, walked: Walked) -> str:
    return (
        f"The {name} of {quantity(walked.customers, 'customer')}: {quantity(walked.rows, 'finding')} repaired, "
        f"{problems:,} not. Follow what they say, then run it again:"
    )
