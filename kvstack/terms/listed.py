"""Words in a row, as a sentence has them."""

from collections.abc import Iterable


def listed(words: Iterable[str], last: str = "and") -> str:
    """Return `a`, `a and b`, `a, b and c`. last: what stands before the last of several."""
    *others, end = words
    return f"{', '.join(others)} {last} {end}" if others else end
