"""The SQL that reads and writes a store's own tables, and the least and greatest event time in it."""

# A payload of another type, which SQLite keeps in any column, is read as no bytes at all: those fail their checksum
# like any other damage, and the row is named (G8).
BYTES = "CASE typeof(payload) WHEN 'blob' THEN payload ELSE x'' END"
# Of two commits with one key the one with the greater payload stays, with its type and version.
APPEND = """
INSERT INTO events (customer_id, aggregate_id, event_time, event_type, version, payload)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET event_type = excluded.event_type, version = excluded.version, payload = excluded.payload
WHERE excluded.payload > events.payload"""
REPLACE = """
UPDATE events SET event_type = ?, version = ?, payload = ?
WHERE customer_id = ? AND aggregate_id = ? AND event_time = ? AND (payload = ? OR typeof(payload) <> 'blob')"""
# The earliest commit of an aggregate stays in the directory, whichever order they arrive in.
BEGAN = """
INSERT INTO aggregates (customer_id, aggregate_id, first) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
SET first = excluded.first WHERE first IS NULL OR excluded.first < first"""
# Each mark is raised by itself; one that is not given stays.
MARK = """
INSERT INTO aggregates (customer_id, aggregate_id, floor, intended, late_since, late_until) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
floor = max(ifnull(floor, excluded.floor), ifnull(excluded.floor, floor)),
intended = max(ifnull(intended, excluded.intended), ifnull(excluded.intended, intended)),
late_since = min(ifnull(late_since, excluded.late_since), ifnull(excluded.late_since, late_since)),
late_until = max(ifnull(late_until, excluded.late_until), ifnull(excluded.late_until, late_until))"""
SAFE = "UPDATE events SET safe_at = ? WHERE customer_id = ? AND aggregate_id = ? AND event_time = ?"
IDS = "SELECT aggregate_id FROM aggregates WHERE customer_id = ? AND aggregate_id BETWEEN ? AND ? ORDER BY aggregate_id"
IDS_OF_COMMITS = "SELECT DISTINCT aggregate_id FROM events WHERE customer_id = ? ORDER BY aggregate_id"
ENTRY = """
SELECT first, floor, intended, late_since, late_until FROM aggregates WHERE customer_id = ? AND aggregate_id = ?"""
SNAPSHOTS = f"SELECT up_to, fold, {BYTES} FROM snapshots WHERE customer_id = ? AND aggregate_id = ?"  # noqa: S608
NEWEST_SNAPSHOTS = f"{SNAPSHOTS} AND up_to <= ? ORDER BY up_to DESC, fold DESC LIMIT ?"
RECORDED = f"""
SELECT event_type, version, {BYTES}, safe_at FROM events
WHERE customer_id = ? AND aggregate_id = ? AND event_time = ?"""  # noqa: S608
PAYLOADS = f"""
SELECT event_time, {BYTES} FROM events
WHERE customer_id = ? AND aggregate_id = ? AND event_time > ? AND event_time <= ? ORDER BY event_time LIMIT ?"""  # noqa: S608
ROWS = f"""
SELECT event_time, event_type, version, {BYTES} FROM events
WHERE customer_id = ? AND aggregate_id = ? AND event_time > ? AND event_time <= ? ORDER BY event_time LIMIT ?"""  # noqa: S608
FIRST_ROWS = f"""
SELECT event_time, event_type, version, {BYTES}, safe_at FROM events
WHERE customer_id = ? AND aggregate_id = ? AND event_time > ? AND event_time <= ? ORDER BY event_time LIMIT ?"""  # noqa: S608
SAVE_SNAPSHOT = """
INSERT INTO snapshots (customer_id, aggregate_id, up_to, fold, payload, written_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET payload = excluded.payload, written_at = excluded.written_at
WHERE (excluded.written_at, excluded.payload) > (snapshots.written_at, snapshots.payload)"""
DELETE_SNAPSHOT = """
DELETE FROM snapshots WHERE customer_id = ? AND aggregate_id = ? AND up_to = ? AND fold = ? AND written_at <= ?"""
DELETE_EVENTS = "DELETE FROM events WHERE customer_id = ? AND aggregate_id = ? AND event_time <= ?"
CUSTOMERS = "SELECT DISTINCT customer_id FROM aggregates WHERE customer_id > ? ORDER BY customer_id LIMIT ?"
CHECKPOINT = "SELECT text FROM checkpoints WHERE name = ?"
SET_CHECKPOINT = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?)"
EARLIEST = float("-inf")  # below every sort key, and below a value of another type, which must be found too
LATEST = b"\xff" * 17  # above every sort key: one byte longer
GREATEST_END = "\U0010ffff" * 256  # a prefix and this are above every id with the prefix
GREATEST_ID = LATEST  # above every text, and above a value that is no text, which must be found too
