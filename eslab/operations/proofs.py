"""Proves the digest of every append of a customer from its rows, and finds appends of which a commit is missing.

The checksum of a row proves customer and aggregate; only the digest proves its time, and that the append is whole.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from eslab.display import quantity
from eslab.errors import Unreadable
from eslab.operations.findings import Finding, contradiction
from eslab.payload.encryption import RowCipher
from eslab.payload.serializer import SKIPPED, TOUCHED_BYTES, touched_hash
from eslab.recorded import RecordedCommit, missing_in, parse, prove
from eslab.request import Request
from eslab.store import Consistency, EventStore, Head


class Proofs:
    """The appends of one customer; memory holds the commits of those that are not seen as a whole yet."""

    def __init__(self, store: EventStore, customer_id: str, cipher: RowCipher) -> None:
        self.findings: list[Finding] = []
        self._store = store
        self._customer_id = customer_id
        self._cipher = cipher
        self._open: defaultdict[tuple[UUID, bytes], list[RecordedCommit]] = defaultdict(list)

    def add(self, recorded: RecordedCommit) -> None:
        """Take a commit; when it is the last one of its append, the digest is proved."""
        key = recorded.commit.event_time, recorded.envelope.digest
        self._open[key].append(recorded)
        if not missing_in(self._open[key], {}):
            self._prove(self._open.pop(key))

    def end(self, aggregate_ids: Sequence[str]) -> None:
        """Look once more for what is missing in the others: it may have been written meanwhile, or below a floor.

        A commit that only a losing decision wrote lacks the others for ever; it is no finding here (`find_strays`).
        """
        commands = {(event_time, it.envelope.command): it for (event_time, _), (it, *_) in self._open.items()}
        for event_time, command in commands:
            heads = self._store.heads(self._customer_id, aggregate_ids, event_time, Consistency.EVERYWHERE)
            self._look_again(event_time, command, heads)

    def _look_again(self, event_time: UUID, command: bytes, heads: Mapping[str, Head]) -> None:
        recorded, lost = self._recorded(heads)
        of_command = [it for it in recorded if it.envelope.command == command]
        winner = max((it.envelope.digest for it in of_command), default=b"")
        won = [it for it in of_command if it.envelope.digest == winner]
        if not won:
            return
        missing = missing_in(won, heads)
        if not missing:
            self._prove(won)
        elif missing - lost:
            self._report(event_time, won, missing, heads)

    def _recorded(self, heads: Mapping[str, Head]) -> tuple[list[RecordedCommit], set[bytes]]:
        """The request's commits, and the hashes of the aggregates whose commit was skipped or can't be read."""
        recorded: list[RecordedCommit] = []
        lost: set[bytes] = set()
        for id, head in heads.items():
            try:
                found = parse(self._customer_id, head.recorded) if head.recorded else None
            except Unreadable:  # a finding of its own
                lost.add(touched_hash(id))
                continue
            if found and found.envelope.format == SKIPPED:
                lost.add(touched_hash(id))
            elif found:
                recorded.append(found)
        return recorded, lost

    def _prove(self, decision: Sequence[RecordedCommit]) -> None:
        try:
            prove(self._customer_id, decision, self._cipher)
        except Unreadable as error:
            self.findings.append(Finding("append", error))

    def _report(
        self, event_time: UUID, won: Sequence[RecordedCommit], missing: set[bytes], heads: Mapping[str, Head]
    ) -> None:
        touched = len(won[0].envelope.touched) // TOUCHED_BYTES
        known = [id for id in heads if touched_hash(id) in missing]
        where = f" (in {', '.join(known)})" if known else ""
        self.findings.append(
            contradiction(
                "append",
                f"Expected {quantity(touched, 'commit')} of {Request.from_event_time(event_time)} of customer "
                f"{self._customer_id!r}, found {touched - len(missing)}: commits are missing{where}. Run `eslab "
                "repair`; if they are in no region, restore them from a backup.",
                self._customer_id,
                won[0].commit.aggregate_id,
                event_time,
            )
        )
