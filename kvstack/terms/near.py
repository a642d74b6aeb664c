"""What somebody may have meant by a name that is not there."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest, where one is near enough."""
    from difflib import get_close_matches  # costs 5 ms, and is needed only when something is wrong

    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def meant(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?`, or nothing."""
    found = nearest(name, known)
    return f"; did you mean `{found}`?" if found else ""
