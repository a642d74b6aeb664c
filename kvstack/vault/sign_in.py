"""Signing in: whose credentials these are, whether he may sign in now, and for how long a sign-in holds.

A token is good for as long as what it was given for: the credential, and the principal itself. Whoever checks tokens
asks `standing`, and asks anew when `sign_in_mark` is another one.
"""

import hmac
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from kvstack.terms.principal import is_guid
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller, CallerRequest
from kvstack.vault.client_secrets import CLIENT_SECRETS, DRAWN, SALT, ClientSecretRow, digest_of
from kvstack.vault.credentials import (
    CLIENT_CERTIFICATES,
    FEDERATED_CREDENTIALS,
    PERSON_CREDENTIALS,
    SIGN_IN_RULES,
    USED_ASSERTIONS,
    ClientCertificateRow,
    FederatedCredentialRow,
    SignInRulesRow,
    UsedAssertionRow,
    sign_in_mark,
)
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.errors import VaultError
from kvstack.vault.firewall import listed
from kvstack.vault.identities import IDENTITIES
from kvstack.vault.registry import PrincipalRow, Registry, stored_mark
from kvstack.vault.transaction import Transaction

if TYPE_CHECKING:
    from kvstack.vault.unlock import Unlocked

LIFE: Final = timedelta(hours=1)
Kind = Literal["secret", "certificate", "federated", "address"]
# What a token says of a sign-in for which no credential is kept: one by an address of this machine.
ADDRESS: Final = "address/"
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FAR_OFF: Final = datetime(9999, 1, 1, tzinfo=UTC)
_PRUNE_EVERY: Final = timedelta(minutes=1)


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who signed in. client_id: of the program; credential: what a token has to say of it; life: how long the
    sign-in holds at most."""

    caller: Caller
    client_id: str
    credential: str
    life: timedelta


class Held(msgspec.Struct, frozen=True):
    """Whose token it is that still holds. name: as the directory has it; rules: how he may sign in."""

    name: str
    rules: SignInRulesRow


class SignInKeys(msgspec.Struct, frozen=True):
    """What assertions of a client are checked by, nothing for one that nobody knows. client_id: as the vault spells
    it."""

    client_id: str
    certificates: Sequence[ClientCertificateRow] = ()
    federated: Sequence[FederatedCredentialRow] = ()


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that an assertion was found to be of. digest: what the assertion is told apart by, empty where it
    may be shown again; left: how long it would hold yet."""

    credential: ClientCertificateRow | FederatedCredentialRow
    digest: str = ""
    left: timedelta = timedelta(0)


class SignInRefused(VaultError):
    """These are not the credentials of anybody: one refusal, whatever was wrong."""

    status = 401
    code = "invalid_client"

    def __init__(self) -> None:
        super().__init__("the client id and the client secret are not those of a principal of this vault")


