"""Where events are posted to: an address that somebody declares, and the secret that signs what is posted."""

import re
from urllib.parse import urlsplit

# A name as DNS takes it, or an address of IPv6.
_HOST = re.compile(r"(?=.{1,254}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?|[0-9a-f:]+(\.[0-9]+){0,3}(%25[a-z0-9]+)?")

_SECRET = re.compile(r"([^/]+)/secrets/([^/]+)")


def signing_secret(written: str) -> tuple[str, str]:
    """Return vault and name of a secret written `VAULT/secrets/NAME`, both empty where it names none."""
    found = _SECRET.fullmatch(written)
    return (found[1], found[2]) if found is not None else ("", "")


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
    if not all("!" <= letter <= "~" for letter in url):
        return "it holds what no URL may: write other characters as %XX"
    if not _HOST.fullmatch(place.hostname):
        return "its host is no name that could be looked up"
    if place.username is not None or place.password is not None:
        return "a user or password does not stand in it: sign events with `secret`"
    if place.fragment:
        return "what stands after `#` is never sent"
    return ""
