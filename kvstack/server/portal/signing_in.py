"""Signing in to the portal, and out of it: at its own host, by the secret and the code that the sign-in takes.

The form is bound to the browser that asked for it, so that nobody is signed in as somebody else by another site.
"""

import hmac
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from kvstack.server.answer import Answer, Refusal
from kvstack.server.identity.codes import digest
from kvstack.server.identity.stamps import brought_back, drawn, handed_out
from kvstack.server.portal.frame import HOME, leads_to, page
from kvstack.server.portal.html import Content, element
from kvstack.server.portal.parts import told
from kvstack.server.portal.session import COOKIE, Held, Session, begun, cookie, ended, kept, session_cookie
from kvstack.server.portal.visit import asked_by, form_of
from kvstack.server.request import Request
from kvstack.terms.secret import SecretValue
from kvstack.vault.sign_in import SignInRefused

if TYPE_CHECKING:
    from kvstack.vault.service import VaultService

# The portal is a program like others: this is its client id in the audit.
CLIENT_ID: Final = "c2f5a8d1-6a0f-4f7e-9d55-7b1b0f3e4a60"
SIGN_IN: Final = f"{HOME}/sign-in"
_COOKIE: Final = "__Host-kvstack-portal-sign-in"
_SECONDS: Final = 900.0
_PLACE = re.compile(r"/portal(/[A-Za-z0-9-]{1,127}){0,6}")


class SigningIn:
    """Lets people in. now: seconds since 1970."""

    def __init__(self, service: "VaultService", now: Callable[[], float]) -> None:
        self._service = service
        self._now = now

    def asked(self, request: Request) -> Answer:
        """Answer who has no session, and wants to see a page: with the way to the form."""
        written = "/" + "/".join(request.path)
        return leads_to(f"{SIGN_IN}?{urlencode({'to': _place(written)})}")

    def shown(self, request: Request) -> Answer:
        """Answer with the form."""
        held = drawn()
        begun_ = Held(
            id=drawn(), ends=self._now() + _SECONDS, browser=digest(held), to=_place(request.query.get("to", ""))
        )
        return self._form(begun_, more=(kept(_COOKIE, held, _SECONDS),))

    def sent(self, request: Request) -> Answer:
        """Answer a form that was sent. Raises Refusal for what lets nobody in."""
        form = {name: values[0] for name, values in form_of(request).items() if len(values) == 1}
        found = brought_back(self._service, form.get("request", ""), Held, self._now())
        browser = cookie(request, _COOKIE)
        if found is None or not browser or not hmac.compare_digest(digest(browser), found.browser):
            again = element("a", "Sign in anew", href=SIGN_IN)
            words = told("bad", "This form is too old, or was not shown to this browser.", again, alert=True)
            raise Refusal(page("Nobody was signed in", words, status=403))
        try:
            signed_in = self._service.signed_in_person(
                form.get("name", ""),
                SecretValue(form.get("secret", "")),
                form.get("code", ""),
                client_id=CLIENT_ID,
                address=request.address,
                request=asked_by(request),
            )
        except SignInRefused:
            wrong = "The name, the secret or the code is not right. A code is good once: wait for the next one."
            raise Refusal(self._form(found, wrong=wrong, status=401, name=form.get("name", "")[:200])) from None
        now = self._now()
        return leads_to(found.to, session_cookie(self._service, begun(signed_in, now), now), kept(_COOKIE, "", 0))

    def left(self, session: Session) -> Answer:
        """End a session, and say so."""
        ended(self._service, session, self._now())
        words = element("p", "Your session has ended. ", element("a", "Sign in again", href=SIGN_IN))
        return page("You are signed out", words, more=(kept(COOKIE, "", 0),))

    def _form(
        self,
        found: Held,
        *,
        wrong: str = "",
        status: int = 200,
        name: str = "",
        more: tuple[tuple[bytes, bytes], ...] = (),
    ) -> Answer:
        content = element(
            "form",
            element("input", type="hidden", name="request", value=handed_out(self._service, found)),
            _field("name", "Name", "text", "username", value=name or None),
            _field("secret", "Secret", "password", "current-password"),
            _field("code", "Code of your authenticator", "text", "one-time-code", inputmode="numeric"),
            element("button", "Sign in"),
            method="post",
            action=SIGN_IN,
            class_="sign-in",
        )
        # A cookie of the strict kind is not sent where another site's link led here.
        onward = element("p", "Signed in already? ", element("a", "Go on to the page", href=found.to), class_="hint")
        return page(
            "Sign in", told("bad", wrong, alert=True) if wrong else None, content, onward, status=status, more=more
        )


def _field(
    name: str, label: str, kind: str, autocomplete: str, inputmode: str | None = None, value: str | None = None
) -> Content:
    return (
        element("label", label, for_=name),
        element(
            "input",
            id=name,
            name=name,
            type=kind,
            required=True,
            autocomplete=autocomplete,
            maxlength=200,
            autocapitalize="off",
            spellcheck="false",
            inputmode=inputmode,
            value=value,
        ),
    )


def _place(written: str) -> str:
    """Return a page of the portal to go on to: this one, where it is one."""
    return written if _PLACE.fullmatch(written) and not written.startswith((SIGN_IN, f"{HOME}/sign-out")) else HOME
