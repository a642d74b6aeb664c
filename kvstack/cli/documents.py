"""What is known of a thing: as JSON for programs, as names and values for people; never a secret value."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from kvstack.cli.table import Cell, tag_words
from kvstack.cli.words import base64url

if TYPE_CHECKING:
    from kvstack.hsm.protocol import PublicKey
    from kvstack.terms.key import KeySpecification
    from kvstack.terms.release_policy import ReleasePolicy
    from kvstack.terms.rotation import RotationPolicy
    from kvstack.terms.rotator import Rotator
    from kvstack.vault.records import (
        ApprovalRule,
        Certificate,
        CertificateVersion,
        Deletion,
        Key,
        KeyVersion,
        Secret,
        SecretVersion,
        Vault,
    )

Document = dict[str, Any]
Facts = list[tuple[str, Cell]]


def vault_document(vault: "Vault") -> Document:
    """Return a vault."""
    return {
        "name": vault.name,
        "resource_group": vault.resource_group,
        "location": vault.location,
        "sku": vault.sku,
        "soft_delete_retention_days": vault.soft_delete_retention_days,
        "purge_protection": vault.purge_protection,
        "recovery_level": vault.recovery_level,
        "network": {
            "default_action": vault.network.default_action,
            "ip_rules": list(vault.network.ip_rules),
            "bypass": vault.network.bypass,
        },
        "lock": vault.lock,
        "approval": _approval(vault.approval),
        "access_model": vault.access_model,
        "tags": dict(vault.tags),
        "created": _moment(vault.created),
        "updated": _moment(vault.updated),
        "deletion": _deletion(vault.deletion),
    }


def vault_facts(vault: "Vault") -> Facts:
    """Return a vault for people."""
    return [
        ("name", vault.name),
        ("resource group", vault.resource_group),
        ("location", vault.location),
        ("sku", vault.sku),
        ("retention", f"{vault.soft_delete_retention_days} days"),
        ("purge protection", vault.purge_protection),
        ("recovery level", vault.recovery_level),
        ("network", f"{vault.network.default_action} by default, bypass {vault.network.bypass}"),
        ("ip rules", ", ".join(vault.network.ip_rules)),
        ("lock", vault.lock),
        ("approval", _approval_words(vault.approval)),
        ("access model", vault.access_model),
        ("tags", tag_words(vault.tags.items())),
        ("created", vault.created),
        ("updated", vault.updated),
    ]


def item_document(item: "Key | Secret | Certificate") -> Document:
    """Return a key, a secret or a certificate with its newest version's attributes."""
    return {
        "vault": item.vault,
        "name": item.name,
        "version": item.version,
        "versions": item.versions,
        **_own(item),
        "enabled": item.enabled,
        "not_before": _moment(item.not_before),
        "expires": _moment(item.expires),
        "tags": dict(item.tags),
        **_ahead(item),
        "created": _moment(item.created),
        "updated": _moment(item.updated),
        "by_rotation": item.by_rotation,
        "deletion": _deletion(item.deletion),
    }


def version_document(version: "KeyVersion | SecretVersion | CertificateVersion") -> Document:
    """Return one version; of a key with its public half as a JSON Web Key's members."""
    return {
        "vault": version.vault,
        "name": version.name,
        "version": version.version,
        **_own(version),
        "enabled": version.enabled,
        "not_before": _moment(version.not_before),
        "expires": _moment(version.expires),
        "tags": dict(version.tags),
        "created": _moment(version.created),
        "updated": _moment(version.updated),
        "by_rotation": version.by_rotation,
        "recovery_level": version.recovery_level,
    }


def version_facts(version: "KeyVersion | SecretVersion") -> Facts:
    """Return one version for people."""
    return [
        ("vault", version.vault),
        ("name", version.name),
        ("version", version.version),
        *_own_facts(version),
        ("enabled", version.enabled),
        ("not before", version.not_before),
        ("expires", version.expires),
        ("tags", tag_words(version.tags.items())),
        ("created", version.created),
        ("updated", version.updated),
        ("made by rotation", version.by_rotation),
        ("recovery level", version.recovery_level),
    ]


def kind_words(specification: "KeySpecification") -> str:
    """Return what a key is: `RSA-HSM 3072`, `EC P-256`."""
    strength = specification.curve or specification.size
    return f"{specification.type} {strength}" if strength is not None else specification.type


