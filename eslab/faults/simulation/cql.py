"""The part of CQL that the Cassandra store speaks, compiled to what a replica does: put cells, delete a range, select.

Tables come from the store's own CREATE TABLE statements, and every statement is the text that the store sends. What
this can't read is an error, so that a statement that the store learns anew can't be misunderstood.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from eslab.request import sort_key

Key = tuple[Any, ...]  # values of clustering columns, each in the form that sorts as Cassandra sorts it
NAME = r'"?(\w+)"?'
CREATE = re.compile(rf"CREATE TABLE IF NOT EXISTS \w+\.{NAME} \((.*)\) WITH (.*)", re.DOTALL)
PRIMARY = re.compile(r"PRIMARY KEY \(\(([^)]*)\)((?:, [^)]*)?)\)")
# Patterns of CQL, none of which is ever sent anywhere.
INSERT = re.compile(rf"INSERT INTO {NAME} \(([^)]*)\) VALUES \(([?, ]*)\)(?: USING (.*))?")  # noqa: S608
UPDATE = re.compile(rf"UPDATE {NAME}(?: USING (.*))? SET (\w+) = \? WHERE (.*)")  # noqa: S608
DELETE = re.compile(rf"DELETE FROM {NAME}(?: USING (.*))? WHERE (.*)")  # noqa: S608
SELECT = re.compile(rf"SELECT (DISTINCT )?(.*) FROM {NAME}(?: WHERE (.*?))?( LIMIT \?)?")  # noqa: S608
CONDITION = re.compile(r'(token\()?"?(\w+)"?\)? (=|IN|>=|<=|>|<) (?:\?|token\(\?\))')
USING = {"TIMESTAMP ?": ("time",), "TIMESTAMP ? AND TTL ?": ("time", "life"), None: ()}


class Table(NamedTuple):
    """A table: its name and columns, those of its partition key, its clustering columns, and is it descending?"""

    name: str
    columns: tuple[str, ...]
    partition: tuple[str, ...]
    clustering: tuple[str, ...]
    descending: bool

    @classmethod
    def parse(cls, cql: str) -> "Table":
        """Read a CREATE TABLE; a table is ordered downwards as a whole, after its aggregate id, or not at all."""
        match = _match(CREATE, cql)
        columns = re.sub(r"\b(\w+) text PRIMARY KEY", r"PRIMARY KEY ((\1))", match[2])
        primary = re.search(PRIMARY, columns)
        if not primary:
            raise NotImplementedError(cql)
        named = tuple(re.findall(r'"?(\w+)"? (?:text|timeuuid|bigint|int|blob)\b', columns[: primary.start()]))
        return cls(match[1], named, _names(primary[1]), _names(primary[2]), "DESC" in match[3])

    def order(self, key: Key) -> Key:
        """What rows are sorted by: (aggregate ascending, then descending) for snapshots, ascending elsewhere."""
        return (
            key[:1] + tuple(-int.from_bytes(part) if isinstance(part, bytes) else -part for part in key[1:])
            if (self.descending)
            else key
        )


class Cell(NamedTuple):
    """One value of one column; of two cells, the greater one stays, as Cassandra decides it."""

    time: int  # the write time, in microseconds
    expiry: float  # the virtual second in which it ends; infinity if never
    data: bytes  # the value as it would be stored: the greater one wins a tie
    value: Any


class Range(NamedTuple):
    """Clustering keys: those that begin with `prefix` and whose next part fits all conditions."""

    prefix: Key
    tests: tuple[tuple[str, Any], ...] = ()

    def holds(self, key: Key) -> bool:
        """Does it hold this key?"""
        begins = len(self.prefix)
        if key[:begins] != self.prefix:
            return False
        for sign, bound in self.tests:  # noqa: SIM110 - called thousands of times a schedule, without a generator
            if not FITS[sign](key[begins], bound):
                return False
        return True


FITS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Put(NamedTuple):
    """Write cells of one row."""

    table: Table
    partition: Key
    key: Key
    cells: Mapping[str, Cell]


class Cut(NamedTuple):
    """Delete what lies in a range and isn't younger than `time`: it hides such rows that arrive later, too."""

    table: Table
    partition: Key
    range: Range
    time: int


class Query(NamedTuple):
    """Select rows of one partition, or list the partitions of a table."""

    table: Table
    columns: tuple[str, ...]
    partition: Key | None  # None lists all partitions after `after`
    ranges: Sequence[Range] = ()
    after: Key = ()
    limit: int = 0  # of rows; 0 is none

    def holds(self, key: Key) -> bool:
        """Does one of its ranges hold this clustering key?"""
        for wanted in self.ranges:  # noqa: SIM110 - as above
            if wanted.holds(key):
                return True
        return False


