"""Certificates: made, renewed, changed, read, soft-deleted, recovered, purged."""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.terms.certificate import CertificatePolicy
from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.making import MakingOperations, Order, require_place, require_valid_policy
from kvstack.vault.certificates.rows import (
    CERTIFICATE_VERSIONS,
    CERTIFICATES,
    PENDING,
    Certificate,
)
from kvstack.vault.certificates.trio import (
    certificate_record,
    certificate_version,
    require_valid_attributes,
    require_valid_tags,
)
from kvstack.vault.engine import Attempt
from kvstack.vault.items import CERTIFICATE, KEYS, SECRETS, live, newest_enabled
from kvstack.vault.records import CertificateVersion, Vault
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS

CREATE = CERTIFICATE.action("create/action")
UPDATE = CERTIFICATE.action("update/action")


class CertificateOperations(MakingOperations):
    """What can be done with certificates; requests somebody else signs are in `pending.py`."""

    def create_certificate(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        policy: CertificatePolicy,
        enabled: bool = True,
        tags: Mapping[str, str] | None = None,
        only_if_absent: bool = False,
    ) -> Certificate:
        """Make a certificate with its key and secret, or a new version of one that is there. With the issuer `Unknown`
        what is made is a request, and the certificate is pending until it is merged. only_if_absent: raise Conflict
        where there is one."""
        own_tags = dict(tags or {})
        with self._attempt(caller, "CertificateCreate", self._scope(vault, f"certificates/{name}")) as attempt:

            def checked() -> Order:
                home = attempt.vault(vault, CREATE, f"certificates/{name}")
                require_valid_attributes(name, own_tags)
                resolved = require_valid_policy(policy)
                there = self._free_certificate_name(attempt, home, name)
                if there is not None and only_if_absent:
                    raise errors.already_there(CERTIFICATE.word, there.name, home.name)
                return self._order(attempt, home, there, name, resolved, enabled=enabled, tags=own_tags)

            return self._made(attempt, checked)

    def renew_certificate(self, caller: Caller, vault: str, name: str) -> Certificate:
        """Make a new version by the certificate's policy, with a new key unless the policy keeps it."""
        with self._attempt(caller, "CertificateRenew", self._scope(vault, f"certificates/{name}")) as attempt:

            def found() -> tuple[Vault, Certificate]:
                home = attempt.vault(vault, CREATE, f"certificates/{name}")
                return home, live(attempt, home, CERTIFICATE, name)

            return self._renewed(attempt, found)

    def _renewed(self, attempt: Attempt, found: Callable[[], tuple[Vault, Certificate]]) -> Certificate:
        """Make a certificate's next version, if it still is to have one."""

        def checked() -> Order:
            home, there = found()
            return self._order(
                attempt,
                home,
                there,
                there.name,
                there.policy,
                enabled=there.enabled,
                tags=there.tags,
                by_rotation=True,
            )

        return self._made(attempt, checked)

    def update_certificate(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        version: str | None = None,
        enabled: bool | UnsetType = UNSET,
        tags: Mapping[str, str] | UnsetType = UNSET,
    ) -> Certificate:
        """Change the attributes of one version; its key and its secret are enabled and disabled with it."""
        with (
            self._attempt(caller, "CertificateUpdate", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, UPDATE, f"certificates/{name}")
            item = live(attempt, home, CERTIFICATE, name)
            attempt.at_item(home, f"certificates/{item.name}")
            if tags is not UNSET:
                require_valid_tags(tags)
            wanted = {
                **({} if enabled is UNSET else {"enabled": enabled}),
                **({} if tags is UNSET else {"tags": dict(tags)}),
                "updated": attempt.now,
            }
            if not item.version and version is None:
                changed = msgspec.structs.replace(item, **wanted)
                CERTIFICATES.put(attempt.tx, changed)
                self._change_pending(attempt, item, wanted)
                return changed
            row = certificate_version(attempt, item, version)
            CERTIFICATE_VERSIONS.put(attempt.tx, msgspec.structs.replace(row, **wanted))
            newest = row.version == item.version
            if enabled is not UNSET:
                self._enable_linked(attempt, item, row.version, enabled, newest=newest)
            if newest:
                item = msgspec.structs.replace(item, **wanted)
                CERTIFICATES.put(attempt.tx, item)
            return item

    def set_certificate_policy(
        self, caller: Caller, vault: str, name: str, policy: CertificatePolicy
    ) -> CertificatePolicy:
        """Set how the next versions are made; those that are there stay as they are."""
        with (
            self._attempt(caller, "CertificatePolicySet", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, UPDATE, f"certificates/{name}")
            item = live(attempt, home, CERTIFICATE, name)
            attempt.at_item(home, f"certificates/{item.name}")
            resolved = require_valid_policy(policy)
            require_place(home, resolved)
            CERTIFICATES.put(attempt.tx, msgspec.structs.replace(item, policy=resolved, updated=attempt.now))
            return resolved

    def get_certificate(
        self, caller: Caller, vault: str, name: str, *, version: str | None = None, newest: bool = False
    ) -> CertificateVersion:
        """Return a certificate; where no version is named of the newest that is enabled, or of the newest of all."""
        with (
            self._attempt(caller, "CertificateGet", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, CERTIFICATE.read, f"certificates/{name}")
            item = live(attempt, home, CERTIFICATE, name)
            row = certificate_version(attempt, item, version)
            if version is None and not newest:
                row = newest_enabled(attempt, CERTIFICATE_VERSIONS, row)
            return certificate_record(home, item, row)

    def get_certificate_policy(self, caller: Caller, vault: str, name: str) -> CertificatePolicy:
        """Return how the next version will be made."""
        with (
            self._attempt(caller, "CertificatePolicyGet", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, CERTIFICATE.read, f"certificates/{name}")
            return live(attempt, home, CERTIFICATE, name).policy

    def list_certificates(
        self, caller: Caller, vault: str, *, include_pending: bool = False
    ) -> tuple[Certificate, ...]:
        """Return the certificates of a vault, each with its newest version's attributes."""
        found = self._list_items(CERTIFICATE, caller, vault, deleted=False)
        return tuple(item for item in found if item.version or include_pending)

    def list_certificate_versions(self, caller: Caller, vault: str, name: str) -> tuple[CertificateVersion, ...]:
        """Return all versions, oldest first; none for a certificate that is not there, as on Azure."""
        return self._list_versions(CERTIFICATE, CERTIFICATE_VERSIONS, certificate_record, caller, vault, name)

    def delete_certificate(self, caller: Caller, vault: str, name: str) -> Certificate:
        """Soft-delete a certificate, with its key and its secret."""
        return self._delete_item(CERTIFICATE, caller, vault, name)

    def list_deleted_certificates(self, caller: Caller, vault: str) -> tuple[Certificate, ...]:
        """Return the soft-deleted certificates of a vault."""
        return self._list_items(CERTIFICATE, caller, vault, deleted=True)

    def get_deleted_certificate(self, caller: Caller, vault: str, name: str) -> Certificate:
        """Return a soft-deleted certificate."""
        return self._get_deleted_item(CERTIFICATE, caller, vault, name)

    def recover_certificate(self, caller: Caller, vault: str, name: str) -> Certificate:
        """Bring a soft-deleted certificate back, with its key, its secret and every version."""
        return self._recover_item(CERTIFICATE, caller, vault, name)

    def purge_certificate(self, caller: Caller, vault: str, name: str) -> None:
        """Destroy a soft-deleted certificate for good, with its key and its secret."""
        self._purge_item(CERTIFICATE, caller, vault, name)

    def _change_pending(self, attempt: Attempt, item: Certificate, wanted: Mapping[str, object]) -> None:
        row = PENDING.get(attempt.tx, item.vault_id, item.folded)
        if row is not None:
            changes = {name: value for name, value in wanted.items() if name in ("enabled", "tags")}
            PENDING.put(attempt.tx, msgspec.structs.replace(row, **changes))

    def _enable_linked(self, attempt: Attempt, item: Certificate, version: str, enabled: bool, *, newest: bool) -> None:
        """Enable or disable the key and the secret of a version with it."""
        key_row = KEY_VERSIONS.get(attempt.tx, item.vault_id, item.folded, version)
        secret_row = SECRET_VERSIONS.get(attempt.tx, item.vault_id, item.folded, version)
        key = KEYS.get(attempt.tx, item.vault_id, item.folded)
        secret = SECRETS.get(attempt.tx, item.vault_id, item.folded)
        change = {"enabled": enabled, "updated": attempt.now}
        if key_row is not None:
            KEY_VERSIONS.put(attempt.tx, msgspec.structs.replace(key_row, **change))
        if secret_row is not None:
            SECRET_VERSIONS.put(attempt.tx, msgspec.structs.replace(secret_row, **change))
        if newest and key is not None:
            KEYS.put(attempt.tx, msgspec.structs.replace(key, **change))
        if newest and secret is not None:
            SECRETS.put(attempt.tx, msgspec.structs.replace(secret, **change))
