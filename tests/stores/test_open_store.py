"""Stores open by URL."""

import pytest

from eslab import InvalidInput, open_store
from eslab.stores import url_options


@pytest.mark.parametrize("url", ["", "sqlite", "sqlite://[", "redis://host", "lab.db", "Memory:", ":", "/tmp/lab.db"])
def test_a_url_without_a_known_scheme_is_refused(url: str) -> None:
    """With examples of what is expected."""
    with pytest.raises(InvalidInput, match=r"Expected (a store URL|sqlite:///relative\.db).*, got '"):
        open_store(url)


@pytest.mark.parametrize("url", ["memory", "memory:x", "memory://", "memory:?mode=ro"])
def test_memory_takes_nothing_behind_its_colon(url: str) -> None:
    """Each `memory:` is a store of its own, so there is nothing to name."""
    with pytest.raises(InvalidInput, match="Expected memory: and nothing after it, got"):
        open_store(url)


def test_options_stand_over_their_defaults() -> None:
    """What isn't given keeps its default; an unknown option is refused with those there are."""
    assert url_options("sqlite:///x?a=1&b=%2F", {"a": "0", "b": "", "c": "2"}) == {"a": "1", "b": "/", "c": "2"}
    with pytest.raises(InvalidInput, match=r"Expected options among \['a'\] in the store URL, got \['b', 'c'\]"):
        url_options("sqlite:///x?c=&b", {"a": ""})


@pytest.mark.parametrize("url", ["casandra://ann:s3cret@host/lab", "cassandra://ann:s3cret@[/lab?x=1"])
def test_a_password_is_never_shown(url: str) -> None:
    """Not even where the URL can't be used at all."""
    with pytest.raises(InvalidInput) as error:
        open_store(url)
    assert "s3cret" not in str(error.value)
