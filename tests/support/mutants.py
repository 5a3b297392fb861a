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
PARTS = ("eslab", "tests", "data", "pyproject.toml", "schema.lock.json")


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
BUILD, WALK = "tests/operations/test_snapshots.py", "tests/operations/test_walk.py"
REPOSITORY, SNAPSHOT, SERVICE = "tests/test_repository.py", "tests/test_snapshot.py", "tests/test_service.py"
CHANGES = "tests/payload/test_schema_changes.py"
SERIALIZER, REQUEST, BOUNDS = "tests/payload/test_serializer.py", "tests/test_request.py", "tests/test_bounds.py"
DOWNLOADS, IN_DOWNLOADS = "domains/downloads/", "tests/domains/downloads/test_"
READ, REBUILD, READ_CONTRACT = (
    "tests/test_read_table.py",
    "tests/operations/test_rebuild.py",
    "tests/stores/test_read_tables.py",
)
LOCK = "tests/operations/test_schema_lock.py"
ENCRYPTION, KEYS = "tests/payload/encryption", "tests/stores/test_keys.py"
DELETE_SINCE = "aggregate_id = ? AND up_to >= ?"

MUTANTS = [
    # A retry writes to the same keys, and of two decisions the same one wins everywhere.
    Mutant("G1", "stores/sqlite/statements.py", "WHERE excluded.payload > events.payload", "WHERE true", CONTRACT),
    Mutant("G1", "stores/sqlite/statements.py", "SET event_type = excluded.event_type, version", "SET version", SQLITE),
    Mutant("G1", "stores/memory.py", "commit.payload > stored.payload", "commit.payload < stored.payload", CONTRACT),
    Mutant("G1", "stores/memory.py", "check_append(customer_id, commits, read_rows)", "pass", CONTRACT),
    Mutant("G1", "payload/serializer.py", "for id in sorted(appended)", "for id in appended", SERIALIZER),
    Mutant("G1", "payload/serializer.py", "encode([*plain.items()])", "encode([*plain.values()])", SERIALIZER),
    Mutant("G1", "payload/serializer.py", "FORMAT, len(plain), command", "FORMAT, 1, command", SERIALIZER),
    Mutant("G1", "payload/encoding.py", "sorted(pairs)", "pairs", "tests/payload/test_encoding.py"),
    Mutant("G1", "payload/encoding.py", "tuple(sorted(map(_ordered, value), key=_as_it_is))", "tuple(map(_ordered, value))",
           "tests/payload/test_encoding.py"),
    Mutant("G1", "request.py", "return cls._of(to_ms(time), int.from_bytes(digest) >> 6)",
           "return cls._of(to_ms(time), Random().getrandbits(74))", REQUEST),
    Mutant("G1", "recorded.py", "greatest = max((", "greatest = min((", WISH),
    Mutant("G1", "unit_of_work.py", "if self.recorded or self._decided:", "if self.recorded:", WISH),
    Mutant("G1", "unit_of_work.py", "append_envelopes(self._events, hashed, key)",
           "append_envelopes(self._events, hashed)", ENCRYPTION),
    Mutant("G1", "unit_of_work.py", "key = self._hydrator.cipher.hash_key(make=True) if encrypts else", "key =", ENCRYPTION),
    Mutant("G1", "stores/memory.py", "                self._table(row.layout)  # raises", "                pass  #", READ_CONTRACT),
    Mutant("G1", "stores/memory.py", "row.commit.payload > partition[key].commit.payload", "True", READ_CONTRACT),
    Mutant("G1", "stores/sqlite/read_tables.py", "WHERE excluded.payload > {quoted(layout.name)}.payload", "WHERE true",
           READ_CONTRACT),
    Mutant("G1", "store.py", "            *_ids_in_keys(read_rows),\n", "", READ_CONTRACT),
    # What was acknowledged survives.
    Mutant("G2", "stores/sqlite/file.py", 'connection.execute("COMMIT")', "pass", SQLITE),
    Mutant("G2", "stores/sqlite/file.py", "synchronous = {self._synchronous}", "synchronous = OFF", SQLITE),
    Mutant("G2", "stores/sqlite/file.py", "            _use_wal(connection)\n", "", SQLITE),
    # A repeat is the same row, however late; nothing is decided on half a truth.
    Mutant("G3", "unit_of_work.py", "        if decision:\n", "        if False:\n", WISH),
    Mutant("G3", "unit_of_work.py", "if not all(self._is_of_command(", "if not all((", WISH),
    Mutant("G3", "unit_of_work.py", "heads = self._heads(Consistency.QUORUM)", "heads = self._heads(Consistency.LOCAL)", WISH),
    Mutant("G3", "recorded.py", "return len(decision) + len(below) >= decision[0].envelope.commits", "return True", WISH),
    Mutant("G3", "unit_of_work.py", "hydrate(heads, consistency=consistency)", "hydrate(heads)", WISH),
    Mutant("G3", "unit_of_work.py", "self._events[commit.aggregate_id] = list(self._hydrator.events_of(commit, envelope))", "pass", WISH),
    Mutant("G3", "payload/serializer.py", "encode(as_stored(command))", "encode(type(command).__name__)", "tests/test_event.py"),
    Mutant("G3", "unit_of_work.py", "return recorded_hash == command_hash(self._command, cipher.hash_key())", "return True", ENCRYPTION),
    Mutant("G3", "unit_of_work.py", "return recorded_hash == command_hash(self._command, cipher.hash_key())", "return False", ENCRYPTION),
    # The same rows, the same state.
    Mutant("G4", "request.py", "(event_time.int & LOW_HALF) ^ SIGN_BITS", "event_time.int & LOW_HALF", REQUEST),
    Mutant("G4", "request.py", "TICKS_PER_MS + TICKS_PER_MS - 1 + TICKS_AT_1970", "TICKS_PER_MS + TICKS_AT_1970", REQUEST),
    Mutant("G4", "stores/memory.py", "insort(self.keys, key)", "self.keys.append(key)", CONTRACT),
    Mutant("G4", "stores/memory.py", "sorted(known, key=str.encode)",
           "sorted(known, key=lambda id: id.encode('utf-16-be'))", CONTRACT),
    Mutant("G4", "stores/memory.py", "bisect_right(self.keys, sort_key(after))",
           "max(0, bisect_right(self.keys, sort_key(after)) - 1)", CONTRACT),
    Mutant("G4", "read_table.py", "if known is None or row.commit.payload > known.payload:", "if known is None:", READ),
    Mutant("G4", "unit_of_work.py", "        self._put_elsewhere(rows)\n", "", READ),
    Mutant("G4", "unit_of_work.py", "self._put_elsewhere(\n            rows_in(", "(\n            rows_in(", READ),
    Mutant("G4", "unit_of_work.py", "commits, read_rows=with_customer)", "commits)", READ),
    Mutant("G4", DOWNLOADS + "read_tables.py", "download in title.state.counted.values()",
           "download in title.state.downloads.values()", IN_DOWNLOADS + "read_tables.py"),
    # Snapshot plus tail equals full replay.
    Mutant("G5", "bounds.py", "if self.fold_after <= needed:", "if self.fold_after < needed:", BOUNDS),
    Mutant("G5", "bounds.py", "self.late + 2 * self.skew + self.append", "self.late + self.append", BOUNDS),
    Mutant("G5", "bounds.py", "if request.time < now - self.late:", "if request.time <= now - self.late:", BOUNDS),
    Mutant("G5", "bounds.py", "if request.time > now + self.early:", "if request.time >= now + self.early:", BOUNDS),
    Mutant("G5", "operations/snapshots.py", "time_on(repository.clock) - repository.bounds.fold_after", "time_on(repository.clock)", BUILD),
    Mutant("G5", "operations/snapshots.py", "hydrator.heads(consistency=Consistency.EVERYWHERE)", "hydrator.heads()", BUILD),
    Mutant("G5", "operations/snapshots.py", "heads, up_to, Consistency.EVERYWHERE)", "heads, up_to)", BUILD),
    Mutant("G5", "unit_of_work.py", "> self._environment.bounds.append:", "> self._environment.bounds.late:", WISH),
    Mutant("G5", "unit_of_work.py", "        self._make_safe(commits, heads)\n", "", WISH),
    Mutant("G5", "unit_of_work.py", "store.append(self.customer_id, unsafe, Consistency.EVERYWHERE)", "pass", WISH),
    Mutant("G5", "unit_of_work.py", "commit.event_time, Consistency.EVERYWHERE)", "commit.event_time)", WISH),
    Mutant("G5", "unit_of_work.py", "return self._heads(consistency)  # without", "return heads  # with", WISH),
    Mutant("G5", "operations/schema_lock.py", "if _is_skippable(tag)", "if False", LOCK),
    Mutant("G5", "stores/sqlite/statements.py", DELETE_SINCE, DELETE_SINCE.replace(">=", ">"), CONTRACT),
    Mutant("G5", "stores/memory.py", "if key[0] < sort_key(since)", "if key[0] <= sort_key(since)", CONTRACT),
    # Snapshots are a cache; the floor only moves up, and no base lies below it.
    Mutant("G6", "snapshot.py", "    if head.floor is not None:\n", "    if False:\n", SNAPSHOT),
    Mutant("G6", "snapshot.py", "and not too_new and not too_old", "and not too_new", SNAPSHOT),
    Mutant("G6", "snapshot.py", "and not too_new and not too_old", "and not too_old", SNAPSHOT),
    Mutant("G6", "snapshot.py", "_steps(aggregate_type, snapshot.fold) is not None and ", "", SNAPSHOT),
    Mutant("G6", "snapshot.py", "sort_key(snapshot.up_to) < sort_key(head.floor)",
           "sort_key(snapshot.up_to) <= sort_key(head.floor)", SNAPSHOT),
    Mutant("G6", "operations/snapshots.py", "kept = (up_to, heads[id].floor)", "kept = (up_to,)", BUILD),
    Mutant("G6", "unit_of_work.py", "if not is_below(commit.event_time, heads[commit.aggregate_id].floor)", "", WISH),
    Mutant("G6", "stores/memory.py", "check_floor(log.floor", "(lambda *_: None)(log.floor", CONTRACT),
    Mutant("G6", "stores/sqlite/__init__.py", "check_floor(floor", "(lambda *_: None)(floor", CONTRACT),
    Mutant("G6", "stores/sqlite/statements.py", "WHERE floor IS NULL OR excluded.floor > floor", "WHERE true", CONTRACT),
    Mutant("G6", "stores/sqlite/statements.py", "WHERE first IS NULL OR excluded.first < first", "WHERE first IS NULL", CONTRACT),
    Mutant("G6", "store.py", "sort_key(floor) < sort_key(up_to)", "False", CONTRACT),
    Mutant("G6", "repository.py", "in filter(_is_encrypted, head.snapshots)", "in head.snapshots", ENCRYPTION),
    Mutant("G6", "repository.py", "in filter(_is_encrypted, head.snapshots)", "in ()", ENCRYPTION),
    Mutant("G6", "operations/rebuild.py", "if checkpoint.began is None:\n        for", "if True:\n        for", REBUILD),
    Mutant("G6", "operations/rebuild.py", "store.empty_read_table(table.layout)", "checkpoint(name)", REBUILD),
    Mutant("G6", "operations/rebuild.py", "        checkpoint = Checkpoint(checkpoint.complete, time_on(repository.clock))\n",
           "        checkpoint = Checkpoint(repository.clock(), repository.clock())\n", REBUILD),
    Mutant("G6", "operations/rebuild.py", "checkpoint.complete - repository.bounds.fold_after", "checkpoint.complete", REBUILD),
    Mutant("G6", "operations/walk.py", "store.customers(checkpoint.after, ", "store.customers('', ", WALK),
    Mutant("G6", "operations/walk.py", "checkpoint.after, Consistency.EVERYWHERE)", "checkpoint.after)", WALK),
    Mutant("G6", "operations/walk.py", "replace(checkpoint, after=customer)", "checkpoint", WALK),
    # A rejection writes nothing.
    Mutant("G7", "service.py", "                return rejected\n", "                events = []\n", SERVICE),
    Mutant("G7", "event.py", "        return reduced(self)\n", "        return super().__reduce__()  # type: ignore\n", "tests/test_errors.py"),
    Mutant("G7", "event.py", "(limit {self.limit}, count {self.count})", "", "tests/test_event.py"),
    # Bytes that can't be trusted never become state.
    Mutant("G8", "payload/serializer.py", "if crc32(payload) != RESIDUE:", "if False:", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "if crc32(BRIDGE.join(payloads)) == RESIDUE:", "if True:", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "_PlainEnvelope[tuple[union, ...]]", "Envelope[tuple[union, ...]]", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "reduce(or_, event_types, _Untyped)", "reduce(or_, event_types)", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "if envelope.format not in (FORMAT, COMPRESSED, *ENCRYPTED.values()):", "if False:", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "if version > split_tag(known)[1] and", "if False and", SERIALIZER),
    Mutant("G8", "payload/serializer.py", "(msgspec.MsgspecError, ValueError, RecursionError)",
           "(msgspec.MsgspecError, RecursionError)", SERIALIZER),
    Mutant("G8", "event.py", " and len(text) <= MAX_VERSION_DIGITS", "", "tests/test_event.py"),
    Mutant("G8", "hydration.py", "raise self._broken_row(id, after[id], up_to) or error", "raise error", REPOSITORY),
    Mutant("G8", "snapshot.py", "except Unreadable as error:", "except ZeroDivisionError as error:", SNAPSHOT),
    Mutant("G8", "payload/encryption.py", "encode((kind, self.customer_id, *key))", "encode((kind, *key))", ENCRYPTION),
    Mutant("G8", "payload/encryption.py", "aggregate_id, event_time.bytes", "event_time.bytes", ENCRYPTION),
    Mutant("G8", "payload/encryption.py", "aggregate_id, event_time.bytes", "aggregate_id", ENCRYPTION),
    Mutant("G8", "payload/encryption.py", '("snapshot", aggregate_id,', '("snapshot",', ENCRYPTION),
    Mutant("G8", "payload/encryption.py", "encode_envelope(replace(envelope, body=NIL))[:-AFTER_HEADER]", "encode_envelope(replace(envelope, body=NIL))[:20]", ENCRYPTION),
    Mutant("G8", "stores/keys.py", "return self._masters[master].decrypt(nonce_of(place), wrapped, place)",
           "return self._masters[master].decrypt(nonce_of(b''), wrapped, b'')", KEYS),
    Mutant("G8", "stores/keys.py", '"secure_delete = ON"', '"secure_delete = OFF"', KEYS),
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
    Mutant("G9", "operations/schema_lock.py", "        if name in now.aggregates:", "        if name not in now.aggregates: pass\n        elif True:", LOCK),
    Mutant("G9", "operations/schema_lock.py", "    if skipped:\n", "    if False:\n", LOCK),
    Mutant("G9", "operations/schema_lock.py", "sorted(set(old.upcasters) - set(new.upcasters))", "()", LOCK),
    Mutant("G9", "operations/schema_lock.py", "if was is not None else _introduced(key, tag, old)", "", LOCK),
    Mutant("G9", "operations/schema_lock.py", "elif split_tag(current)[1] < number:", "elif False:", LOCK),
    Mutant("G9", "operations/shapes.py", "for name in sorted(nested)", "for name in ()", LOCK),
    # Time is injected.
    Mutant("G10", "unit_of_work.py", "self._checked_at = time_on(self._environment.clock)",
           "self._checked_at = __import__('eslab').system_clock()", WISH),
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
    Mutant("G4", DOWNLOADS + "overshoot.py", "    return any(\n", "    return all(\n", IN_DOWNLOADS + "reconcile.py"),
    Mutant("G4", "operations/audit.py", "return lost if len(recorded) - len(lost) == winner.commits else []",
           "return lost", "tests/operations/test_audit.py"),
    Mutant("G7", DOWNLOADS + "rules.py", "check.reason, limit=check.limit, count=check.count)", "check.reason)",
           IN_DOWNLOADS + "rules.py"),
    Mutant("G9", DOWNLOADS + "license.py", "expires: datetime | None = None  # None: never", "expires: datetime",
           IN_DOWNLOADS + "aggregates.py"),
    Mutant("G10", DOWNLOADS + "drm.py", "options=NO_CLOCK", "options={}", IN_DOWNLOADS + "drm.py"),
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
