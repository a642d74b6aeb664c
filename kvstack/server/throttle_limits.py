"""How much may be asked of a vault or a Managed HSM in a time: Azure's limits, as values. Source: azure/facts.md.

Azure weighs the use of keys: all kinds of keys draw on one sum, and each costs what makes its own limit come out of it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from kvstack.server.data_plane.api import SCOPE, Operation
from kvstack.server.request import Request
from kvstack.terms.key import KeySpecification, KeyType

SUBSCRIPTION_FACTOR: Final = 5


class Limit(msgspec.Struct, frozen=True):
    """What may be asked. number: which counter it has, from 0; most: units in so many seconds, of one vault; shared:
    whether all vaults of the subscription together have a limit too, five times this one."""

    number: int
    most: int
    seconds: int
    shared: bool = True


HSM_CREATION: Final = Limit(0, 10, 10)
SOFTWARE_CREATION: Final = Limit(1, 20, 10)
KEYS: Final = Limit(2, 4000, 10)
STORING: Final = Limit(3, 300, 10)
REST: Final = Limit(4, 4000, 10)
# A Managed HSM throttles none of what is done with its keys, on Azure neither: it is as fast as its tokens are.
LOCAL_ROLES: Final = Limit(5, 5, 1, shared=False)
WHOLE: Final = Limit(6, 1, 1, shared=False)
LIMITS: Final = (HSM_CREATION, SOFTWARE_CREATION, KEYS, STORING, REST, LOCAL_ROLES, WHOLE)

_CREATING: Final = frozenset({"CreateKey", "RotateKey"})
_STORING: Final = frozenset({"SetSecret", "ImportKey", "ImportCertificate"})
_WHOLE: Final = frozenset(
    {"FullBackup", "PreFullBackup", "FullRestoreOperation", "PreFullRestoreOperation", "SelectiveKeyRestoreOperation"}
)
_KEY: Final = (("keys", "{}"), ("deletedkeys", "{}"))
# Of a software key; one in an HSM costs twice that.
_RSA_COST: Final[Mapping[int | None, int]] = {3072: 4, 4096: 8}


class Charge(msgspec.Struct, frozen=True):
    """What one request costs. cost: units of the limit."""

    limit: Limit
    cost: int = 1


def is_of_a_key(operation: Operation) -> bool:
    """Tell whether an operation is on one key, whose name is the first in its path."""
    return operation.path[:2] in _KEY


def charge(operation: Operation, key: KeySpecification | None, *, managed_hsm: bool) -> Charge | None:
    """Return what an operation costs, None for one that is not counted. key: the one that it is on, or makes; None
    where it is on none, or on one that is not there."""
    if managed_hsm:
        if operation.path[0] == SCOPE:
            return Charge(LOCAL_ROLES)
        return Charge(WHOLE) if operation.id in _WHOLE else None
    if operation.id in _CREATING:
        return Charge(HSM_CREATION if key is not None and key.in_hsm else SOFTWARE_CREATION)
    if operation.id in _STORING:
        return Charge(STORING)
    return Charge(KEYS, cost(key)) if key is not None and is_of_a_key(operation) else Charge(REST)


def kind_of_new_key(request: Request) -> KeySpecification | None:
    """Return what kind of key a request is to make, None where that cannot be read: it makes none, then."""
    try:
        return KeySpecification(msgspec.json.decode(request.body, type=_NewKey).kty)
    except (ValueError, RecursionError):
        return None


class _NewKey(msgspec.Struct, frozen=True):
    kty: KeyType


def cost(key: KeySpecification) -> int:
    """Return what it costs to use or to look at a key."""
    size = key.size if key.family == "RSA" else None
    return _RSA_COST.get(size, 1) * (2 if key.in_hsm else 1)