class SignInOperations(Engine):
    """Whose credentials these are."""

    def __init__(self, unlocked: "Unlocked", *, random: Callable[[int], bytes] = os.urandom) -> None:
        super().__init__(unlocked, random=random)
        # What is compared with where there is nothing to compare with, so that this takes as long.
        self._nobody = ClientSecretRow(
            principal_id="",
            id="",
            hint="",
            salt=os.urandom(SALT),
            digest=os.urandom(DRAWN),
            created=_LONG_AGO,
            expires=_LONG_AGO,
        )
        self._pruned = _LONG_AGO

    def signed_in(
        self, client_id: str, secret: SecretValue, *, address: str | None = None, request: CallerRequest | None = None
    ) -> SignedIn:
        """Return the service principal whose client secret this is. Raises SignInRefused, the same for a wrong secret
        and for one of nobody."""
        claimed = _folded(client_id)
        with self._sign_in(claimed, address, request) as attempt, attempt.transaction():
            fitting = self._fitting(attempt, claimed, secret)
            row = attempt.registry.principals.get(claimed)
            if fitting is None or row is None or row.type != "service_principal":
                raise SignInRefused
            attempt.details.update(client_secret=fitting.id)
            return self._let_in(attempt, row, claimed, f"secret/{fitting.id}", fitting.expires)

    def signed_in_by_header(
        self,
        header: SecretValue,
        client_id: str = "",
        *,
        address: str | None = None,
        request: CallerRequest | None = None,
    ) -> SignedIn:
        """Return the managed identity whose identity header this is. client_id: which one is asked for, empty for the
        one whose header it is. Raises SignInRefused."""
        named, _, _ = header.reveal().decode("latin-1").partition(".")
        claimed = _folded(named)
        with self._sign_in(claimed, address, request) as attempt, attempt.transaction():
            fitting = self._fitting(attempt, claimed, header)
            row, identity = attempt.registry.principals.get(claimed), _client_id(attempt.tx, claimed)
            if fitting is None or row is None or row.type != "managed_identity":
                raise SignInRefused
            if client_id and client_id.lower() != identity:
                raise SignInRefused
            attempt.details.update(client_secret=fitting.id)
            return self._let_in(attempt, row, identity or claimed, f"secret/{fitting.id}", fitting.expires)

    def signed_in_by_address(
        self, principal: str, *, address: str | None = None, request: CallerRequest | None = None
    ) -> SignedIn:
        """Return the principal that an address of this machine stands for: the operator said so when he started the
        server. Raises SignInRefused."""
        with self._sign_in(_folded(principal), address, request) as attempt, attempt.transaction():
            row = attempt.registry.principals.get(_folded(principal))
            if row is None or row.type not in ("managed_identity", "service_principal"):
                raise SignInRefused
            client_id = _client_id(attempt.tx, row.id) or row.id
            return self._let_in(attempt, row, client_id, ADDRESS, _FAR_OFF)

    def signed_in_by_assertion(
        self,
        client_id: str,
        proven: Proven | None,
        *,
        address: str | None = None,
        request: CallerRequest | None = None,
    ) -> SignedIn:
        """Return the principal an assertion is of. proven: the credential by which it was found right, None where it
        was not, so that this is audited, too. Raises SignInRefused; also where the assertion gave a token before."""
        claimed = _folded(client_id)
        with self._sign_in(claimed, address, request) as attempt, attempt.transaction():
            row = _client(attempt.registry, attempt.tx, claimed)
            if row is None or proven is None or proven.credential.principal_id != row.id:
                raise SignInRefused
            kind, ends = _there(attempt.tx, proven.credential)
            if not attempt.now < ends:
                raise SignInRefused
            if proven.digest and not self._first(attempt.tx, proven.digest, attempt.now, proven.left):
                raise SignInRefused
            attempt.details.update(credential=proven.credential.id)
            return self._let_in(attempt, row, claimed, f"{kind}/{proven.credential.id}", ends)

    def sign_in_keys(self, client_id: str) -> SignInKeys:
        """Return what an assertion of a client is checked by. Nothing of it is secret, and it is nobody's right."""
        claimed = _folded(client_id)
        with self._store.reading() as tx:
            row = _client(self._current_registry(tx), tx, claimed)
            if row is None:
                return SignInKeys(claimed)
            return SignInKeys(
                claimed,
                CLIENT_CERTIFICATES.scan(tx, principal_id=row.id),
                FEDERATED_CREDENTIALS.scan(tx, principal_id=row.id),
            )

    def standing(self, principal_id: str, credential: str) -> Held | None:
        """Return how a token of a principal holds, None where it does not any more: he has to be there and enabled, and
        so has what it was given for."""
        kind, _, identifier = credential.partition("/")
        with self._store.reading() as tx:
            row = self._current_registry(tx).principals.get(principal_id)
            if row is None or not self._held(tx, principal_id, kind, identifier):
                return None
            rules = SIGN_IN_RULES.get(tx, principal_id) or SignInRulesRow(principal_id=principal_id)
            return Held(row.name, rules) if rules.enabled else None

    def _held(self, tx: Transaction, principal_id: str, kind: str, identifier: str) -> bool:
        """Tell whether a credential is still there."""
        match kind:
            case "secret":
                secret = CLIENT_SECRETS.get(tx, principal_id, identifier)
                return secret is not None and self._clock.now() < secret.expires
            case "certificate":
                certificate = CLIENT_CERTIFICATES.get(tx, principal_id, identifier)
                return certificate is not None and self._clock.now() < certificate.expires
            case "federated":
                return FEDERATED_CREDENTIALS.get(tx, principal_id, identifier) is not None
            case "person":
                person = PERSON_CREDENTIALS.get(tx, principal_id, identifier)
                return person is not None and self._clock.now() < person.expires
            case "address" | "external":  # what the operator said when he started the server
                return True
            case _:
                return False

    def sign_in_mark(self) -> tuple[int, int]:
        """Return a value that is another one whenever what `standing` says may be: in whatever process it changed."""
        with self._store.reading() as tx:
            return stored_mark(tx), sign_in_mark(tx)

    def _sign_in(self, claimed: str, address: str | None, request: CallerRequest | None) -> Attempt:
        return self._attempt(Caller(claimed, address=address, request=request), "SignIn", self.top)

    def _fitting(self, attempt: Attempt, claimed: str, secret: SecretValue) -> ClientSecretRow | None:
        """Return the secret of a principal that this is. All are compared, so that time tells nothing."""
        there = CLIENT_SECRETS.scan(attempt.tx, principal_id=claimed)
        fitting = None
        for one in there or (self._nobody,):
            same = hmac.compare_digest(digest_of(one.salt, secret.reveal()), one.digest)
            if same and attempt.now < one.expires:
                fitting = one
        return fitting

    def _let_in(
        self,
        attempt: Attempt,
        row: PrincipalRow,
        client_id: str,
        credential: str,
        ends: datetime,
        *,
        mfa: bool = False,
    ) -> SignedIn:
        """Return who signed in, where his rules let him. mfa: whether he showed more than one factor. Raises
        SignInRefused."""
        rules = SIGN_IN_RULES.get(attempt.tx, row.id) or SignInRulesRow(principal_id=row.id)
        address = attempt.caller.address
        if not rules.enabled or (rules.mfa and not mfa):
            raise SignInRefused
        if rules.networks and address is not None and not listed(rules.networks, address):
            raise SignInRefused
        life = min(LIFE, ends - attempt.now)
        if rules.longest:
            life = min(life, timedelta(seconds=rules.longest))
        caller = Caller(row.id, row.name, address=address, mfa=mfa, request=attempt.caller.request)
        return SignedIn(caller=caller, client_id=client_id, credential=credential, life=life)

    def _first(self, tx: Transaction, digest: str, now: datetime, left: timedelta) -> bool:
        """Tell whether something was not shown before, and keep that it was. left: how long it would hold yet."""
        if USED_ASSERTIONS.get(tx, digest) is not None:
            return False
        if now - self._pruned >= _PRUNE_EVERY:
            for one in USED_ASSERTIONS.scan(tx):
                if one.until < now:
                    USED_ASSERTIONS.delete(tx, one.id)
            self._pruned = now
        USED_ASSERTIONS.put(tx, UsedAssertionRow(id=digest, until=now + left))
        return True


