"""Certificates in the embedded vault."""

import contextlib

from kvstack.backends.embedded import reading
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.places import Places
from kvstack.backends.embedded.tags import tags_of
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.certificate import Certificate
from kvstack.schema.resource import Resource
from kvstack.vault import records
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService

_OF_THE_POLICY = frozenset({"renew", "notify", "keep_previous"})


class CertificateHandler:
    """Creates, updates, renews, deletes, recovers and purges certificates. Making one is slow, and happens on the
    caller's thread. With the issuer `Unknown` what is made is a request, and the certificate is pending."""

    def __init__(self, service: VaultService, caller: Caller, places: Places) -> None:
        self._service = service
        self._caller = caller
        self._places = places

    def create(self, wanted: Wanted[Certificate]) -> Actual[Resource]:
        """Make the certificate, with its key and its secret."""
        try:
            return self._made(wanted, only_if_absent=True)
        except Conflict:
            if (there := already(self._service, self._caller, self._places.subscription, wanted)) is not None:
                return there
            raise

    def rotate(self, actual: Actual[Certificate], wanted: Wanted[Certificate]) -> Actual[Resource]:
        """Make a new version as declared. A request nobody has signed yet gives way to the new one."""
        name = actual.resource.name
        there = next(
            (
                one
                for one in self._service.list_certificates(self._caller, actual.vault, include_pending=True)
                if one.folded == name.lower()
            ),
            None,
        )
        if there is not None and there.pending:
            self._service.cancel_pending_certificate(self._caller, actual.vault, name)
        return self._made(wanted, only_if_absent=False)

    def update(
        self, actual: Actual[Certificate], wanted: Wanted[Certificate], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Change attributes of the current version, and when it is renewed."""
        name = actual.resource.name
        changes: dict[str, object] = {"enabled": wanted.resource.enabled} if "enabled" in changed else {}
        if "tags" in changed or "owner" in changed:
            changes["tags"] = tags_of(wanted)
        with self._service.batch():
            if changed & _OF_THE_POLICY:
                self._service.set_certificate_policy(self._caller, actual.vault, name, wanted.resource.policy)
            updated = self._service.update_certificate(self._caller, actual.vault, name, **changes)  # type: ignore[arg-type]  # each under its own name
        return self._read(updated)

    def delete(self, actual: Actual[Certificate]) -> None:
        """Delete the certificate; it can be recovered."""
        with contextlib.suppress(NotFound):  # one that is gone already is no error
            self._service.delete_certificate(self._caller, actual.vault, actual.resource.name)

    def recover(self, actual: Actual[Certificate]) -> Actual[Resource]:
        """Bring the certificate back with every version."""
        return self._read(self._service.recover_certificate(self._caller, actual.vault, actual.resource.name))

    def purge(self, actual: Actual[Certificate]) -> None:
        """Destroy the deleted certificate for good."""
        self._service.purge_certificate(self._caller, actual.vault, actual.resource.name)

    def _made(self, wanted: Wanted[Certificate], *, only_if_absent: bool) -> Actual[Resource]:
        certificate = wanted.resource
        return self._read(
            self._service.create_certificate(
                self._caller,
                wanted.vault,
                certificate.name,
                policy=certificate.policy,
                enabled=certificate.enabled,
                tags=tags_of(wanted),
                only_if_absent=only_if_absent,
            )
        )

    def _read(self, certificate: records.Certificate) -> Actual[Resource]:
        return reading.of_certificate(certificate, self._places.vault(certificate.vault).path)