def _own(thing: "Key | Secret | Certificate | KeyVersion | SecretVersion | CertificateVersion") -> Document:
    """Return what only keys have, or only secrets, or only certificates."""
    from kvstack.vault.records import Certificate, CertificateVersion, Key, KeyVersion

    match thing:
        case Key() | KeyVersion():
            specification = thing.specification
            public = (
                {"public": _public(thing.public), "provider": thing.provider} if isinstance(thing, KeyVersion) else {}
            )
            return {
                "type": specification.type,
                "size": specification.size,
                "curve": specification.curve,
                "operations": sorted(thing.operations),
                "exportable": thing.exportable,
                "release_policy": _release_policy(thing.release_policy),
                **public,
            }
        case Certificate() | CertificateVersion():
            of_item = {"pending": thing.pending} if isinstance(thing, Certificate) else {}
            return {
                "subject": thing.policy.subject,
                "issuer": thing.policy.issuer,
                "thumbprint": thing.thumbprint,
                **of_item,
            }
        case _:
            return {"content_type": thing.content_type}


def _ahead(item: "Key | Secret | Certificate") -> Document:
    """Return how the next version will be made."""
    from kvstack.vault.records import Certificate

    match item:
        case Certificate():
            from kvstack.cli.certificate_documents import policy_document

            return {"policy": policy_document(item.policy)}
        case _:
            return {"rotation": rotation_document(item.rotation) if item.rotation is not None else None}


def _own_facts(version: "KeyVersion | SecretVersion") -> Facts:
    from kvstack.vault.records import KeyVersion

    match version:
        case KeyVersion():
            return [
                ("type", kind_words(version.specification)),
                ("operations", ", ".join(sorted(version.operations))),
                ("kept in", _HOMES.get(version.provider.partition(":")[0], version.provider)),
                *_leaves(version),
            ]
        case _:
            return [("content type", version.content_type)]


def _leaves(key: "KeyVersion") -> Facts:
    """Return to whom a key may be released, of one that may."""
    if key.release_policy is None:
        return []
    kind = "immutable release policy" if key.release_policy.immutable else "release policy"
    return [("exportable", f"to whom its {kind} names")]


def _release_policy(policy: "ReleasePolicy | None") -> Document | None:
    if policy is None:
        return None
    return {"immutable": policy.immutable, "policy": msgspec.json.decode(policy.data)}


_HOMES = {
    "software": "the vault, encrypted",
    "pkcs11-wrapped": "the HSM, wrapped by its root key",
    "pkcs11-token": "the HSM, as an object of its token",
    "pool": "the Managed HSM, wrapped under its security domain",
}


def _public(public: "PublicKey") -> Document:
    members = {"n": public.n, "e": public.e, "x": public.x, "y": public.y, "pub": public.raw}
    curve = {"crv": public.curve} if public.curve is not None else {}
    return {**curve, **{name: base64url(value) for name, value in members.items() if value}}


def rotation_document(policy: "RotationPolicy") -> Document:
    """Return a policy in the shape a stack declares it in, without what is at its default."""
    given = {field: getattr(policy, field) for field in policy.__struct_fields__ if field != "rotator"}
    said = {
        field: value if isinstance(value, bool) else str(value)
        for field, value in given.items()
        if value is not None and value is not True
    }
    return said if policy.rotator is None else {**said, "rotator": rotator_document(policy.rotator)}


def rotator_document(rotator: "Rotator") -> Document:
    """Return a rotator in the shape a stack declares it in."""
    if rotator.command:
        return {"command": list(rotator.command)}
    return {"webhook": rotator.webhook, **({"secret": rotator.signed_by} if rotator.secret else {})}


def _approval(rule: "ApprovalRule | None") -> Document | None:
    return None if rule is None else {"by": list(rule.by), "for": list(rule.operations)}


def _approval_words(rule: "ApprovalRule | None") -> str:
    return "" if rule is None else f"{', '.join(rule.operations)} by {' or '.join(rule.by)}"


def _deletion(deletion: "Deletion | None") -> Document | None:
    if deletion is None:
        return None
    return {
        "deleted": _moment(deletion.deleted),
        "scheduled_purge": _moment(deletion.scheduled_purge),
        "by": deletion.by,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
