"""The OpenID provider: what clients ask before they ask for a token, and the token.

Source: OpenID Connect Discovery 1.0; RFC 6749, 4.4 and 5; the Microsoft identity platform's client credentials flow.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.identity.client_assertions import ALLOWED, proven_by_certificate
from kvstack.server.identity.code_grants import AUTHORIZATION_CODE, DEVICE_CODE, CodeGrants
from kvstack.server.identity.federation import proven_by_federation
from kvstack.server.identity.interactive import Interactive
from kvstack.server.identity.issuer_keys import IssuerKeys, KeysUnavailable
from kvstack.server.identity.issuing import Issuer, never_kept
from kvstack.server.identity.managed_identity import app_service_token
from kvstack.server.identity.oauth import client_secret_of, form_of, oauth_refusal, resource_scopes
from kvstack.server.identity.sign_ins import SignIns
from kvstack.server.identity.signed_json import TokenRefused, taken_apart
from kvstack.server.identity.tokens import json_web_key
from kvstack.server.names import LOGIN, Host, ServerNames
from kvstack.server.request import Request
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import CallerRequest
from kvstack.vault.sign_in import Proven, SignedIn, SignInRefused

if TYPE_CHECKING:
    pass

_COMMON: Final = ("common", "organizations")
_DEFAULT: Final = "/.default"
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Provider:
    """Answers for one tenant. now: seconds since 1970; issuers: the keys of others whose tokens are shown."""

    def __init__(
        self, vault: SignIns, names: ServerNames, issuer: Issuer, now: Callable[[], float], issuers: IssuerKeys
    ) -> None:
        self._issuers = issuers
        self._vault = vault
        self._names = names
        self._tenant = tenant = issuer.tenant
        self._now = now
        self._issuer = issuer
        self._interactive = Interactive(vault, names, now)
        self._codes = CodeGrants(vault, issuer, now)
        self.issuer = issuer.name
        here = f"https://{LOGIN}.{names.domain}/{tenant}"
        self._audiences = frozenset((f"{here}/v2.0", f"{here}/oauth2/v2.0/token", f"{here}/oauth2/token", here))

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
            case "GET", (tenant, "oauth2", "authorize") | (tenant, "oauth2", "v2.0", "authorize"):
                self._require_tenant(request, tenant)
                return self._interactive.authorize(request)
            case "POST", (tenant, "oauth2", "devicecode") | (tenant, "oauth2", "v2.0", "devicecode"):
                self._require_tenant(request, tenant)
                return self._interactive.device_code(request)
            case "GET", ("device",):
                return self._interactive.device_page(request)
            case "POST", ("sign-in",):
                return self._interactive.signed_in(request)
            case "GET", ("msi", "token"):
                return app_service_token(request, self._vault, self._issuer.at(request.host), self._names)
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
            "issuer": self._issuer.at(request.host).name,
            "authorization_endpoint": f"{at}/oauth2/v2.0/authorize",
            "token_endpoint": f"{at}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{at}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{at}/discovery/v2.0/keys",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "code_challenge_methods_supported": ["S256"],
            "grant_types_supported": ["client_credentials", AUTHORIZATION_CODE, DEVICE_CODE],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "client_secret_basic",
                "private_key_jwt",
                "none",
            ],
            "token_endpoint_auth_signing_alg_values_supported": sorted(ALLOWED),
            "tenant_region_scope": None,
            "cloud_instance_name": self._names.domain,
        }

    def _token(self, request: Request, tenant: str) -> Answer:
        self._require_tenant(request, tenant)
        form = form_of(request)
        if "grant_type" not in form:
            raise oauth_refusal(request, 400, "invalid_request", 900144, "The body has to have a `grant_type`.")
        if form["grant_type"] in (AUTHORIZATION_CODE, DEVICE_CODE):
            return self._codes.token(request, form)
        if form["grant_type"] != "client_credentials":
            raise oauth_refusal(
                request, 400, "unsupported_grant_type", 70003, "The grant type is not client_credentials."
            )
        audience = self._audience(request, form)
        try:
            signed_in = self._signed_in(request, form, audience)
        except SignInRefused:
            # One answer, whatever was wrong.
            raise oauth_refusal(
                request, 401, "invalid_client", 7000215, "The client or its secret is not right."
            ) from None
        return never_kept(self._issuer.at(request.host).token(signed_in, audience, request.id))

    def _signed_in(self, request: Request, form: Mapping[str, str], audience: str) -> SignedIn:
        """Return who asks for a token. Raises SignInRefused, Refusal."""
        by = CallerRequest(client=request.client, uri=request.uri, correlation_id=request.correlation_id)
        if "client_assertion" not in form and "client_assertion_type" not in form:
            client_id, secret = client_secret_of(request, form)
            return self._vault.signed_in(client_id, SecretValue(secret), address=request.address, request=by)
        if form.get("client_assertion_type") != _ASSERTION or "client_secret" in form or request.authorization:
            raise oauth_refusal(
                request, 400, "invalid_request", 900144, f"An assertion comes alone, and its type is {_ASSERTION}."
            )
        try:
            client_id, proven = self._proven(form, audience)
        except KeysUnavailable:
            raise oauth_refusal(
                request, 503, "temporarily_unavailable", 90033, "The keys of the token's issuer cannot be had now."
            ) from None
        return self._vault.signed_in_by_assertion(client_id, proven, address=request.address, request=by)

    def _proven(self, form: Mapping[str, str], audience: str) -> tuple[str, Proven | None]:
        """Return which client an assertion is of, and by what; None where it is not right."""
        client_id = form.get("client_id", "")
        try:
            token = taken_apart(form.get("client_assertion", "").encode("ascii", "replace"))
            # RFC 7521, 4.2: the client's id may be left to the assertion.
            client_id = client_id or token.text("sub")
            keys = self._vault.sign_in_keys(client_id)
            if token.text("iss").lower() == keys.client_id:
                return client_id, proven_by_certificate(token, keys, self._audiences, audience, self._now())
            return client_id, proven_by_federation(token, keys, self._issuers, self._now())
        except TokenRefused:
            return client_id, None

    def _audience(self, request: Request, form: Mapping[str, str]) -> str:
        scope, resource = form.get("scope", ""), form.get("resource", "")
        wanted = resource
        if not resource:
            scopes = resource_scopes(scope)
            if len(scopes) != 1 or not scopes[0].endswith(_DEFAULT):
                raise oauth_refusal(
                    request, 400, "invalid_scope", 70011, "The scope is not that of one resource: RESOURCE/.default."
                )
            wanted = scopes[0].removesuffix(_DEFAULT)
        audience = self._names.audience(wanted)
        if audience is None:
            known = " or ".join(self._names.audiences)
            raise oauth_refusal(
                request, 400, "invalid_resource", 500011, f"This tenant has no such resource; it has {known}."
            )
        return audience

    def _require_tenant(self, request: Request, tenant: str) -> None:
        if tenant.lower() != self._tenant:
            raise oauth_refusal(request, 400, "invalid_tenant", 90002, "There is no such tenant here.")
