"""The portal: from a request at its host to the page for it. Who asks is found out before anything else is done."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from kvstack.server.answer import Answer, Refusal, bad_parameter, not_found, refusal_of
from kvstack.server.portal.access_pages import own_access_page, vault_access_page
from kvstack.server.portal.audit_page import audit_page
from kvstack.server.portal.calendar_page import calendar_page
from kvstack.server.portal.deleted_pages import deed_page, deleted_page
from kvstack.server.portal.deleting import deletion_page
from kvstack.server.portal.frame import HOME, Around, Who, leads_to, page
from kvstack.server.portal.html import element
from kvstack.server.portal.item_pages import collection_of, item_page, items_page
from kvstack.server.portal.parts import prose, told
from kvstack.server.portal.session import form_token, is_form_token, session_of
from kvstack.server.portal.signing_in import SIGN_IN, SigningIn
from kvstack.server.portal.style import style_answer, style_name
from kvstack.server.portal.value_page import value_page
from kvstack.server.portal.vault_pages import vault_page, vaults_page
from kvstack.server.portal.visit import Visit, asked_by, form_of
from kvstack.server.request import Request
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.caller import Caller

if TYPE_CHECKING:
    from kvstack.server.portal.session import Session
    from kvstack.vault.service import VaultService

_TITLES = {
    400: "This cannot be done so",
    401: "Sign in first",
    403: "You may not do this",
    404: "There is nothing here",
    405: "This cannot be done so",
    409: "This cannot be done now",
    429: "That was too often",
    503: "The vault cannot answer now",
}


class Portal:
    """Answers people's browsers. now: seconds since 1970."""

    def __init__(self, service: "VaultService", now: Callable[[], float]) -> None:
        self._service = service
        self._now = now
        self._signing_in = SigningIn(service, now)

    def answer(self, request: Request) -> Answer:
        """Answer one request. Raises Refusal, KvstackError."""
        if request.method not in ("GET", "HEAD", "POST"):
            raise _method()
        if request.method == "POST":
            _require_own_page(request)
        match request.path:
            case ("",):
                return leads_to(HOME)
            case ("portal", name) if name == style_name():
                return style_answer()
            case ("portal", "sign-in"):
                return self._signing_in.sent(request) if request.method == "POST" else self._signing_in.shown(request)
            case ("portal", *_):
                return self._inside(request)
            case _:
                raise not_found("There is nothing at this path.")

    def _inside(self, request: Request) -> Answer:
        """Answer a request for what takes a session."""
        found = session_of(self._service, request, self._now())
        if found is None:
            if request.method != "POST":
                return self._signing_in.asked(request)
            again = element("a", "Sign in again", href=SIGN_IN)
            return page("Your session has ended", told("bad", "Nothing was done.", again, alert=True), status=403)
        session, name = found
        visit = self._visit(request, session, name)
        if request.method == "POST":
            visit = msgspec.structs.replace(visit, form=form_of(request))
            if not is_form_token(self._service, session, visit.sent("token")):
                words = told("bad", "This form was not made for your session. Nothing was done.", alert=True)
                return visit.page("This form is too old", words, around=Around(), status=403)
            if request.path == ("portal", "sign-out"):
                return self._signing_in.left(session)
        try:
            return (_sent if request.method == "POST" else _shown)(visit)
        except Refusal as refusal:
            return refusal_page(refusal.answer, visit)
        except KvstackError as error:
            answer = refusal_of(error)
            if answer.status >= 500:
                raise
            return refusal_page(answer, visit)

    def _visit(self, request: Request, session: "Session", name: str) -> Visit:
        caller = Caller(session.principal_id, name, address=request.address, mfa=True, request=asked_by(request))
        who = Who(name or session.principal_id, form_token(self._service, session))
        return Visit(self._service, caller, request, who, {}, self._service.now)


def _shown(visit: Visit) -> Answer:
    """Answer with a page that is only looked at."""
    match visit.request.path[1:]:
        case () | ("",) | ("vaults",):
            return vaults_page(visit)
        case ("deleted",):
            return deleted_page(visit)
        case ("access",):
            return own_access_page(visit)
        case ("audit",):
            return audit_page(visit)
        case ("calendar",):
            return calendar_page(visit)
        case ("vaults", vault):
            return vault_page(visit, vault)
        case ("vaults", vault, "access"):
            return vault_access_page(visit, vault)
        case ("vaults", vault, "deleted"):
            return deleted_page(visit, vault)
        case ("vaults", vault, word) if (collection := collection_of(word)) is not None:
            return items_page(visit, vault, collection)
        case ("vaults", vault, word, name) if (collection := collection_of(word)) is not None:
            return item_page(visit, vault, collection, name)
        case _:
            raise not_found("There is nothing at this path.")


def _sent(visit: Visit) -> Answer:
    """Do what a form asks for, and answer with how it went."""
    match visit.request.path[1:]:
        case ("deleted",):
            return deed_page(visit)
        case ("vaults", vault, "deleted"):
            return deed_page(visit, vault)
        case ("vaults", vault, "secrets", name, "value"):
            return value_page(visit, vault, name)
        case ("vaults", vault, word, "delete") if (collection := collection_of(word)) is not None:
            return deletion_page(visit, vault, collection)
        case _:
            raise not_found("There is nothing at this path.")


class _Refused(msgspec.Struct, frozen=True):
    message: str


class _Document(msgspec.Struct, frozen=True):
    error: _Refused


def refusal_page(answer: Answer, visit: Visit | None = None) -> Answer:
    """Return a refusal that was written for programs as a page for people; one that is a page stays as it is."""
    try:
        words = msgspec.json.decode(answer.body, type=_Document).error.message
    except msgspec.MsgspecError:
        return answer
    title = _TITLES.get(answer.status, "This could not be done")
    content = (told("bad", prose(words), alert=True), element("p", element("a", "To the vaults", href=HOME)))
    more = tuple(one for one in answer.headers if one[0] in (b"retry-after", b"allow", b"connection"))
    who = visit.who if visit is not None else None
    return page(title, content, who=who, status=answer.status, more=more)


def _require_own_page(request: Request) -> None:
    """Refuse a form that a page of another site sent, or one that does not say what sent it. Raises Refusal."""
    if request.origin != f"https://{request.host.authority}":
        words = told("bad", "This form was not sent by a page of this portal. Nothing was done.", alert=True)
        raise Refusal(page("This form is of another site", words, status=403))


def _method() -> Refusal:
    found = bad_parameter("The portal takes GET and POST.").answer
    return Refusal(Answer(405, found.body, (*found.headers, (b"allow", b"GET, HEAD, POST"))))
