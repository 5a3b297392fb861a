"""Reports of progress: whoever starts a cluster may pass a function that takes a sentence at a time."""

from collections.abc import Callable

OnProgress = Callable[[str], object]


def silent(sentence: str) -> None:
    """Drop the sentence: nobody asked for progress."""
