"""The secret that signs what is posted to a webhook: its newest enabled version, as a key."""

from kvstack.terms.name import folded
from kvstack.vault import errors
from kvstack.vault.caller import SYSTEM
from kvstack.vault.items import SECRETS, ItemOperations, newest_enabled
from kvstack.vault.secrets import value_context
from kvstack.vault.versions import SECRET_VERSIONS


class SigningKeyOperations(ItemOperations):
    """Reading what signs."""

    def _signing_key(self, vault: str, secret: str, operation: str, **details: str) -> bytes:
        """Return what signs, audited under this operation with these details. Raises NotFound, Forbidden where it is
        disabled."""
        from kvstack.terms.signature import signing_key

        scope = self._scope(vault, f"secrets/{secret}")
        with self._attempt(SYSTEM, operation, scope) as attempt, attempt.transaction():
            attempt.details.update(details)
            home = attempt.registry.vault(vault)
            alive = home is not None and home.deletion is None
            item = SECRETS.get(attempt.tx, home.id, folded(secret)) if home is not None and alive else None
            row = (
                SECRET_VERSIONS.get(attempt.tx, item.vault_id, item.folded, item.version) if item is not None else None
            )
            if home is None or item is None or item.deletion is not None or row is None:
                raise errors.not_found("secret", secret, f" in vault `{vault}`")
            attempt.at_item(home, f"secrets/{item.name}")
            row = newest_enabled(attempt, SECRET_VERSIONS, row)
            if not row.enabled:
                raise errors.Forbidden(f"the secret `{item.name}` in vault `{home.name}` is disabled")
            return signing_key(self._barrier.open(home.id, value_context(home.id, row.folded, row.version), row.sealed))
