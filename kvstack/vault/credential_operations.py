"""What a principal signs in with, in one list, taken away one by one; and the rules of its sign-ins."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec

from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.client_secrets import CLIENT_SECRETS, ClientSecret, ClientSecretRow, told
from kvstack.vault.credentials import (
    CLIENT_CERTIFICATES,
    FEDERATED_CREDENTIALS,
    PERSON_CREDENTIALS,
    READ,
    SIGN_IN_RULES,
    WRITE,
    ClientCertificateRow,
    FederatedCredentialRow,
    PersonCredentialRow,
    SignInRulesRow,
    tell_sign_in_changed,
)
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.errors import BadParameter, NotFound
from kvstack.vault.registry import PrincipalRow
from kvstack.vault.table import Table

R = TypeVar("R", ClientSecretRow, ClientCertificateRow, FederatedCredentialRow, PersonCredentialRow)
SHORTEST: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(hours=1)
_MOST_NETWORKS: Final = 100


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """All a principal signs in with, oldest first; nothing of it is secret."""

    principal_id: str
    secrets: Sequence[ClientSecret]
    certificates: Sequence[ClientCertificateRow]
    federated: Sequence[FederatedCredentialRow]
    people: Sequence[PersonCredentialRow]


class CredentialOperations(Engine):
    """What can be done with whatever a principal signs in with."""

    def list_credentials(self, caller: Caller, principal: str) -> Credentials:
        """Return what a principal signs in with. Raises NotFound."""
        with self._attempt(caller, "CredentialList", self.top) as attempt, attempt.reading():
            attempt.require(READ, self.top, data=False)
            row = _principal(attempt, principal)
            return Credentials(
                principal_id=row.id,
                secrets=[told(one) for one in _in_order(CLIENT_SECRETS.scan(attempt.tx, principal_id=row.id))],
                certificates=_in_order(CLIENT_CERTIFICATES.scan(attempt.tx, principal_id=row.id)),
                federated=_in_order(FEDERATED_CREDENTIALS.scan(attempt.tx, principal_id=row.id)),
                people=_in_order(PERSON_CREDENTIALS.scan(attempt.tx, principal_id=row.id)),
            )

    def delete_credential(self, caller: Caller, principal: str, identifier: str) -> None:
        """Take a credential away, of whatever kind: nobody gets a token for it any more, and those that were given for
        it are good for nothing. Raises NotFound."""
        with self._attempt(caller, "CredentialDelete", self.top) as attempt, attempt.transaction():
            attempt.require(WRITE, self.top, data=False)
            row = _principal(attempt, principal)
            wanted = identifier.lower()
            attempt.details.update(principal=row.id, credential=wanted)
            kinds: tuple[Table[Any], ...] = (
                CLIENT_SECRETS,
                CLIENT_CERTIFICATES,
                FEDERATED_CREDENTIALS,
                PERSON_CREDENTIALS,
            )
            for table in kinds:
                if table.get(attempt.tx, row.id, wanted) is not None:
                    table.delete(attempt.tx, row.id, wanted)
                    tell_sign_in_changed(attempt.tx)
                    return
            raise errors.not_found("credential", identifier, f" of {row.id}")

    def sign_in_rules(self, caller: Caller, principal: str) -> SignInRulesRow:
        """Return how a principal may sign in. Raises NotFound."""
        with self._attempt(caller, "SignInRulesGet", self.top) as attempt, attempt.reading():
            attempt.require(READ, self.top, data=False)
            row = _principal(attempt, principal)
            return SIGN_IN_RULES.get(attempt.tx, row.id) or SignInRulesRow(principal_id=row.id)

    def set_sign_in_rules(
        self,
        caller: Caller,
        principal: str,
        *,
        enabled: bool | None = None,
        networks: Sequence[str] | None = None,
        longest: timedelta | None = None,
        mfa: bool | None = None,
    ) -> SignInRulesRow:
        """Say how a principal may sign in; what is None stays. enabled: whether at all: where not, its tokens are good
        for nothing from now on; networks: from where; longest: how long its tokens live; mfa: whether one factor is not
        enough. Raises NotFound, BadParameter."""
        with self._attempt(caller, "SignInRulesPut", self.top) as attempt, attempt.transaction():
            attempt.require(WRITE, self.top, data=False)
            row = _principal(attempt, principal)
            found = [*_problems(networks, longest)]
            if found:
                raise BadParameter.of(found)
            there = SIGN_IN_RULES.get(attempt.tx, row.id) or SignInRulesRow(principal_id=row.id)
            rules = SignInRulesRow(
                principal_id=row.id,
                enabled=there.enabled if enabled is None else enabled,
                networks=there.networks if networks is None else tuple(networks),
                longest=there.longest if longest is None else int(longest.total_seconds()),
                mfa=there.mfa if mfa is None else mfa,
            )
            attempt.details.update(principal=row.id, enabled=str(rules.enabled).lower())
            if rules != there:
                SIGN_IN_RULES.put(attempt.tx, rules)
                tell_sign_in_changed(attempt.tx)
            return rules


def _principal(attempt: Attempt, principal: str) -> PrincipalRow:
    row = attempt.registry.principals.get(principal.lower())
    if row is None:
        raise NotFound(f"there is no principal `{principal}`", "Principals are told by their object id.")
    return row


def _in_order(rows: list[R]) -> list[R]:
    return sorted(rows, key=lambda one: (one.created, one.id))


def _problems(networks: Sequence[str] | None, longest: timedelta | None) -> Iterator[tuple[str, str]]:
    if networks is not None and len(networks) > _MOST_NETWORKS:
        yield "networks", f"{len(networks)} networks: there may be {_MOST_NETWORKS}"
    import ipaddress

    for one in networks or ():
        try:
            ipaddress.ip_network(one, strict=False)
        except ValueError:
            yield "networks", f"`{one}` is neither an address nor a range such as 203.0.113.0/24"
    if longest is not None and not SHORTEST <= longest <= LONGEST:
        yield "longest", "a token lives for 5 minutes at least, and for an hour at most"
