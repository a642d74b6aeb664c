"""Tokens for codes: a program shows that the code is its own, or that somebody let its device in.

Source: RFC 6749, 4.1.3; RFC 7636, 4.6; RFC 8628, 3.4 and 3.5; OpenID Connect Core 1.0, 3.1.3.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from kvstack.server.answer import Answer, Refusal
from kvstack.server.identity.codes import Code, DeviceCode, digest
from kvstack.server.identity.issuing import Issuer, never_kept
from kvstack.server.identity.oauth import oauth_refusal
from kvstack.server.identity.people import People
from kvstack.server.identity.signed_json import base64url
from kvstack.server.identity.stamps import brought_back
from kvstack.server.request import Request
from kvstack.vault.caller import Caller
from kvstack.vault.sign_in import SignedIn

AUTHORIZATION_CODE: Final = "authorization_code"
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
CODE_SECONDS: Final = 120.0
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class CodeGrants:
    """Answers programs. now: seconds since 1970."""

    def __init__(self, vault: People, issuer: Issuer, now: Callable[[], float]) -> None:
        self._vault = vault
        self._issuer = issuer
        self._now = now

    def token(self, request: Request, form: Mapping[str, str]) -> Answer:
        """Answer a program that comes for its token. Raises Refusal."""
        if form["grant_type"] == DEVICE_CODE:
            return self._device_token(request, form)
        found = brought_back(self._vault, form.get("code", ""), Code, self._now())
        verifier = form.get("code_verifier", "")
        if (
            found is None
            or found.client_id != form.get("client_id", "").lower()
            or found.redirect_uri != form.get("redirect_uri", "")
            or not _VERIFIER.fullmatch(verifier)
            or not hmac.compare_digest(base64url(hashlib.sha256(verifier.encode()).digest()), found.challenge)
            or not self._vault.shown_first(digest(found.id), timedelta(seconds=CODE_SECONDS))
        ):
            raise _invalid_grant(request)
        held = self._vault.standing(found.principal_id, found.credential)
        if held is None:
            raise _invalid_grant(request)
        signed_in = SignedIn(
            caller=Caller(found.principal_id, held.name, mfa=True),
            client_id=found.client_id,
            credential=found.credential,
            life=timedelta(seconds=found.life),
        )
        return self._given(request, form, signed_in, found.audience, found.nonce)

    def _device_token(self, request: Request, form: Mapping[str, str]) -> Answer:
        text = form.get("device_code", "") or form.get("code", "")
        found = brought_back(self._vault, text, DeviceCode, self._now())
        if found is None or found.client_id != form.get("client_id", "").lower():
            raise oauth_refusal(request, 400, "expired_token", 70019, "The device's code has ended, or is none.")
        signed_in = self._vault.taken_approval(found.device, found.client_id)
        if signed_in is None:
            raise oauth_refusal(request, 400, "authorization_pending", 70016, "Nobody has let the device in yet.")
        return self._given(request, form, signed_in, found.audience, "")

    def _given(
        self, request: Request, form: Mapping[str, str], signed_in: SignedIn, audience: str, nonce: str
    ) -> Answer:
        issuer = self._issuer.at(request.host)
        made = issuer.token(signed_in, audience, request.id)
        made |= {
            "scope": form.get("scope") or f"{audience}/user_impersonation",
            "id_token": issuer.id_token(signed_in, nonce),
        }
        if form.get("client_info") == "1":
            who = f'{{"uid":"{signed_in.caller.id}","utid":"{issuer.tenant}"}}'
            made["client_info"] = base64url(who.encode())
        return never_kept(made)


def _invalid_grant(request: Request) -> Refusal:
    return oauth_refusal(request, 400, "invalid_grant", 70008, "The code is not right, was used before, or has ended.")
