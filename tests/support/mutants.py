# ruff: noqa: E501
"""Each promise names mutants, lines of the code changed, that its tests must catch.

    python -m tests.support.mutants            runs all of them, some minutes; a table, and exit code 1 if one survives
    python -m tests.support.mutants G5 G6      only those of these promises

The package is copied, one line is changed, and the tests named beside it have to fail.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

from tests.support.sample import ROOT

EMBEDDED = ["-m", "not full and not cassandra and not browser"]
PARTS = ("eslab", "tests", "data", "notebooks", "docs", "README.md", "pyproject.toml", "schema.lock.json")


class Mutant(NamedTuple):
    """A line of `eslab/FILE`, what becomes of it, and the tests that must notice."""

    promise: str
    file: str
    line: str
    mutant: str
    tests: str

    def __str__(self) -> str:
        return f"{self.promise:4} {self.file:18} {' '.join(self.line.split())[:60]}"


CONTRACT, SQLITE, WISH = "tests/stores/test_contract.py", "tests/stores/test_sqlite.py", "tests/test_unit_of_work.py"
ARCHIVE, ROTATIONS = "tests/operations/test_archive.py", "tests/operations/test_rotation.py"
BUILD, WALK = "tests/operations/test_snapshots.py", "tests/operations/test_walk.py"
REPAIR = "tests/operations/test_read_repair.py"
PARALLEL = "tests/operations/test_parallel.py"
REPOSITORY, SNAPSHOT, SERVICE = "tests/test_repository.py", "tests/test_snapshot.py", "tests/test_service.py"
CHANGES = "tests/payload/test_schema_changes.py"
ENCODING = "tests/payload/test_encoding.py"
SERIALIZER, REQUEST, BOUNDS = "tests/payload/test_serializer.py", "tests/test_request.py", "tests/test_bounds.py"
DOWNLOADS, IN_DOWNLOADS = "domains/downloads/", "tests/domains/downloads/test_"
READ, REBUILD, READ_CONTRACT = (
    "tests/test_read_table.py",
    "tests/operations/test_rebuild.py",
    "tests/stores/test_read_tables.py",
)
LOCK = "tests/operations/test_schema_lock.py"
LAB, LESSONS, OWN = "tests/lab/test_", "tests/lab/lessons/test_", "lab/lessons/exercises/own_aggregate.py"
EXERCISES, ANSWERS = "lab/lessons/exercises/", "tests/lab/lessons/test_exercises.py"
RESTORE, FORK = "tests/operations/test_restore.py", "tests/operations/test_fork.py"
INTERRUPTS, ODD = "tests/stores/test_interrupts.py", "tests/stores/test_odd_values.py"
PATHS, COMPLETE = "tests/stores/test_sqlite_paths.py", "tests/operations/test_complete.py"
COPIED, RECORDED = "tests/test_copied_rows.py", "tests/test_recorded.py"
ENCRYPTION, KEYS = "tests/payload/encryption", "tests/stores/test_keys.py"
FINDINGS = "tests/test_findings.py"
BACKFILL = "tests/operations/test_backfill.py"
AUDIT = "tests/operations/test_full_audit.py"
SETTINGS, CHANGE = "tests/test_settings.py", "tests/operations/test_settings.py"
DUELS = "tests/faults/simulation/test_search.py::test_no_order_of_two_processes_breaks_a_promise"
ROTATION = "tests/operations/test_retention.py"
LEDGER = "tests/domains/test_ledger.py"
LINE, PLANS, FAULTY, CLIENT, STORM = (
    f"tests/faults/test_{name}.py" for name in ("line", "plans", "faulty", "client", "storm")
)
HYDRATION, SIMULATED = "tests/test_hydration.py", "tests/faults/simulation/test_simulated_store.py"
CACHE = "tests/test_hydration_cache.py"
BENCH = "tests/bench/test_"
STRICT, LOCKS = "tests/bench/lock/test_strict.py", "tests/bench/lock/test_measures.py"

MUTANTS = [
    # A retry writes to the same keys, and of two decisions the same one wins everywhere.
    Mutant("G1", "stores/sqlite/statements.py", "WHERE excluded.payload > events.payload", "WHERE true", CONTRACT),
    Mutant("G1", "stores/sqlite/statements.py", "SET event_type = excluded.event_type, version", "SET version", SQLITE),
    Mutant("G1", "stores/memory.py", "commit.payload > stored.payload", "commit.payload < stored.payload", CONTRACT),
    Mutant("G1", "stores/memory.py", "check_append(customer_id, commits, read_rows)", "pass", CONTRACT),
    Mutant("G1", "payload/serializer.py", "sorted(plain.items(), key=itemgetter(0))", "[*plain.items()]", SERIALIZER),
    Mutant("G1", "payload/serializer.py", "sorted(plain.items(), key=itemgetter(0))", "[plain[id] for id in sorted(plain)]", SERIALIZER),
    Mutant("G1", "payload/serializer.py", "sorted(map(touched_hash, plain))", "map(touched_hash, plain)", SERIALIZER),
    Mutant("G1", "payload/encoding.py", "return sorted(pairs, key=", "return (lambda _, key: pairs)(pairs, key=", ENCODING),
    Mutant("G1", "payload/encoding.py", "value + 0.0", "value", ENCODING),
    Mutant("G1", "payload/encoding.py", " if (names := field_names(value)) else leaf(value)", " if (names := ()) else leaf(value)", ENCODING),
    Mutant("G1", "payload/fields.py", "isinstance(item, inspect.StrType | inspect.IntType)", "True", ENCODING),
    Mutant("G1", "request.py", "return cls._of(to_ms(time), int.from_bytes(digest) >> 6)",
           "return cls._of(to_ms(time), Random().getrandbits(74))", REQUEST),
    Mutant("G1", "recorded.py", "greatest = max((", "greatest = min((", WISH),
    Mutant("G1", "unit_of_work.py", "if self.recorded or self._decided:", "if self.recorded:", WISH),
    Mutant("G1", "unit_of_work.py", "self._events, hashed, key)",
           "self._events, hashed)", ENCRYPTION),
    Mutant("G1", "unit_of_work.py", "key = self._hydrator.cipher.hash_key(make=True) if encrypts else", "key =", ENCRYPTION),
    Mutant("G1", "stores/memory.py", "                self._table(layout)  # raises", "                pass  #", READ_CONTRACT),
    Mutant("G1", "stores/memory.py", "row.commit.payload > partition[key].commit.payload", "True", READ_CONTRACT),
    Mutant("G1", "stores/sqlite/read_tables.py", "WHERE excluded.payload > {quoted(layout.name)}.payload", "WHERE true",
           READ_CONTRACT),
    Mutant("G1", "writable.py", "    _check_keys(read_rows, checked)\n", "", READ_CONTRACT),
    # What was acknowledged survives.
    Mutant("G2", "stores/sqlite/file.py", "            return work(connection)\n    finally", "            work(connection)\n            return connection.rollback()\n    finally", SQLITE),
    Mutant("G2", "stores/sqlite/file.py", "        connection.rollback()  # does nothing", "        pass  #", INTERRUPTS),
    Mutant("G2", "stores/sqlite/file.py", "with connection:  # commits", "if True:  # commits", SQLITE),
    Mutant("G2", "stores/locks.py", "        give_back(lock)\n\n", "        pass\n\n", INTERRUPTS),
    Mutant("G2", "stores/memory.py", "work()  # once more", "pass  # once more", INTERRUPTS),
    Mutant("G2", "stores/sqlite/file.py", "synchronous = {self._synchronous}", "synchronous = OFF", SQLITE),
    Mutant("G2", "stores/sqlite/file.py", "            _use_wal(connection)\n", "", SQLITE),
    Mutant("G2", "stores/cassandra/schema.py", 'if found != "NONE":', "if False:", "tests/stores/test_cassandra_limits.py"),
    Mutant("G2", "stores/cassandra/write_times.py", "(lifetime + 1) * SECONDS_A_DAY", "lifetime * SECONDS_A_DAY",
           "tests/stores/test_cassandra_limits.py"),
    Mutant("G2", "stores/cassandra/connection.py", "*RECONNECT_AFTER, max_attempts=None", "1, 600",
           "tests/stores/test_cassandra_connection.py"),
    Mutant("G2", "cluster/process.py", "{*arguments} <= {*words}", "any(arguments[-1] in word for word in words)",
           "tests/cluster/test_places.py"),
    # A repeat is the same row, however late; nothing is decided on half a truth.
    Mutant("G3", "unit_of_work.py", "if not all(self._is_of_command(", "if not all((", WISH),
    Mutant("G3", "recorded.py", "return touched_in(envelope) - {*map(touched_hash, seen | below)}", "return set()", WISH),
    Mutant("G3", "recorded.py", "{id for id, head in heads.items() if is_below(commit.event_time, head.floor)}", "{*heads}", RECORDED),
    Mutant("G3", "recorded.py", "{*map(touched_hash, seen | below)}", "({*map(touched_hash, seen | below)} if not below else touched_in(envelope))", RECORDED),
    Mutant("G3", "unit_of_work.py", "self._events[commit.aggregate_id] = list(self._hydrator.events_of(commit, envelope))", "pass", WISH),
    Mutant("G3", "payload/serializer.py", "encode_for_hash(as_stored(command))", "encode(type(command).__name__)", "tests/test_event.py"),
    Mutant("G3", "payload/serializer.py", "encode_for_hash(as_stored(command))", "encode(as_stored(command))", ENCODING),
    Mutant("G3", "unit_of_work.py", "return recorded_hash == command_hash(self._command, cipher.hash_key())", "return True", ENCRYPTION),
    Mutant("G3", "unit_of_work.py", "return recorded_hash == command_hash(self._command, cipher.hash_key())", "return False", ENCRYPTION),
    Mutant("G3", "service.py", "    if isinstance(answer, Sequence) and not", "    if not", SERVICE),
    Mutant("G3", "service.py", "if defined_again(type(command), self._commands):", "if False:", SERVICE),
    Mutant("G3", "unit_of_work.py", "        if not found.decision:\n", "        if True:\n", WISH),
    Mutant("G3", "unit_of_work.py", "again = self._hydrate(Consistency.QUORUM)", "again = self._hydrate(Consistency.LOCAL)", WISH),
    Mutant("G3", "unit_of_work.py", "cache.hydrate(self._hydrator, self.request.event_time, None, consistency)", "cache.hydrate(self._hydrator, self.request.event_time, None, Consistency.LOCAL)", WISH),
    Mutant("G3", "unit_of_work.py", "heads = {**self._heads_elsewhere(), **heads}", "pass", ENCRYPTION),
    Mutant("G3", "hydration.py", "(found_before or not found)", "True", DUELS),
    Mutant("G3", "hydration.py", "found = self._look_again(logs, hydrations, event_time, consistency)", "found = False", DUELS),
    # The same rows, the same state.
    Mutant("G4", "payload/decoding.py", "building = RLock()", "building = __import__('threading').Semaphore(9)",
           "tests/payload/test_decoding.py"),
    Mutant("G4", "operations/read_repair.py", "jobs, Consistency.ALL)", "jobs)", REPAIR),
    Mutant("G4", "request.py", "ticks << 64 | (number & LOW_HALF) ^ SIGN_BITS", "event_time.int & LOW_HALF", REQUEST),
    Mutant("G4", "request.py", "TICKS_PER_MS + TICKS_PER_MS - 1 + TICKS_AT_1970", "TICKS_PER_MS + TICKS_AT_1970", REQUEST),
    Mutant("G4", "stores/memory.py", "self.keys.insert(index, key)", "self.keys.append(key)", CONTRACT),
    Mutant("G4", "stores/memory.py", "self.heads(customer_id, sorted(known, key=str.encode)",
           "self.heads(customer_id, sorted(known, key=lambda id: id.encode('utf-16-be'))", CONTRACT),
    Mutant("G4", "stores/memory.py", "bisect_right(self.keys, sort_key(after))",
           "max(0, bisect_right(self.keys, sort_key(after)) - 1)", CONTRACT),
    Mutant("G4", "read_table.py", "if known is None or row.commit.payload > known.payload:", "if known is None:", READ),
    Mutant("G4", "unit_of_work.py", "        self._put_elsewhere(elsewhere)\n", "", READ),
    Mutant("G4", "unit_of_work.py", "        self._recall_rows([commit for commit, _ in known])\n", "", READ),
    Mutant("G4", "unit_of_work.py", "commits, read_rows=with_customer)", "commits)", READ),
    Mutant("G4", DOWNLOADS + "read_tables.py", "download in title.state.counted.values()",
           "download in title.state.downloads.values()", IN_DOWNLOADS + "read_tables.py"),
    # Snapshot plus tail equals full replay.
    Mutant("G5", "bounds.py", "if self.fold_after <= self.needed:", "if self.fold_after < self.needed:", BOUNDS),
    Mutant("G5", "bounds.py", "self.late + 2 * self.skew + self.append", "self.late + self.append", BOUNDS),
    Mutant("G5", "bounds.py", "if request.time < now - self.late:", "if request.time <= now - self.late:", BOUNDS),
    Mutant("G5", "bounds.py", "if request.time > now + self.early:", "if request.time >= now + self.early:", BOUNDS),
    Mutant("G5", "settled.py", "_reach(now - hydrator.environment.bounds.fold_after, as_of)", "_reach(now, as_of)", BUILD),
    Mutant("G5", "unit_of_work.py", "> self._environment.bounds.append\n", "> self._environment.bounds.late\n", WISH),
    Mutant("G5", "settings.py", "if (given.bounds, given.lifetime) != (known.bounds, known.lifetime):", "if False:", SETTINGS),
    Mutant("G5", "settings.py", "(given.bounds, given.lifetime) != (known.bounds, known.lifetime)", "given.bounds != known.bounds", SETTINGS),
    Mutant("G5", "settings.py", "if self.lifetime and timedelta(days=self.lifetime) <= needed:", "if False:", SETTINGS),
    Mutant("G5", "stores/memory.py", 'if self._checkpoints.get(name, "") == before:', "if True:", SETTINGS),
    Mutant("G5", "stores/sqlite/__init__.py", 'if (found[0] if found else "") != before:', "if False:", SETTINGS),
    Mutant("G5", "operations/settings.py", "            _check_beside(before, after)\n", "            pass\n", CHANGE),
    Mutant("G5", "operations/settings.py", "if newest > may_reach and offline:", "if offline:\n        return may_reach\n    if False:", CHANGE),
    Mutant("G5", "operations/settings.py", "    if newest > may_reach:\n", "    if False:\n", CHANGE),
    Mutant("G5", "operations/schema_lock.py", "if _is_skippable(tag)", "if False", LOCK),
    Mutant("G5", "settled.py", "hydrate(up_to=up_to, consistency=Consistency.EVERYWHERE, kept=kept)", "hydrate(up_to=up_to, kept=kept)", BUILD),
    Mutant("G5", "settled.py", "return min(now, environment.store.time() or now)", "return now", BUILD),
    Mutant("G5", "unit_of_work.py", "            make_safe(self._environment, self.customer_id, self.request, commits)\n", "", WISH),
    Mutant("G5", "unit_of_work.py", "make_safe(self._environment, self.customer_id, self.request, [", "(lambda *_: None)(self._environment, self.customer_id, self.request, [", WISH),
    Mutant("G5", "unit_of_work.py", "again = self._look_up()", "again = found", WISH),
    Mutant("G5", "unit_of_work.py", "        self._since_check = self._environment.timer()\n        now = time_on(self._environment.clock)",
           "        now = time_on(self._environment.clock)\n        self._since_check = self._environment.timer()", WISH),
    Mutant("G5", "late_commits.py", "store.append(customer_id, commits, Consistency.EVERYWHERE)", "pass", WISH),
    Mutant("G5", "late_commits.py", "    raise_mark(environment, customer_id, [(commit.aggregate_id, commit.event_time) for commit in commits])\n", "", WISH),
    Mutant("G5", "late_commits.py", "this look.\n    _check_floors(environment, customer_id, request, commits)", "this look.", WISH),
    Mutant("G5", "late_commits.py", "    store.note_safe(customer_id, commits, time_on(environment.clock))\n", "", WISH),
    Mutant("G5", "late_commits.py", "time_on(environment.clock) + longest", "time_on(environment.clock)", WISH),
    Mutant("G6", "hydration.py", "usable is None and (head.older or head.floor is not None)", "False", HYDRATION),
    Mutant("G6", "hydration.py", "usable is None and (head.older or head.floor is not None)", "usable is None and head.older", HYDRATION),
    Mutant("G6", "store.py", "older=len(self.snapshots) > FEW_SNAPSHOTS)", "older=False)", HYDRATION),
    Mutant("G6", "stores/memory.py", "if not (up_to and is_after(it.up_to, up_to))]", "]", CONTRACT),
    Mutant("G6", "stores/sqlite/__init__.py", "None if all_snapshots else high)", "high)", CONTRACT),
    Mutant("G6", "stores/sqlite/rows.py", "few_up_to, FEW_SNAPSHOTS + 1)", "few_up_to, FEW_SNAPSHOTS)", CONTRACT),
    Mutant("G6", "stores/cassandra/__init__.py", "up_to or LATEST, FEW_SNAPSHOTS + 1)", "up_to or LATEST, FEW_SNAPSHOTS)", SIMULATED),
    Mutant("G6", "stores/cassandra/__init__.py", "few = len(ids) == 1 and not all_snapshots", "few = len(ids) == 1", SIMULATED),
    Mutant("G5", "snapshot.py", "up_to != head.floor and time_of(up_to) >", "False and time_of(up_to) >", SNAPSHOT),
    Mutant("G5", "snapshot.py", "up_to != head.floor and time_of(up_to) >", "time_of(up_to) >", SNAPSHOT),
    Mutant("G5", "snapshot.py", "up_to == head.floor or is_after(head.late.since, up_to)", "is_after(head.late.since, up_to)", SNAPSHOT),
    Mutant("G5", "snapshot.py", "return self.bounds.holds_late(built_at, head.late.until)", "return True", SNAPSHOT),
    Mutant("G5", "bounds.py", "now - self.fold_after + 2 * self.skew", "now - self.fold_after", SNAPSHOT),
    Mutant("G5", "bounds.py", "built_at > until + 2 * self.skew", "built_at >= until + 2 * self.skew", SNAPSHOT),
    Mutant("G6", "aggregate.py", "return waiting >= self.every or (waiting > 0 and aged)", "return waiting >= self.every or aged", BUILD),
    Mutant("G6", "operations/snapshots.py", "last = hydration.base or hydration.head.first", "last = hydration.base", BUILD),
    Mutant("G5", "snapshot.py", "    if lost := _lost(state, read):\n", "    if lost := '':\n", SNAPSHOT),
    Mutant("G5", "snapshot.py", "    if not isinstance(getattr(type(state), name, None), cached_property):\n", "    if False:\n", SNAPSHOT),
    Mutant("G5", "snapshot.py", "isinstance(getattr(type(state), name, None), cached_property)", "isinstance(vars(type(state)).get(name), cached_property)", SNAPSHOT),
    Mutant("G5", "snapshot.py", "or not any(differences(kept, anew)):", "or True:", SNAPSHOT),
    Mutant("G5", "operations/restore.py", "    raise_mark(environment, customer_id, [(aggregate_id, event_time)])\n    now = ", "    now = ", RESTORE),
    Mutant("G5", "operations/restore.py", "    raise_mark(environment, customer_id, [(aggregate_id, event_time)])\n    if row.mark:\n        return row.mark\n", "    if row.mark:\n        return row.mark\n", RESTORE),
    Mutant("G5", "payload/comparison.py", "if type(one) is type(other) and (parts", "if (parts", SNAPSHOT),
    Mutant("G5", "payload/comparison.py", "return type(one) is type(other) and one == other", "return one == other", SNAPSHOT),
    Mutant("G6", "payload/serializer.py", "if may_drop_fields(state_type) else None", "if False else None", SNAPSHOT),
    Mutant("G5", "stores/sqlite/statements.py", "late_since = min(", "late_since = max(", CONTRACT),
    Mutant("G5", "stores/sqlite/statements.py", "late_until = max(", "late_until = min(", CONTRACT),
    Mutant("G5", "stores/memory.py", "LateCommits(min(known.since, new.since, key=sort_key)", "LateCommits(max(known.since, new.since, key=sort_key)", CONTRACT),
    Mutant("G5", "stores/sqlite/statements.py", "WHERE (excluded.written_at, excluded.payload) > (snapshots.written_at, snapshots.payload)", "", CONTRACT),
    Mutant("G5", "stores/memory.py", "(written_at, snapshot.payload) > (stored[0], stored[1].payload)", "True", CONTRACT),
    Mutant("G5", "hydration.py", "if base is None or base == start:", "if True:", FINDINGS),
    Mutant("G5", "hydration.py", "latest_of(log.last, hydration.base)", "log.last", FINDINGS),
    Mutant("G1", "unit_of_work.py", "if not again.decision or _digest(again) == _digest(found):", "if True:", WISH),
    # Snapshots are a cache; the floor only moves up, and no base lies below it.
    Mutant("G6", "snapshot.py", "        if self.head.floor is not None:\n", "        if False:\n", SNAPSHOT),
    Mutant("G6", "snapshot.py", "if head.floor is not None and is_after(head.floor, up_to):", "if False:", SNAPSHOT),
    Mutant("G6", "snapshot.py", "if self.up_to is not None and is_after(up_to, self.up_to):", "if False:", SNAPSHOT),
    Mutant("G6", "snapshot.py", "        if steps is None:\n", "        if False:\n", SNAPSHOT),
    Mutant("G6", "operations/snapshots.py", "        if not _is_at_floors(up_to, head):\n", "        if True:\n", BUILD),
    Mutant("G6", "operations/snapshots.py", "aggregate_id, up_to, fold, now)", "aggregate_id, up_to, fold, repository.clock())", FINDINGS),
    Mutant("G6", "late_commits.py", "if floor and is_below(commit.event_time, floor):", "if False:", WISH),
    Mutant("G6", "operations/retention.py", "        self.store.mark(self.customer_id, self.id, intended=up_to)\n", "", ROTATION),
    Mutant("G6", "operations/retention.py", "+ 2 * repository.bounds.skew + MOMENT", "+ 2 * repository.bounds.skew", ROTATION),
    Mutant("G6", "operations/retention.py", "time_on(self.repository.clock) + 2 *", "time_on(self.repository.clock) + 0 *", ROTATION),
    Mutant("G6", "operations/retention.py", "for again in self._usable(self._head(), up_to))", "for again in [base])", ROTATION),
    Mutant("G6", "operations/retention.py", "not any(base.snapshot.up_to == floor for base in self._usable(head, floor))", "False", ROTATION),
    Mutant("G6", "operations/retention.py", "        archive(commits)\n", "", ROTATION),
    Mutant("G6", "stores/sqlite/statements.py", "floor = max(ifnull(floor, excluded.floor), ifnull(excluded.floor, floor))", "floor = excluded.floor", CONTRACT),
    Mutant("G6", "stores/memory.py", "check_floor(log.floor", "(lambda *_: None)(log.floor", CONTRACT),
    Mutant("G6", "stores/sqlite/__init__.py", "check_floor(floor", "(lambda *_: None)(floor", CONTRACT),
    Mutant("G6", "stores/sqlite/statements.py", "WHERE first IS NULL OR excluded.first < first", "WHERE first IS NULL", CONTRACT),
    Mutant("G6", "writable.py", "sort_key(floor) < sort_key(up_to)", "False", CONTRACT),
    Mutant("G6", "repository.py", "if _is_encrypted(customer_id, id, snapshot):", "if True:", ENCRYPTION),
    Mutant("G6", "repository.py", "if _is_encrypted(customer_id, id, snapshot):", "if False:", ENCRYPTION),
    Mutant("G6", "operations/rebuild.py", "if checkpoint.began is None:\n        checkpoint = _begin(repository)\n        #",
           "if True:\n        checkpoint = _begin(repository)\n        #", REBUILD),
    Mutant("G6", "operations/rebuild.py", "store.empty_read_table(table.layout)", "checkpoint(name)", REBUILD),
    Mutant("G6", "operations/rebuild.py", "it.complete - repository.bounds.fold_after", "it.complete", REBUILD),
    Mutant("G6", "operations/rebuild.py", "        _save_rebuilding(store, _rebuilding(store) |", "        print(_rebuilding(store) |", COMPLETE),
    Mutant("G6", "operations/rebuild.py", "rebuilding.get(table.layout.name, mark) == mark", "True", COMPLETE),
    Mutant("G6", "operations/rebuild.py", "since = min(since, late", "since = max(since, late", COMPLETE),
    Mutant("G6", "operations/walk.py", "problems.noted_in(replace(checkpoint, after=customer))", "replace(checkpoint, after=customer)", COMPLETE),
    Mutant("G6", "unit_of_work.py", "        check_read_rows(elsewhere)  # now", "        pass  #", COMPLETE),
    Mutant("G6", "unit_of_work.py", "        noted = self._note_late(elsewhere)\n", "        noted = True\n", COMPLETE),
    Mutant("G6", "repository.py", "if made and next(store.customers(), None) is None", "if made", COMPLETE),
    Mutant("G6", "operations/walk.py", "store.customers(checkpoint.after, ", "store.customers('', ", WALK),
    Mutant("G6", "operations/walk.py", "store.customers(checkpoint.after, consistency)", "store.customers(checkpoint.after)", WALK),
    Mutant("G6", "operations/walk.py", "(replace(checkpoint, after=customer))", "(checkpoint)", WALK),
    Mutant("G6", "operations/walk.py", "partial(_visit, work), jobs)", "partial(_visit, work))", WALK),
    Mutant("G6", "operations/walk.py", "    check_jobs(jobs)\n", "", WALK),
    Mutant("G6", "operations/walk.py", "problems.extend(visit.problems)", "problems.named += visit.problems.named", WALK),
    Mutant("G6", "operations/parallel.py", "yield ahead.popleft().result()", "yield ahead.pop().result()", WALK),
    Mutant("G6", "operations/parallel.py", "islice(rest, jobs * AHEAD)", "islice(rest, AHEAD * AHEAD)", PARALLEL),
    Mutant("G6", "operations/parallel.py", "            if failed < number:\n", "            if False:\n", PARALLEL),
    Mutant("G6", "operations/parallel.py", "        yield failed\n", "        raise\n", PARALLEL),
    Mutant("G6", "operations/parallel.py", "shutdown(cancel_futures=True)", "shutdown()", PARALLEL),
    Mutant("G6", "operations/parallel.py", "shutdown(cancel_futures=True)", "shutdown(wait=False, cancel_futures=True)", PARALLEL),
    Mutant("G6", "operations/full_audit.py", "    with telling:\n", "    if telling:\n", AUDIT),
    # A rejection writes nothing.
    Mutant("G7", "service.py", "                return rejected\n", "                events = []\n", SERVICE),
    Mutant("G7", "event.py", "        return reduced(self)\n", "        return super().__reduce__()  # type: ignore\n", "tests/test_errors.py"),
    Mutant("G7", "event.py", "(limit {self.limit}, count {self.count})", "", "tests/test_event.py"),
    # Bytes that can't be trusted never become state.
    Mutant("G8", "payload/serializer.py", "if not checksum.proves(payload):", "if False:", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "if checksum.proves_page(payloads):", "if True:", SERIALIZER),
    # A row's key is proved: customer and aggregate by the checksum, the event time by the digest.
    Mutant("G8", "payload/checksum.py", '_start("commit", customer_id, aggregate_id)', '_start("commit", aggregate_id)', COPIED),
    Mutant("G8", "payload/checksum.py", '_start("commit", customer_id, aggregate_id)', '_start("commit", customer_id)', COPIED),
    Mutant("G8", "payload/checksum.py", '"snapshot", customer_id, aggregate_id, up_to.bytes, fold', '"snapshot", aggregate_id, up_to.bytes, fold', COPIED),
    Mutant("G8", "payload/checksum.py", '"snapshot", customer_id, aggregate_id, up_to.bytes, fold', '"snapshot", customer_id, up_to.bytes, fold', COPIED),
    Mutant("G8", "payload/checksum.py", '"snapshot", customer_id, aggregate_id, up_to.bytes, fold', '"snapshot", customer_id, aggregate_id, fold', COPIED),
    Mutant("G8", "payload/checksum.py", '"snapshot", customer_id, aggregate_id, up_to.bytes, fold', '"snapshot", customer_id, aggregate_id, up_to.bytes', COPIED),
    Mutant("G8", "payload/checksum.py", "(register ^ RESIDUE ^ ONES)", "(register ^ RESIDUE)", "tests/bench/test_page_checksum.py"),
    Mutant("G8", "payload/serializer.py", "(customer_id, event_time.bytes, sorted(", "(customer_id, sorted(", COPIED),
    Mutant("G8", "payload/serializer.py", "(customer_id, event_time.bytes, sorted(", "(event_time.bytes, sorted(", SERIALIZER),
    Mutant("G8", "unit_of_work.py", "        prove(self.customer_id, decision, self._hydrator.cipher)\n", "", COPIED),
    Mutant("G8", "operations/audit.py", "        prove(customer_id, decision)\n", "        pass\n", COPIED),
    Mutant("G8", "operations/inspection.py", "        check_digest(self.customer_id, [RecordedCommit(commit, stored)], self._cipher)\n", "", COPIED),
    Mutant("G8", "payload/serializer.py", "_PlainEnvelope[tuple[union, ...]]", "Envelope[tuple[union, ...]]", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "reduce(or_, event_types, _Untyped)", "reduce(or_, event_types)", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "if envelope.format not in FORMATS:", "if False:", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "if version > split_tag(known)[1] and", "if False and", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "(msgspec.MsgspecError, ValueError, RecursionError)",
           "(msgspec.MsgspecError, RecursionError)", SERIALIZER),
    Mutant("G8", "event.py", " and len(text) <= MAX_VERSION_DIGITS", "", "tests/test_event.py"),
    Mutant("G8", "payload/serializer.py", "    check_fields(thing_type)\n", "", "tests/payload/test_fields.py"),
    Mutant("G8", "payload/serializer.py", "    check_options(thing_type)  # a", "    # a", "tests/test_declared.py"),
    Mutant("G8", "declared.py", "        check_options(cls)\n", "", "tests/test_declared.py"),
    Mutant("G8", "hydration.py", "serializer_of(aggregate_type)  # a type", "pass  # a type", "tests/test_aggregate.py"),
    Mutant("G8", "hydration.py", "raise self._broken_row(id, after[id], up_to) or error", "raise error", REPOSITORY),
    Mutant("G8", "stores/sqlite/statements.py", "WHEN 'blob' THEN payload ELSE x'' END", "WHEN 'x' THEN x'' ELSE payload END", ODD),
    Mutant("G8", "stores/sqlite/statements.py", 'EARLIEST = float("-inf")', 'EARLIEST = b""', ODD),
    Mutant("G8", "stores/sqlite/rows.py", " or key[0] > GREATEST_FIRST_BYTE", "", ODD),
    Mutant("G8", "stores/sqlite/frozen.py", "_state(self._path) != self._seen", "False", PATHS),
    Mutant("G8", "stores/sqlite/frozen.py", "    if logs := _logs(path):\n", "    if logs := []:\n", PATHS),
    Mutant("G8", "snapshot.py", "except Unreadable as error:", "except ZeroDivisionError as error:", SNAPSHOT),
    Mutant("G8", "payload/encryption.py", "encode((kind, self.customer_id, *key))", "encode((kind, *key))", ENCRYPTION),
    Mutant("G8", "payload/encryption.py", "aggregate_id, event_time.bytes", "event_time.bytes", ENCRYPTION),
    Mutant("G8", "payload/encryption.py", "aggregate_id, event_time.bytes", "aggregate_id", ENCRYPTION),
    Mutant("G8", "payload/encryption.py", '("snapshot", aggregate_id,', '("snapshot",', ENCRYPTION),
    Mutant("G8", "payload/encryption.py", "msgpack.encode(replace(envelope, body=NIL))[:-AFTER_HEADER]", "msgpack.encode(replace(envelope, body=NIL))[:20]", ENCRYPTION),
    Mutant("G8", "stores/keys.py", "return self._masters[master].decrypt(nonce_of(place), wrapped, place)",
           "return self._masters[master].decrypt(nonce_of(b''), wrapped, b'')", KEYS),
    Mutant("G8", "stores/keys.py", '"secure_delete = ON"', '"secure_delete = OFF"', KEYS),
    Mutant("G8", "hydration.py", "                self.state.note_skipped(events.mark)\n", "", RESTORE),
    Mutant("G8", "operations/history.py", "if isinstance(events, Skipped):", "if False:", RESTORE),
    Mutant("G8", "settled.py", "if state.skipped_rows:", "if False:", RESTORE),
    Mutant("G8", "recorded.py", "if envelope.format == SKIPPED:", "if False:", RESTORE),
    Mutant("G8", "operations/restore.py", "    check_digest(row.customer_id, decision, row.cipher)\n", "", RESTORE),
    Mutant("G8", "operations/restore.py", "        if equal < ALIKE:\n", "        if False:\n", RESTORE),
    Mutant("G1", "operations/restore.py", "if any(other.envelope.digest > envelope.digest for other in row.others):", "if False:", RESTORE),
    Mutant("G8", "stores/sqlite/statements.py", " AND (payload = ? OR typeof(payload) <> 'blob')", " AND ? IS NOT NULL", CONTRACT),
    Mutant("G8", "stores/memory.py", "(stored.payload == damaged or", "(True or", CONTRACT),
    Mutant("G6", "operations/fork.py", "if _holds_nothing_of(it, until, out)", "", FORK),
    Mutant("G4", "operations/fork.py", "if commit.event_time not in left_out", "", FORK),
    Mutant("G8", "operations/fork.py", "        if head.floor:\n", "        if False:\n", FORK),
    Mutant("G8", "terminal.py", "if it.isprintable() or it in keep else", "if True else", "tests/test_terminal.py"),
    # Old events load for ever.
    Mutant("G8", "payload/upcast.py", "name == old and number <= version", "False", CHANGES),
    Mutant("G8", "payload/serializer.py", "(since is None or since > split_tag(known)[1])", "since is None", CHANGES),
    Mutant("G8", "payload/compression.py", "if size > MAX_PLAIN:", "if False:", "tests/payload/test_compression.py"),
    Mutant("G9", "payload/upcast.py", "step(*map(_plain, old))", "step(*old)", CHANGES),
    Mutant("G9", "payload/upcast.py", "for raw in reversed(made)]", "for raw in made]", CHANGES),
    Mutant("G8", "payload/upcast.py", "                self._check_no_gap(*versions[0])\n", "", CHANGES),
    Mutant("G8", "payload/upcast.py", "if not made or not all(", "if not all(", CHANGES),
    Mutant("G8", "payload/upcast.py", "if number > self._current.get(name, self._latest.get(name, 0)):", "if False:", CHANGES),
    Mutant("G8", "payload/upcast.py", """return {**made, "type": f"{name}:{number}"}""", "return made", CHANGES),
    Mutant("G9", "snapshot.py", "range(fold, aggregate_type.fold_version)", "range(fold, fold + 1)", SNAPSHOT),
    Mutant("G9", "payload/serializer.py", '"type": known}', '"type": tag}', SERIALIZER),
    Mutant("G9", "payload/serializer.py", "RAW_EVENTS = msgspec.msgpack.Decoder(list[dict[str, msgspec.Raw]])", "RAW_EVENTS = PLAIN_EVENTS", SERIALIZER),
    Mutant("G9", "payload/serializer.py", "FORMAT = 1\n", "FORMAT = 2\n", SERIALIZER),
    Mutant("G9", "unit_of_work.py", "map(as_stored, events)", "events", WISH),
    Mutant("G7", "unit_of_work.py", "        for event in stored:\n",
           "        for event in stored:\n            self._events.setdefault(id, []).append(event)\n", WISH),
    Mutant("G9", "operations/schema_lock.py", "        if name in now.aggregates:", "        if name not in now.aggregates: pass\n        elif True:", LOCK),
    Mutant("G9", "operations/schema_lock.py", "    if skipped:\n", "    if False:\n", LOCK),
    Mutant("G9", "operations/schema_lock.py", "sorted(set(old.upcasters) - set(new.upcasters))", "()", LOCK),
    Mutant("G9", "operations/schema_lock.py", "if was is not None else _introduced(key, tag, old)", "", LOCK),
    Mutant("G9", "operations/schema_lock.py", "elif split_tag(current)[1] < number:", "elif False:", LOCK),
    Mutant("G9", "operations/shapes.py", "for name in sorted(nested)", "for name in ()", LOCK),
    # Time is injected.
    Mutant("G10", "unit_of_work.py", "now = time_on(self._environment.clock)", "now = __import__('eslab').system_clock()", WISH),
    Mutant("G10", "clock.py", "or time.utcoffset() is None", "", "tests/test_wrong_types.py"),
    Mutant("G10", "request.py", "or str(request.id) != text", "", "tests/test_wrong_types.py"),
    Mutant("G10", "request.py", "random.getrandbits(74)", "Random().getrandbits(74)", REQUEST),
    Mutant("G10", "service.py", "import display\n", "import display\nfrom datetime import datetime; datetime.now()\n",
           "tests/test_clock.py"),
    # Downloads: a domain that keeps the promises.
    Mutant("G1", DOWNLOADS + "reconcile.py", 'f"reconcile:{kind}{name}"', 'f"reconcile:{kind}{name}{id(repository)}"',
           IN_DOWNLOADS + "reconcile.py"),
    Mutant("G3", DOWNLOADS + "decisions.py", " and (first is None or first > request.time)", "",
           IN_DOWNLOADS + "commands.py"),
    Mutant("G3", DOWNLOADS + "years.py", "time > moment - ROLLING for", "moment - ROLLING < time <= moment for",
           IN_DOWNLOADS + "rules.py"),
    Mutant("G4", DOWNLOADS + "license.py", "times[name] = min(time, times.get(name, time))", "times[name] = time",
           IN_DOWNLOADS + "aggregates.py"),
    Mutant("G4", DOWNLOADS + "license.py", "return None if None in ends else max(", "return None if None in ends else min(",
           IN_DOWNLOADS + "aggregates.py"),
    Mutant("G4", DOWNLOADS + "overshoot.py", "        del left[last]\n    return True", "        break\n    return True",
           IN_DOWNLOADS + "terms.py"),
    Mutant("G4", DOWNLOADS + "overshoot.py", "last = next((at for at in range(len(left)) if", "last = next((at for at in [0] if",
           IN_DOWNLOADS + "reconcile.py"),
    Mutant("G4", DOWNLOADS + "overshoot.py", "return NO_LIMITS if rules is None or studio is None else rules.for_studio(studio)",
           "return NO_LIMITS if rules is None else rules.for_studio(studio or '')", IN_DOWNLOADS + "terms.py"),
    Mutant("G4", DOWNLOADS + "overshoot.py", "            left.apply(overshoot.freeing)\n", "            pass\n",
           IN_DOWNLOADS + "terms.py"),
    Mutant("G4", DOWNLOADS + "overshoot.py", "for terms in (hold, *renewals)]", "for terms in (hold,)]", IN_DOWNLOADS + "terms.py"),
    Mutant("G4", DOWNLOADS + "versions.py", "return started[-1] if started else None", "return started[-1] if started else self.at(time)",
           IN_DOWNLOADS + "terms.py"),
    Mutant("G4", DOWNLOADS + "decisions.py", "request.time, plan, ask.plans_version, ask.rules_version, ask.studio_name)",
           "request.time, plan, ask.plans_version, ask.rules_version)", IN_DOWNLOADS + "terms.py"),
    Mutant("G4", DOWNLOADS + "decisions.py", "hours, ask.rules_version, ask.studio_name),\n", "hours, ask.rules_version),\n",
           IN_DOWNLOADS + "terms.py"),
    Mutant("G4", DOWNLOADS + "reconcile.py", "seen.void(name, grant.studio)", 'DownloadVoided(name, "")', IN_DOWNLOADS + "terms.py"),
    Mutant("G1", "operations/audit.py", "decided[recorded.commit.event_time, recorded.envelope.command]",
           'decided[recorded.commit.event_time, b""]', "tests/operations/test_audit.py"),
    Mutant("G3", DOWNLOADS + "drm.py", "    except Exception as error:", "    except OSError as error:", IN_DOWNLOADS + "drm.py"),
    Mutant("G3", DOWNLOADS + "service.py", "if token and not licence.is_delivered(license_id):", "if False:",
           IN_DOWNLOADS + "delivery.py"),
    Mutant("G3", DOWNLOADS + "delivery.py", "    except EslabError as error:", "    except ZeroDivisionError as error:",
           IN_DOWNLOADS + "delivery.py"),
    Mutant("G7", DOWNLOADS + "decisions.py", "going[-MOST_AT_ONCE:]", "going", IN_DOWNLOADS + "commands.py"),
    Mutant("G9", DOWNLOADS + "devices.py", "    studio: str | None = None  # whose", "    studio: str | None  # whose",
           "tests/domains/test_golden.py"),
    Mutant("G10", DOWNLOADS + "drm.py", "if begins - now <= self.leeway", "if begins <= now", IN_DOWNLOADS + "drm.py"),
    Mutant("G10", DOWNLOADS + "drm.py", "now - claims.expires < self.leeway:", "now < claims.expires:", IN_DOWNLOADS + "drm.py"),
    Mutant("G4", "operations/audit.py", "return [] if missing_in(won, {}) else [one", "return [one", "tests/operations/test_audit.py"),
    Mutant("G7", DOWNLOADS + "rules.py", "check.reason, limit=check.limit, count=check.count)", "check.reason)",
           IN_DOWNLOADS + "rules.py"),
    Mutant("G9", DOWNLOADS + "license.py", "expires: datetime | None = None  # None: never", "expires: datetime",
           IN_DOWNLOADS + "aggregates.py"),
    Mutant("G10", DOWNLOADS + "drm.py", "options=NO_CLOCK", "options={}", IN_DOWNLOADS + "drm.py"),
    # The runner of the lessons deletes nothing that isn't its own, and skips nothing silently.
    Mutant("G8", "lab/execution.py", "if problem := _problem(cell):", "if problem := '':", LAB + "execution.py"),
    Mutant("G8", "lab/execution.py", "if errors and MAY_RAISE not in tags:", "if errors:", LAB + "execution.py"),
    Mutant("G2", "lab/emptying.py", "if filled and (read_only or mark != MARK):", "if filled and read_only:", LAB + "session.py"),
    Mutant("G2", "lab/emptying.py", "name in TABLES or _is_read_table(connection, name)", "True", LAB + "session.py"),
    Mutant("G2", "lab/names.py", "file.with_name(file.name + suffix).unlink(missing_ok=True)",
           "[old.unlink() for old in file.parent.glob(f'{notebook.stem}.db*')]", LAB + "names.py"),
    Mutant("G2", "lab/names.py", "{quote(relpath(store_file(notebook, out), notebook.parent))}",
           "{relpath(store_file(notebook, out), notebook.parent)}", LAB + "names.py"),
    Mutant("G8", "lab/reports.py", "except Exception as error:  # a broken", "except LookupError as error:  # a broken",
           LAB + "unusual_reports.py"),
    Mutant("G8", "lab/cli.py", "SOME_LEFT_OUT if left_out and not allow_missing else 0", "0", LAB + "needs.py"),
    Mutant("G10", "lab/parameters.py", "if len(cells) > 1:", "if False:", LAB + "parameters.py"),
    # Lesson 06: what its exercise and its story must show.
    Mutant("G4", OWN, "folded(aggregate_type, other), ", "folded(aggregate_type, one), ", LESSONS + "snapshot_exercises.py"),
    Mutant("G5", OWN, "        figures_of(state)  # a service", "        pass  # a service", LESSONS + "snapshot_exercises.py"),
    Mutant("G5", "lab/lessons/late_booking.py", "return build_snapshot(repository, customer, Account, key, SnapshotPolicy(every=1))",
           "return careless_snapshot(repository, customer, key)", LESSONS + "snapshots.py"),
    Mutant("G6", "lab/lessons/snapshot_cache.py", "fold_version: ClassVar[int] = 2", "fold_version: ClassVar[int] = 1", LESSONS + "snapshots.py"),
    Mutant("G5", "settings.py", "        with suppress(OutcomeUnknown):\n            return _kept_first(store, first)\n", "        return _kept_first(store, first)\n", "tests/test_settings.py"),
    # A check of an exercise opens no store a second time, speaks of an error if there was one, and judges to the second.
    Mutant("G2", "lab/rebuilding.py", "        if effects:\n", "        if False:\n", LAB + "rebuilding.py"),
    Mutant("G2", "lab/rebuilding.py", "else callee in _PLAIN", "else True", LAB + "rebuilding.py"),
    Mutant("G8", "lab/answers.py", "advice=raised.advice(self.value, arguments, error)", "advice=''", LAB + "exercises.py"),
    Mutant("G10", EXERCISES + "downloads_rule.py", "return self.age < DAY", "return self.age <= DAY", ANSWERS),
    Mutant("G10", EXERCISES + "query_first.py", "reverse=True)", ")", ANSWERS),
    Mutant("G1", EXERCISES + "query_first_shards.py", "// SHARDS // 2,", "// SHARDS * 3 // 4,", ANSWERS),
    # The ledger: an account is a sum, a closing is a snapshot, and only what nobody covers is returned.
    Mutant("G4", "domains/ledger.py", "case Reversed() if event.booking not in self.reversed:", "case Reversed():", LEDGER),
    Mutant("G3", "domains/ledger.py", "            if booking in account.reversed:\n", "            if False:\n", LEDGER),
    Mutant("G7", "domains/ledger.py", "if cents > account.balance(currency):", "if cents > account.balance(currency) + 1:", LEDGER),
    Mutant("G7", "domains/ledger.py", "if not 0 < cents <= MOST:", "if cents > MOST:", LEDGER),
    Mutant("G7", "domains/ledger.py", "if account.balance(currency) >= 0:", "if account.balance(currency) > 0:", LEDGER),
    Mutant("G1", "domains/ledger.py", "return reversed(newest)", "return newest", LEDGER),
    Mutant("G1", "domains/ledger.py", " and booking not in account.reversed:", ":", LEDGER),
    Mutant("G8", "domains/ledger.py", "        if account.skipped_rows:\n", "        if False:\n", LEDGER),
    Mutant("G5", "domains/ledger.py", "datetime(year + 1, 1, 1, tzinfo=UTC) - MILLISECOND", "datetime(year + 1, 1, 1, tzinfo=UTC)", LEDGER),
    Mutant("G5", "settled.py", 'if aware(as_of, "as_of") > newest:', "if False:", BUILD),
    Mutant("G6", "operations/history.py", "(after and not (head.floor and is_after(head.floor, after)))", "after", "tests/operations/test_history.py"),
    Mutant("G10", "domains/coffees.py", "Random(self.seed)", "Random()", LEDGER),
    # What is rotated is in the archive before it leaves the store, once, and as it was.
    Mutant("G6", "operations/retention.py", "floor if is_after(waited, floor) else waited", "floor", ROTATION),
    Mutant("G6", "operations/retention.py", "floor, Consistency.ALL)", "floor, Consistency.EVERYWHERE)", ROTATION),
    Mutant("G6", "operations/rotation.py", "if head.floor is None or is_after(head.floor, self.up_to):", "if head.floor is None:", ROTATIONS),
    Mutant("G6", "operations/rotation.py", "        self.writer.flush()\n        for rotation", "        for rotation", ROTATIONS),
    Mutant("G5", "operations/rotation.py", "if self.waited or not commits:", "if True:", ROTATIONS),
    Mutant("G6", "operations/archive.py", "if file.month in months]", "if file.month not in months]", ARCHIVE),
    Mutant("G6", "operations/rotation.py", "keep=1_000_000", "keep=3", ROTATIONS),
    Mutant("G5", "operations/rotation.py", "    if until > newest:\n", "    if False:\n", ROTATIONS),
    Mutant("G8", "operations/rotation.py", "            problem = error\n", "            raise\n", ROTATIONS),
    Mutant("G6", "operations/archive.py", "if commit not in known]", "]", ARCHIVE),
    Mutant("G1", "operations/archive.py", "found[key] = max(found.get(key, commit), commit, key=lambda one: one.payload)", "found[key] = commit", ARCHIVE),
    Mutant("G8", "operations/archive.py", "below < _folded_at_floor(customer_id, aggregate_id, head) or ", "", ROTATIONS),
    Mutant("G8", "operations/archive.py", " or _begins_late(commits, head):", ":", ROTATIONS),
    Mutant("G8", "operations/archive.py", "in_json(raw_events(envelope))", "raw_events(envelope)", ARCHIVE),
    Mutant("G6", "operations/archive_files.py", "if path.name not in known:", "if not known:", ARCHIVE),
    Mutant("G6", "operations/rotation.py", " or (head.floor and not is_after(up_to, head.floor)):", ":", ROTATIONS),
    Mutant("G8", "operations/each_aggregate.py", "                problems.append(error)\n", "                raise\n", BACKFILL),
    Mutant("G8", "operations/each_aggregate.py", "isinstance(error, StoreUnavailable) and error.customer_id is None", "False", BACKFILL),
    Mutant("G8", "operations/archive.py", "            remove_unfinished(self.folder)\n", "", ARCHIVE),
    Mutant("G8", "operations/archive_files.py", "    if found != list(rows):\n", "    if False:\n", ARCHIVE),
    Mutant("G8", "operations/archive_files.py", "    if found != file.sha256:\n", "    if False:\n", ARCHIVE),
    Mutant("G8", "operations/archive_files.py", "    if hashlib.sha256(text).hexdigest() != path.stem:\n", "    if False:\n", ARCHIVE),
    # What a process keeps is judged like what is stored, and is let go in time.
    Mutant("G5", "hydration_cache.py", "one = Hydrator(environment,", "one = type('Near', (Hydrator,), {'hydrate': lambda self, up_to, consistency, kept: Hydrator.hydrate(self, up_to=up_to, kept=kept)})(environment,", CACHE),
    Mutant("G5", "hydration_cache.py", "entry.age if follows else began", "began", CACHE),
    Mutant("G5", "hydration_cache.py", "entry.age is not None and entry.age() > self._age", "False", CACHE),
    Mutant("G5", "hydration_cache.py", " or hydration.state.skipped_rows:", ":", CACHE),
    Mutant("G5", "hydration_cache.py", "if late and not bounds.holds_late(now, late.until):", "if False:", CACHE),
    Mutant("G5", "hydration_cache.py", "time_of(last) <= now - bounds.fold_after", "True", CACHE),
    Mutant("G5", "hydration_cache.py", "entry.tried() <= self._pause)", "False)", CACHE),
    Mutant("G5", "hydration_cache.py", "if self._cut_off and self._cut_off() <= self._pause:", "if False:", CACHE),
    Mutant("G5", "hydration_cache.py", "            if self._entries.get(key) is not before:\n", "            if False:\n", CACHE),
    Mutant("G5", "hydration_cache.py", "        except EslabError as error:\n", "        except ZeroDivisionError as error:\n", CACHE),
    Mutant("G4", "hydration_cache.py", "        if self._taken:\n", "        if False:\n", CACHE),
    Mutant("G6", "hydration_cache.py", "self._entries.move_to_end(key)", "pass", CACHE),
    Mutant("G6", "hydration_cache.py", "while len(self._entries) > self._most:", "while False:", CACHE),
    Mutant("G8", "hydration_cache.py", "if key[0] == customer_id:", "if False:", CACHE),
    Mutant("G6", "hydration.py", "(head.floor and not is_after(kept.up_to, head.floor))", "(head.floor and is_after(head.floor, kept.up_to))", CACHE),
    Mutant("G6", "hydration.py", "kept is None or head.first is None or", "kept is None or", CACHE),
    Mutant("G5", "settled.py", "kept=kept)", "kept=hydrator.environment.cache._kept(hydrator.customer_id, [aggregate_id]))", CACHE),
    Mutant("G5", "operations/snapshots.py", "    raise_mark(repository.environment, customer_id, [(aggregate_id, snapshot.up_to)])\n", "", CACHE),
    Mutant("G5", "operations/refold.py", "self._deletable(snapshot, said, discard)", "self._deletable(snapshot, said, disown)", AUDIT),
    # An audit finds what contradicts the events, repairs what follows from them, and destroys nothing.
    Mutant("G6", "operations/backfill.py", "folds = sorted(f\"{type_name(it)} fold {it.fold_version}\" for it in aggregate_types)", "folds = sorted(map(type_name, aggregate_types))", BACKFILL),
    Mutant("G5", "operations/refold.py", "repair = partial(self._make_safe, changing)", "repair = None", AUDIT),
    Mutant("G5", "operations/refold.py", "return settled and 0 <", "return 0 <", AUDIT),
    Mutant("G5", "operations/refold.py", "self._agreed = usable.snapshot\n            return", "self._agreed = None\n            return", AUDIT),
    Mutant("G5", "operations/full_audit.py", "if now == head and took()", "if took()", AUDIT),
    Mutant("G5", "operations/refold.py", "if not found and usable.base.commits == replay.commits:", "if not found:", AUDIT),
    Mutant("G6", "operations/refold.py", "if base.commits > wrong.commits:", "if False:", AUDIT),
    Mutant("G6", "operations/refold.py", "if self._replay is None:  # perhaps", "if False:  # perhaps", AUDIT),
    Mutant("G6", "operations/full_audit.py", "if head.first is None or is_below(head.first, head.floor)", "if head.first is None", AUDIT),
    Mutant("G2", "operations/proofs.py", "elif missing - lost:", "elif False:", AUDIT),
    Mutant("G2", "operations/proofs.py", "elif missing - lost:", "elif missing:", AUDIT),
    Mutant("G1", "operations/proofs.py", "winner = max((", "winner = min((", AUDIT),
    Mutant("G4", "operations/row_check.py", "[row for row in self._missing if not _is_there(found, row)]", "self._missing", AUDIT),
    Mutant("G8", "operations/proofs.py", "            self._prove(self._open.pop(key))\n", "            self._open.pop(key)\n", AUDIT),
    Mutant("G8", "operations/full_audit.py", "        self._audit.rows.spare(error.aggregate_id, error.event_time)\n", "", AUDIT),
    # Faults for users, and the client.
    Mutant("G3", "faults/client.py", "return before or Request.new(clock, random)", "return Request.new(clock, random)", CLIENT),
    Mutant("G3", "faults/client.py", "if own and len(outcome.attempts) == 1 and", "if own and len(outcome.attempts) < 3 and", CLIENT),
    Mutant("G3", "faults/client.py", "if own and len(outcome.attempts) == 1 and", "if len(outcome.attempts) == 1 and", CLIENT),
    Mutant("G3", "faults/client.py", "self._early(attempt) - left) > self.bounds.skew", "self._early(attempt) - left) > timedelta()", CLIENT),
    Mutant("G3", "faults/client.py", "self._early(attempt) - left)", "self._early(attempt))", CLIENT),
    Mutant("G3", "faults/client.py", "or self.retry.attempts == 1 or left < timedelta():", ":", CLIENT),
    Mutant("G3", "faults/client.py", "attempt.is_open or early > timedelta() or", "attempt.is_open or", CLIENT),
    Mutant("G3", "faults/client.py", "if outcome.attempts or request is None:", "if True:", CLIENT),
    Mutant("G3", "faults/outcome.py", "OPEN = (OutcomeUnknown, StoreUnavailable,", "OPEN = (OutcomeUnknown,", CLIENT),
    Mutant("G3", "faults/outcome.py", "OPEN = (OutcomeUnknown,", "OPEN = (Exception, OutcomeUnknown,", CLIENT),
    Mutant("G3", "faults/client.py", "self.offset += raised.service_time - self.time()", "pass", CLIENT),
    Mutant("G3", "faults/client.py", "if self.clock() + outcome.attempts[-1].pause > deadline:", "if self.clock() > deadline:", CLIENT),
    Mutant("G3", "faults/client.py", "has_tokens = self.budget.failed()", "has_tokens = True", CLIENT),
    Mutant("G3", "faults/retries.py", "return self._change(-1) > self.most / 2", "return self._change(-1) > 0", CLIENT),
    Mutant("G3", "faults/retries.py", "return most * random.random()", "return most", CLIENT),
    Mutant("G3", "faults/retries.py", "if clock() - began > timeout:", "if False:", CLIENT),
    Mutant("G3", "faults/line.py", "            case LoseReply():\n                self._give_up(crossing, writes)\n", "", LINE),
    Mutant("G3", "faults/line.py", "        except EslabError as error:\n            return partial(_raise, error)\n", "", LINE),
    Mutant("G3", "faults/line.py", "if writes:  # nobody waits", "if False:  # nobody waits", LINE),
    Mutant("G3", "faults/line.py", "return self.behind is not None and self.behind <= number", "return self.behind is not None", LINE),
    Mutant("G3", "faults/line.py", "return self.due is not None and self.due <= now", "return self.due is not None", LINE),
    Mutant("G3", "faults/line.py", "        self._deliver(lambda held: held.is_due(self.clock()))\n", "", LINE),
    Mutant("G3", "faults/line.py", "        if not writes:\n", "        if False:\n", FAULTY),
    Mutant("G3", "faults/line.py", "if self.clock() - crossing.began > self.timeout:", "if False:", LINE),
    Mutant("G3", "faults/line.py", "        if self.dead:\n            self._crash()\n", "", LINE),
    Mutant("G3", "faults/kinds.py", "class Crashed(BaseException):", "class Crashed(Exception):", LINE),
    Mutant("G3", "faults/faulty.py", "        yield from self._ask(name, args, options)", "        yield from getattr(self.store, name)(*args, **options)", FAULTY),
    Mutant("G10", "faults/plans.py", "[name for name, chance in self._chances.items() if stream.chance(chance)]", "[name for name, chance in self._chances.items() if chance and stream.chance(chance)]", PLANS),
    Mutant("G10", "faults/plans.py", "self._choices.stream(call)", 'self._choices.stream("")', PLANS),
    Mutant("G10", "faults/storm.py", "sender = Client(clock, Random(seed),", "sender = Client(clock, Random(),", STORM),
    Mutant("G2", "faults/storm.py", "    process.deliver()\n", "", STORM),
    Mutant("G2", "faults/storm.py", "    line.deliver()\n    process", "    process", STORM),
    Mutant("G3", "faults/storm.py", "if self._lines[-1].dead:", "if False:", STORM),
    # A benchmark measures what it says, leaves no snapshots, and writes nothing to a store that it only reads.
    Mutant("G5", "bench/keeper.py", "due = self._stream.before(now - self.fold_after)", "due = self._stream.before(now)", BENCH + "keeper.py"),
    Mutant("G5", "bench/keeper.py", "(1 + next(_moments) % moments)", "1", BENCH + "keeper.py"),
    Mutant("G5", "bench/keeper.py", "seconds += [took] if number == self._built + 1 else []", "seconds += [took]", BENCH + "keeper.py"),
    Mutant("G5", "bench/keeper.py", "        if built is None:\n", "        if False:\n", BENCH + "keeper.py"),
    Mutant("G5", "bench/loads.py", "self._loaded, (base, state),", "self._loaded, self._loaded(),", BENCH + "hydrate.py"),
    Mutant("G5", "bench/loads.py", 'if self.temperature == "cold":', "if False:", BENCH + "hydrate.py"),
    Mutant("G2", "bench/hydrate.py", "        finally:\n            keeper.discard()\n", "        finally:\n            pass\n", BENCH + "hydrate.py"),
    Mutant("G5", "bench/hydrate.py", "        keeper.discard()\n        try:", "        try:", BENCH + "hydrate.py"),
    Mutant("G5", "bench/hydrate.py", "peer.snapshot(key, folded)", "peer.snapshot(key, folded - 1)", BENCH + "hydrate.py"),
    Mutant("G5", "bench/hydrate.py", "key=lambda it: self._folded(it) if it else -1)", "key=str)", BENCH + "hydrate.py"),
    Mutant("G5", "bench/peer_eventsourcing.py", "Frosting.INITIAL_VERSION + events", "events", BENCH + "hydrate.py"),
    Mutant("G2", "bench/read_only.py", "getattr(self._store, name) if name in READS else", "getattr(self._store, name) if True else", BENCH + "own_store.py"),
    Mutant("G2", "bench/own_store.py", "'mode': 'ro'", "'timeout': '5'", BENCH + "own_store.py"),
    Mutant("G5", "bench/own_store.py", "        if one != other:\n", "        if False:\n", BENCH + "own_store.py"),
    Mutant("G6", "bench/own_store.py", 'if name == "hydrate" or self._hydration.head.floor is None:', "if True:", BENCH + "own_store.py"),
    Mutant("G10", "bench/stream.py", "* (self.events - 1 - number) //", "* (self.events - number) //", BENCH + "stream.py"),
    Mutant("G10", "bench/stream.py", "        if self.gap < LEAST_GAP:\n", "        if False:\n", BENCH + "stream.py"),
    Mutant("G5", "bench/cost_model.py", "math.sqrt(2 * self.build /", "math.sqrt(self.build /", BENCH + "cost_model.py"),
    Mutant("G5", "bench/cost_model.py", "events = (interval - 1) / 2 + unsettled", "events = interval + unsettled", BENCH + "cost_model.py"),
    Mutant("G5", "bench/cost_model.py", "if found[worst] >= 0:", "if True:", BENCH + "cost_model.py"),
    Mutant("G5", "bench/cost_model.py", "[columns[name] / seconds for name in names]", "[columns[name] / seconds.mean() for name in names]", BENCH + "cost_model.py"),
    Mutant("G8", "bench/compare.py", "if name not in FIGURES)", "if name in NAMES)", BENCH + "compare.py"),
    Mutant("G8", "bench/measure.py", "seconds[measure.name] += timed if run else []", "seconds[measure.name] += timed", BENCH + "measure.py"),
    Mutant("G8", "bench/measure.py", "    check(measure, [answer])\n", "", BENCH + "measure.py"),
    # The log that locks, for comparison, is a fair one: it settles what wasn't answered, and counts nothing twice.
    Mutant("G3", "bench/lock/strict.py", "version = stream.version_of(request_id)", "version = None", STRICT),
    Mutant("G3", "bench/lock/strict.py", "stream = self.table.read(place, settled=again or tries > 0)", "stream = self.table.read(place) if not tries else stream", STRICT),
    Mutant("G3", "bench/lock/strict.py", "settled=again or tries > 0", "settled=again", STRICT),
    Mutant("G3", "bench/lock/strict.py", "settled=again or tries > 0", "settled=tries > 0", STRICT),
    Mutant("G3", "bench/lock/strict.py", "if tries and stream.version >= tried:", "if tries:", STRICT),
    Mutant("G2", "bench/lock/parted.py", 'if lost and name.startswith("append"):', "if False:", LOCKS),
    Mutant("G2", "bench/lock/parted.py", "lost = len({*acknowledged} - {*held})", "lost = max(0, len(acknowledged) - len(held))", LOCKS),
    Mutant("G8", "bench/lock/writers.py", "if len(held) != expected or len({*held}) != expected:", "if len({*held}) != expected:", LOCKS),
    Mutant("G8", "bench/speculation.py", "return perf_counter() - due", "return 0 * due", BENCH + "speculation.py"),
]  # fmt: skip


@contextmanager
def mutated(mutant: Mutant | None) -> Iterator[Path]:
    """A copy of the project in which one line is another."""
    with TemporaryDirectory(prefix="eslab-mutant-") as folder:
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, Path(folder, part))
        if mutant:
            path = Path(folder, "eslab", mutant.file)
            code = path.read_text(encoding="utf-8")
            if code.count(mutant.line) != 1:
                raise LookupError(f"Expected {mutant.line!r} once in {mutant.file}, found {code.count(mutant.line)}.")
            path.write_text(code.replace(mutant.line, mutant.mutant), encoding="utf-8")
        yield Path(folder)


def caught(mutant: Mutant | None) -> tuple[bool, str]:
    """Do the tests fail on it? And what they said; without a mutant, the tests of all promises."""
    tests = [mutant.tests] if mutant else sorted({each.tests for each in MUTANTS})
    with mutated(mutant) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests, *EMBEDDED],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode not in (0, 1):
        raise RuntimeError(f"Expected tests that run, got exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.returncode == 1, done.stdout


def main(promises: list[str]) -> int:
    """Run the mutants of these promises, or all, and say who survived."""
    survived = 0
    for mutant in MUTANTS:
        if not promises or mutant.promise in promises:
            start = perf_counter()
            found, said = caught(mutant)
            survived += not found
            who = next((line.split("::")[1].split(" ")[0] for line in said.splitlines() if line[:6] == "FAILED"), "")
            print(f"{'caught' if found else 'SURVIVED':8} {perf_counter() - start:4.1f} s  {mutant}  {who}", flush=True)
    return survived > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
