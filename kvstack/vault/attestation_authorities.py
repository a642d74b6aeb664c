"""Whose attestations the vault believes: authorities and their keys, given to it beforehand, for it calls nobody."""

from collections.abc import Sequence
from datetime import datetime

from kvstack.terms.near import meant
from kvstack.vault.attestation import AuthorityKey
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.errors import BadParameter, NotFound
from kvstack.vault.jwks import authority_keys
from kvstack.vault.table import Row, Table

# Whoever can name an authority can forge what it says: it takes the right to hand out access, and Contributors lack it.
READ = "Microsoft.Authorization/attestationAuthorities/read"
WRITE = "Microsoft.Authorization/attestationAuthorities/write"
DELETE = "Microsoft.Authorization/attestationAuthorities/delete"
_MOST = 64
_LONGEST_URL = 2048


class AttestationAuthority(Row, frozen=True, kw_only=True):
    """An authority. url: the `iss` of its tokens, exactly; keys: what it signs with."""

    url: str
    keys: tuple[AuthorityKey, ...]
    trusted: datetime
    by: str = ""


AUTHORITIES = Table("attestation_authorities", AttestationAuthority, ("url",))


class AttestationAuthorityOperations(Engine):
    """Trusting authorities, for all vaults of the store. What a key's release policy does not name it never needs."""

    def trust_authority(self, caller: Caller, url: str, jwks: bytes) -> AttestationAuthority:
        """Believe what an authority signs, from now on with these keys only. url: the `iss` of its tokens; jwks: its
        JSON Web Key Set. Raises BadParameter."""
        with self._attempt(caller, "AttestationAuthorityTrust", self.top) as attempt, attempt.transaction():
            attempt.require(WRITE, self.top, data=False)
            if not 0 < len(url) <= _LONGEST_URL or not url.isprintable() or " " in url:
                raise BadParameter("an authority is told by the `iss` of its tokens: text without spaces")
            keys = authority_keys(jwks)
            if AUTHORITIES.get(attempt.tx, url) is None and AUTHORITIES.count(attempt.tx) >= _MOST:
                raise BadParameter(f"a store trusts at most {_MOST} authorities")
            row = AttestationAuthority(url=url, keys=keys, trusted=attempt.now, by=caller.id)
            attempt.details.update(authority=url, keys=" ".join(key.kid for key in keys)[:1000])
            AUTHORITIES.put(attempt.tx, row)
            return row

    def list_authorities(self, caller: Caller) -> tuple[AttestationAuthority, ...]:
        """Return the authorities, by their names."""
        with self._attempt(caller, "AttestationAuthorityList", self.top) as attempt, attempt.reading():
            attempt.require(READ, self.top, data=False)
            return tuple(sorted(AUTHORITIES.scan(attempt.tx), key=lambda row: row.url))

    def remove_authority(self, caller: Caller, url: str) -> None:
        """Believe an authority no longer. Raises NotFound."""
        with self._attempt(caller, "AttestationAuthorityRemove", self.top) as attempt, attempt.transaction():
            attempt.require(DELETE, self.top, data=False)
            attempt.details["authority"] = url[:_LONGEST_URL]
            if AUTHORITIES.get(attempt.tx, url) is None:
                known = [row.url for row in AUTHORITIES.scan(attempt.tx)]
                raise NotFound(f"the vault trusts no authority `{url[:200]}`{meant(url, known)}")
            AUTHORITIES.delete(attempt.tx, url)


def keys_of(attempt: Attempt, url: str) -> Sequence[AuthorityKey] | None:
    """Return the keys of an authority, None for one nobody trusts."""
    row = AUTHORITIES.get(attempt.tx, url)
    return None if row is None else row.keys
