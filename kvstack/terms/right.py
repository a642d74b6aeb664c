"""What somebody can do, as people say it: the actions of Azure that matter around a vault, by name and in words."""

import re
from functools import cache, lru_cache
from typing import Final

import msgspec

from kvstack.terms.listed import listed
from kvstack.terms.local_role import local_action
from kvstack.terms.near import meant

_VAULT: Final = "Microsoft.KeyVault/vaults/"
# `back up` `secrets`, `sign` `with keys`: what is done, and to what.
_VERB_AND_OBJECT = re.compile(
    r"(?P<verb>.+?) (?P<object>(?:with )?(?:secrets|keys|certificates|the vault|who|access|roles)\b.*)"
)
_WHOLE: Final = {
    "secrets": "secrets",
    "keys": "keys",
    "certificates": "certificates",
    "vaults": "the vault",
    "access": "access",
}


class Right(msgspec.Struct, frozen=True):
    """One action. name: how it is asked for, `secrets/get`; words: what who has it can do, `read secrets`; action:
    Azure's; data: whether it is on the data in a vault; grave: whether it can destroy, or give access away."""

    name: str
    words: str
    action: str
    data: bool = True
    grave: bool = False

    @property
    def collection(self) -> str:
        """What it is on: `keys`, `secrets`, `certificates`, `vaults`, `access` or `hsm`."""
        return self.name.split("/", 1)[0]


def _data(name: str, words: str, action: str, *, grave: bool = False) -> Right:
    return Right(name, words, _VAULT + action, True, grave)


def _manager(name: str, words: str, action: str, *, grave: bool = False) -> Right:
    return Right(name, words, action, False, grave)


RIGHTS: Final = (
    _data("secrets/get", "read secrets", "secrets/getSecret/action"),
    _data("secrets/list", "list secrets", "secrets/readMetadata/action"),
    _data("secrets/set", "set secrets", "secrets/setSecret/action"),
    _data("secrets/update", "change secrets' attributes", "secrets/update/action"),
    _data("secrets/delete", "delete secrets", "secrets/delete", grave=True),
    _data("secrets/recover", "recover secrets", "secrets/recover/action"),
    _data("secrets/purge", "purge secrets", "secrets/purge/action", grave=True),
    _data("secrets/backup", "back up secrets", "secrets/backup/action"),
    _data("secrets/restore", "restore secrets", "secrets/restore/action"),
    _data("keys/get", "see keys", "keys/read"),
    _data("keys/sign", "sign with keys", "keys/sign/action"),
    _data("keys/verify", "verify with keys", "keys/verify/action"),
    _data("keys/encrypt", "encrypt with keys", "keys/encrypt/action"),
    _data("keys/decrypt", "decrypt with keys", "keys/decrypt/action"),
    _data("keys/wrap", "wrap with keys", "keys/wrap/action"),
    _data("keys/unwrap", "unwrap with keys", "keys/unwrap/action"),
    _data("keys/create", "make keys", "keys/create/action"),
    _data("keys/import", "import keys", "keys/import/action"),
    _data("keys/rotate", "rotate keys", "keys/rotate/action"),
    _data("keys/update", "change keys' attributes", "keys/update/action"),
    _data("keys/release", "release keys", "keys/release/action", grave=True),
    _data("keys/delete", "delete keys", "keys/delete", grave=True),
    _data("keys/recover", "recover keys", "keys/recover/action"),
    _data("keys/purge", "purge keys", "keys/purge/action", grave=True),
    _data("keys/backup", "back up keys", "keys/backup/action"),
    _data("keys/restore", "restore keys", "keys/restore/action"),
    _data("keys/get-rotation-policy", "see keys' rotation", "keyrotationpolicies/read"),
    _data("keys/set-rotation-policy", "change keys' rotation", "keyrotationpolicies/write"),
    _data("certificates/get", "see certificates", "certificates/read"),
    _data("certificates/create", "make certificates", "certificates/create/action"),
    _data("certificates/import", "import certificates", "certificates/import/action"),
    _data("certificates/update", "change certificates", "certificates/update/action"),
    _data("certificates/delete", "delete certificates", "certificates/delete", grave=True),
    _data("certificates/recover", "recover certificates", "certificates/recover/action"),
    _data("certificates/purge", "purge certificates", "certificates/purge/action", grave=True),
    _data("certificates/backup", "back up certificates", "certificates/backup/action"),
    _data("certificates/restore", "restore certificates", "certificates/restore/action"),
    _data("certificates/set-contacts", "change certificates' contacts", "certificatecontacts/write"),
    _data("certificates/get-issuers", "see certificates' issuers", "certificatecas/read"),
    _data("certificates/set-issuers", "change certificates' issuers", "certificatecas/write"),
    _data("certificates/delete-issuers", "delete certificates' issuers", "certificatecas/delete"),
    _manager("vaults/get", "see the vault", "Microsoft.KeyVault/vaults/read"),
    _manager("vaults/update", "change the vault", "Microsoft.KeyVault/vaults/write"),
    _manager("vaults/delete", "delete the vault", "Microsoft.KeyVault/vaults/delete", grave=True),
    _manager("vaults/purge", "purge the vault", "Microsoft.KeyVault/locations/deletedVaults/purge/action", grave=True),
    _manager("access/see", "see who has access", "Microsoft.Authorization/roleAssignments/read"),
    _manager("access/give", "give access", "Microsoft.Authorization/roleAssignments/write", grave=True),
    _manager("access/take", "take access away", "Microsoft.Authorization/roleAssignments/delete", grave=True),
    _manager("access/define", "define roles", "Microsoft.Authorization/roleDefinitions/write", grave=True),
)


