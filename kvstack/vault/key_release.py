"""Releasing a key: to an environment its policy names, wrapped for that environment's own key, in a signed answer."""

import base64
import hashlib
from datetime import datetime
from typing import Any

import msgspec

from kvstack.hsm.protocol import PublicKey
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import KeySpecification
from kvstack.terms.name import folded
from kvstack.terms.release import DEFAULT_WRAPPING, ReleaseWrapping, release_wrapping
from kvstack.terms.release_policy import ReleasePolicy, rules
from kvstack.vault.attestation import Attested, attested
from kvstack.vault.attestation_authorities import keys_of
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.items import KEY, live
from kvstack.vault.key_use import require_usable
from kvstack.vault.keys import usable_version
from kvstack.vault.material import releasing
from kvstack.vault.records import Key, Vault
from kvstack.vault.release_signer import ReleaseSignerOperations, Signer
from kvstack.vault.superseded import note_version, superseded_since
from kvstack.vault.versions import KEY_VERSIONS, KeyVersionRow

RELEASE = KEY.action("release/action")
API_VERSION = "2026-04-01"
_LONGEST_NONCE = 1024


class _Checked(msgspec.Struct, frozen=True):
    """A key that may be released now, and to whom."""

    home: Vault
    item: Key
    row: KeyVersionRow
    policy: ReleasePolicy
    environment: Attested


class KeyReleaseOperations(ReleaseSignerOperations):
    """Keys that leave the vault. In clear they are nowhere but where they were before, and in that environment."""

    def release_key(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        target_attestation_token: str,
        version: str | None = None,
        algorithm: str = DEFAULT_WRAPPING,
        nonce: str | None = None,
        vault_url: str = "",
    ) -> bytes:
        """Return a key, wrapped for the environment a token attests, in a compact JWS signed by the vault.

        algorithm: how it is wrapped; nonce: comes back in the answer; vault_url: what the key's id in it begins with.
        Raises Forbidden for every token the key's policy is not met by, MechanismUnsupported where the HSM does not
        have the algorithm.
        """
        try:
            wrapping = release_wrapping(algorithm)
        except ValueError as error:
            raise BadParameter(str(error)) from None
        if nonce is not None and len(nonce) > _LONGEST_NONCE:
            raise BadParameter(f"a nonce has at most {_LONGEST_NONCE} characters")
        with self._attempt(caller, "KeyRelease", self._scope(vault, f"keys/{name}")) as attempt:
            attempt.details["algorithm"] = algorithm

            def checked() -> _Checked:
                return _releasable(attempt, vault, name, version, target_attestation_token)

            with attempt.look():
                found = checked()
                reference = self._reference(found.row)
                state = attempt.tx.ledger.root.number
            environment = found.environment
            attempt.details.update(authority=environment.issuer, recipient=environment.thumbprint)
            signer = self._release_signer(found.home)
            wrapped = releasing(self._provider(found.row.provider)).release(reference, wrapping, environment.recipient)
            signed = self._signed(signer, _answer(found, wrapping, wrapped, nonce, version, vault_url))
            with attempt.transaction():
                # Somebody may have taken the right away, or changed the policy, while it was wrapped.
                if attempt.tx.ledger.root.number != state:
                    checked()
            return signed

    def _signed(self, signer: Signer, payload: bytes) -> bytes:
        """Return a compact JWS. RFC 7515, 3.1."""
        sha1 = hashlib.sha1(signer.certificate, usedforsecurity=False)
        header = {
            "alg": "RS256",
            "kid": sha1.hexdigest().upper(),
            "typ": "JWT",
            "x5t": _text(sha1.digest()),
            "x5t#S256": _text(hashlib.sha256(signer.certificate).digest()),
            "x5c": [base64.b64encode(signer.certificate).decode()],
        }
        content = _base64url(msgspec.json.encode(header)) + b"." + _base64url(payload)
        digest = hashlib.sha256(content).digest()
        provider = self._provider(signer.key.material.provider)
        return content + b"." + _base64url(provider.sign(signer.key, ALGORITHMS["RS256"], digest))


def _releasable(attempt: Attempt, vault: str, name: str, version: str | None, token: str) -> _Checked:
    """Return what is released to whom. Raises Forbidden."""
    home = attempt.vault(vault, RELEASE, f"keys/{name}")
    item = live(attempt, home, KEY, name)
    attempt.at_item(home, f"keys/{item.name}")
    row = usable_version(attempt, item, version)
    note_version(attempt, row.version, superseded_since(attempt, KEY_VERSIONS, item, row))
    policy = item.release_policy
    if not item.exportable or policy is None:
        raise Forbidden(
            f"the key `{item.name}` in vault `{home.name}` is not exportable: it never leaves the vault",
            "Whether a key is, is decided when its first version is made.",
            inner="KeyOperationForbidden",
        )
    require_usable(item, row, "export", attempt.now, always=True)
    environment = attested(token, rules(policy.data), lambda url: keys_of(attempt, url), attempt.now)
    return _Checked(home, item, row, policy, environment)


def _answer(
    found: _Checked, wrapping: ReleaseWrapping, wrapped: bytes, nonce: str | None, version: str | None, vault_url: str
) -> bytes:
    """Return what is signed, in Azure's shape."""
    row, item = found.row, found.item
    key = f"{vault_url.rstrip('/') or f'https://{folded(found.home.name)}.vault.localhost'}/keys/{item.name}"
    inner = {
        "schema_version": "1.0",
        "header": {"kid": found.environment.kid, "alg": "dir", "enc": wrapping.name},
        "ciphertext": _text(wrapped),
    }
    attributes: dict[str, Any] = {
        "enabled": row.enabled,
        "nbf": _second(row.not_before),
        "exp": _second(row.expires),
        "created": _second(row.created),
        "updated": _second(row.updated),
        "recoveryLevel": found.home.recovery_level,
        "recoverableDays": found.home.soft_delete_retention_days,
        "exportable": True,
    }
    asked = {"api-version": API_VERSION, "enc": wrapping.name, "kid": key if version is None else f"{key}/{version}"}
    return msgspec.json.encode(
        {
            "request": asked if nonce is None else {**asked, "nonce": nonce},
            "response": {
                "key": {
                    "key": {
                        "kid": f"{key}/{row.version}",
                        **_public(row.specification, row.public),
                        "key_ops": sorted(row.operations),
                        "key_hsm": _text(msgspec.json.encode(inner)),
                    },
                    "attributes": {name: value for name, value in attributes.items() if value is not None},
                    "tags": dict(row.tags),
                    "release_policy": {
                        "contentType": found.policy.content_type,
                        "data": _text(found.policy.data),
                        "immutable": found.policy.immutable,
                    },
                }
            },
        }
    )


def _public(specification: KeySpecification, public: PublicKey) -> dict[str, str]:
    """Return the public half as a JSON Web Key's members."""
    kind: dict[str, str] = {"kty": specification.type}
    match specification.family:
        case "RSA":
            return {**kind, "n": _text(public.n), "e": _text(public.e)}
        case "EC":
            return {**kind, "crv": specification.curve or "", "x": _text(public.x), "y": _text(public.y)}
        case "oct":
            return kind
        case "ML-DSA" | "ML-KEM":
            return {"kty": "AKP", "alg": specification.type, "pub": _text(public.raw)}


def _second(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _text(content: bytes) -> str:
    return _base64url(content).decode()
