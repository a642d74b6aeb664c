"""What keys, secrets and certificates have in common: found, listed, soft-deleted, recovered and purged alike."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any, Generic, Literal, TypeVar

import msgspec

from kvstack.hsm.protocol import KeyMaterial, KeyReference
from kvstack.terms import approval
from kvstack.terms import tags as tag_rules
from kvstack.terms.access_policy import GET, LIST
from kvstack.terms.key import KeySpecification
from kvstack.terms.name import folded, item_name_problem
from kvstack.vault import errors, outbox, soft_delete
from kvstack.vault.agenda import DatedTable
from kvstack.vault.approval_guard import require_approved
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.rows import (
    CERTIFICATE_VERSIONS,
    CERTIFICATES,
    CONTACTS,
    ISSUED,
    ISSUERS,
    PENDING,
    REVOCATION_LISTS,
    CertificateVersionRow,
    PendingRow,
)
from kvstack.vault.dates import KEY_DATES, SECRET_DATES
from kvstack.vault.engine import Attempt, near
from kvstack.vault.errors import BadParameter, VaultError
from kvstack.vault.events import emit_purge_scheduled
from kvstack.vault.material import MaterialOperations
from kvstack.vault.pool_rows import POOL_JOBS, TRANSFER_KEYS
from kvstack.vault.pools import SECURITY_DOMAINS
from kvstack.vault.records import Certificate, Collection, Deletion, Key, Secret, Vault
from kvstack.vault.release_rows import RELEASE_SIGNERS
from kvstack.vault.rotation_attempt import ATTEMPTS
from kvstack.vault.table import Table
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS, KeyVersionRow, SecretVersionRow

KEYS = DatedTable("keys", Key, ("vault_id", "folded"), KEY_DATES)
SECRETS = DatedTable("secrets", Secret, ("vault_id", "folded"), SECRET_DATES)

I = TypeVar("I", bound=Key | Secret | Certificate)  # noqa: E741  # an item
V = TypeVar("V", bound=KeyVersionRow | SecretVersionRow | CertificateVersionRow)  # what the store keeps of a version
T = TypeVar("T")


class Kind(Generic[I]):
    """A kind of item. word: as people say it; noun: as Azure's operation names and codes begin."""

    def __init__(
        self,
        collection: Collection,
        word: Literal["key", "secret", "certificate"],
        noun: str,
        table: "DatedTable[I]",
        read: str,
    ) -> None:
        self.collection = collection
        self.word = word
        self.noun = noun
        self.table: DatedTable[I] = table
        self.read = f"Microsoft.KeyVault/vaults/{collection}/{read}"

    def action(self, name: str) -> str:
        """Return the data action of this name: `delete`, `purge/action`."""
        return f"Microsoft.KeyVault/vaults/{self.collection}/{name}"

    def identity(self, home: Vault, item: I) -> str:
        """Return an item's place among all things, as plans have it."""
        return f"vaults/{home.folded}/{self.collection}/{item.folded}"


# A vault has no right of its own for it.
READ_DELETED_KEYS = "Microsoft.KeyVault/managedHsm/keys/deletedKeys/read/action"

KEY: Kind[Key] = Kind("keys", "key", "Key", KEYS, "read")
SECRET: Kind[Secret] = Kind("secrets", "secret", "Secret", SECRETS, "readMetadata/action")
CERTIFICATE: Kind[Certificate] = Kind("certificates", "certificate", "Certificate", CERTIFICATES, "read")


