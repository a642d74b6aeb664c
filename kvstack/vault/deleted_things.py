"""Everything soft-deleted that whoever acts may see, in all vaults; and bringing it back, or ending it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from kvstack.terms.diagnostic import Diagnostic, KvstackError

if TYPE_CHECKING:
    from kvstack.vault.caller import Caller
    from kvstack.vault.records import Collection, Vault
    from kvstack.vault.service import VaultService

Kind = Literal["vault", "managed-hsm", "key", "secret", "certificate"]


class DeletedThing(msgspec.Struct, frozen=True):
    """One soft-deleted thing. vault: its vault or Managed HSM, itself for one of those; by: who deleted it, by id;
    protected: nobody may purge it before `purge_due`."""

    kind: Kind
    vault: str
    name: str
    deleted: datetime
    purge_due: datetime
    by: str
    protected: bool

    @property
    def written(self) -> str:
        """How it is named to a verb: `VAULT`, or `VAULT/keys/NAME`."""
        return self.vault if self.kind in _HOMES else f"{self.vault}/{self.kind}s/{self.name}"


class _Ways(msgspec.Struct, frozen=True):
    """What the service calls a kind. listed, recover, purge: its operations."""

    listed: str
    recover: str
    purge: str


_WAYS: Final[dict[Kind, _Ways]] = {
    "vault": _Ways("list_deleted_vaults", "recover_vault", "purge_vault"),
    "managed-hsm": _Ways("list_deleted_managed_hsms", "recover_managed_hsm", "purge_managed_hsm"),
    "certificate": _Ways("list_deleted_certificates", "recover_certificate", "purge_certificate"),
    "key": _Ways("list_deleted_keys", "recover_key", "purge_key"),
    "secret": _Ways("list_deleted_secrets", "recover_secret", "purge_secret"),
}
KINDS: Final[tuple[Kind, ...]] = tuple(_WAYS)
_COLLECTIONS: Final[dict[Kind, "Collection"]] = {"key": "keys", "secret": "secrets", "certificate": "certificates"}
_PART: Final = 200
# Going through so many takes some 20 ms.
_LOOKS_AT: Final = 2000
# What other things are in: it comes back before them.
_HOMES: Final = ("vault", "managed-hsm")


def deleted_things(
    service: "VaultService", caller: "Caller", *, in_parts: bool = False
) -> tuple[list[DeletedThing], list[Diagnostic]]:
    """Return what is soft-deleted, vaults first, then by vault, kind and name; and what nobody let us look into.
    in_parts: whether others are at work in this process, and should not have to wait until all is gone through.

    What is in a deleted vault is not in the list: it comes back with the vault.
    """
    from kvstack.vault.errors import VaultError

    found = [_home(one) for kind in _HOMES for one in _call(service, _WAYS[kind].listed)(caller)]
    unseen = []
    # Before it is activated there can be nothing in a Managed HSM.
    activated = [one for one in service.list_managed_hsms(caller) if one.pool is not None and one.pool.activated]
    for home in (*service.list_vaults(caller), *activated):
        for kind in ("certificate", "key", "secret") if home.pool is None else ("key",):
            try:
                items = _listed(service, caller, home.name, kind, in_parts=in_parts)
            except VaultError as error:
                unseen.append(
                    Diagnostic(
                        severity="warning",
                        summary=f"the deleted {kind}s of `{home.name}` are not listed",
                        detail=error.summary,
                    )
                )
                continue
            found += [_item(kind, home, item) for item in items if not getattr(item, "managed", False)]
    return sorted(
        found, key=lambda one: (one.kind not in _HOMES, one.vault.lower(), one.kind, one.name.lower())
    ), unseen


def deleted_in(service: "VaultService", caller: "Caller", vault: str) -> list[DeletedThing]:
    """Return what is soft-deleted in one vault, which the caller need not see itself, as far as he may list it. Raises
    VaultError where he may list nothing."""
    from kvstack.vault.errors import VaultError

    managed_hsm = bool(service.is_managed_hsm(vault))
    found, refusals = [], []
    kinds: tuple[Kind, ...] = ("key",) if managed_hsm else ("certificate", "key", "secret")
    for kind in kinds:
        try:
            items = _listed(service, caller, vault, kind, in_parts=True)
        except VaultError as error:
            refusals.append(error)
            continue
        retention = service.retention(vault)
        protected = retention is not None and "Purgeable" not in retention.level
        found += [
            DeletedThing(
                kind,
                one.vault,
                one.name,
                one.deletion.deleted,
                one.deletion.scheduled_purge,
                one.deletion.by,
                protected,
            )
            for one in items
            if not getattr(one, "managed", False)
        ]
    if len(refusals) == len(kinds):
        raise refusals[0]
    return sorted(found, key=lambda one: (one.kind, one.name.lower()))


def meant(things: list[DeletedThing], written: tuple[str, ...]) -> list[DeletedThing]:
    """Return the things that are named. Raises KvstackError with all that are not there."""
    by_name = {one.written.lower(): one for one in things}
    missing = [name for name in written if name.lower() not in by_name]
    if missing:
        from kvstack.terms.diagnostic import InvalidInput
        from kvstack.terms.near import meant as near

        raise InvalidInput(
            tuple(
                Diagnostic(
                    summary=f"nothing soft-deleted is called `{name}`{near(name, [one.written for one in things])}",
                    detail="`kvstack deleted list` shows what there is.",
                )
                for name in missing
            )
        )
    return [by_name[name.lower()] for name in written]


def recovered(
    service: "VaultService", caller: "Caller", things: list[DeletedThing]
) -> Iterator[tuple[DeletedThing, KvstackError | None]]:
    """Bring things back, vaults before what may be in them, and yield each with what went wrong, if anything did."""
    yield from _each(service, caller, things, lambda ways: ways.recover, homes_first=True)


def purged(
    service: "VaultService", caller: "Caller", things: list[DeletedThing]
) -> Iterator[tuple[DeletedThing, KvstackError | None]]:
    """Destroy things for good, and yield each with what went wrong, if anything did."""
    yield from _each(service, caller, things, lambda ways: ways.purge, homes_first=False)


def _each(
    service: "VaultService",
    caller: "Caller",
    things: list[DeletedThing],
    way: Callable[[_Ways], str],
    *,
    homes_first: bool,
) -> Iterator[tuple[DeletedThing, KvstackError | None]]:
    for one in sorted(things, key=lambda one: (one.kind in _HOMES) != homes_first):
        names = (one.vault,) if one.kind in _HOMES else (one.vault, one.name)
        try:
            _call(service, way(_WAYS[one.kind]))(caller, *names)
        except KvstackError as error:
            yield one, error
        else:
            yield one, None


def _listed(service: "VaultService", caller: "Caller", vault: str, kind: Kind, *, in_parts: bool) -> list[Any]:
    """Return what of one kind is deleted in a vault."""
    if not in_parts:
        return list(_call(service, _WAYS[kind].listed)(caller, vault))
    found: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = service.list_page(
            caller, vault, _COLLECTIONS[kind], deleted=True, after=after, size=_PART, looks_at=_LOOKS_AT
        )
        found += page.items
        after = page.after
    return found


def _call(service: Any, operation: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(service, operation)
    return found


def _home(vault: "Vault") -> DeletedThing:
    deletion = vault.deletion
    assert deletion is not None  # noqa: S101  # the list is of deleted ones
    kind: Kind = "vault" if vault.pool is None else "managed-hsm"
    return DeletedThing(
        kind, vault.name, vault.name, deletion.deleted, deletion.scheduled_purge, deletion.by, vault.purge_protection
    )


def _item(kind: Kind, home: "Vault", item: Any) -> DeletedThing:
    deletion = item.deletion
    return DeletedThing(
        kind, home.name, item.name, deletion.deleted, deletion.scheduled_purge, deletion.by, home.purge_protection
    )
