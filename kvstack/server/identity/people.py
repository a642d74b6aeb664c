"""What signing people in needs of a vault."""

from datetime import timedelta
from typing import Protocol

from kvstack.server.identity.issuing import Signer
from kvstack.server.identity.stamps import Stamps
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import CallerRequest
from kvstack.vault.sign_in import Held, SignedIn


class People(Signer, Stamps, Protocol):
    """What a page needs of a vault: `VaultService` is one."""

    def signed_in_person(
        self,
        name: str,
        secret: SecretValue,
        code: str,
        *,
        client_id: str,
        address: str | None = None,
        request: CallerRequest | None = None,
    ) -> SignedIn:
        """Return whose secret and code these are."""
        ...

    def standing(self, principal_id: str, credential: str) -> Held | None:
        """Tell whether a sign-in still holds."""
        ...

    def shown_first(self, digest: str, left: timedelta) -> bool:
        """Tell whether something is shown for the first time."""
        ...

    def approve_device(self, device: str, signed_in: SignedIn) -> None:
        """Let a device in."""
        ...

    def taken_approval(self, device: str, client_id: str) -> SignedIn | None:
        """Return who let a device in."""
        ...
