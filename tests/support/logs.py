"""Logs that hypothesis draws: minutes and events of a counter."""

from hypothesis import strategies as st

from tests.support.sample import Counted, Voided

LOG = st.lists(
    st.tuples(
        st.integers(0, 300),
        st.sampled_from([Counted("tea"), Counted("milk", 3), Counted("salt", -1), Voided("milk"), Voided("salt")]),
    ),
    unique_by=lambda pair: pair[0],
    min_size=1,
    max_size=12,
)
