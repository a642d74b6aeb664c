"""What signing in needs of a vault."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from kvstack.server.identity.people import People
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import CallerRequest
from kvstack.vault.sign_in import Proven, SignedIn, SignInKeys

if TYPE_CHECKING:
    from kvstack.hsm.protocol import PublicKey


class SignIns(People, Protocol):
    """What a provider needs of a vault: `VaultService` is one."""

    def signed_in(
        self, client_id: str, secret: SecretValue, *, address: str | None = None, request: CallerRequest | None = None
    ) -> SignedIn:
        """Return whose client secret this is."""
        ...

    def signed_in_by_assertion(
        self,
        client_id: str,
        proven: Proven | None,
        *,
        address: str | None = None,
        request: CallerRequest | None = None,
    ) -> SignedIn:
        """Return whose assertion it is."""
        ...

    def signed_in_by_header(
        self,
        header: SecretValue,
        client_id: str = "",
        *,
        address: str | None = None,
        request: CallerRequest | None = None,
    ) -> SignedIn:
        """Return whose identity header it is."""
        ...

    def sign_in_keys(self, client_id: str) -> SignInKeys:
        """Return what a client's assertions are checked by."""
        ...

    def token_keys(self) -> "Mapping[str, PublicKey]":
        """Return the public keys."""
        ...
