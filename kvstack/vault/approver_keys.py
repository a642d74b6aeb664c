"""The keys approvers sign with: their own, made by the vault for each at the first approval, or one of a vault's."""

import hashlib

import msgspec

from kvstack.hsm import public_half
from kvstack.hsm.protocol import KeyMaterial, KeyReference, PublicKey
from kvstack.terms.algorithm import algorithm
from kvstack.terms.key import KeySpecification
from kvstack.vault.approval_rows import APPROVER_KEYS, APPROVERS, Approval, ApproverKey, approver_context
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.data_key import DATA_KEYS
from kvstack.vault.errors import BadParameter
from kvstack.vault.key_use import KeyUseOperations

ALGORITHM = "ES256"


class Signed(msgspec.Struct, frozen=True):
    """A signature and whose it is. key: `VAULT/NAME/VERSION`, empty for the approver's own key."""

    key: str
    public: PublicKey
    value: bytes


class ApproverKeyOperations(KeyUseOperations):
    """Signing approvals."""

    def _approver_public(self, caller: Caller, key: tuple[str, str] | None) -> tuple[str, PublicKey]:
        """Return the key that is going to sign, and its public half: one of a vault (vault and name), or the caller's
        own, made where there is none yet."""
        if key is None:
            return "", self._own_key(caller).public
        found = self.get_key(caller, *key)
        if found.specification.curve != "P-256":
            raise BadParameter(
                f"approvals are signed by EC P-256 keys, and `{found.name}` is none", "Name another, or leave it out."
            )
        return f"{found.vault}/{found.name}/{found.version}", found.public

    def _signed_approval(self, caller: Caller, approval: Approval) -> bytes:
        """Return the signature of an approval by the key it names. Raises Forbidden for who may not sign with it."""
        digest = hashlib.sha256(approval.statement).digest()
        if approval.key:
            vault, name, version = approval.key.split("/")
            return self.sign(caller, vault, name, algorithm=ALGORITHM, digest=digest, version=version).value
        row = self._own_key(caller)
        blob = self._barrier.open(APPROVERS, approver_context(row.principal), row.sealed)
        key = KeyReference(
            f"{APPROVERS}/{row.principal}", row.specification, KeyMaterial(row.provider, blob, row.public)
        )
        return self._provider(row.provider).sign(key, algorithm(ALGORITHM, "sign"), digest)

    def _own_key(self, caller: Caller) -> ApproverKey:
        """Return the caller's own key, made where there is none yet."""
        with self._store.transaction() as tx:
            row = APPROVER_KEYS.get(tx, caller.id)
        return row if row is not None else self._made_own_key(caller)

    def _made_own_key(self, caller: Caller) -> ApproverKey:
        specification = KeySpecification("EC-HSM" if "pkcs11" in self._providers else "EC", curve="P-256")
        material = self._generated(specification)
        with (
            self._kept(specification, material),
            self._attempt(SYSTEM, "ApproverKeyMake", self.top) as attempt,
            attempt.transaction(),
        ):
            attempt.details["principal"] = caller.id
            if DATA_KEYS.get(attempt.tx, APPROVERS) is None:
                self._barrier.create_data_key(attempt.tx, APPROVERS)
            made = ApproverKey(
                principal=caller.id,
                specification=specification,
                public=material.public,
                provider=material.provider,
                sealed=self._barrier.seal(APPROVERS, approver_context(caller.id), material.blob),
                created=attempt.now,
            )
            there = APPROVER_KEYS.get(attempt.tx, caller.id)
            if there is None:
                APPROVER_KEYS.put(attempt.tx, made)
        if there is not None:
            # Another process was faster.
            self._forget(KeyReference("discarded", specification, material))
        return there or made


def is_signed(approval: Approval) -> bool:
    """Tell whether an approval bears its key's signature over what it says."""
    digest = hashlib.sha256(approval.statement).digest()
    return public_half.verified(approval.public, algorithm(ALGORITHM, "sign"), digest, approval.signature)
