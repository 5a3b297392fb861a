"""An aggregate is the state that events add up to.

    class Frosting(Aggregate):
        colors: dict[str, int] = {}

        def apply(self, event: ColorAdded) -> None:
            self.colors[event.color] = self.colors.get(event.color, 0) + 1

The annotation of `apply` is the list of events that the aggregate understands; with several it is a union.

Log order is the order of requests, not of decisions: a retry arrives late and replays early. So `apply` must commute:
use sets and maps rather than lists, let an event that undoes another name it, and never refuse an event.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from inspect import Parameter, iscoroutinefunction, signature
from reprlib import repr as short
from typing import Any, ClassVar

import msgspec

from eslab import display
from eslab.declared import Declared, Options, annotation_of, check_options, defined_again, members
from eslab.errors import InvalidInput, expect
from eslab.event import Event
from eslab.payload.decoding import decoder
from eslab.payload.encoding import encode
from eslab.payload.fields import check_fields, unresolved
from eslab.payload.serializer import Upcaster, VersionedSerializer
from eslab.payload.skipped import Skip

MAX_ID_BYTES = 1024  # far below what a Cassandra key can hold (65,535 in all), far above what an id needs
Address = tuple[type["Aggregate"], str]  # (License, "phone/glow") lives under the id "license:phone/glow"


@dataclass(frozen=True)
class SnapshotPolicy:
    """When to build a snapshot: once `every` commits wait to be folded, or one does and the last is older than `after`.

    The age counts from the last snapshot, or from the first commit, to the moment up to which a new one would reach.
    The newest `keep` of a fold are kept.
    """

    every: int = 1000
    after: timedelta | None = None
    keep: int = 3

    def __post_init__(self) -> None:
        expect(int, "every", self.every)
        expect((timedelta, type(None)), "after", self.after)
        expect(int, "keep", self.keep)
        if self.every < 1 or self.keep < 1 or (self.after is not None and self.after <= timedelta()):
            raise InvalidInput(f"Expected a policy of 1 or more, and of an age above zero, got {self}.")

    def is_due(self, waiting: int, age: timedelta) -> bool:
        """Is it time to build one, of so many more commits and so long after the last one?"""
        aged = self.after is not None and age >= self.after
        return waiting >= self.every or (waiting > 0 and aged)


# A dict for `skipped_rows`, which is no field.
class Aggregate(msgspec.Struct, dict=True, forbid_unknown_fields=True, metaclass=Declared):
    """State folded from events; every field needs a default, the state before the first event.

    Ids are stored in clear, even if the rest is encrypted: keep data that the customer may ask you to forget out of
    keys and customer ids (docs/encryption.md).
    """

    _options: ClassVar[Options] = {
        "array_like": (False, "fields of a snapshot are stored by name, so that some can be added or removed later"),
        "forbid_unknown_fields": (True, "a snapshot with other fields is passed over, not loaded without them"),
    }
    stored_as: ClassVar[str] = ""  # the prefix of its ids, part of the log for ever; default: class name in lower case
    # Events and snapshots are encrypted with a key per customer, so that the customer can be forgotten.
    encrypted: ClassVar[bool] = False
    # Commits of more bytes than this are compressed; 0 means none. Readers need no setting.
    compress_over: ClassVar[int] = 0
    # Raise it when the same events fold into another state: old snapshots are skipped, or upcast.
    fold_version: ClassVar[int] = 1
    # When `eslab snapshots build` and `build_snapshot` build one; None means never.
    snapshot_policy: ClassVar[SnapshotPolicy | None] = SnapshotPolicy()
    # By stored tag, such as "Priced:1", or by the tags of neighbours in one commit that are merged.
    upcasters: ClassVar[Mapping[str | tuple[str, ...], Upcaster]] = {}
    # By stored fold: from its state, as a map, to the state of the next fold.
    fold_upcasters: ClassVar[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}

    def apply(self, event: Any) -> None:
        """Change the state by one event. It must commute, and never refuse an event or read a clock."""
        raise NotImplementedError(f"{type(self).__name__} needs an apply(self, event: ...) method")

    @property
    def skipped_rows(self) -> tuple[Skip, ...]:
        """The rows whose events are missing in this state, because their bytes were lost and an operator skipped them.

        Not a field: neither stored in a snapshot nor compared. No snapshot is built over a skipped row.
        """
        return vars(self).get("skipped_rows", ())

    def note_skipped(self, mark: Skip) -> None:
        """Note that the events of a row are missing in this state."""
        vars(self)["skipped_rows"] = (*self.skipped_rows, mark)

    def __repr__(self) -> str:
        missing = "; ".join(map(str, self.skipped_rows))
        return f"{super().__repr__()}{f' [{missing}]' if missing else ''}"

    def _repr_html_(self) -> str:
        rows = {**display.fields(self), "skipped": self.skipped_rows or None}
        return display.table(type(self).__name__, rows)


def type_name(aggregate_type: type[Aggregate]) -> str:
    """The prefix of an aggregate type's ids, without the colon that ends it."""
    if not (isinstance(aggregate_type, type) and issubclass(aggregate_type, Aggregate)):
        raise InvalidInput(
            f"Expected a class that inherits from Aggregate as aggregate_type, got {short(aggregate_type)}."
        )
    name = aggregate_type.stored_as or aggregate_type.__name__.lower()
    if ":" in name:
        raise InvalidInput(f"Expected stored_as without a colon in {aggregate_type.__name__}, got {name!r}.")
    return name


