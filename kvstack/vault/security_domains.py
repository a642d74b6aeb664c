"""Activating a Managed HSM: its security domain is drawn for custodians, or brought by them; a new token joins it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec.structs import replace

from kvstack.hsm.protocol import HsmError
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.items import ItemOperations
from kvstack.vault.pool_home import inside
from kvstack.vault.pools import SECURITY_DOMAINS, SecurityDomainRow, tokens_of
from kvstack.vault.records import Pool, Vault

if TYPE_CHECKING:
    from kvstack.hsm.security_domain import SecurityDomain, ShareOpener
    from kvstack.terms.custodian import Custodian

T = TypeVar("T")

DOWNLOAD: Final = "Microsoft.KeyVault/managedHsm/securitydomain/download/action"
UPLOAD: Final = "Microsoft.KeyVault/managedHsm/securitydomain/upload/action"
READ_DOWNLOAD: Final = "Microsoft.KeyVault/managedHsm/securitydomain/download/read"
READ_UPLOAD: Final = "Microsoft.KeyVault/managedHsm/securitydomain/upload/read"


class SecurityDomainOperations(ItemOperations):
    """What can be done with the security domain of a Managed HSM."""

    def download_security_domain(
        self, caller: Caller, hsm: str, custodians: "Sequence[Custodian]", quorum: int
    ) -> bytes:
        """Activate a Managed HSM: draw its security domain, and return it with a share for each custodian, of whom a
        quorum restores it. Whoever asks again, for the same custodians, gets the same document: the answer may have
        been lost. Raises Conflict where it is activated for others."""
        from kvstack.hsm.domain_root import establish
        from kvstack.hsm.security_domain import require_custodians, to_document

        with self._attempt(caller, "SecurityDomainDownload", self._scope(hsm)) as attempt:
            with attempt.look():
                there = self._downloaded(attempt, hsm, custodians, quorum)
            as_parameter(lambda: require_custodians(custodians, quorum))
            if there is None:
                with self._pools.alone():
                    with attempt.look():
                        there = self._downloaded(attempt, hsm, custodians, quorum)
                        home, _ = inside(attempt, hsm, DOWNLOAD, activated=False)
                    if there is None:
                        configurations = self._pools.configurations(home)
                        domain = establish(
                            configurations,
                            custodians,
                            quorum=quorum,
                            name=home.name,
                            now=self._clock.now(),
                            environ=self._pools.environ,
                        )
                        with_root = (replace(one, root=domain.id) for one in configurations)
                        self._pools.write(dict(zip(tokens_of(home), with_root, strict=True)))
                        with attempt.transaction():
                            home, pool = inside(attempt, hsm, DOWNLOAD, activated=False)
                            document: bytes = to_document(domain)
                            self._activate(attempt, home, pool, domain, document)
                        self._pools.reopen(home)
                        return document
            with attempt.transaction():
                attempt.details["again"] = "yes"
                return self._downloaded(attempt, hsm, custodians, quorum) or there

    def upload_security_domain(
        self, caller: Caller, hsm: str, document: bytes, private_keys: "Sequence[ShareOpener]"
    ) -> Vault:
        """Activate a Managed HSM by the security domain of another one: backups of that one can be restored then.
        private_keys: of a quorum of its custodians. Raises Conflict where it is activated, HsmError for a document that
        was changed, or too few or wrong keys: nothing is changed then."""
        from kvstack.hsm.domain_root import join
        from kvstack.hsm.security_domain import from_document

        with self._attempt(caller, "SecurityDomainUpload", self._scope(hsm)) as attempt:

            def checked() -> tuple[Vault, Pool]:
                home, pool = inside(attempt, hsm, UPLOAD, activated=False)
                if pool.activated is not None:
                    raise Conflict(
                        f"Managed HSM `{home.name}` is activated already: a security domain is for good",
                        "Upload it into a Managed HSM that was just made; a new token of this one joins its domain by "
                        f"`kvstack hsm security-domain join {home.name}`.",
                        code="HsmAlreadyActivated",
                    )
                return home, pool

            with attempt.look():
                checked()
            domain = as_parameter(lambda: from_document(document))
            with self._pools.alone():
                with attempt.look():
                    home, _ = checked()
                configurations = self._pools.configurations(home)
                joined = join(configurations, domain, private_keys, environ=self._pools.environ)
                self._pools.write(dict(zip(tokens_of(home), joined, strict=True)))
                with attempt.transaction():
                    home, pool = checked()
                    activated = self._activate(attempt, home, pool, domain, document)
            self._pools.reopen(home)
            return activated

    def join_security_domain(
        self, caller: Caller, hsm: str, document: bytes, private_keys: "Sequence[ShareOpener]"
    ) -> int:
        """Let the new tokens of an activated Managed HSM take part in its security domain. Returns how many there were.
        private_keys: of a quorum of its custodians. Raises BadParameter where every token has it."""
        from kvstack.hsm.domain_root import join
        from kvstack.hsm.security_domain import from_document

        with self._attempt(caller, "SecurityDomainJoin", self._scope(hsm)) as attempt:
            with attempt.look():
                inside(attempt, hsm, UPLOAD)
            domain = as_parameter(lambda: from_document(document))
            with self._pools.alone():
                with attempt.look():
                    home, pool = inside(attempt, hsm, UPLOAD)
                if domain.id != pool.domain:
                    raise BadParameter(
                        f"this is the security domain {domain.id}, that of Managed HSM `{home.name}` is {pool.domain}",
                        "Every token of a Managed HSM has one and the same.",
                    )
                new = {file: one for file, one in self._pools.readable(home).items() if not one.root}
                if not new:
                    raise BadParameter(
                        f"every token of Managed HSM `{home.name}` is of its security domain",
                        "A new token comes with `tokens:`, or `kvstack managed-hsm update --tokens`.",
                    )
                joined = join(tuple(new.values()), domain, private_keys, environ=self._pools.environ)
                self._pools.write(dict(zip(new, joined, strict=True)))
                with attempt.transaction():
                    home, pool = inside(attempt, hsm, UPLOAD)
                    attempt.details.update(domain=domain.id, tokens=" ".join(one.token_label for one in joined))
                    changed = replace(pool, written=pool.written + 1)
                    attempt.changes_registry().put_vault(attempt.tx, replace(home, pool=changed, updated=attempt.now))
            self._pools.reopen(home)
            return len(joined)

    def security_domain_is_there(self, caller: Caller, hsm: str, action: str) -> bool:
        """Return whether a Managed HSM is activated. action: what the caller has to be allowed, `READ_DOWNLOAD` or
        `READ_UPLOAD`."""
        with self._attempt(caller, "SecurityDomainStatusGet", self._scope(hsm)) as attempt, attempt.reading():
            return inside(attempt, hsm, action, activated=False)[1].activated is not None

    def _downloaded(self, attempt: Attempt, hsm: str, custodians: "Sequence[Custodian]", quorum: int) -> bytes | None:
        """Return the document of a Managed HSM that is activated for these custodians, None of one that is not."""
        from kvstack.hsm.security_domain import from_document

        home, pool = inside(attempt, hsm, DOWNLOAD, activated=False)
        if pool.activated is None:
            return None
        row = SECURITY_DOMAINS.get(attempt.tx, home.id)
        if row is not None:
            domain = from_document(row.document)
            there = sorted(one.fingerprint for one in domain.custodians)
            if domain.quorum == quorum and there == sorted(one.fingerprint for one in custodians):
                return row.document
        raise Conflict(
            f"Managed HSM `{home.name}` is activated already, for other custodians or another quorum",
            "Its security domain is theirs for good. Those it was downloaded for can have it again.",
            code="HsmAlreadyActivated",
        )

    def _activate(self, attempt: Attempt, home: Vault, pool: Pool, domain: "SecurityDomain", document: bytes) -> Vault:
        """Keep that a Managed HSM is of a security domain from now on: only now may its keys be used."""
        attempt.details.update(domain=domain.id, quorum=str(domain.quorum), custodians=str(len(domain.custodians)))
        activated = replace(pool, activated=attempt.now, domain=domain.id, quorum=domain.quorum)
        changed = replace(home, pool=activated, updated=attempt.now)
        attempt.changes_registry().put_vault(attempt.tx, changed)
        SECURITY_DOMAINS.put(attempt.tx, SecurityDomainRow(vault_id=home.id, document=document))
        return changed


def as_parameter(work: Callable[[], T]) -> T:
    """Return what work gives; what it refuses is what was asked for, not the HSM's doing."""
    try:
        return work()
    except HsmError as error:
        found = error.diagnostics[0]
        raise BadParameter(found.summary, found.detail) from None
