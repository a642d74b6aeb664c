"""The one style of all pages, under a name that changes with it, so that browsers may keep it for good."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from kvstack.server.answer import Answer, Header

_KEPT: Final[tuple[Header, ...]] = (
    (b"content-type", b"text/css; charset=utf-8"),
    (b"cache-control", b"public, max-age=31536000, immutable"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@cache
def style() -> bytes:
    """Return the style."""
    return files("kvstack.server.portal").joinpath("style.css").read_bytes()


@cache
def style_name() -> str:
    """Return what its file is called at this server."""
    return f"style-{hashlib.sha256(style()).hexdigest()[:16]}.css"


def style_answer() -> Answer:
    """Answer a browser that asks for it."""
    return Answer(200, style(), _KEPT)