def aggregate_id(address: Address) -> str:
    """The stored id of an aggregate: its type, a colon and its key within the customer."""
    if not isinstance(address, tuple) or len(address) != 2:
        raise InvalidInput(
            f'Expected an aggregate type and a key as address, such as (License, "phone/glow"), got {short(address)}.'
        )
    aggregate_type, key = address
    check_id("aggregate key", key)
    return check_id("aggregate id", f"{type_name(aggregate_type)}:{key}")


def address(aggregate_type: type[Aggregate], aggregate_id: str) -> Address:
    """The type and key in a stored id; raises `InvalidInput` for an id of another type."""
    expect(str, "aggregate_id", aggregate_id)
    name, colon, key = aggregate_id.partition(":")
    if not (colon and key and name == type_name(aggregate_type)):
        raise InvalidInput(
            f'Expected the id of a {aggregate_type.__name__}, such as "{type_name(aggregate_type)}:1", '
            f"got {aggregate_id!r}."
        )
    return aggregate_type, key


def check_id(kind: str, id: str) -> str:
    """Refuse an id that no store can keep: empty, over 1,024 bytes of UTF-8, or with a lone surrogate."""
    if not isinstance(id, str) or not id:
        raise InvalidInput(f"Expected a {kind} of 1 to {MAX_ID_BYTES} bytes, got {short(id)}.")
    try:
        length = len(id.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"Expected a {kind} in Unicode text, got a lone surrogate at position {error.start} of {id[:40]!r}."
        ) from None
    if length > MAX_ID_BYTES:
        raise InvalidInput(f"Expected a {kind} of at most {MAX_ID_BYTES} bytes, got {length}: {id[:40]!r}...")
    return id


@cache
def event_types(aggregate_type: type[Aggregate]) -> tuple[type[Event], ...]:
    """The events that the aggregate understands, read from the annotation of its `apply`."""
    types = tuple(members(_annotation(aggregate_type)))
    for member in types:
        if not (isinstance(member, type) and issubclass(member, Event) and member is not Event):
            raise _wrong_apply(aggregate_type, f"{_name(member)}, which is no class of events")
    return types


def check_event(aggregate_type: type[Aggregate], event: Any) -> None:
    """Refuse an event that the aggregate does not understand."""
    known = event_types(aggregate_type)
    if type(event) in known:
        return
    hint = ""
    if defined_again(type(event), known):
        hint = (
            f" The class {type(event).__name__} was defined again after {aggregate_type.__name__}: run the cell that "
            "defines the aggregate again, then the one that makes the repository or service."
        )
    elif isinstance(event, list | tuple):
        hint = " Write work.add(state, *events)."
    names = ", ".join(cls.__name__ for cls in known)
    raise InvalidInput(f"Expected an event that {aggregate_type.__name__}.apply knows ({names}), got {event!r}.{hint}")


@cache
def serializer_of(aggregate_type: type[Aggregate]) -> VersionedSerializer:
    """The one serializer of an aggregate type; `InvalidInput` if its states or events can't be read back."""
    type_name(aggregate_type)  # refuses what is no class of aggregates
    policy = f"snapshot_policy of {aggregate_type.__name__}"
    expect((SnapshotPolicy, type(None)), policy, aggregate_type.snapshot_policy, "such as SnapshotPolicy(every=100)")
    _check_state(aggregate_type)
    return VersionedSerializer(event_types(aggregate_type), aggregate_type.upcasters)


def _check_state(aggregate_type: type[Aggregate]) -> None:
    """Refuse a class whose state before the first event can't be made, written and read back."""
    name = aggregate_type.__name__
    check_options(aggregate_type)
    check_fields(aggregate_type, canonical=False)
    try:
        decoder(aggregate_type).decode(encode(aggregate_type()))
    except (InvalidInput, msgspec.MsgspecError) as error:
        raise InvalidInput(
            f"Expected a default of its type for every field of {name}, the state before the first event: {error}"
        ) from None


def _annotation(aggregate_type: type[Aggregate]) -> Any:
    """The annotation of the event in `apply`, whatever the parameter is called."""
    apply = aggregate_type.apply
    if apply is Aggregate.apply or not callable(apply):
        raise _wrong_apply(aggregate_type, "no such method")
    parameters = [*signature(apply).parameters.values()]
    if len(parameters) != 2 or iscoroutinefunction(apply):
        kind = "async def " if iscoroutinefunction(apply) else ""
        raise _wrong_apply(aggregate_type, f"{kind}apply{signature(apply)}")
    if parameters[1].annotation is Parameter.empty:
        raise _wrong_apply(aggregate_type, f"no annotation of {parameters[1].name}")
    try:
        return annotation_of(apply, parameters[1].name)
    except NameError as error:
        where = f"the annotation of {aggregate_type.__name__}.apply"
        raise InvalidInput(
            f"Expected names that module {apply.__module__} defines in {unresolved(where, error)}"
        ) from None


def _wrong_apply(aggregate_type: type[Aggregate], found: str) -> InvalidInput:
    return InvalidInput(
        f"Expected {aggregate_type.__name__}.apply(self, event: SomeEvent | OtherEvent), got {found}. "
        "Annotate it with the classes of events that it understands; each inherits from Event."
    )


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
