"""What an access policy can permit, Azure's older model: permissions by kind, and what each stands for."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal, get_args

from kvstack.terms.near import meant
from kvstack.terms.scope import ItemCollection

AccessModel = Literal["rbac", "access_policies"]
ACCESS_MODELS: Final[tuple[AccessModel, ...]] = get_args(AccessModel)
ALL: Final = "all"

# As Azure spells them, in its order. Source: azure/openapi/resource-manager, KeyPermissions and its kin.
KeyPermission = Literal[
    "encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify", "get", "list", "create", "update", "import",
    "delete", "backup", "restore", "recover", "purge", "release", "rotate", "getrotationpolicy", "setrotationpolicy",
]  # fmt: skip
SecretPermission = Literal["get", "list", "set", "delete", "backup", "restore", "recover", "purge"]
CertificatePermission = Literal[
    "get", "list", "delete", "create", "import", "update", "managecontacts", "getissuers", "listissuers", "setissuers",
    "deleteissuers", "manageissuers", "recover", "purge", "backup", "restore",
]  # fmt: skip
PERMISSIONS: Final[Mapping[ItemCollection, tuple[str, ...]]] = {
    "keys": get_args(KeyPermission),
    "secrets": get_args(SecretPermission),
    "certificates": get_args(CertificatePermission),
}
COLLECTIONS: Final[tuple[ItemCollection, ...]] = ("keys", "secrets", "certificates")

_VAULT: Final = "Microsoft.KeyVault/vaults/"
# Which permissions stand for a data action, each of them enough. Where one data action is two permissions in a policy,
# `get` and `list`, this is `get`; an operation that lists says so.
_ENOUGH: Final = {
    "keys/read": ("keys/get",),
    "keys/delete": ("keys/delete",),
    "keys/wrap/action": ("keys/wrapKey",),
    "keys/unwrap/action": ("keys/unwrapKey",),
    **{
        f"keys/{name}/action": (f"keys/{name}",)
        for name in (
            "encrypt", "decrypt", "sign", "verify", "create", "update", "import", "backup", "restore", "recover",
            "purge", "release", "rotate",
        )
    },
    "keyrotationpolicies/read": ("keys/getrotationpolicy",),
    "keyrotationpolicies/write": ("keys/setrotationpolicy",),
    "secrets/getSecret/action": ("secrets/get",),
    "secrets/readMetadata/action": ("secrets/list",),
    "secrets/setSecret/action": ("secrets/set",),
    "secrets/update/action": ("secrets/set",),
    "secrets/delete": ("secrets/delete",),
    **{f"secrets/{name}/action": (f"secrets/{name}",) for name in ("backup", "restore", "recover", "purge")},
    "certificates/read": ("certificates/get",),
    "certificates/delete": ("certificates/delete",),
    **{
        f"certificates/{name}/action": (f"certificates/{name}",)
        for name in ("create", "import", "update", "backup", "restore", "recover", "purge")
    },
    "certificatecontacts/write": ("certificates/managecontacts",),
    "certificatecas/read": ("certificates/getissuers", "certificates/manageissuers"),
    "certificatecas/write": ("certificates/setissuers", "certificates/manageissuers"),
    "certificatecas/delete": ("certificates/deleteissuers", "certificates/manageissuers"),
}  # fmt: skip

Enough = frozenset[str]
"""Permissions of a policy, `secrets/get`, each of which is enough for something."""

LIST: Final[Mapping[ItemCollection, Enough]] = {kind: frozenset({f"{kind}/list"}) for kind in COLLECTIONS}
# Who sees the value of a secret, or the names of all, sees what is known of one.
SEE_SECRET: Final[Enough] = frozenset({"secrets/get", "secrets/list"})
GET: Final[Mapping[ItemCollection, Enough]] = {kind: frozenset({f"{kind}/get"}) for kind in COLLECTIONS}
# The reference of Azure asks for `getissuers`, its page on permissions for `listissuers`: either is enough.
LIST_ISSUERS: Final[Enough] = frozenset(
    {"certificates/listissuers", "certificates/getissuers", "certificates/manageissuers"}
)
SEE_CONTACTS: Final[Enough] = frozenset({"certificates/managecontacts"})


@lru_cache(maxsize=1024)
def enough(action: str) -> Enough:
    """Return the permissions of a policy each of which stands for a data action; none for one that no policy gives."""
    start, found = _VAULT.lower(), action.lower()
    by_action = {name.lower(): permissions for name, permissions in _ENOUGH.items()}
    return frozenset(by_action.get(found.removeprefix(start), ())) if found.startswith(start) else frozenset()


def spelled(collection: ItemCollection, written: Iterable[str]) -> frozenset[str]:
    """Return permissions as Azure spells them, `all` as every one; what is none stays as it is written."""
    known = {name.lower(): name for name in PERMISSIONS[collection]}
    found = {name.lower(): name for name in written}
    if ALL in found:
        return frozenset(PERMISSIONS[collection]) | {name for key, name in found.items() if key not in {*known, ALL}}
    return frozenset(known.get(key, name) for key, name in found.items())


def in_order(collection: ItemCollection, permissions: Iterable[str]) -> tuple[str, ...]:
    """Return permissions as people read them: in Azure's order, every one as `all`."""
    given = frozenset(permissions)
    if given == frozenset(PERMISSIONS[collection]):
        return (ALL,)
    return tuple(name for name in PERMISSIONS[collection] if name in given)


def permission_problems(collection: ItemCollection, permissions: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with each that is no permission."""
    known = PERMISSIONS[collection]
    for name in sorted(permissions):
        if name not in known:
            near = meant(name, known) or f"; there are {', '.join(known)}, or `{ALL}`"
            yield f"`{name}` is no permission on {collection}{near}"


def permission_words(permissions: Enough) -> str:
    """Return permissions in words: `get` on secrets."""
    collection = next(iter(permissions)).split("/")[0]
    names = sorted(permission.split("/")[1] for permission in permissions)
    return f"{' or '.join(f'`{name}`' for name in names)} on {collection}"
