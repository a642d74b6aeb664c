"""Who asks: a user, a group, a service principal or a managed identity."""

import re
from typing import Annotated, Literal, get_args

import msgspec

PrincipalType = Literal["user", "group", "service_principal", "managed_identity"]
PRINCIPAL_TYPES: tuple[PrincipalType, ...] = get_args(PrincipalType)

GUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$(?!\n)"
Guid = Annotated[str, msgspec.Meta(pattern=GUID)]
_GUID = re.compile(GUID)
# Azure's name for every principal there is.
EVERYONE = "00000000-0000-0000-0000-000000000000"


class Principal(msgspec.Struct, frozen=True):
    """One principal. id: its object id, a GUID in lower case. members: object ids of a group's direct members."""

    id: str
    type: PrincipalType
    name: str = ""
    members: frozenset[str] = frozenset()


def is_guid(text: str) -> bool:
    """Tell whether a text is a GUID, in either case."""
    return _GUID.fullmatch(text) is not None
