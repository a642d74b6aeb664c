"""What a Managed HSM asks of its keys beyond what every vault does. Source: azure/facts.md, Managed HSM."""

from msgspec.structs import replace

from kvstack.hsm.protocol import KeyMaterial
from kvstack.terms import limits
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy, managed_hsm_problems
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter
from kvstack.vault.items import KEYS
from kvstack.vault.pools import POOL_PROVIDER
from kvstack.vault.records import Key, Vault
from kvstack.vault.versions import KeyVersionRow


def require_place(home: Vault, specification: KeySpecification) -> None:
    """Refuse a key in an HSM to a vault that is not for such, and any other to a Managed HSM."""
    if home.pool is not None and not specification.in_hsm:
        raise BadParameter(
            f"Managed HSM `{home.name}` takes no {specification.type} key",
            "Every key of a Managed HSM is in the HSM: RSA-HSM, EC-HSM, oct-HSM.",
        )
    if specification.in_hsm and home.sku != "premium":
        raise BadParameter(
            f"vault `{home.name}` is a standard vault and takes no {specification.type} key",
            "Keys in an HSM need `sku: premium`.",
        )


def require_room(attempt: Attempt, home: Vault, there: Key | None) -> None:
    """Refuse a key, or a version of one that is there, to a Managed HSM that is full."""
    if home.pool is None:
        return
    if there is None and KEYS.count(attempt.tx, vault_id=home.id) >= limits.POOL_KEYS:
        raise BadParameter(
            f"Managed HSM `{home.name}` holds {limits.POOL_KEYS} keys, and no more fit in",
            "Deleted keys count until they are purged.",
        )
    if there is not None and there.versions >= limits.POOL_KEY_VERSIONS:
        raise BadParameter(
            f"the key `{there.name}` in Managed HSM `{home.name}` has {there.versions} versions, and no more fit in",
            "Make a new key.",
        )


def require_rotation(home: Vault, policy: RotationPolicy | None) -> None:
    """Refuse a policy that rotates more often than a Managed HSM does."""
    if home.pool is None or policy is None:
        return
    found = [(f"rotation.{attribute}", words) for attribute, words in managed_hsm_problems(policy)]
    if found:
        raise BadParameter.of(found)


def require_policy(home: Vault, there: Key) -> None:
    """Refuse to rotate a key of a Managed HSM that has no rotation policy."""
    if home.pool is not None and there.rotation is None:
        raise BadParameter(
            f"the key `{there.name}` in Managed HSM `{home.name}` has no rotation policy, and is not rotated without",
            f"Give it one: `kvstack key rotation-policy update {home.name}/{there.name}`.",
        )


def require_home(home: Vault, material: KeyMaterial) -> None:
    """Refuse material that was made elsewhere: in a vault's HSM, or in another Managed HSM."""
    if home.pool is None and not material.provider.startswith(POOL_PROVIDER):
        return
    if home.pool is not None and material.provider == f"{POOL_PROVIDER}{home.pool_id}":
        return
    raise BadParameter(f"the key was made in another HSM than that of {home.kind} `{home.name}`")


def bound(home: Vault, row: KeyVersionRow) -> KeyVersionRow:
    """Return a version a backup brought as one of this home: whether its tokens open it is for them to say. Raises
    BadParameter where it is one of a vault, and the home is a Managed HSM, or the other way round."""
    if row.provider.startswith(POOL_PROVIDER) != (home.pool is not None):
        kind = "vault" if home.pool is not None else "Managed HSM"
        raise BadParameter(f"the backup is of a key in a {kind}: {home.kind} `{home.name}` cannot open it")
    return row if home.pool is None else replace(row, provider=f"{POOL_PROVIDER}{home.pool_id}")
