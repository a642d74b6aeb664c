"""What is begun in one place and ended in another: codes that say who signed in, and devices somebody let in.

Nobody who has not signed in makes the vault keep anything: what has to come back is handed out under a MAC.
"""

import hmac
from datetime import timedelta
from typing import Final

from kvstack.vault.caller import Caller
from kvstack.vault.credentials import DEVICE_APPROVALS, USED_ASSERTIONS, DeviceApprovalRow
from kvstack.vault.people import PeopleOperations
from kvstack.vault.sign_in import SignedIn

APPROVAL: Final = timedelta(minutes=15)


class InteractiveSignInOperations(PeopleOperations):
    """Signing in by way of a page."""

    def stamped(self, purpose: str, content: bytes) -> bytes:
        """Return a MAC over something that comes back. purpose: what it is for, and nothing else."""
        return bytes.fromhex(self._barrier.fingerprint(("sign-in", purpose), content))

    def is_stamped(self, purpose: str, content: bytes, mac: bytes) -> bool:
        """Tell whether something was handed out here."""
        return hmac.compare_digest(self.stamped(purpose, content), mac)

    def shown_first(self, digest: str, left: timedelta) -> bool:
        """Tell whether something that counts once is shown for the first time, and keep that it was. left: how long it
        would count yet."""
        with self._store.transaction() as tx:
            return self._first(tx, digest, self._clock.now(), left)

    def was_shown(self, digest: str) -> bool:
        """Tell whether something that counts once was shown already."""
        with self._store.reading() as tx:
            return USED_ASSERTIONS.get(tx, digest) is not None

    def approve_device(self, device: str, signed_in: SignedIn) -> None:
        """Let a device in as somebody who just signed in. device: the digest of its code."""
        with self._attempt(signed_in.caller, "DeviceSignInApprove", self.top) as attempt, attempt.transaction():
            for one in DEVICE_APPROVALS.scan(attempt.tx):
                if one.until < attempt.now:
                    DEVICE_APPROVALS.delete(attempt.tx, one.id)
            made = DeviceApprovalRow(
                id=device,
                principal_id=signed_in.caller.id,
                name=signed_in.caller.name,
                credential=signed_in.credential,
                life=int(signed_in.life.total_seconds()),
                until=attempt.now + APPROVAL,
            )
            DEVICE_APPROVALS.put(attempt.tx, made)

    def taken_approval(self, device: str, client_id: str) -> SignedIn | None:
        """Return who let a device in, once, None where nobody did yet."""
        with self._store.reading() as tx:
            if DEVICE_APPROVALS.get(tx, device) is None:
                return None
        with self._store.transaction() as tx:
            found = DEVICE_APPROVALS.get(tx, device)
            if found is None:
                return None
            DEVICE_APPROVALS.delete(tx, device)
            if found.until < self._clock.now():
                return None
        if self.standing(found.principal_id, found.credential) is None:
            return None
        return SignedIn(
            caller=Caller(found.principal_id, found.name, mfa=True),
            client_id=client_id,
            credential=found.credential,
            life=timedelta(seconds=found.life),
        )
