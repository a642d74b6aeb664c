"""Certificates: made, renewed, changed, read, soft-deleted, recovered, purged."""

import contextlib
from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.hsm.protocol import KeyReference
from kvstack.terms import certificate as certificate_rules
from kvstack.terms.certificate import UNKNOWN, CertificatePolicy
from kvstack.terms.duration import Duration
from kvstack.terms.name import folded
from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.authorities import Authority, AuthorityOperations
from kvstack.vault.certificates.rows import (
    CERTIFICATE_VERSIONS,
    CERTIFICATES,
    PENDING,
    Certificate,
    PendingRow,
)
from kvstack.vault.certificates.trio import (
    Issued,
    Version,
    certificate_record,
    certificate_version,
    require_valid_attributes,
    require_valid_tags,
)
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.items import CERTIFICATE, KEYS, SECRETS, live, pending_context
from kvstack.vault.records import CertificateVersion, Vault
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS

CREATE = CERTIFICATE.action("create/action")
UPDATE = CERTIFICATE.action("update/action")
# Clocks of those who check it may be behind ours. Azure's own allowance.
_BACKDATED = timedelta(minutes=10)
_SERIAL_BYTES = 20  # with the first bit cleared: 159 random bits, of which RFC 5280 allows 160


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate to be made, as far as it could be checked. reused: the key it keeps, None for a new one."""

    home: Vault
    there: Certificate | None
    name: str
    policy: CertificatePolicy
    enabled: bool
    tags: dict[str, str]
    authority: Authority | None
    reused: KeyReference | None
    path_length: int | None
    by_rotation: bool


class CertificateOperations(AuthorityOperations):
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

            def checked() -> Order:
                home = attempt.vault(vault, CREATE, f"certificates/{name}")
                there = live(attempt, home, CERTIFICATE, name)
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
        self, caller: Caller, vault: str, name: str, *, version: str | None = None
    ) -> CertificateVersion:
        """Return a certificate, of its newest version where none is named."""
        with (
            self._attempt(caller, "CertificateGet", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, CERTIFICATE.read, f"certificates/{name}")
            item = live(attempt, home, CERTIFICATE, name)
            return certificate_record(home, item, certificate_version(attempt, item, version))

    def get_certificate_policy(self, caller: Caller, vault: str, name: str) -> CertificatePolicy:
        """Return how the next version will be made."""
        with (
            self._attempt(caller, "CertificatePolicyGet", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.transaction(),
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
        with (
            self._attempt(caller, "CertificateListVersions", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, CERTIFICATE.read, f"certificates/{name}")
            item = CERTIFICATES.get(attempt.tx, home.id, folded(name))
            if item is None or item.deletion is not None:
                return ()
            rows = CERTIFICATE_VERSIONS.scan(attempt.tx, vault_id=home.id, folded=item.folded)
            return tuple(certificate_record(home, item, row) for row in sorted(rows, key=lambda row: row.number))

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

    def _order(
        self,
        attempt: Attempt,
        home: Vault,
        there: Certificate | None,
        name: str,
        policy: CertificatePolicy,
        *,
        enabled: bool,
        tags: dict[str, str],
        by_rotation: bool = False,
    ) -> Order:
        """Check everything that can be known before a key is made. policy: resolved."""
        if there is not None:
            attempt.at_item(home, f"certificates/{there.name}")
            if there.pending:
                raise Conflict(
                    f"the certificate `{there.name}` in vault `{home.name}` has a pending request",
                    f"Merge what was signed, or cancel it: `kvstack certificate pending cancel {home.name}/"
                    f"{there.name}`.",
                    inner="PendingCertificate",
                )
        require_place(home, policy)
        authority = self._authority_of(attempt, home, policy)
        return Order(
            home=home,
            there=there,
            name=name,
            policy=policy,
            enabled=enabled,
            tags=tags,
            authority=authority,
            reused=self._reused(attempt, there, policy),
            path_length=_path_length(policy, authority),
            by_rotation=by_rotation,
        )

    def _reused(self, attempt: Attempt, there: Certificate | None, policy: CertificatePolicy) -> KeyReference | None:
        """Return the key a new version keeps: only one of the kind the policy asks for."""
        if there is None or not policy.key.reuse:
            return None
        current = self._current_key(attempt, there)
        return current if current is not None and current.specification == policy.key.specification else None

    def _made(self, attempt: Attempt, checked: Callable[[], Order]) -> Certificate:
        """Make the certificate that is ordered, between two looks at whether it may be."""
        with attempt.look():
            order = checked()
        specification, version = order.policy.key.specification, self._random(16).hex()
        reused = order.reused
        material = reused.material if reused is not None else self._generated(specification)
        # A key that is kept by an earlier version must not be forgotten when this one fails.
        kept = self._kept(specification, material) if reused is None else contextlib.nullcontext()
        with kept:
            own = KeyReference(f"{order.home.id}/{folded(order.name)}/{version}", specification, material)
            if order.policy.issuer == UNKNOWN:
                return self._requested(attempt, checked, order, own, version)
            issued = self._issued(attempt, order, own)
            with attempt.transaction():
                again = checked()
                _require_same(order, again)
                new = Version(
                    id=version,
                    home=again.home,
                    there=again.there,
                    name=again.name,
                    policy=again.policy,
                    material=material,
                    issued=issued,
                    enabled=again.enabled,
                    tags=again.tags,
                    by_rotation=again.by_rotation,
                )
                return self._keep_version(attempt, new)

    def _issued(self, attempt: Attempt, order: Order, own: KeyReference) -> Issued:
        """Sign the certificate."""
        from kvstack.vault.certificates import building, constraints
        from kvstack.vault.certificates.signer import public_key, signer

        policy, authority = order.policy, order.authority
        not_before = attempt.now.replace(microsecond=0) - _BACKDATED
        issuing = None
        key = own
        if authority is not None:
            constraints.require_names_allowed(policy, authority.above)
            not_before = max(not_before, authority.certificate.not_valid_before_utc)
            rules = authority.row.policy.authority
            issuing = building.Issuing(authority.certificate, rules.crl_url if rules is not None else "")
            key = authority.key
        not_after = Duration(months=policy.validity_months).after(not_before)
        if authority is not None and not_after > authority.row.expires:
            raise BadParameter(
                f"validity_months: the certificate would outlive `{authority.home.name}/{authority.item.name}`, which "
                f"expires on {errors.day(authority.row.expires)}",
                "Ask for fewer months, or renew the authority first.",
            )
        serial = int.from_bytes(self._random(_SERIAL_BYTES), "big") >> 1 or 1
        der = building.certificate(
            policy,
            public_key(own.material.public),
            serial=serial,
            not_before=not_before,
            not_after=not_after,
            path_length=order.path_length,
            issuing=issuing,
            signing=signer(self._provider(key.material.provider), key),
        )
        return Issued(
            der=der,
            chain=authority.chain if authority is not None else (),
            not_before=not_before,
            expires=not_after,
            serial=serial,
            subject=policy.subject,
            by=authority.link if authority is not None else None,
        )

    def _requested(
        self, attempt: Attempt, checked: Callable[[], Order], order: Order, own: KeyReference, request_id: str
    ) -> Certificate:
        """Keep a request for somebody else to sign, with its key."""
        from kvstack.vault.certificates import building
        from kvstack.vault.certificates.signer import signer

        csr = building.request(order.policy, signer(self._provider(own.material.provider), own))
        with attempt.transaction():
            again = checked()
            _require_same(order, again)
            home, there, key = again.home, again.there, folded(again.name)
            context = pending_context(home.id, key, request_id)
            row = PendingRow(
                vault_id=home.id,
                folded=key,
                id=request_id,
                policy=again.policy,
                csr=csr,
                public=own.material.public,
                provider=own.material.provider,
                sealed=self._barrier.seal(home.id, context, own.material.blob),
                reused=again.reused is not None,
                enabled=again.enabled,
                tags=dict(again.tags),
                created=attempt.now,
            )
            if there is None:
                item = Certificate(
                    vault_id=home.id,
                    folded=key,
                    vault=home.name,
                    name=again.name,
                    version="",
                    policy=again.policy,
                    enabled=again.enabled,
                    tags=dict(again.tags),
                    created=attempt.now,
                    updated=attempt.now,
                    version_created=attempt.now,
                    versions=0,
                    pending=True,
                )
            else:
                item = msgspec.structs.replace(
                    there,
                    policy=again.policy,
                    enabled=again.enabled,
                    tags=dict(again.tags),
                    updated=attempt.now,
                    pending=True,
                )
            PENDING.put(attempt.tx, row)
            CERTIFICATES.put(attempt.tx, item)
            return item

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


def require_valid_policy(policy: CertificatePolicy) -> CertificatePolicy:
    """Return the policy in one spelling. Raises BadParameter with everything that is wrong."""
    found = [(".".join(path), words) for path, words in certificate_rules.problems(policy)]
    if found:
        raise BadParameter.of(found)
    return certificate_rules.resolved(policy)


def require_place(home: Vault, policy: CertificatePolicy) -> None:
    """Refuse a key in an HSM in a vault that has none."""
    specification = policy.key.specification
    if specification.in_hsm and home.sku != "premium":
        raise BadParameter(
            f"vault `{home.name}` is a standard vault and takes no {specification.type} key",
            "Keys in an HSM need `sku: premium`.",
        )


def _path_length(policy: CertificatePolicy, authority: Authority | None) -> int | None:
    if policy.authority is None:
        return None
    if authority is None:
        return policy.authority.path_length
    from kvstack.vault.certificates.constraints import path_length

    return path_length(policy, authority.above)


def _require_same(order: Order, again: Order) -> None:
    """Refuse to keep what was signed by an authority, or with a key, that is another one by now."""
    was, now = order.authority, again.authority
    same_authority = (was.row.version if was is not None else None) == (now.row.version if now is not None else None)
    same_key = (order.reused is None) == (again.reused is None) and (
        order.reused is None or again.reused is None or order.reused.id == again.reused.id
    )
    if not same_authority or not same_key or order.policy != again.policy:
        raise Conflict(f"the certificate `{order.name}`, or who issues it, was changed meanwhile", "Try again.")
