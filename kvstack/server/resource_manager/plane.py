"""The resource manager plane: from a request at its host to the operation on the vault, and back."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from kvstack.server.answer import Answer, Refusal, refusal_of, refused
from kvstack.server.identity.signed_json import TokenRefused
from kvstack.server.plane import Plane, caller_of
from kvstack.server.request import Request
from kvstack.server.resource_manager import (
    access_policies,
    activations,
    assignment_schedules,
    cloud_metadata,
    deleted_vaults,
    deny_assignments,
    directory,
    eligibility,
    identities,
    keys,
    managed_hsms,
    private_links,
    provider_operations,
    providers,
    role_assignments,
    role_definitions,
    secrets,
    subscriptions,
    vaults,
)
from kvstack.server.resource_manager.context import Asked
from kvstack.server.resource_manager.errors import code_of, subscription_not_found
from kvstack.server.resource_manager.routes import Operation, Routes, require_version
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.server.identity.callers import Callers, Principal
    from kvstack.server.identity.provider import Provider
    from kvstack.vault.service import VaultService

_ALWAYS: Final = ((b"cache-control", b"no-cache"), (b"pragma", b"no-cache"), (b"expires", b"-1"))
ROUTES: Final = Routes(
    (
        *subscriptions.OPERATIONS,
        *vaults.OPERATIONS,
        *deleted_vaults.OPERATIONS,
        *access_policies.OPERATIONS,
        *private_links.OPERATIONS,
        *keys.OPERATIONS,
        *secrets.OPERATIONS,
        *managed_hsms.OPERATIONS,
        *role_assignments.OPERATIONS,
        *role_definitions.OPERATIONS,
        *deny_assignments.OPERATIONS,
        *eligibility.OPERATIONS,
        *activations.OPERATIONS,
        *assignment_schedules.OPERATIONS,
        *identities.OPERATIONS,
        *provider_operations.OPERATIONS,
        *providers.OPERATIONS,
    )
)
# Its paths begin with the version.
DIRECTORY: Final = Routes(directory.OPERATIONS)


class ResourceManager(Plane):
    """Answers at resource manager's host. domain: of the vaults' hosts."""

    def __init__(
        self,
        service: "VaultService",
        callers: "Callers",
        provider: "Provider",
        threads: ThreadPoolExecutor,
        domain: str,
    ) -> None:
        super().__init__(service, callers, provider, threads)
        self._domain = domain

    async def answer(self, request: Request) -> Answer:
        """Answer one request. What this cloud is, everybody is told; for all else, who asks is found out first."""
        if request.path == cloud_metadata.PATH:
            try:
                found = cloud_metadata.cloud_metadata(request, self._domain, self._service.tenant_id)
            except Refusal as refusal:
                found = refusal.answer
            return self._told(request, found)
        return await super().answer(request)

    async def _done(self, request: Request, principal: "Principal") -> Answer:
        if request.path[:1] == (directory.VERSION,):
            operation, names = DIRECTORY.operation(request.method, request.path)
        else:
            operation, names = ROUTES.operation(request.method, request.path)
            require_version(request.query.get("api-version"), operation.versions)
        asked = Asked(self._service, caller_of(request, principal), request, names, self._domain)
        return await self._worked(partial(_operated, asked, operation), operation.lane)

    def _challenge(self, request: Request, error: TokenRefused) -> Answer:
        """Answer who did not say who he is: where tokens are given."""
        parts = [f'authorization_uri="{self._authority(request)}"']
        code, words = "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
        if request.authorization:
            parts += ['error="invalid_token"', f'error_description="{error}"']
            code, words = "InvalidAuthenticationToken", f"The access token is invalid: {error}."
        header = (b"www-authenticate", f"Bearer {', '.join(parts)}".encode())
        return refused(401, code, words, headers=(header,))

    def _told(self, request: Request, answer: Answer) -> Answer:
        """Return an answer with the headers every answer of resource manager has."""
        more = [*_ALWAYS, (b"x-ms-correlation-request-id", (request.correlation_id or request.id).encode())]
        if request.correlation_id:
            more.append((b"x-ms-client-request-id", request.correlation_id.encode()))
        return Answer(answer.status, answer.body, (*answer.headers, *more))

    def _refusal(self, error: KvstackError) -> Answer:
        return refusal_of(error, code_of)


def _operated(asked: Asked, operation: Operation) -> Answer:
    subscription = asked.names.get("subscription")
    if subscription is not None and subscription.lower() != asked.service.top.subscription.lower():
        raise subscription_not_found(subscription)
    return operation.answer(asked)