def _inside(name: str, words: str, action: str, *, grave: bool = False) -> Right:
    return Right(f"hsm/{name}", words, f"Microsoft.KeyVault/managedHsm/{action}", True, grave)


# What only a Managed HSM has; what it shares with a vault is asked for by the vault's name of it.
HSM_RIGHTS: Final = (
    _inside("random", "draw random bytes", "rng/action"),
    _inside("derive", "derive from keys", "keys/derive/action"),
    _inside("export", "export keys", "keys/export/action", grave=True),
    _inside("get-deleted-keys", "see deleted keys", "keys/deletedKeys/read/action"),
    _inside("backup", "back up the Managed HSM", "backup/start/action"),
    _inside("see-backup", "see how its backup goes", "backup/status/action"),
    _inside("restore", "restore the Managed HSM", "restore/start/action", grave=True),
    _inside("see-restore", "see how its restore goes", "restore/status/action"),
    _inside("download-domain", "download its security domain", "securitydomain/download/action", grave=True),
    _inside("see-download", "see how that download goes", "securitydomain/download/read"),
    _inside("upload-domain", "upload a security domain", "securitydomain/upload/action", grave=True),
    _inside("see-upload", "see how that upload goes", "securitydomain/upload/read"),
    _inside("get-transfer-key", "see the key a security domain comes under", "securitydomain/transferkey/read"),
    _inside("see-access", "see who has access inside", "roleAssignments/read/action"),
    _inside("give-access", "give access inside", "roleAssignments/write/action", grave=True),
    _inside("take-access", "take access inside away", "roleAssignments/delete/action", grave=True),
    _inside("see-roles", "see the roles inside", "roleDefinitions/read/action"),
    _inside("define", "define roles inside", "roleDefinitions/write/action", grave=True),
    _inside("undefine", "delete roles inside", "roleDefinitions/delete/action", grave=True),
)
_OF_THE_HSM: Final = {
    "vaults/get": "managedHSMs/read",
    "vaults/update": "managedHSMs/write",
    "vaults/delete": "managedHSMs/delete",
    "vaults/purge": "locations/deletedManagedHsms/purge/action",
}


def at_managed_hsm(right: Right) -> Right | None:
    """Return a right as a Managed HSM has it, by its own action; None for one on what it does not hold."""
    if right.name in _OF_THE_HSM:
        words = right.words.replace("the vault", "the Managed HSM")
        return msgspec.structs.replace(right, words=words, action=f"Microsoft.KeyVault/{_OF_THE_HSM[right.name]}")
    action = local_action(right.action) if right.data else right.action
    return None if action is None else msgspec.structs.replace(right, action=action)


@cache
def _by_name() -> dict[str, Right]:
    everywhere = (*RIGHTS, *HSM_RIGHTS)
    # Where two rights are one action in a Managed HSM (seeing a key, and its rotation), the first one is meant.
    spelled = {
        there.action.lower(): there for one in reversed(everywhere) if (there := at_managed_hsm(one)) is not None
    }
    return spelled | {one.action.lower(): one for one in everywhere} | {one.name: one for one in everywhere}


def right(name: str) -> Right:
    """Return a right by its name, or by Azure's action, in any case. Raises ValueError, suggesting a near one."""
    found = _by_name().get(name.lower())
    if found is None:
        names = [one.name for one in (*RIGHTS, *HSM_RIGHTS)]
        near = meant(name.lower(), names) or f"; there are {', '.join(names)}"
        raise ValueError(f"there is no right `{name}`{near}")
    return found


@cache
def rights_at(level: str, collection: str = "") -> tuple[Right, ...]:
    """Return the rights that can be had at a level of scopes. collection: of the thing, at the level `item`; inside a
    Managed HSM the level is `managed_hsm`.

    A deleted vault is purged with a right at the subscription: its own scope is gone with it.
    """
    match level:
        case "managed_hsm":
            return tuple(one for one in RIGHTS if one.data and local_action(one.action) is not None)
        case "item":
            return tuple(one for one in RIGHTS if one.collection in (collection, "access"))
        case "subscription":
            return RIGHTS
        case _:
            return tuple(one for one in RIGHTS if one.name != "vaults/purge")


@lru_cache(maxsize=4096)
def phrase(names: tuple[str, ...], level: str, collection: str = "") -> str:
    """Return rights in words: `read, list secrets; everything with keys`. level, collection: where they are had."""
    among = rights_at(level, collection)
    held = frozenset(names)
    # Nearly every role has it: beside another right it says nothing.
    if len(held) > 1 and not held.issuperset(one.name for one in among if one.collection == "access"):
        held -= {"access/see"}
    whole: list[str] = []
    by_object: dict[str, list[str]] = {}
    for kind, what in _WHOLE.items():
        possible = [one for one in among if one.collection == kind]
        if len(possible) > 1 and held.issuperset(one.name for one in possible):
            whole.append(what)
            continue
        for one in possible:
            if one.name in held:
                found = _VERB_AND_OBJECT.fullmatch(one.words)
                verb, thing = (found["verb"], found["object"]) if found is not None else (one.words, "")
                by_object.setdefault(thing, []).append(verb)
    parts = [f"everything with {listed(whole)}"] if whole else []
    by_verbs: dict[tuple[str, ...], list[str]] = {}
    for thing, verbs in by_object.items():
        by_verbs.setdefault(tuple(verbs), []).append(thing)
    parts += [f"{', '.join(verbs)} {', '.join(things)}".rstrip() for verbs, things in by_verbs.items()]
    return "; ".join(parts)
