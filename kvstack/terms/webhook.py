"""Where events are posted to: an address that somebody declares."""

from urllib.parse import SplitResult, urlsplit


def webhook_problem(url: str) -> str:
    """Return why no event could be posted to an address, empty where nothing is wrong with it."""
    try:
        place = urlsplit(url)
        port = place.port
    except ValueError:
        return "it is no URL"
    if place.scheme not in ("https", "http"):
        return "events are posted over https"
    if not place.hostname or port == 0:
        return "it names no host"
    if place.username is not None or place.password is not None:
        return "a user or password does not stand in it: sign events with `secret`"
    if place.fragment:
        return "what stands after `#` is never sent"
    if not _plain(place):
        return "it holds what no URL may: write other characters as %XX"
    return ""


def _plain(place: SplitResult) -> bool:
    return all("!" <= letter <= "~" for letter in place.geturl())
