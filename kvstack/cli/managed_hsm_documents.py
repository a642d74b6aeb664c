"""What is known of a Managed HSM and of what is inside it, for programs and for people."""

from typing import TYPE_CHECKING, Any

from kvstack.cli.documents import Document, Facts, vault_document
from kvstack.cli.table import tag_words

if TYPE_CHECKING:
    from kvstack.hsm.pool import TokenHealth
    from kvstack.vault.records import Vault

_A_VAULTS_OWN = ("sku", "network", "lock")


def hsm_document(hsm: "Vault") -> Document:
    """Return a Managed HSM."""
    pool = hsm.pool
    document = {name: value for name, value in vault_document(hsm).items() if name not in _A_VAULTS_OWN}
    if pool is None:
        return document
    return document | {
        "tokens": len(pool.tokens),
        "administrators": list(pool.administrators),
        "activated": pool.activated,
        "security_domain": {"id": pool.domain, "quorum": pool.quorum} if pool.activated is not None else None,
        "backed_up": pool.backed_up,
    }


def hsm_facts(hsm: "Vault") -> Facts:
    """Return a Managed HSM for people."""
    pool = hsm.pool
    return [
        ("name", hsm.name),
        ("resource group", hsm.resource_group),
        ("location", hsm.location),
        ("tokens", len(pool.tokens) if pool is not None else 0),
        ("activated", (pool.activated if pool is not None else None) or "no"),
        ("security domain", pool.domain if pool is not None else ""),
        ("quorum", (pool.quorum if pool is not None else 0) or ""),
        ("last full backup", pool.backed_up if pool is not None else None),
        ("retention", f"{hsm.soft_delete_retention_days} days"),
        ("purge protection", hsm.purge_protection),
        ("recovery level", hsm.recovery_level),
        ("tags", tag_words(hsm.tags.items())),
        ("created", hsm.created),
        ("updated", hsm.updated),
    ]


def health_document(health: "TokenHealth") -> dict[str, Any]:
    """Return how a token is."""
    return {"label": health.label, "serial": health.serial, "state": health.state, "why": health.words or None}
