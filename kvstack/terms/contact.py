"""Somebody who is told about a vault's certificates."""

import re
from collections.abc import Iterator
from typing import Final

MOST: Final = 100
LONGEST: Final = 256
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")


def problems(email: str, name: str, phone: str) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for a contact no vault would take."""
    if not _EMAIL.fullmatch(email):
        yield "email", f"`{email}` is no e-mail address"
    for attribute, text in (("name", name), ("phone", phone)):
        if len(text) > LONGEST:
            yield attribute, f"a contact's name and phone have at most {LONGEST} characters"
