"""What of a list is asked for: `$filter`, as Azure's clients write it."""

import re
from collections.abc import Mapping
from typing import Final

from kvstack.server.answer import Refusal, refused

_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_CALLED = re.compile(r"(\w+)\s*\(\s*(?:'([^']*)')?\s*\)")
_COMPARED = re.compile(r"(\w+)\s+eq\s+'([^']*)'", re.IGNORECASE)
AT_SCOPE: Final = "atScope"
PRINCIPAL: Final = "principalId"
ASSIGNED_TO: Final = "assignedTo"
AS_TARGET: Final = "asTarget"


def filtered(query: Mapping[str, str], known: tuple[str, ...], code: str = "InvalidFilter") -> Mapping[str, str]:
    """Return the conditions of a filter, all of which have to hold: each name with its value, empty for `name()`.
    known: the names there are; code: Azure's for a filter that is none. Raises Refusal for what nothing here is
    filtered by."""
    text = query.get("$filter", "").strip()
    found: dict[str, str] = {}
    spelled = {name.lower(): name for name in known}
    for one in _AND.split(text) if text else ():
        matched = _CALLED.fullmatch(one.strip()) or _COMPARED.fullmatch(one.strip())
        name = spelled.get(matched[1].lower()) if matched is not None else None
        if matched is None or name is None:
            words = f"`$filter` is made of {', '.join(known)}, with `and` between them."
            raise Refusal(refused(400, code, words))
        found[name] = matched[2] or ""
    return found
