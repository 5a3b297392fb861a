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
from functools import cache
from reprlib import repr as short
from types import UnionType
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

import msgspec

from eslab import display
from eslab.errors import InvalidInput, expect
from eslab.event import Event
from eslab.payload.serializer import Upcaster, VersionedSerializer

MAX_ID_BYTES = 1024  # far below what a Cassandra key can hold (65,535 in all), far above what an id needs
Address = tuple[type["Aggregate"], str]  # (License, "phone/glow") lives under the id "license:phone/glow"


class Aggregate(msgspec.Struct):
    """State folded from events; every field needs a default, the state before the first event.

    Ids are stored in clear, even if the rest is encrypted: keep data that the customer may ask you to forget out of
    keys and customer ids (docs/encryption.md).
    """

    stored_as: ClassVar[str] = ""  # the prefix of its ids, part of the log for ever; default: class name in lower case
    # Events and snapshots are encrypted with a key per customer, so that the customer can be forgotten.
    encrypted: ClassVar[bool] = False
    # Commits of more bytes than this are compressed; 0 means none. Readers need no setting.
    compress_over: ClassVar[int] = 0
    # Raise it when the same events fold into another state: old snapshots are skipped, or upcast.
    fold_version: ClassVar[int] = 1
    # By stored tag, such as "Priced:1", or by the tags of neighbours in one commit that are merged.
    upcasters: ClassVar[Mapping[str | tuple[str, ...], Upcaster]] = {}
    # By stored fold: from its state, as a map, to the state of the next fold.
    fold_upcasters: ClassVar[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}

    def apply(self, event: Any) -> None:
        """Change the state by one event. It must commute, and never refuse an event or read a clock."""
        raise NotImplementedError(f"{type(self).__name__} needs an apply(self, event: ...) method")

    def _repr_html_(self) -> str:
        return display.table(type(self).__name__, display.fields(self))


def type_name(aggregate_type: type[Aggregate]) -> str:
    """The prefix of an aggregate type's ids, without the colon that ends it."""
    if not (isinstance(aggregate_type, type) and issubclass(aggregate_type, Aggregate)):
        raise InvalidInput(f"Expected a class of aggregates as aggregate_type, got {short(aggregate_type)}.")
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
    annotation = get_type_hints(aggregate_type.apply).get("event")
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    types = tuple(member for member in members if isinstance(member, type) and issubclass(member, Event))
    if len(types) < len(members):
        raise InvalidInput(
            f"Expected {aggregate_type.__name__}.apply(self, event: SomeEvent | OtherEvent), got {annotation}; "
            "annotate it with the events that it understands."
        )
    return types


@cache
def serializer_of(aggregate_type: type[Aggregate]) -> VersionedSerializer:
    """The one serializer of an aggregate type."""
    return VersionedSerializer(event_types(aggregate_type), aggregate_type.upcasters)