class ItemOperations(MaterialOperations):
    """The operations on one item, or on all of a vault, that do not care which kind it is."""

    def _delete_item(self, kind: Kind[I], caller: Caller, vault: str, name: str) -> I:
        with (
            self._attempt(caller, f"{kind.noun}Delete", self._item_scope(vault, kind, name)) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, kind.action("delete"), f"{kind.collection}/{name}")
            item = live(attempt, home, kind, name)
            require_unmanaged(kind, item)
            require_approved(attempt, approval.deletion(kind.identity(home, item)))
            deleted = _with_deletion(attempt, kind, item, soft_delete.deletion(self._time(attempt), home, caller))
            emit_purge_scheduled(attempt, home, deleted)
            return deleted

    def _recover_item(self, kind: Kind[I], caller: Caller, vault: str, name: str) -> I:
        with (
            self._attempt(caller, f"{kind.noun}Recover", self._item_scope(vault, kind, name)) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, kind.action("recover/action"), f"{kind.collection}/{name}")
            item, _ = deleted_item(attempt, home, kind, name)
            require_unmanaged(kind, item)
            return _with_deletion(attempt, kind, item, None)

    def _purge_item(self, kind: Kind[I], caller: Caller, vault: str, name: str) -> None:
        with (
            self._attempt(caller, f"{kind.noun}Purge", self._item_scope(vault, kind, name)) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, kind.action("purge/action"), f"{kind.collection}/{name}")
            item, deletion = deleted_item(attempt, home, kind, name)
            require_unmanaged(kind, item)
            soft_delete.require_purgeable(kind.word, item.name, home, deletion, self._time(attempt))
            require_approved(attempt, approval.purge(kind.identity(home, item)))
            self._purge_content(attempt, item)

    def _get_deleted_item(self, kind: Kind[I], caller: Caller, vault: str, name: str) -> I:
        with (
            self._attempt(caller, f"{kind.noun}GetDeleted", self._item_scope(vault, kind, name)) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(
                vault, kind.read, f"{kind.collection}/{name}", local=READ_DELETED_KEYS, permissions=GET[kind.collection]
            )
            return deleted_item(attempt, home, kind, name)[0]

    def _list_items(self, kind: Kind[I], caller: Caller, vault: str, *, deleted: bool) -> tuple[I, ...]:
        operation = f"{kind.noun}ListDeleted" if deleted else f"{kind.noun}List"
        with self._attempt(caller, operation, self._scope(vault)) as attempt, attempt.reading():
            local = READ_DELETED_KEYS if deleted else None
            home = attempt.vault(vault, kind.read, local=local, permissions=LIST[kind.collection])
            items = kind.table.scan(attempt.tx, vault_id=home.id)
            found = [item for item in items if (item.deletion is not None) == deleted]
            return tuple(sorted(found, key=lambda item: item.folded))

    def _list_versions(
        self,
        kind: Kind[I],
        table: Table[V],
        record: Callable[[Vault, I, V], T],
        caller: Caller,
        vault: str,
        name: str,
    ) -> tuple[T, ...]:
        """Return a record of each version, oldest first; none of what is not there, as on Azure."""
        with (
            self._attempt(caller, f"{kind.noun}ListVersions", self._item_scope(vault, kind, name)) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, kind.read, f"{kind.collection}/{name}", permissions=LIST[kind.collection])
            item = kind.table.get(attempt.tx, home.id, folded(name))
            if item is None or item.deletion is not None:
                return ()
            rows = table.scan(attempt.tx, vault_id=home.id, folded=item.folded)
            return tuple(record(home, item, row) for row in sorted(rows, key=lambda row: row.number))

    def _purge_content(self, attempt: Attempt, item: Key | Secret | Certificate) -> None:
        """Remove an item with all its versions; an HSM forgets a key only once that is committed."""
        match item:
            case Key():
                for row in KEY_VERSIONS.scan(attempt.tx, vault_id=item.vault_id, folded=item.folded):
                    attempt.forget_later(self._reference(row))
                    KEY_VERSIONS.delete(attempt.tx, row.vault_id, row.folded, row.version)
                KEYS.delete(attempt.tx, item.vault_id, item.folded)
            case Secret():
                for version in SECRET_VERSIONS.scan(attempt.tx, vault_id=item.vault_id, folded=item.folded):
                    SECRET_VERSIONS.delete(attempt.tx, version.vault_id, version.folded, version.version)
                ATTEMPTS.delete(attempt.tx, item.vault_id, item.folded)
                SECRETS.delete(attempt.tx, item.vault_id, item.folded)
            case Certificate():
                for linked in linked_items(attempt, item):
                    self._purge_content(attempt, linked)
                self._drop_pending(attempt, item)
                for issued in CERTIFICATE_VERSIONS.scan(attempt.tx, vault_id=item.vault_id, folded=item.folded):
                    CERTIFICATE_VERSIONS.delete(attempt.tx, issued.vault_id, issued.folded, issued.version)
                for given in ISSUED.scan(attempt.tx, vault_id=item.vault_id, folded=item.folded):
                    ISSUED.delete(attempt.tx, given.vault_id, given.folded, given.serial)
                for published in REVOCATION_LISTS.scan(attempt.tx, vault_id=item.vault_id, folded=item.folded):
                    REVOCATION_LISTS.delete(attempt.tx, published.vault_id, published.folded, published.key_id)
                CERTIFICATES.delete(attempt.tx, item.vault_id, item.folded)

    def _drop_pending(self, attempt: Attempt, item: Certificate) -> None:
        """Forget the request somebody else has to sign, with its key where nothing else has it."""
        row = PENDING.get(attempt.tx, item.vault_id, item.folded)
        if row is None:
            return
        if not row.reused:
            specification = row.policy.key.specification
            attempt.forget_later(self._pending_reference(row, specification))
        PENDING.delete(attempt.tx, item.vault_id, item.folded)

    def _pending_reference(self, row: PendingRow, specification: KeySpecification) -> KeyReference:
        """Return the key of a pending request as its provider takes it."""
        blob = self._barrier.open(row.vault_id, pending_context(row.vault_id, row.folded, row.id), row.sealed)
        material = KeyMaterial(row.provider, blob, row.public)
        return KeyReference(f"{row.vault_id}/{row.folded}/{row.id}", specification, material)

    def _free_name(self, attempt: Attempt, home: Vault, kind: Kind[I], name: str) -> I | None:
        """Return the live item of this name; make way where retention of a deleted one has ended, else refuse."""
        item = kind.table.get(attempt.tx, home.id, folded(name))
        # Of a certificate that is still pending there is no key and no secret yet: it has their name all the same.
        if kind.collection != "certificates" and CERTIFICATES.generation(attempt.tx, home.id, folded(name)) is not None:
            raise errors.managed(kind.word, name, home.name)
        if item is None or item.deletion is None:
            return item
        if not soft_delete.past(item.deletion, self._time(attempt)):
            where = f" in {home.kind} `{home.name}`"
            raise errors.deleted_but_recoverable(kind.word, item.name, where, item.deletion.scheduled_purge)
        if attempt.changing:
            attempt.details["purged"] = f"{item.name}, soft-deleted until {item.deletion.scheduled_purge.isoformat()}"
            self._purge_content(attempt, item)
        return None

    def _purge_vault(self, attempt: Attempt, vault: Vault, left: list[str] | None = None) -> None:
        """Remove a vault with all that is in it, and the key its values are under: they are gone for good. left: is
        told what is left of a Managed HSM's tokens, once that is known."""
        if vault.pool is not None:
            self._purge_pool(attempt, vault)
            attempt.afterwards(partial(self._destroy_tokens, [] if left is None else left))
            return
        for kind in (CERTIFICATE, KEY, SECRET):
            for item in kind.table.scan(attempt.tx, vault_id=vault.id):
                self._purge_content(attempt, item)
        for issuer in ISSUERS.scan(attempt.tx, vault_id=vault.id):
            ISSUERS.delete(attempt.tx, issuer.vault_id, issuer.folded)
        CONTACTS.delete(attempt.tx, vault.id)
        outbox.remove(attempt.tx, outbox.contacts(vault, ()))
        signer = RELEASE_SIGNERS.get(attempt.tx, vault.id)
        if signer is not None:
            attempt.forget_later(self._signer_reference(signer))
            RELEASE_SIGNERS.delete(attempt.tx, vault.id)
        self._barrier.destroy_data_key(attempt.tx, vault.id)
        attempt.changes_registry().remove_vault(attempt.tx, vault)

    def _purge_pool(self, attempt: Attempt, vault: Vault) -> None:
        """Remove a Managed HSM from the store. Its keys were wrapped: their tokens hold nothing of a single one."""
        for row in KEY_VERSIONS.scan(attempt.tx, vault_id=vault.id):
            KEY_VERSIONS.delete(attempt.tx, row.vault_id, row.folded, row.version)
        for item in KEYS.scan(attempt.tx, vault_id=vault.id):
            KEYS.delete(attempt.tx, item.vault_id, item.folded)
        for job in POOL_JOBS.scan(attempt.tx, vault_id=vault.id):
            POOL_JOBS.delete(attempt.tx, job.vault_id, job.id)
        SECURITY_DOMAINS.delete(attempt.tx, vault.id)
        TRANSFER_KEYS.delete(attempt.tx, vault.id)
        RELEASE_SIGNERS.delete(attempt.tx, vault.id)
        self._barrier.destroy_data_key(attempt.tx, vault.id)
        registry = attempt.changes_registry()
        registry.remove_local(attempt.tx, vault)
        registry.remove_vault(attempt.tx, vault)

    def _item_scope(self, vault: str, kind: Kind[Any], name: str) -> Any:
        return self._scope(vault, f"{kind.collection}/{name}")


def linked_items(attempt: Attempt, certificate: Certificate) -> Iterator[Key | Secret]:
    """Yield the key and the secret of a certificate; there are none while its first version is pending."""
    for kind in (KEY, SECRET):
        item = kind.table.get(attempt.tx, certificate.vault_id, certificate.folded)
        if item is not None and item.managed:
            yield item


def previous_since(there: Key | Secret | Certificate | None, now: datetime) -> datetime | None:
    """Return since when there is a version for the scheduler to disable, now that another one follows."""
    if there is None:
        return None
    return there.previous_since or (now if there.enabled else None)


def followed(attempt: Attempt, table: Table[V], item: Key | Secret | Certificate) -> Iterator[tuple[V, datetime]]:
    """Yield (version, when another one followed it) of all but the newest, oldest first."""
    rows = sorted(
        table.scan(attempt.tx, vault_id=item.vault_id, folded=item.folded), key=lambda version: version.number
    )
    return ((row, later.created) for row, later in pairwise(rows))


def newest_enabled(attempt: Attempt, table: Table[V], row: V) -> V:
    """Return the newest version that is enabled, for an id without a version; the newest of all where none is. row: the
    newest."""
    if row.enabled:
        return row
    enabled = [one for one in table.scan(attempt.tx, vault_id=row.vault_id, folded=row.folded) if one.enabled]
    return max(enabled, key=lambda one: one.number, default=row)


def require_unmanaged(kind: Kind[I], item: I) -> None:
    """Refuse to touch by itself what is a certificate's."""
    if getattr(item, "managed", False):
        raise errors.managed(kind.word, item.name, item.vault)


def pending_context(vault_id: str, name: str, request: str) -> tuple[str, ...]:
    """Return the place of a pending request's key."""
    return vault_id, "pending", name, request, "material"


def _with_deletion(attempt: Attempt, kind: Kind[I], item: I, deletion: Deletion | None) -> I:
    """Keep an item deleted, or alive again; with a certificate its key and its secret."""
    changed = msgspec.structs.replace(item, deletion=deletion)
    kind.table.put(attempt.tx, changed)
    if isinstance(item, Certificate):
        for linked in linked_items(attempt, item):
            match linked:
                case Key():
                    KEYS.put(attempt.tx, msgspec.structs.replace(linked, deletion=deletion))
                case Secret():
                    SECRETS.put(attempt.tx, msgspec.structs.replace(linked, deletion=deletion))
    return changed


def live(attempt: Attempt, home: Vault, kind: Kind[I], name: str) -> I:
    """Return a live item. Raises NotFound."""
    item = kind.table.get(attempt.tx, home.id, folded(name))
    if item is None or item.deletion is not None:
        raise _item_not_found(attempt, home, kind, name, item)
    return item


def deleted_item(attempt: Attempt, home: Vault, kind: Kind[I], name: str) -> tuple[I, Deletion]:
    """Return a soft-deleted item, and its deletion. Raises NotFound."""
    item = kind.table.get(attempt.tx, home.id, folded(name))
    if item is None or item.deletion is None:
        where = f" in {home.kind} `{home.name}`"
        raise errors.not_found(f"soft-deleted {kind.word}", name, where, code=f"{kind.noun}NotFound")
    return item, item.deletion


def _item_not_found(attempt: Attempt, home: Vault, kind: Kind[I], name: str, item: I | None) -> VaultError:
    where = f" in {home.kind} `{home.name}`"
    code = f"{kind.noun}NotFound"
    if item is not None and item.deletion is not None:
        error = errors.not_found(kind.word, item.name, f"{where}, it is soft-deleted", code=code)
        return error.with_detail(f"Recover it, before {errors.day(item.deletion.scheduled_purge)}.")
    names: list[str] = []
    scope = attempt.scope_of(home)
    if attempt.may(kind.read, scope, data=True, permissions=LIST[kind.collection]):
        names = [one.name for one in kind.table.scan(attempt.tx, vault_id=home.id) if one.deletion is None]
    return errors.not_found(kind.word, name, where, near(name, names), code=code)


def version_not_found(kind: Kind[I], item: I, version: str) -> VaultError:
    """Return the refusal for a version that is not there."""
    return errors.not_found(f"version of the {kind.word}", f"{item.name}/{version}", "", code=f"{kind.noun}NotFound")


def moment(attribute: str, value: datetime | None) -> datetime | None:
    """Return a moment in UTC. Raises BadParameter for one without a time zone: nobody knows when that is."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise BadParameter(f"{attribute}: {value.isoformat()} has no time zone")
    return value.astimezone(UTC)


def attribute_problems(
    kind: Kind[Any], name: str, tags: Mapping[str, str], not_before: datetime | None, expires: datetime | None
) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for what keys, secrets and certificates share."""
    problem = item_name_problem(name)
    if problem:
        yield "name", problem
    for tag, words in tag_rules.problems(tags, secret=kind.collection == "secrets"):
        yield f"tags.{tag}" if tag else "tags", words
    if not_before is not None and expires is not None and expires <= not_before:
        yield "expires", f"expires at {errors.day(expires)}, not after not_before at {errors.day(not_before)}"
