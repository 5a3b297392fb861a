"""The cost of hydration by length, from the bare read upwards.

baseline    a bare one-column SELECT of the payloads, on the same tables, page by page
read        the store's `read_many`, all pages dropped
decode      checksums and typed decode of the same pages, which are in memory already
hydrate     `Repository.load`, through the public interface: look-up, read, decode, fold
peer:NAME   a peer's own way to load the same events from its own store of the same kind
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial

from eslab import Aggregate, EventStore, Repository, system_clock
from eslab.aggregate import aggregate_id, serializer_of
from eslab.bench.measure import RUNS, Measure, Report, Row, row, time_in_turn, versions_of
from eslab.bench.peers import Peer, open_peer
from eslab.bench.sample import CUSTOMER, FROSTING, Sample, fill, state_after
from eslab.bench.targets import Target, target
from eslab.errors import InvalidInput
from eslab.payload.checksum import Checksum

LENGTHS = (1_000, 10_000, 100_000)
EVENTS_IN_A_RUN = 10_000  # at least: the garbage collector leaves cold caches, which would dominate a shorter run
NOTE = (
    "One aggregate of small events that one process reads again and again while they are in memory: this can't show "
    "a cold disk, a network, large events, or what your own apply costs."
)


def measure_hydration(
    store: str = "sqlite",
    lengths: Sequence[int] = LENGTHS,
    peers: Sequence[str] = (),
    runs: int = RUNS,
    sample: Sample = FROSTING,
) -> Report:
    """Measure hydration for each length; all measures of a length take turns.

    Writes each length once as an aggregate of its own; each measure reads it `runs + 1` times. Peers know no other
    sample than frosting.
    """
    if peers and sample is not FROSTING:
        raise InvalidInput(
            f"Expected no peer beside {sample.aggregate_type.__name__}, got {', '.join(peers)}: peers store frosting."
        )
    with target(store) as place:
        rows = [row for length in lengths for row in _measure_length(place, length, peers, runs, sample)]
    return Report(rows, NOTE, {**versions_of(*peers), **place.versions})


def _measure_length(place: Target, events: int, peers: Sequence[str], runs: int, sample: Sample) -> list[Row]:
    with ExitStack() as stack:
        store = stack.enter_context(closing(place.open()))
        others = [stack.enter_context(closing(open_peer(name, place.scheme, place.folder))) for name in peers]
        fill(store, str(events), events, sample=sample)
        measures = [
            *_own_measures(stack, place, store, events, sample),
            *(_peer_measure(peer, events) for peer in others),
        ]
        timed = time_in_turn(measures, runs)
    return [row(name, place.scheme, events, seconds) for name, seconds in timed.items()]


def _own_measures(stack: ExitStack, place: Target, store: EventStore, events: int, sample: Sample) -> list[Measure]:
    repository = Repository(store, system_clock)
    id = aggregate_id((sample.aggregate_type, str(events)))
    pages = list(_pages(store, id))
    decode = partial(serializer_of(sample.aggregate_type).page, checksum=Checksum.of_commits(CUSTOMER, id))
    counting: dict[str, Callable[[], object]] = {
        "read": lambda: sum(map(len, _pages(store, id))),
        "decode": lambda: sum(len(decode(page)) for page in pages),
    }
    if baseline := place.read_baseline(store):
        stack.enter_context(closing(baseline))
        counting = {"baseline": partial(baseline.read, id), **counting}

    def load() -> Aggregate:
        return repository.load(CUSTOMER, sample.aggregate_type, str(events))

    counts = [_measure(name, call, events, events) for name, call in counting.items()]
    return [*counts, _measure("hydrate", load, sample.state_after(events), events)]


def _peer_measure(peer: Peer, events: int) -> Measure:
    peer.fill(str(events), events)
    return _measure(f"peer:{peer.name}", partial(peer.load, str(events)), state_after(events), events)


def _measure(name: str, call: Callable[[], object], expected: object, events: int) -> Measure:
    return Measure(name, call, expected, repeat=max(1, EVENTS_IN_A_RUN // events))


def _pages(store: EventStore, id: str) -> Iterator[Sequence[bytes]]:
    return (payloads for _, payloads in store.read_many(CUSTOMER, {id: None}))