def _folded(client_id: str) -> str:
    return client_id.lower() if is_guid(client_id) else ""


def _client(registry: Registry, tx: Transaction, client_id: str) -> PrincipalRow | None:
    """Return the principal of a client id: a service principal's is its object id, a managed identity has one of its
    own."""
    row = registry.principals.get(client_id)
    if row is not None:
        return row if row.type == "service_principal" else None
    for identity in IDENTITIES.scan(tx) if client_id else ():
        if identity.client_id == client_id:
            return registry.principals.get(identity.principal_id)
    return None


def _client_id(tx: Transaction, principal_id: str) -> str:
    """Return the client id of a managed identity, empty for any other principal."""
    return next((one.client_id for one in IDENTITIES.scan(tx, principal_id=principal_id)), "")


def _there(tx: Transaction, credential: ClientCertificateRow | FederatedCredentialRow) -> tuple[Kind, datetime]:
    """Return the kind of a credential and when it ends. Raises SignInRefused where it was deleted meanwhile."""
    match credential:
        case ClientCertificateRow():
            certificate = CLIENT_CERTIFICATES.get(tx, credential.principal_id, credential.id)
            if certificate is not None and certificate == credential:
                return "certificate", certificate.expires
        case FederatedCredentialRow():
            if FEDERATED_CREDENTIALS.get(tx, credential.principal_id, credential.id) == credential:
                return "federated", _FAR_OFF
    raise SignInRefused