@dataclass
class Statement:
    """A statement, ready to be given its values."""

    cql: str
    tables: Mapping[str, Table]

    @cached_property
    def compiled(self) -> Callable[[Sequence[Any], float, int], Put | Cut | Query]:
        """A function of the values, the virtual second, and the coordinator's time in microseconds."""
        kind = self.cql.split(" ", 1)[0]
        return {"INSERT": self._insert, "UPDATE": self._update, "DELETE": self._delete, "SELECT": self._select}[kind]()

    def _insert(self) -> Callable[[Sequence[Any], float, int], Put]:
        match = _match(INSERT, self.cql)
        table = self.tables[match[1]]
        columns = _names(match[2])
        using = USING[match[4]]

        def bind(values: Sequence[Any], now: float, server: int) -> Put:
            given = dict(zip((*columns, *using), values, strict=True))
            return _put(table, given, set(columns), now, server)

        return bind

    def _update(self) -> Callable[[Sequence[Any], float, int], Put]:
        match = _match(UPDATE, self.cql)
        table = self.tables[match[1]]
        keys = [name for name, _ in _conditions(match[4])]
        names = (*USING[match[2]], match[3], *keys)

        def bind(values: Sequence[Any], now: float, server: int) -> Put:
            given = dict(zip(names, values, strict=True))
            return _put(table, given, {match[3]}, now, server)

        return bind

    def _delete(self) -> Callable[[Sequence[Any], float, int], Cut]:
        match = _match(DELETE, self.cql)
        table = self.tables[match[1]]
        using = USING[match[2]]
        select = _Selection(table, _conditions(match[3]))

        def bind(values: Sequence[Any], now: float, server: int) -> Cut:
            partition, ranges = select(values[len(using) :])
            return Cut(table, partition, ranges[0], values[0] if using else server)

        return bind

    def _select(self) -> Callable[[Sequence[Any], float, int], Query]:
        match = _match(SELECT, self.cql)
        table = self.tables[match[3]]
        columns = _names(match[2])
        if match[1]:
            return lambda values, now, server: Query(table, columns, None, after=tuple(map(ordered, values)))
        select = _Selection(table, _conditions(match[4]))

        def bind(values: Sequence[Any], now: float, server: int) -> Query:
            limit = values[-1] if match[5] else 0
            partition, ranges = select(values[:-1] if match[5] else values)
            return Query(table, columns, partition, ranges, limit=limit)

        return bind


def ordered(value: Any) -> Any:
    """A value in the form that sorts as Cassandra sorts it."""
    if isinstance(value, UUID):
        return sort_key(value)
    return value.encode() if isinstance(value, str) else value


def _put(table: Table, given: Mapping[str, Any], written: set[str], now: float, server: int) -> Put:
    time = given.get("time", server)
    life = given.get("life", 0)
    expiry = now + life if life else float("inf")
    keys = {*table.partition, *table.clustering}
    cells = {name: Cell(time, expiry, _data(given[name]), given[name]) for name in sorted(written - keys)}
    # The columns of the key as they were given, for people and for SELECT.
    for name in keys:
        cells[name] = Cell(time, expiry, b"", given[name])
    partition, key = (tuple(ordered(given[name]) for name in names) for names in (table.partition, table.clustering))
    return Put(table, partition, key, cells)


def _data(value: Any) -> bytes:
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, int):
        return value.to_bytes(8, signed=True)
    return value.encode() if isinstance(value, str) else value


def _conditions(text: str) -> list[tuple[str, str]]:
    """The columns and signs of a WHERE."""
    return [(match[2], match[3]) for match in (_match(CONDITION, part) for part in text.split(" AND "))]


class _Selection:
    """The conditions of a WHERE: called with their values, it gives the partition and the ranges of clustering keys."""

    def __init__(self, table: Table, conditions: Sequence[tuple[str, str]]) -> None:
        places = {condition: place for place, condition in enumerate(conditions)}
        self._number = len(conditions)
        self._partition = [places[name, "="] for name in table.partition]
        self._prefix: list[tuple[int, bool]] = []  # the place of each leading column's value; is it that of an IN?
        self._tests: list[tuple[str, int]] = []  # the signs and places of the column behind them
        for name in table.clustering:
            several = (name, "IN") in places
            if not several and (name, "=") not in places:
                self._tests = [(sign, place) for (column, sign), place in places.items() if column == name]
                break
            self._prefix.append((places[name, "IN" if several else "="], several))

    def __call__(self, values: Sequence[Any]) -> tuple[Key, list[Range]]:
        """The partition, and the ranges that the conditions hold: several after an IN."""
        if len(values) != self._number:
            raise ValueError(f"Expected {self._number} values, got {len(values)}.")
        prefixes: list[Key] = [()]
        for place, several in self._prefix:
            ones = sorted({*map(ordered, values[place])}) if several else [ordered(values[place])]
            prefixes = [(*prefix, one) for prefix in prefixes for one in ones]
        tests = tuple((sign, ordered(values[place])) for sign, place in self._tests)
        return tuple(ordered(values[place]) for place in self._partition), [Range(it, tests) for it in prefixes]


def _names(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text))


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if not match:
        raise NotImplementedError(f"The simulated Cassandra doesn't know this CQL: {text}")
    return match
