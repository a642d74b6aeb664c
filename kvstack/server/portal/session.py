"""A person's session: what his browser keeps of it, and whether it still holds.

The cookie says who signed in and by what, under the vault's MAC: any process of the server knows it, and a restart ends
none. At every request the vault is asked whether what the session rests on is still there, so that a principal that was
disabled, or a credential that was deleted, ends it at once; so does signing out, for a copy of the cookie, too.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from kvstack.server.answer import Header
from kvstack.server.identity.codes import digest
from kvstack.server.identity.signed_json import TokenRefused, base64url, from_base64url
from kvstack.server.identity.stamps import Stamped, Stamps, brought_back, drawn, handed_out
from kvstack.vault.firewall import listed

if TYPE_CHECKING:
    from kvstack.server.request import Request
    from kvstack.vault.service import VaultService
    from kvstack.vault.sign_in import SignedIn

COOKIE: Final = "__Host-kvstack-portal"
_FORM: Final = "portal form"


class Session(Stamped, frozen=True, kw_only=True):
    """Who signed in, and by what. began: seconds since 1970."""

    principal_id: str
    credential: str
    began: float


class Held(Stamped, frozen=True, kw_only=True):
    """A sign-in that was begun. browser: the digest of the cookie that was set with it; to: the page that was asked
    for."""

    browser: str
    to: str


def begun(signed_in: "SignedIn", now: float) -> Session:
    """Return the session of somebody who signed in just now."""
    life = signed_in.life.total_seconds()
    return Session(
        id=drawn(), ends=now + life, principal_id=signed_in.caller.id, credential=signed_in.credential, began=now
    )


def session_of(service: "VaultService", request: "Request", now: float) -> tuple[Session, str] | None:
    """Return the session a request is of, and the name of whose it is; None where it has none that holds."""
    text = cookie(request, COOKIE)
    found = brought_back(service, text, Session, now) if text else None
    if found is None or service.was_shown(digest(found.id)):
        return None
    held = service.standing(found.principal_id, found.credential)
    if held is None:
        return None
    # The rules may have become narrower since he signed in.
    if held.rules.networks and not listed(held.rules.networks, request.address):
        return None
    if held.rules.longest and now >= found.began + held.rules.longest:
        return None
    return found, held.name


def ended(service: "VaultService", session: Session, now: float) -> None:
    """Let a session hold no more, whoever has its cookie."""
    service.shown_first(digest(session.id), timedelta(seconds=max(0.0, session.ends - now)))


def form_token(stamps: Stamps, session: Session) -> str:
    """Return what the forms of a session bring back, and of no other."""
    return base64url(stamps.stamped(_FORM, session.id.encode()))


def is_form_token(stamps: Stamps, session: Session, text: str) -> bool:
    """Tell whether a form is of this session."""
    try:
        mac = from_base64url(text.encode())
    except (TokenRefused, ValueError):
        return False
    return stamps.is_stamped(_FORM, session.id.encode(), mac)


def cookie(request: "Request", name: str) -> str:
    """Return the value of a cookie, empty where it is not there, or there twice."""
    pairs = (one.partition("=") for one in request.cookie.split(";"))
    found = [value.strip() for key, _, value in pairs if key.strip() == name]
    return found[0] if len(found) == 1 else ""


def kept(name: str, value: str, seconds: float) -> Header:
    """Return what has a browser keep a cookie: for this host alone, over TLS, out of reach of scripts and of requests
    that other sites make."""
    return b"set-cookie", f"{name}={value}; Path=/; Max-Age={int(seconds)}; Secure; HttpOnly; SameSite=Strict".encode()


def session_cookie(stamps: Stamps, session: Session, now: float) -> Header:
    """Return what has a browser keep a session."""
    return kept(COOKIE, handed_out(stamps, session), session.ends - now)
