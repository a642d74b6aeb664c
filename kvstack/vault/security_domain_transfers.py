"""Activating a Managed HSM from afar: its transfer key, and a security domain whose shares are encrypted to it."""

from typing import Final

from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter
from kvstack.vault.pool_home import inside
from kvstack.vault.pool_rows import TRANSFER_KEYS, TransferKeyRow
from kvstack.vault.records import Vault
from kvstack.vault.security_domains import UPLOAD, SecurityDomainOperations, as_parameter

READ_TRANSFER_KEY: Final = "Microsoft.KeyVault/managedHsm/securitydomain/transferkey/read"


class SecurityDomainTransferOperations(SecurityDomainOperations):
    """What can be done with the security domain of a Managed HSM without its custodians' keys."""

    def get_transfer_key(self, caller: Caller, hsm: str) -> bytes:
        """Return the certificate of a Managed HSM's transfer key, DER: the same one for 24 hours, until a security
        domain was uploaded by it."""
        from kvstack.hsm.security_domain_transfer import transfer_key

        with self._attempt(caller, "SecurityDomainTransferKeyGet", self._scope(hsm)) as attempt:
            with attempt.look():
                home, _ = inside(attempt, hsm, READ_TRANSFER_KEY, activated=False)
                there = self._transfer_key(attempt, home)
            made = transfer_key(home.name, self._clock.now()) if there is None else None
            with attempt.transaction():
                home, _ = inside(attempt, hsm, READ_TRANSFER_KEY, activated=False)
                there = self._transfer_key(attempt, home)
                if there is None and made is not None:
                    there = TransferKeyRow(
                        vault_id=home.id,
                        certificate=made.certificate,
                        sealed=self._barrier.seal(home.id, _context(home), made.private),
                        created=attempt.now,
                    )
                    TRANSFER_KEYS.put(attempt.tx, there)
                if there is None:
                    raise _no_transfer_key(home)
                return there.certificate

    def upload_transferred_security_domain(self, caller: Caller, hsm: str, transfer: bytes) -> None:
        """Activate a Managed HSM by a security domain whose shares are encrypted to its transfer key, or let new tokens
        of an activated one join its domain. Raises as `upload_security_domain` and `join_security_domain` do, and
        BadParameter where the shares are not for the transfer key there is."""
        from kvstack.hsm.security_domain_transfer import from_transfer

        with self._attempt(caller, "SecurityDomainTransfer", self._scope(hsm)) as attempt:
            with attempt.look():
                home, pool = inside(attempt, hsm, UPLOAD, activated=False)
                row = self._transfer_key(attempt, home)
            if row is None:
                raise _no_transfer_key(home)
            private = self._barrier.open(home.id, _context(home), row.sealed)
            document, shares = as_parameter(lambda: from_transfer(transfer, private))
            with attempt.transaction():
                # Whatever comes of it: what was sent once opens nothing a second time.
                inside(attempt, hsm, UPLOAD, activated=False)
                TRANSFER_KEYS.delete(attempt.tx, home.id)
        if pool.activated is None:
            self.upload_security_domain(caller, hsm, document, shares)
        else:
            self.join_security_domain(caller, hsm, document, shares)

    def _transfer_key(self, attempt: Attempt, home: Vault) -> TransferKeyRow | None:
        from kvstack.hsm.security_domain_transfer import LIFE

        row = TRANSFER_KEYS.get(attempt.tx, home.id)
        return row if row is not None and attempt.now - row.created < LIFE else None


def _context(home: Vault) -> tuple[str, ...]:
    return home.id, "transfer", "", "", "private"


def _no_transfer_key(home: Vault) -> BadParameter:
    return BadParameter(
        f"Managed HSM `{home.name}` has no transfer key, or it has ended",
        "Ask for one, and encrypt the shares to it: one is good for 24 hours, and for one upload.",
    )
