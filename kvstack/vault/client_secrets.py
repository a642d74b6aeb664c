"""Client secrets: what a program shows to get a token. Made by the vault, told once, kept as salted hashes.

A managed identity has none: what it has in their place is what its programs send as `X-IDENTITY-HEADER`.
"""

import base64
import hmac
import uuid
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kvstack.terms.secret import SecretValue
from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.credentials import READ, WRITE, tell_sign_in_changed
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.items import moment
from kvstack.vault.registry import PrincipalRow
from kvstack.vault.service_principals import principal_of_type
from kvstack.vault.table import Row, Table

MOST: Final = 20
LONGEST_LIFE: Final = timedelta(days=731)
DEFAULT_LIFE: Final = timedelta(days=180)
# Drawn, never chosen: 256 bits are guessed by nobody. Slow hashes are for what people choose.
DRAWN: Final = 32
SALT: Final = 16
_HINT: Final = 4


class ClientSecretRow(Row, frozen=True, kw_only=True):
    """One client secret. hint: how it begins, for telling two apart; salt, digest: HMAC-SHA-256 of the secret under the
    salt; the secret itself is kept nowhere."""

    principal_id: str
    id: str
    hint: str
    salt: bytes
    digest: bytes
    description: str = ""
    created: datetime
    expires: datetime

    def __repr__(self) -> str:
        return f"ClientSecretRow({self.id}, ****)"


CLIENT_SECRETS = Table("client_secrets", ClientSecretRow, ("principal_id", "id"))


class ClientSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What may be known of a client secret. value: masked, and there only when it was just made."""

    principal_id: str
    id: str
    hint: str
    description: str
    created: datetime
    expires: datetime
    value: SecretValue | None = None


class ClientSecretOperations(Engine):
    """Which client secrets there are."""

    def create_client_secret(
        self,
        caller: Caller,
        principal: str,
        *,
        description: str = "",
        expires: datetime | None = None,
    ) -> ClientSecret:
        """Make a client secret of a service principal, or an identity header of a managed identity. Whoever has it is
        that principal. principal: its object id; expires: in 180 days where None, in two years at most. Raises
        NotFound, Conflict where it has too many."""
        with self._attempt(caller, "ClientSecretCreate", self.top) as attempt, attempt.transaction():
            attempt.require(WRITE, self.top, data=False)
            row = _holder(attempt, principal)
            ends = moment("expires", expires) or attempt.now + DEFAULT_LIFE
            if not attempt.now < ends <= attempt.now + LONGEST_LIFE:
                raise BadParameter(f"expires: a client secret lives up to {LONGEST_LIFE.days} days from now")
            if len(description) > 256:
                raise BadParameter("description: it has at most 256 characters")
            if CLIENT_SECRETS.count(attempt.tx, principal_id=row.id) >= MOST:
                raise Conflict(f"{row.id} has {MOST} client secrets", "Delete one that is not needed any more.")
            value = base64.urlsafe_b64encode(self._random(DRAWN)).rstrip(b"=")
            if row.type == "managed_identity":
                # Nothing comes with it that says whose it is.
                value = f"{row.id}.".encode() + value
            salt = self._random(SALT)
            made = ClientSecretRow(
                principal_id=row.id,
                id=str(uuid.UUID(bytes=self._random(16), version=4)),
                hint=value.rpartition(b".")[2][:_HINT].decode(),
                salt=salt,
                digest=digest_of(salt, value),
                description=description,
                created=attempt.now,
                expires=ends,
            )
            attempt.details.update(principal=row.id, client_secret=made.id)
            CLIENT_SECRETS.put(attempt.tx, made)
            tell_sign_in_changed(attempt.tx)
            return told(made, SecretValue(value))

    def list_client_secrets(self, caller: Caller, principal: str) -> tuple[ClientSecret, ...]:
        """Return what is known of a service principal's client secrets, oldest first."""
        with self._attempt(caller, "ClientSecretList", self.top) as attempt, attempt.transaction():
            attempt.require(READ, self.top, data=False)
            row = _holder(attempt, principal)
            found = CLIENT_SECRETS.scan(attempt.tx, principal_id=row.id)
            return tuple(told(one) for one in sorted(found, key=lambda one: (one.created, one.id)))

    def delete_client_secret(self, caller: Caller, principal: str, secret_id: str) -> ClientSecret:
        """Delete a client secret: nobody gets a token for it any more, and those given for it are good for nothing."""
        with self._attempt(caller, "ClientSecretDelete", self.top) as attempt, attempt.transaction():
            attempt.require(WRITE, self.top, data=False)
            row = _holder(attempt, principal)
            there = CLIENT_SECRETS.get(attempt.tx, row.id, secret_id.lower())
            if there is None:
                raise errors.not_found("client secret", secret_id, f" of {row.id}")
            attempt.details.update(principal=row.id, client_secret=there.id)
            CLIENT_SECRETS.delete(attempt.tx, there.principal_id, there.id)
            tell_sign_in_changed(attempt.tx)
            return told(there)


def _holder(attempt: Attempt, principal: str) -> PrincipalRow:
    return principal_of_type(attempt, principal, "service_principal", "managed_identity", what="client secrets")


def digest_of(salt: bytes, value: bytes) -> bytes:
    """Return what is kept of a secret."""
    return hmac.digest(salt, value, "sha256")


def told(row: ClientSecretRow, value: SecretValue | None = None) -> ClientSecret:
    """Return what may be known of a client secret. value: where it was just made."""
    return ClientSecret(
        principal_id=row.principal_id,
        id=row.id,
        hint=row.hint,
        description=row.description,
        created=row.created,
        expires=row.expires,
        value=value,
    )
