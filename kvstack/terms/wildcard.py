"""Texts in which `*` stands for anything."""

import re
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=4096)
def wildcard(written: str, *, any_case: bool = True) -> re.Pattern[str]:
    """Return what matches every text such a pattern stands for. any_case: whether case does not count."""
    return re.compile(re.escape(written).replace(r"\*", ".*"), re.DOTALL | (re.IGNORECASE if any_case else 0))


def matches_any(written: str, texts: Iterable[str]) -> bool:
    """Tell whether a pattern stands for one of these texts; case does not count."""
    return any(map(wildcard(written).fullmatch, texts))
