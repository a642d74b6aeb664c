"""People signing in: by authorization code where a program has a browser, by device code where it has none.

Any program may ask, as on one's own machine any may: a code goes back to this machine only, and is worth nothing
without what the program kept to itself (PKCE).
Source: RFC 6749, 4.1; RFC 7636; RFC 8252, 7.3; RFC 8628; OpenID Connect Core 1.0, 3.1.
"""

import hmac
import os
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode, urlsplit

from kvstack.server.answer import Answer, Refusal
from kvstack.server.identity.code_grants import CODE_SECONDS
from kvstack.server.identity.codes import (
    Asked,
    Code,
    DeviceCode,
    digest,
    is_user_code,
    loopback_origin,
    plain_code,
    user_code,
)
from kvstack.server.identity.issuing import never_kept
from kvstack.server.identity.oauth import form_of, oauth_refusal, resource_scopes
from kvstack.server.identity.pages import going_on_form, page, sign_in_form
from kvstack.server.identity.people import People
from kvstack.server.identity.stamps import brought_back, drawn, handed_out
from kvstack.server.names import ServerNames
from kvstack.server.request import Request
from kvstack.terms.principal import is_guid
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import CallerRequest
from kvstack.vault.sign_in import SignedIn, SignInRefused

_COOKIE: Final = "__Host-kvstack-sign-in"
_PAGE_SECONDS: Final = 900.0
_INTERVAL: Final = 2
_LONGEST: Final = 1024
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class Interactive:
    """Answers browsers, and programs that wait for them. now: seconds since 1970; random: draws random bytes."""

    def __init__(
        self,
        vault: People,
        names: ServerNames,
        now: Callable[[], float],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._vault = vault
        self._names = names
        self._now = now
        self._random = random

    def authorize(self, request: Request) -> Answer:
        """Answer a browser that a program sent here. What is wrong is told here, and sent nowhere."""
        query = request.query
        redirect_uri, client_id = query.get("redirect_uri", ""), query.get("client_id", "").lower()
        origin = loopback_origin(redirect_uri)
        if not is_guid(client_id) or origin is None or len(redirect_uri) > _LONGEST:
            return _told("A program asks for something that is not done here.", _REDIRECT)
        if query.get("response_type") != "code" or query.get("response_mode", "query") not in ("query", "form_post"):
            return _told("A program asks for something that is not done here.", "It has to ask for a code.")
        if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(query.get("code_challenge", "")):
            return _told("A program asks for something that is not done here.", "It has to use PKCE, with S256.")
        audience = self._audience(query.get("scope", ""))
        if audience is None:
            return _told("A program asks for something that is not here.", f"There is {self._known()}.")
        if any(len(query.get(name, "")) > _LONGEST for name in ("state", "nonce")):
            return _told("A program asks for something that is not done here.", "What it sends is too long.")
        cookie = drawn(self._random)
        asked = Asked(
            id=drawn(self._random),
            ends=self._now() + _PAGE_SECONDS,
            browser=digest(cookie),
            client_id=client_id,
            redirect_uri=redirect_uri,
            form_post=query.get("response_mode") == "form_post",
            state=query.get("state", ""),
            nonce=query.get("nonce", ""),
            challenge=query["code_challenge"],
            audience=audience,
        )
        return self._form(asked, cookie=cookie)

    def device_page(self, request: Request) -> Answer:
        """Answer a browser of somebody who wants to let a device in."""
        cookie = drawn(self._random)
        asked = Asked(id=drawn(self._random), ends=self._now() + _PAGE_SECONDS, browser=digest(cookie))
        return self._form(asked, cookie=cookie, user_code=request.query.get("code", "")[:20])

    def device_code(self, request: Request) -> Answer:
        """Answer a device that wants to be let in. Raises Refusal."""
        form = form_of(request)
        client_id, audience = form.get("client_id", "").lower(), self._audience(form.get("scope", ""))
        if not is_guid(client_id):
            raise oauth_refusal(request, 400, "invalid_client", 7000218, "The client's id is a GUID.")
        if audience is None:
            raise oauth_refusal(
                request, 400, "invalid_scope", 70011, f"The scope is that of no resource: {self._known()}."
            )
        drawn_code = user_code(self._vault, self._random)
        code = DeviceCode(
            id=drawn(self._random),
            ends=self._now() + _PAGE_SECONDS,
            device=digest(drawn_code),
            client_id=client_id,
            audience=audience,
        )
        shown = f"{drawn_code[:5]}-{drawn_code[5:]}"
        address = f"https://{request.host.authority}/device"
        return never_kept(
            {
                "user_code": shown,
                "device_code": handed_out(self._vault, code),
                "verification_uri": address,
                "expires_in": int(_PAGE_SECONDS),
                "interval": _INTERVAL,
                "message": f"To sign in, open the page {address} and enter the code {shown}.",
            }
        )

    def signed_in(self, request: Request) -> Answer:
        """Answer a form that was sent. Raises Refusal."""
        form = form_of(request)
        asked = brought_back(self._vault, form.get("request", ""), Asked, self._now())
        # The cookie comes only with what this site's own page sent: nobody signs somebody else's browser in.
        if request.origin not in ("", "null", f"https://{request.host.authority}") or request.origin == "null":
            return _told("This was not sent by this page.", "Begin again where you came from.", 403)
        cookie = _cookie(request.cookie)
        if asked is None or not cookie or not hmac.compare_digest(digest(cookie), asked.browser):
            return _told("This page is too old.", "Begin again where you came from.", 403)
        entered = ""
        if not asked.client_id:
            entered = plain_code(form.get("user_code", ""))
            if not is_user_code(self._vault, entered):
                return self._form(asked, wrong="No device shows this code.", status=400)
        by = CallerRequest(client=request.client, uri=request.uri, correlation_id=request.correlation_id)
        try:
            signed_in = self._vault.signed_in_person(
                form.get("name", ""),
                SecretValue(form.get("secret", "")),
                form.get("code", ""),
                client_id=asked.client_id,
                address=request.address,
                request=by,
            )
        except SignInRefused:
            wrong = "The name, the secret or the code is not right. A code is good once: wait for the next one."
            raise Refusal(
                self._form(asked, wrong=wrong, status=401, user_code=form.get("user_code", "")[:20])
            ) from None
        if not asked.client_id:
            self._vault.approve_device(digest(entered), signed_in)
            return _told("The device is signed in.", "You can close this page.", 200)
        return self._going_back(asked, signed_in)

    def _going_back(self, asked: Asked, signed_in: SignedIn) -> Answer:
        """Return what brings the code to the program."""
        code = Code(
            id=drawn(self._random),
            ends=self._now() + CODE_SECONDS,
            principal_id=signed_in.caller.id,
            credential=signed_in.credential,
            life=int(signed_in.life.total_seconds()),
            client_id=asked.client_id,
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            audience=asked.audience,
            nonce=asked.nonce,
        )
        fields = {"code": handed_out(self._vault, code)} | ({"state": asked.state} if asked.state else {})
        if asked.form_post:
            origin = loopback_origin(asked.redirect_uri) or ""
            return page("Signed in", going_on_form(asked.redirect_uri, fields), forms=(origin,), more=(_gone(),))
        joined = "&" if urlsplit(asked.redirect_uri).query else "?"
        location = (b"location", f"{asked.redirect_uri}{joined}{urlencode(fields)}".encode("ascii"))
        return page("Signed in", "<p>You are signed in.</p>", status=303, more=(location, _gone()))

    def _form(
        self, asked: Asked, *, cookie: str = "", wrong: str = "", status: int = 200, user_code: str = ""
    ) -> Answer:
        device = not asked.client_id
        facts = {} if device else {"To": asked.audience, "Program": asked.client_id, "It waits at": asked.redirect_uri}
        content = sign_in_form(
            "/sign-in",
            handed_out(self._vault, asked),
            facts=facts,
            device=device,
            user_code=user_code,
            wrong=wrong,
        )
        # After a form was sent browsers hold the answer's address, too, against where forms may lead.
        origin = loopback_origin(asked.redirect_uri)
        held = f"{_COOKIE}={cookie}; Path=/; Max-Age={int(_PAGE_SECONDS)}; Secure; HttpOnly; SameSite=Strict"
        more = ((b"set-cookie", held.encode()),) if cookie else ()
        title = "Let a device in" if device else "Sign in"
        return page(title, content, status=status, forms=(origin,) if origin else (), more=more)

    def _audience(self, scope: str) -> str | None:
        """Return what a token is asked for, by a scope with one resource in it."""
        resources = {one.rpartition("/")[0] for one in resource_scopes(scope)}
        return self._names.audience(resources.pop()) if len(resources) == 1 else None

    def _known(self) -> str:
        return " or ".join(f"{one}/.default" for one in self._names.audiences)


def _told(title: str, words: str, status: int = 400) -> Answer:
    from html import escape

    return page(title, f"<p>{escape(words)}</p>", status=status)


def _cookie(header: str) -> str:
    """Return the value of our cookie, empty where it is not there, or there twice."""
    found = [
        value.strip() for name, _, value in (one.partition("=") for one in header.split(";")) if name.strip() == _COOKIE
    ]
    return found[0] if len(found) == 1 else ""


def _gone() -> tuple[bytes, bytes]:
    return b"set-cookie", f"{_COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict".encode()


_REDIRECT: Final = (
    "It has to name its client id, a GUID, and an address of this very machine to go back to, as http://localhost:8400."
)
