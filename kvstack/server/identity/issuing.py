"""A token for somebody who signed in, and what he is told with it."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from kvstack.server.answer import Answer, answered
from kvstack.server.identity.tokens import Claims, IdClaims, signed_token
from kvstack.server.names import LOGIN, Host, ServerNames
from kvstack.vault.sign_in import SignedIn

NEVER_KEPT: Final = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))

# RFC 8176: a password, a one-time code, and that the two are of different kinds.
TWO_FACTORS: Final = ("pwd", "otp", "mfa")


class Signer(Protocol):
    """What signs tokens: `VaultService` does."""

    def token_signing(self) -> tuple[str, Callable[[bytes], bytes]]:
        """Return the id of the key that signs, and what signs a digest."""
        ...


class Issuer:
    """Makes tokens for one tenant. now: seconds since 1970; port: `:8443`, empty for none."""

    def __init__(
        self, signer: Signer, names: ServerNames, tenant: str, now: Callable[[], float], port: str = ""
    ) -> None:
        self._signer = signer
        self._names = names
        self.tenant = tenant
        self._now = now
        self.name = f"https://{LOGIN}.{names.domain}{port}/{tenant}/v2.0"

    def at(self, host: Host) -> "Issuer":
        """Return the issuer as a client of a host knows it, with the port it came to. OpenID Connect Discovery 1.0,
        4.3: it is the address the client asked, to the letter, in the documents and in tokens."""
        _, colon, port = host.authority.rpartition(":")
        return Issuer(self._signer, self._names, self.tenant, self._now, f":{port}" if colon else "")

    def token(self, signed_in: SignedIn, audience: str, identifier: str) -> dict[str, Any]:
        """Return a token and what a client is told of it. audience: as tokens have it; identifier: the token's own."""
        second = int(self._now())
        life = int(signed_in.life.total_seconds())
        person = signed_in.credential.startswith("person/")
        claims = Claims(
            aud=audience,
            iss=self.name,
            iat=second,
            nbf=second,
            exp=second + life,
            oid=signed_in.caller.id,
            sub=signed_in.caller.id,
            tid=self.tenant,
            appid=signed_in.client_id,
            app_displayname=signed_in.caller.name,
            appidacr="0" if person else "1" if signed_in.credential.startswith("secret/") else "2",
            credential=signed_in.credential,
            idtyp="user" if person else "app",
            amr=TWO_FACTORS if person else (),
            upn=signed_in.caller.name if person else "",
            scp="user_impersonation" if person else "",
            uti=identifier,
        )
        return {
            "token_type": "Bearer",
            "expires_in": life,
            "ext_expires_in": life,
            "expires_on": str(claims.exp),
            "not_before": str(claims.nbf),
            "resource": audience,
            "access_token": self._signed(claims),
        }

    def id_token(self, signed_in: SignedIn, nonce: str) -> str:
        """Return what tells a program who signed in to it. nonce: the program's own, empty for none. OpenID Connect
        Core 1.0, 2."""
        second = int(self._now())
        name = signed_in.caller.name or signed_in.caller.id
        claims = IdClaims(
            aud=signed_in.client_id,
            iss=self.name,
            iat=second,
            nbf=second,
            exp=second + int(signed_in.life.total_seconds()),
            oid=signed_in.caller.id,
            sub=signed_in.caller.id,
            tid=self.tenant,
            name=name,
            preferred_username=name,
            amr=TWO_FACTORS,
            nonce=nonce,
        )
        return self._signed(claims)

    def _signed(self, claims: Claims | IdClaims) -> str:
        return signed_token(claims, *self._signer.token_signing())


def never_kept(document: dict[str, Any], status: int = 200) -> Answer:
    """Return an answer that no cache keeps."""
    found = answered(document, status)
    return Answer(found.status, found.body, (*found.headers, *NEVER_KEPT))
