"""A unit of work is one request on its way: load, decide, append; over one aggregate or several.

    work = repository.begin(customer, request, command)
    seen, licence = work.load((Downloaded, title), (License, f"{device}/{title}"))
    if not work.recorded:
        allow(rules.at(request.time), seen, licence)        # raises Rejected
        work.add(seen, DownloadCounted(...))
        work.add(licence, LicenseIssued(...))
        work.append()                                       # one batch, one digest

The request's own rows are looked up together with the states, and never before them. If they exist they are the answer,
however old the request is; it is never decided a second time, nor on a state that holds a part of it.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Raw

from eslab.aggregate import Address, Aggregate, aggregate_id, check_event
from eslab.clock import time_on
from eslab.errors import InvalidInput, OutcomeUnknown, StoreError, TooLarge
from eslab.event import Command, Event, split_tag, tag_of
from eslab.hydration import Environment, Hydration, Hydrator, cipher_of_types
from eslab.late_commits import make_safe
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import HIDDEN, NO_CIPHER, RowCipher, cipher_for, place_of_commit
from eslab.payload.serializer import (
    Envelope,
    append_envelopes,
    as_stored,
    command_hash,
    compress,
    encode_envelope,
    encoded_size,
)
from eslab.read_table import ReadTable, note_late, rows_in
from eslab.recorded import RecordedCommit, conflict, decision_in, missing_in, outcome_unknown, prove
from eslab.request import Request
from eslab.store import Commit, Consistency, Head, ReadRow
from eslab.writable import check_read_rows

log = logging.getLogger(__name__)
MAX_APPEND_BYTES = 1 << 20  # a Cassandra message holds 16 MiB; a command that needs 1 MiB is a mistake


class _LookUp(NamedTuple):
    """The hydrations, and the decision that the request left behind, if it was decided before."""

    hydrations: dict[str, Hydration[Any]]
    decision: Sequence[RecordedCommit]
    safe: bool  # was the decision made safe before?


class UnitOfWork:
    """One request on its way, made by `Repository.begin`; not shared between threads."""

    def __init__(
        self,
        environment: Environment,
        read_tables: Sequence[ReadTable],
        customer_id: str,
        request: Request,
        command: Command,
    ) -> None:
        self.customer_id = customer_id
        self.request = request
        self.recorded = False  # has the request been decided before?
        self._environment = environment
        self._read_tables = read_tables
        self._command = command
        self._command_hash = command_hash(command)
        self._hydrator = Hydrator(environment, customer_id, {}, NO_CIPHER)
        self._states: dict[str, Any] = {}  # by aggregate id, as loaded
        self._events: dict[str, list[Event]] = {}  # by aggregate id, as recorded or as added
        self._decided = False  # has append been tried?

    def load(self, *addresses: Address) -> tuple[Any, ...]:
        """Load the states of all aggregates that the command touches, in one call: one wait on the store.

        A second wait is needed where more commits follow the first ones, or a snapshot lies elsewhere than it did.

        Raises `OutOfTime` for a first request outside the time bounds, `RequestConflict` if its id was used for
        another command, `OutcomeUnknown` if only a part of its decision can be seen, `Forgotten` if a type is
        encrypted and the customer was forgotten.
        """
        if self._states:
            raise InvalidInput("This unit of work has loaded its aggregates; load all of them in one call.")
        self._hydrator = self._hydrator_of(addresses)
        found = self._look_up()
        self._since_check = self._environment.timer()
        now = time_on(self._environment.clock)  # read after the hydration, however long that took (G5)
        if not found.decision:
            floors = [hydration.head.highest_floor for hydration in found.hydrations.values()]
            self._environment.bounds.check(self.request, now, floors)
        else:
            if self.request.time < now - self._environment.bounds.late and not found.safe:
                found = self._made_safe(found)
            self._recall(found.decision)
        self._states = {id: found.hydrations[id].state for id in self._hydrator.types}
        return tuple(self._states.values())

    def events(self, state: Aggregate) -> list[Event]:
        """The events of the request in a loaded aggregate: as recorded, or as added so far."""
        return self._events.get(self._id_of(state), [])

    def add(self, state: Aggregate, *events: Event) -> None:
        """Add events to a loaded aggregate and apply them to its state; `append` stores them: all of them or none."""
        id = self._id_of(state)
        if self.recorded or self._decided:
            raise InvalidInput(
                f"Cannot add events: {self.request} is already decided; check work.recorded, and make a new request "
                "for a new command."
            )
        for event in events:
            check_event(type(state), event)
        # The state sees each event as later readers will decode it, so both are the same.
        stored = [*map(as_stored, events)]
        for event in stored:
            if (returned := state.apply(event)) is not None:
                raise InvalidInput(
                    f"Expected {type(state).__name__}.apply to change the state and return nothing, got {returned!r}. "
                    "Nothing was written."
                )
        if stored:  # only now: after an error, `append` must not store the events before it
            self._events.setdefault(id, []).extend(stored)

    def append(self) -> None:
        """Write all added events as one atomic append; without events nothing is written.

        Raises `TooLarge` above 1 MiB. After `OutcomeUnknown` or a `StoreError`, send the same request again.
        """
        if self.recorded:
            raise InvalidInput(f"Cannot append: {self.request} was decided before; check work.recorded.")
        if not self._events:
            return
        commits = self._commits()
        rows = self._read_rows(commits)
        with_customer = [row for row in rows if row.layout.with_customer]
        elsewhere = [row for row in rows if not row.layout.with_customer]
        check_read_rows(elsewhere)  # now, since a key that no store can keep must not be found after the append
        self._decided = True
        noted = self._note_late(elsewhere)
        self._environment.store.append(self.customer_id, commits, read_rows=with_customer)
        if self._is_late():
            if not noted:
                self._note_late(elsewhere)
            make_safe(self._environment, self.customer_id, self.request, commits)
        self._put_elsewhere(elsewhere)

    def _hydrator_of(self, addresses: Sequence[Address]) -> Hydrator:
        types = {aggregate_id(address): address[0] for address in addresses}
        if len(types) < len(addresses):
            ids = sorted(aggregate_id(address) for address in addresses)
            raise InvalidInput(f"Expected one aggregate type for each id, got {ids}: an id is repeated.")
        cipher = cipher_of_types(self._environment.keys, self.customer_id, types.values())
        return Hydrator(self._environment, self.customer_id, types, cipher)

    def _look_up(self) -> _LookUp:
        """Hydrate, and find what the request left behind; what shows only in part here is read again at QUORUM."""
        found = self._hydrate(Consistency.LOCAL)
        if not found.decision or not missing_in(found.decision, _heads(found)):
            return found
        again = self._hydrate(Consistency.QUORUM)
        heads = _heads(again)
        seen = again.decision or found.decision
        if missing_in(seen, heads):
            heads = {**self._heads_elsewhere(), **heads}
        decision = self._decision_in(heads)
        missing = missing_in(decision or seen, heads)
        if missing or not decision:
            raise outcome_unknown(self.customer_id, self.request, decision or seen, missing)
        return again._replace(decision=decision, safe=_is_safe(decision, heads))

    def _made_safe(self, found: _LookUp) -> _LookUp:
        """The look-up of a late repeat whose commits are safe; made again, since a snapshot may have missed them.

        Meanwhile another decision may have arrived, from a region that was parted. Then that one is the answer, and it
        is made safe too, though its rows carry the note of the one before.
        """
        while True:
            make_safe(self._environment, self.customer_id, self.request, [commit for commit, _ in found.decision])
            again = self._look_up()
            if not again.decision or _digest(again) == _digest(found):
                return again._replace(decision=found.decision)
            found = again

    def _hydrate(self, consistency: Consistency) -> _LookUp:
        cache = self._environment.cache
        hydrations = cache.hydrate(self._hydrator, self.request.event_time, None, consistency)
        found = _LookUp(hydrations, (), False)
        decision = self._decision_in(_heads(found))
        return found._replace(decision=decision, safe=_is_safe(decision, _heads(found)))

    def _heads_elsewhere(self) -> dict[str, Head]:
        """The heads of all aggregates of the customer: the code that decided may have touched others than this does."""
        store = self._environment.store
        ids = [*store.heads_of_type(self.customer_id, "", Consistency.QUORUM)]
        return store.heads(self.customer_id, ids, self.request.event_time, Consistency.QUORUM)

    def _decision_in(self, heads: Mapping[str, Head]) -> list[RecordedCommit]:
        decision = decision_in(self.customer_id, heads)
        if not all(self._is_of_command(one.envelope.command) for one in decision):
            raise conflict(self.customer_id, self.request, decision[0].commit)
        return decision

    def _is_of_command(self, recorded_hash: bytes) -> bool:
        """Does a recorded hash belong to this command? It is keyed if the append encrypted something."""
        keys = self._environment.keys
        if recorded_hash == self._command_hash or keys is None:
            return recorded_hash == self._command_hash
        # The append may have touched encrypted aggregates that this unit of work does not load.
        cipher = cipher_for(keys, self.customer_id) if self._hydrator.cipher is NO_CIPHER else self._hydrator.cipher
        return recorded_hash == command_hash(self._command, cipher.hash_key())

    def _recall(self, decision: Sequence[RecordedCommit]) -> None:
        """Take the recorded decision as the answer."""
        self.recorded = True
        known = [one for one in decision if one.commit.aggregate_id in self._hydrator.types]
        for commit, envelope in known:
            self._events[commit.aggregate_id] = list(self._hydrator.events_of(commit, envelope))
        prove(self.customer_id, decision, self._hydrator.cipher)
        # A first delivery that died between its append and these rows left them out.
        self._recall_rows([commit for commit, _ in known])

    def _is_late(self) -> bool:
        """Has more time passed since the check than an append may take?"""
        return self._since_check() > self._environment.bounds.append

    def _note_late(self, elsewhere: Sequence[ReadRow]) -> bool:
        """Note a late append that has rows elsewhere, so that a catch-up finds them if this process dies."""
        late = bool(elsewhere) and self._is_late()
        if late:
            note_late(self._environment.store, self.request)
        return late

    def _read_rows(self, commits: Sequence[Commit]) -> list[ReadRow]:
        return rows_in(self._read_tables, self.customer_id, self._hydrator.types, commits, self._events)

    def _recall_rows(self, commits: Sequence[Commit]) -> None:
        """Write the rows of recorded commits in other partitions."""
        try:
            rows = self._read_rows(commits)
        except InvalidInput as error:  # of a definition that was changed since
            log.warning("Some read rows of %s can't be made: %s", self.request, error)
            return
        self._put_elsewhere([row for row in rows if not row.layout.with_customer])

    def _put_elsewhere(self, rows: Sequence[ReadRow]) -> None:
        """Write rows of other partitions; a failure waits for a catch-up, since the request is decided by now."""
        try:
            if rows:
                self._environment.store.put_read_rows(rows)
        except (StoreError, OutcomeUnknown, InvalidInput) as error:
            log.warning("Some read rows of %s wait for `eslab read-tables catch-up`: %s", self.request, error)

    def _commits(self) -> list[Commit]:
        """The rows of the append. If one of them is encrypted, digest and command hash are keyed in all."""
        types = self._hydrator.types
        encrypts = any(types[id].encrypted for id in self._events)
        key = self._hydrator.cipher.hash_key(make=True) if encrypts else b""
        hashed = command_hash(self._command, key) if encrypts else self._command_hash
        envelopes = append_envelopes(self.customer_id, self.request.event_time, self._events, hashed, key)
        size = sum(map(encoded_size, envelopes.values()))
        if size > MAX_APPEND_BYTES:
            raise TooLarge(
                f"Expected an append of at most {MAX_APPEND_BYTES:,} bytes, got {size:,} for {self.request} of "
                f"customer {self.customer_id!r}. Nothing was written; split the command or make its events smaller.",
                customer_id=self.customer_id,
                event_time=self.request.event_time,
            )
        return [self._commit(id, envelope) for id, envelope in envelopes.items()]

    def _commit(self, id: str, envelope: Envelope[Raw]) -> Commit:
        """The row of an aggregate: its envelope compressed and encrypted as its type wants it."""
        aggregate_type = self._hydrator.types[id]
        cipher: RowCipher = self._hydrator.cipher if aggregate_type.encrypted else NO_CIPHER
        type_and_version = HIDDEN if aggregate_type.encrypted else split_tag(tag_of(type(self._events[id][0])))
        if 0 < aggregate_type.compress_over < encoded_size(envelope):
            envelope = compress(envelope)
        encrypted = cipher.encrypt(place_of_commit(id, self.request.event_time), envelope)
        payload = encode_envelope(encrypted, Checksum.of_commits(self.customer_id, id))
        return Commit(id, self.request.event_time, *type_and_version, payload)

    def _id_of(self, state: Aggregate) -> str:
        for id, loaded in self._states.items():
            if loaded is state:
                return id
        raise InvalidInput(
            f"Expected a state that this unit of work loaded, got {state!r}; use what work.load returned."
        )


def _heads(found: _LookUp) -> dict[str, Head]:
    return {id: hydration.head for id, hydration in found.hydrations.items()}


def _digest(found: _LookUp) -> bytes:
    """The digest of the decision that was found."""
    return found.decision[0].envelope.digest


def _is_safe(decision: Sequence[RecordedCommit], heads: Mapping[str, Head]) -> bool:
    return all(heads[one.commit.aggregate_id].safe for one in decision)
