"""People: each signs in with a secret of his own and a code of his authenticator, of which every one counts once.

Both are drawn here and shown once. The secret nobody guesses, so that a wrong code by who knows it can be held against
him alone: nobody locks anybody else out. Source: RFC 6238 (TOTP), RFC 4226, 7.3.
"""

import base64
import hashlib
import hmac
import struct
import uuid
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

import msgspec

from kvstack.terms.principal import is_guid
from kvstack.terms.secret import SecretValue
from kvstack.vault.barrier import STORE
from kvstack.vault.caller import Caller, CallerRequest
from kvstack.vault.client_secrets import DEFAULT_LIFE, LONGEST_LIFE, SALT, digest_of
from kvstack.vault.credentials import MOST, PERSON_CREDENTIALS, WRITE, PersonCredentialRow, tell_sign_in_changed
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.items import moment
from kvstack.vault.registry import PrincipalRow, Registry
from kvstack.vault.service_principals import principal_of_type
from kvstack.vault.sign_in import SignedIn, SignInOperations, SignInRefused
from kvstack.vault.transaction import Transaction

_SECRET: Final = 20
_TOTP_KEY: Final = 20
_HINT: Final = 4
STEP: Final = 30
_DIGITS: Final = 6
# Wrong codes that are forgiven; each further one makes its person wait, twice as long as the one before.
_FORGIVEN: Final = 5
_LONGEST_WAIT: Final = timedelta(hours=1)


class PersonCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A person's credential that was just made. secret: what he types; enrolment: what his authenticator reads."""

    principal_id: str
    id: str
    expires: datetime
    secret: SecretValue
    enrolment: SecretValue


class PeopleOperations(SignInOperations):
    """How people sign in."""

    def create_person_credential(
        self, caller: Caller, principal: str, *, description: str = "", expires: datetime | None = None
    ) -> PersonCredential:
        """Make what a person signs in with. principal: his object id; expires: in 180 days where None, in two years at
        most. Raises NotFound, BadParameter, Conflict."""
        with self._attempt(caller, "PersonCredentialCreate", self.top) as attempt, attempt.transaction():
            attempt.require(WRITE, self.top, data=False)
            row = principal_of_type(attempt, principal, "user", what="a person's credentials")
            ends = moment("expires", expires) or attempt.now + DEFAULT_LIFE
            if not attempt.now < ends <= attempt.now + LONGEST_LIFE:
                raise BadParameter(f"expires: a credential lives up to {LONGEST_LIFE.days} days from now")
            if len(description) > 256:
                raise BadParameter("description: it has at most 256 characters")
            if PERSON_CREDENTIALS.count(attempt.tx, principal_id=row.id) >= MOST:
                raise Conflict(f"{row.id} has {MOST} of them", "Delete one that is not needed any more.")
            secret, key = base64.b32encode(self._random(_SECRET)), self._random(_TOTP_KEY)
            salt, identifier = self._random(SALT), str(uuid.UUID(bytes=self._random(16), version=4))
            made = PersonCredentialRow(
                principal_id=row.id,
                id=identifier,
                hint=secret[:_HINT].decode(),
                salt=salt,
                digest=digest_of(salt, secret),
                totp=self._barrier.seal(STORE, _place(row.id, identifier), key),
                description=description,
                created=attempt.now,
                expires=ends,
            )
            attempt.details.update(principal=row.id, credential=made.id)
            PERSON_CREDENTIALS.put(attempt.tx, made)
            tell_sign_in_changed(attempt.tx)
            named = quote(row.name or row.id, safe="")
            enrolment = f"otpauth://totp/kvstack:{named}?secret={base64.b32encode(key).decode()}&issuer=kvstack"
            return PersonCredential(
                principal_id=row.id,
                id=made.id,
                expires=ends,
                secret=SecretValue(b"-".join(secret[at : at + 4] for at in range(0, len(secret), 4))),
                enrolment=SecretValue(enrolment),
            )

    def signed_in_person(
        self,
        name: str,
        secret: SecretValue,
        code: str,
        *,
        client_id: str,
        address: str | None = None,
        request: CallerRequest | None = None,
    ) -> SignedIn:
        """Return the person whose secret and code these are. name: as the directory has him, or his object id;
        client_id: of the program he signs in to. Raises SignInRefused, whatever was wrong."""
        plain = secret.reveal().upper().translate(None, b"- ")
        with self._store.transaction() as tx:
            row = _person(self._current_registry(tx), name)
            fitting = self._matched(tx, row.id if row is not None else "", plain)
            there = self._code_taken(tx, fitting, code) if fitting is not None else None
        with self._sign_in(row.id if row is not None else "", address, request) as attempt, attempt.transaction():
            if row is None or there is None:
                raise SignInRefused
            attempt.details.update(credential=there.id)
            return self._let_in(attempt, row, client_id, f"person/{there.id}", there.expires, mfa=True)

    def _matched(self, tx: Transaction, principal_id: str, secret: bytes) -> PersonCredentialRow | None:
        """Return the credential with this secret. All are compared, and one of nobody's where there is none."""
        fitting = None
        found = PERSON_CREDENTIALS.scan(tx, principal_id=principal_id)
        for one in found or (self._nobody,):
            same = hmac.compare_digest(digest_of(one.salt, secret), one.digest)
            if same and isinstance(one, PersonCredentialRow) and self._clock.now() < one.expires:
                fitting = one
        return fitting

    def _code_taken(self, tx: Transaction, credential: PersonCredentialRow, code: str) -> PersonCredentialRow | None:
        """Return the credential where a code is right and was not used before, and keep that it is now; None where it
        is not, and keep that, too."""
        now = self._clock.now()
        if credential.blocked_until is not None and now < credential.blocked_until:
            return None
        key = self._barrier.open(STORE, _place(credential.principal_id, credential.id), credential.totp)
        current = int(now.timestamp()) // STEP
        # One step late, or early: clocks differ, and people type slowly.
        right = [
            step
            for step in (current - 1, current, current + 1)
            if hmac.compare_digest(totp_code(key, step), code.strip().encode()) and step > credential.last_step
        ]
        if right:
            changed = msgspec.structs.replace(credential, last_step=right[0], failures=0, blocked_until=None)
        else:
            failures = credential.failures + 1
            wait = min(_LONGEST_WAIT, timedelta(minutes=2 ** min(failures - _FORGIVEN, 6)))
            blocked = now + wait if failures >= _FORGIVEN else None
            changed = msgspec.structs.replace(credential, failures=failures, blocked_until=blocked)
        PERSON_CREDENTIALS.put(tx, changed)
        return changed if right else None


def totp_code(key: bytes, step: int) -> bytes:
    """Return the code of a step: six digits. step: number of 30 s since 1970. RFC 6238; RFC 4226, 5.3."""
    digest = hmac.digest(key, struct.pack(">Q", step), hashlib.sha1)
    start = digest[-1] & 0xF
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF
    return b"%0*d" % (_DIGITS, number % 10**_DIGITS)


def _place(principal_id: str, identifier: str) -> tuple[str, ...]:
    return (STORE, "person", principal_id, identifier, "totp")


def _person(registry: Registry, name: str) -> PrincipalRow | None:
    """Return the one user of this name or id, None where there is none, or more than one."""
    wanted = name.strip()
    if is_guid(wanted):
        row = registry.principals.get(wanted.lower())
        return row if row is not None and row.type == "user" else None
    found = [one for one in registry.principals.values() if one.type == "user" and one.name == wanted and wanted]
    return found[0] if len(found) == 1 else None
