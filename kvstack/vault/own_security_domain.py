"""The security domain of a store's own token: drawn for the custodians the store was made with, or brought back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.items import ItemOperations
from kvstack.vault.pools import SECURITY_DOMAINS, SecurityDomainRow

if TYPE_CHECKING:
    from kvstack.hsm.configuration import HsmConfiguration
    from kvstack.hsm.security_domain import CustodianKey, SecurityDomain

# The store's row among those of its Managed HSMs; no vault has such an id.
_STORE: Final = "store"
ACTION: Final = "Microsoft.KeyVault/vaults/write"


class OwnSecurityDomainOperations(ItemOperations):
    """What can be done with the security domain of the store's own HSM keys."""

    def download_own_security_domain(self, caller: Caller) -> bytes:
        """Draw the security domain for the store's custodians, and return its document; asked again, return the same.
        Keys in the HSM can be made from then on. Raises Conflict where the store was made without custodians.

        It is kept before the token's configuration names its root, so that a run that is killed in between is finished
        by the next, and no root is ever used whose domain nobody has.
        """
        from kvstack.hsm.domain_root import establish, roots_of
        from kvstack.hsm.security_domain import from_document, to_document

        with self._attempt(caller, "SecurityDomainDownload", self.top) as attempt, self._pools.alone():
            with attempt.look():
                document = self._own_document(attempt)
            configuration = self._own_configuration()
            if document is None:
                domain = establish(
                    [configuration],
                    self._settings.custodians,
                    quorum=self._settings.quorum,
                    name="kvstack",
                    now=self._clock.now(),
                    environ=self._pools.environ,
                )
                document = to_document(domain)
            else:
                domain = from_document(document)
            with attempt.transaction():
                self._own_document(attempt)
                self._keep_own(attempt, domain, document)
            if not configuration.root and domain.id in roots_of(configuration, self._pools.environ):
                self._go_on_with(msgspec.structs.replace(configuration, root=domain.id))
            return document

    def upload_own_security_domain(
        self,
        caller: Caller,
        document: bytes,
        private_keys: "Sequence[CustodianKey]",
        *,
        of_another_store: bool = False,
    ) -> None:
        """Give a new token the root of the store's security domain, after the old token was lost: its keys can be used
        again. private_keys: of a quorum of the custodians; of_another_store: the domain is that store's, and this one
        has none yet, so that vaults with HSM keys can move here. Raises BadParameter for another domain's document,
        Conflict where the token has its root."""
        from kvstack.hsm.domain_root import join
        from kvstack.hsm.security_domain import from_document

        with self._attempt(caller, "SecurityDomainUpload", self.top) as attempt, self._pools.alone():
            with attempt.look():
                kept = self._own_document(attempt)
            configuration = self._own_configuration()
            if configuration.root:
                raise Conflict("the token has the root of its security domain", code="HsmAlreadyActivated")
            domain = from_document(document)
            if from_document(kept).id != domain.id if kept is not None else not of_another_store:
                raise BadParameter(
                    f"this is the security domain {domain.id}, not this store's",
                    "It was written by `kvstack hsm security-domain download` here. A store that has none yet takes "
                    "another one's with `--of-another-store`.",
                )
            (joined,) = join([configuration], domain, private_keys, environ=self._pools.environ)
            with attempt.transaction():
                if self._own_document(attempt) is None:
                    self._keep_own(attempt, domain, document)
                attempt.details["domain"] = domain.id
            self._go_on_with(joined)

    def _own_document(self, attempt: Attempt) -> bytes | None:
        """Return the document of a domain that was drawn, None of one that is still to be. Raises Conflict."""
        attempt.require(ACTION, self.top, data=False)
        if not self._settings.custodians:
            raise Conflict(
                "this store has no security domain: its token has generated its root itself, and never lets it out",
                "Custodians are named when a store is made: `kvstack init --custodian FILE... --quorum N`.",
            )
        row = SECURITY_DOMAINS.get(attempt.tx, _STORE)
        return row.document if row is not None else None

    def _keep_own(self, attempt: Attempt, domain: "SecurityDomain", document: bytes) -> None:
        attempt.details.update(domain=domain.id, quorum=str(domain.quorum), custodians=str(len(domain.custodians)))
        SECURITY_DOMAINS.put(attempt.tx, SecurityDomainRow(vault_id=_STORE, document=document))

    def _own_configuration(self) -> "HsmConfiguration":
        return self._pools.own_token()

    def _go_on_with(self, configuration: "HsmConfiguration") -> None:
        """Write the token's configuration, and use it in this process from here on."""
        from kvstack.hsm.pkcs11 import Pkcs11Keys

        self._pools.write_own_token(configuration)
        provider = self._providers.get("pkcs11")
        if isinstance(provider, Pkcs11Keys):
            provider.reconfigure(configuration)
