"""Making a certificate: everything checked, the key made, signed or asked for, and checked again before it is kept."""

import contextlib
from collections.abc import Callable

import msgspec

from kvstack.hsm.protocol import KeyReference
from kvstack.terms import certificate as certificate_rules
from kvstack.terms.certificate import UNKNOWN, CertificatePolicy
from kvstack.terms.name import folded
from kvstack.vault import errors
from kvstack.vault.certificates.authorities import Authority, AuthorityOperations
from kvstack.vault.certificates.life import life
from kvstack.vault.certificates.rows import CERTIFICATE_VERSIONS, CERTIFICATES, PENDING, Certificate, PendingRow
from kvstack.vault.certificates.trio import Issued, Version
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict, Forbidden
from kvstack.vault.items import pending_context
from kvstack.vault.records import Vault

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


class MakingOperations(AuthorityOperations):
    """What making and renewing have in common."""

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
        issuing = None
        key = own
        if authority is not None:
            constraints.require_names_allowed(policy, authority.above)
            rules = authority.row.policy.authority
            issuing = building.Issuing(authority.certificate, rules.crl_url if rules is not None else "")
            key = authority.key
        begins = authority.certificate.not_valid_before_utc if authority is not None else None
        not_before, not_after = life(policy.validity_months, attempt.now, begins)
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


def require_same_issuer(attempt: Attempt, there: Certificate, authority: tuple[str, str] | None) -> None:
    """Refuse to have an authority sign what nobody who may have it sign ordered: another one than signed the newest
    version, or a certificate of other contents. authority: id of its vault, and folded name. Raises Forbidden."""
    if authority is None:
        return
    row = CERTIFICATE_VERSIONS.get(attempt.tx, there.vault_id, there.folded, there.version)
    by = row.issued_by if row is not None else None
    same = by is not None and (by.vault_id, by.folded) == authority
    if row is None or not same or _contents(row.policy) != _contents(there.policy):
        raise Forbidden(
            f"the policy of the certificate `{there.name}` in vault `{there.vault}` was changed since its authority "
            "signed the newest version",
            "Somebody who may have the authority sign renews it once by hand: "
            f"`kvstack certificate renew {there.vault}/{there.name}`.",
        )


def _contents(policy: CertificatePolicy) -> CertificatePolicy:
    return msgspec.structs.replace(policy, renew=None, notify=None, keep_previous=None)


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
