"""The data plane: from a request at a vault's host to the operation on the vault, and back."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from kvstack.server.answer import Answer, Refusal, refused
from kvstack.server.backup_storage import BackupStorage
from kvstack.server.data_plane import (
    certificate_people,
    certificate_requests,
    certificates,
    hsm_backup,
    hsm_roles,
    hsm_security_domain,
    hsm_settings,
    key_rotation,
    key_use,
    keys,
    secrets,
)
from kvstack.server.data_plane.api import NEWEST, Operation, Routes, require_version
from kvstack.server.data_plane.context import Asked, place
from kvstack.server.identity.signed_json import TokenRefused
from kvstack.server.plane import Plane, caller_of
from kvstack.server.request import Request
from kvstack.server.throttle import Throttle, too_many
from kvstack.server.throttle_limits import charge, is_of_a_key, kind_of_new_key
from kvstack.vault import errors

if TYPE_CHECKING:
    from kvstack.server.identity.callers import Callers, Principal
    from kvstack.server.identity.provider import Provider
    from kvstack.vault.service import VaultService

_ALWAYS: Final = (
    (b"cache-control", b"no-cache"),
    (b"pragma", b"no-cache"),
    (b"expires", b"-1"),
    (b"x-ms-keyvault-region", b"local"),
    (b"x-ms-keyvault-service-version", NEWEST.encode()),
)
ROUTES: Final = Routes(
    (
        *secrets.OPERATIONS,
        *keys.OPERATIONS,
        *key_use.OPERATIONS,
        *key_rotation.OPERATIONS,
        *certificates.OPERATIONS,
        *certificate_requests.OPERATIONS,
        *certificate_people.OPERATIONS,
    )
)
# What a Managed HSM does not hold is asked for there all the same, and refused by the vault in its own words.
HSM_ROUTES: Final = Routes(
    (
        *ROUTES.operations,
        *hsm_roles.OPERATIONS,
        *hsm_settings.OPERATIONS,
        *hsm_backup.OPERATIONS,
        *hsm_security_domain.OPERATIONS,
    )
)


class DataPlane(Plane):
    """Answers at the hosts of vaults and Managed HSMs. backups: where those of Managed HSMs are kept; throttle: counts
    requests, None where as many are done as come; now: seconds since 1970."""

    def __init__(
        self,
        service: "VaultService",
        callers: "Callers",
        provider: "Provider",
        threads: ThreadPoolExecutor,
        backups: BackupStorage,
        throttle: Throttle | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(service, callers, provider, threads)
        self._backups = backups
        self._throttle = throttle
        self._now = now

    async def _done(self, request: Request, principal: "Principal") -> Answer:
        routes = HSM_ROUTES if request.host.kind == "managedhsm" else ROUTES
        operation, names = routes.operation(request.method, request.path)
        require_version(request.query.get("api-version"), operation)
        asked = Asked(self._service, caller_of(request, principal), request, self._backups)
        if self._throttle is not None:
            await self._reading.done(partial(self._count, self._throttle, asked, operation, names))
        work = partial(self._operated, asked, operation, names)
        if operation.lane == "using":
            done = await self._reading.done(partial(self._used_briefly, work, asked, names))
            if done is not None:
                return done
        return await self._worked(work, operation.lane)

    def _count(self, throttle: Throttle, asked: Asked, operation: Operation, names: tuple[str, ...]) -> None:
        """Count a request for its vault. Raises Refusal where too many came."""
        known = self._service.counted_for(asked.vault, names[0] if is_of_a_key(operation) else "")
        if known is None:
            return
        key = kind_of_new_key(asked.request) if operation.id == "CreateKey" else known.key
        counted = charge(operation, key, managed_hsm=known.managed_hsm)
        found = throttle.counted(known.id, counted, self._now()) if counted is not None else None
        if found is not None:
            raise Refusal(too_many(found))

    def _operated(self, asked: Asked, operation: Operation, names: tuple[str, ...]) -> Answer:
        self._require_kind(asked)
        return operation.answer(asked, names)

    def _used_briefly(self, work: Callable[[], Answer], asked: Asked, names: tuple[str, ...]) -> Answer | None:
        """Use a key here and now where that is quick, as handing it to a thread would take longer; None where not."""
        name, version = place(names)
        return work() if self._service.is_used_briefly(asked.vault, name, version) else None

    def _require_kind(self, asked: Asked) -> None:
        """Refuse a Managed HSM at a vault's host, and the other way round, as if there were none."""
        host = asked.request.host
        managed_hsm = self._service.is_managed_hsm(host.name)
        if managed_hsm is not None and managed_hsm != (host.kind == "managedhsm"):
            raise errors.denied_plainly()

    def _challenge(self, request: Request, error: TokenRefused) -> Answer:
        """Answer who did not say who he is: where tokens are given, and what for."""
        parts = [f'authorization="{self._authority(request)}"', f'resource="{request.host.resource}"']
        words = "AKV10000: Request is missing a Bearer or PoP token."
        if request.authorization:
            parts += ['error="invalid_token"', f'error_description="{error}"']
            words = f"AKV10032: Invalid token: {error}."
        header = (b"www-authenticate", f"Bearer {', '.join(parts)}".encode())
        return refused(401, "Unauthorized", words, headers=(header,))

    def _told(self, request: Request, answer: Answer) -> Answer:
        """Return an answer with the headers every vault's answers have."""
        family = "Ipv6" if ":" in request.address else "Ipv4"
        network = f"conn_type={family};addr={request.address};act_addr_fam=InterNetwork;"
        more = [*_ALWAYS, (b"x-ms-keyvault-network-info", network.encode())]
        if request.correlation_id:
            more.append((b"x-ms-client-request-id", request.correlation_id.encode()))
        return Answer(answer.status, answer.body, (*answer.headers, *more))
