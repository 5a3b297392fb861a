"""A Cassandra store whose session, keyspace and tables the tests look at themselves."""

from collections.abc import Iterator

import pytest

from eslab.stores.cassandra import CassandraStore
from tests.support.cassandra import Pool


@pytest.fixture
def tables(pool: Pool) -> Iterator[CassandraStore]:
    """A store on the one node, its tables empty."""
    yield pool.lend()
    pool.take_back()
