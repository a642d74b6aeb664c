"""The OpenID provider: what clients ask before they ask for a token, and the token.

Source: OpenID Connect Discovery 1.0; RFC 6749, 4.4 and 5; the Microsoft identity platform's client credentials flow.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qsl

from kvstack.server.answer import JSON, Answer, Refusal, answered, refused
from kvstack.server.identity.tokens import Claims, json_web_key, signed_token
from kvstack.server.names import LOGIN, Host, ServerNames
from kvstack.server.request import Request
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller, CallerRequest
from kvstack.vault.client_secrets import SignInRefused

if TYPE_CHECKING:
    from kvstack.hsm.protocol import PublicKey

LIFE: Final = 3600
_COMMON: Final = ("common", "organizations")
_DEFAULT: Final = "/.default"
_NEVER_KEPT: Final = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 40


class SignIns(Protocol):
    """What a provider needs of a vault: `VaultService` is one."""

    def signed_in(
        self, client_id: str, secret: SecretValue, *, address: str | None = None, request: CallerRequest | None = None
    ) -> Caller:
        """Return whose client secret this is."""
        ...

    def prepare_token_signer(self) -> str:
        """Return the id of the key that signs."""
        ...

    def sign_token(self, digest: bytes) -> bytes:
        """Sign a digest."""
        ...

    def token_keys(self) -> "Mapping[str, PublicKey]":
        """Return the public keys."""
        ...


class Provider:
    """Answers for one tenant. now: seconds since 1970."""

    def __init__(self, vault: SignIns, names: ServerNames, tenant: str, now: Callable[[], float]) -> None:
        self._vault = vault
        self._names = names
        self._tenant = tenant
        self._now = now
        self.issuer = issuer(names, tenant)

    def authority(self, host: Host) -> str:
        """Return where a vault's clients get their tokens: the sign-in's host, at the port they came to."""
        _, colon, port = host.authority.rpartition(":")
        return f"{LOGIN}.{self._names.domain}{colon}{port if colon else ''}/{self._tenant}"

    def answer(self, request: Request) -> Answer:
        """Answer one request at the sign-in's host. Raises Refusal."""
        match request.method, request.path:
            case "GET", (str(), "discovery", "instance"):
                return answered(self._instance(request))
            case "GET", (tenant, ".well-known", "openid-configuration"):
                return answered(self._configuration(request, tenant))
            case "GET", (tenant, "v2.0", ".well-known", "openid-configuration"):
                return answered(self._configuration(request, tenant))
            case "GET", (tenant, "discovery", "keys") | (tenant, "discovery", "v2.0", "keys"):
                self._require_tenant(request, tenant)
                keys = [json_web_key(kid, public) for kid, public in sorted(self._vault.token_keys().items())]
                return answered({"keys": keys})
            case "POST", (tenant, "oauth2", "token") | (tenant, "oauth2", "v2.0", "token"):
                return self._token(request, tenant)
            case _, (_, "oauth2", "token") | (_, "oauth2", "v2.0", "token"):
                raise Refusal(
                    refused(405, "MethodNotAllowed", "A token is asked for by POST.", headers=((b"allow", b"POST"),))
                )
            case _:
                raise Refusal(refused(404, "NotFound", "There is nothing at this path."))

    def _instance(self, request: Request) -> dict[str, Any]:
        host = request.host.authority
        return {
            "tenant_discovery_endpoint": f"https://{host}/{self._tenant}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }

    def _configuration(self, request: Request, tenant: str) -> dict[str, Any]:
        if tenant.lower() not in _COMMON:
            self._require_tenant(request, tenant)
        at = f"https://{request.host.authority}/{self._tenant}"
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{at}/oauth2/v2.0/authorize",
            "token_endpoint": f"{at}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{at}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{at}/discovery/v2.0/keys",
            "response_types_supported": ["token"],
            "grant_types_supported": ["client_credentials"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "tenant_region_scope": None,
            "cloud_instance_name": self._names.domain,
        }

    def _token(self, request: Request, tenant: str) -> Answer:
        self._require_tenant(request, tenant)
        form = _form(request)
        client_id, secret = _credentials(request, form)
        if form.get("grant_type") != "client_credentials":
            raise _refusal(request, 400, "unsupported_grant_type", 70003, "The grant type is not client_credentials.")
        audience = self._audience(request, form)
        asked = CallerRequest(client=request.client, uri=request.uri, correlation_id=request.correlation_id)
        try:
            caller = self._vault.signed_in(client_id, SecretValue(secret), address=request.address, request=asked)
        except SignInRefused:
            # One answer, whatever was wrong.
            raise _refusal(request, 401, "invalid_client", 7000215, "The client or its secret is not right.") from None
        second = int(self._now())
        claims = Claims(
            aud=audience,
            iss=self.issuer,
            iat=second,
            nbf=second,
            exp=second + LIFE,
            oid=caller.id,
            sub=caller.id,
            tid=self._tenant,
            appid=client_id.lower(),
            app_displayname=caller.name,
            uti=request.id,
        )
        token = signed_token(claims, self._vault.prepare_token_signer(), self._vault.sign_token)
        made = {
            "token_type": "Bearer",
            "expires_in": LIFE,
            "ext_expires_in": LIFE,
            "expires_on": str(claims.exp),
            "resource": audience,
            "access_token": token,
        }
        found = answered(made)
        return Answer(found.status, found.body, (*found.headers, *_NEVER_KEPT))

    def _audience(self, request: Request, form: Mapping[str, str]) -> str:
        scope, resource = form.get("scope", ""), form.get("resource", "")
        wanted = resource
        if not resource:
            wanted = scope.split()[0] if scope.split() else ""
            if not wanted.endswith(_DEFAULT):
                raise _refusal(
                    request, 400, "invalid_scope", 70011, "The scope is not that of a resource: RESOURCE/.default."
                )
            wanted = wanted.removesuffix(_DEFAULT)
        audience = self._names.audience(wanted)
        if audience is None:
            known = " or ".join(self._names.audiences)
            raise _refusal(
                request, 400, "invalid_resource", 500011, f"This tenant has no such resource; it has {known}."
            )
        return audience

    def _require_tenant(self, request: Request, tenant: str) -> None:
        if tenant.lower() != self._tenant:
            raise _refusal(request, 400, "invalid_tenant", 90002, "There is no such tenant here.")


def issuer(names: ServerNames, tenant: str) -> str:
    """Return who issues a tenant's tokens, without a port: a token is the same by whatever port its client came."""
    return f"https://{LOGIN}.{names.domain}/{tenant}/v2.0"


def _form(request: Request) -> dict[str, str]:
    if request.content_type.partition(";")[0].strip().lower() != _FORM:
        raise _refusal(request, 400, "invalid_request", 900144, f"The body has to be of type {_FORM}.")
    try:
        pairs = parse_qsl(
            request.body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise _refusal(request, 400, "invalid_request", 900144, "The body cannot be read.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _refusal(request, 400, "invalid_request", 900144, "A field stands twice in the body.")
    return form


def _credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Return the client's id and secret, from the body or from its `Authorization` header."""
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if not secret and request.authorization[:6].lower() == b"basic ":
        from base64 import b64decode
        from urllib.parse import unquote

        try:
            text = b64decode(request.authorization[6:], validate=True).decode()
        except ValueError:
            raise _refusal(request, 401, "invalid_client", 7000215, "The client or its secret is not right.") from None
        given, _, secret = text.partition(":")
        client_id, secret = unquote(given), unquote(secret)
    if not client_id or not secret:
        raise _refusal(request, 401, "invalid_client", 7000216, "The client's id and its secret are both needed.")
    return client_id, secret


def _refusal(request: Request, status: int, error: str, number: int, words: str) -> Refusal:
    """Return a refusal as RFC 6749, 5.2 has it, with the numbers Azure's clients know."""
    document = {
        "error": error,
        "error_description": f"AADSTS{number}: {words}",
        "error_codes": [number],
        "timestamp": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}",
        "trace_id": request.id,
        "correlation_id": request.correlation_id or str(uuid.uuid4()),
    }
    found = answered(document, status)
    return Refusal(Answer(status, found.body, (JSON, *_NEVER_KEPT)))
