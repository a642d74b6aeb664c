"""Federated credentials: tokens that somebody else issues to a workload, and that stand for a principal here.

Nothing secret is kept for them: who issues the tokens, whom they are about, and what they are for. All three have to be
exactly as they are said here.
"""

import re
import uuid
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from kvstack.vault.caller import Caller
from kvstack.vault.credentials import (
    FEDERATED_CREDENTIALS,
    MOST,
    WRITE,
    FederatedCredentialRow,
    tell_sign_in_changed,
)
from kvstack.vault.engine import Engine
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.service_principals import principal_of_type

# What GitHub Actions, GitLab and Azure's workload identity for Kubernetes are told to put into their tokens.
DEFAULT_AUDIENCE: Final = "api://AzureADTokenExchange"
_LONGEST: Final = 600
_NAME = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z_-]{2,119}")


class FederatedCredentialOperations(Engine):
    """Whose tokens stand for a principal."""

    def add_federated_credential(
        self,
        caller: Caller,
        principal: str,
        name: str,
        *,
        issuer: str,
        subject: str,
        audience: str = DEFAULT_AUDIENCE,
    ) -> FederatedCredentialRow:
        """Take tokens of an issuer for a service principal, or for a managed identity. issuer: its address, as `iss`
        has it; its keys are found there; subject: as `sub` has it; audience: as `aud` has it. Raises NotFound,
        BadParameter, Conflict."""
        with self._attempt(caller, "FederatedCredentialAdd", self.top) as attempt, attempt.transaction():
            attempt.require(WRITE, self.top, data=False)
            row = principal_of_type(
                attempt, principal, "service_principal", "managed_identity", what="federated credentials"
            )
            found = [*_problems(name, issuer, subject, audience)]
            if found:
                raise BadParameter.of(found)
            there = FEDERATED_CREDENTIALS.scan(attempt.tx, principal_id=row.id)
            if any(one.name.lower() == name.lower() for one in there):
                raise Conflict(f"{row.id} has a federated credential `{name}` already")
            if any((one.issuer, one.subject) == (issuer, subject) for one in there):
                raise Conflict(f"{row.id} takes tokens of this issuer for this subject already")
            if len(there) >= MOST:
                raise Conflict(f"{row.id} has {MOST} federated credentials", "Delete one that is not needed any more.")
            made = FederatedCredentialRow(
                principal_id=row.id,
                id=str(uuid.UUID(bytes=self._random(16), version=4)),
                name=name,
                issuer=issuer,
                subject=subject,
                audience=audience,
                created=attempt.now,
            )
            attempt.details.update(principal=row.id, federated_credential=made.id)
            FEDERATED_CREDENTIALS.put(attempt.tx, made)
            tell_sign_in_changed(attempt.tx)
            return made


def issuer_problem(issuer: str) -> str:
    """Return why this is no issuer's address, empty where it is one. OpenID Connect Discovery 1.0, 3."""
    try:
        place = urlsplit(issuer)
        there = place.hostname and place.port != 0
    except ValueError:
        return "it is no address"
    if not issuer.isascii() or not issuer.isprintable() or " " in issuer or len(issuer) > _LONGEST:
        return f"it is no address: up to {_LONGEST} printable ASCII characters"
    if place.scheme not in ("https", "http") or not there:
        return "it is no address that begins with https://"
    if place.query or place.fragment or place.username is not None or "?" in issuer or "#" in issuer:
        return "it has a query, a fragment or a user"
    return ""


def _problems(name: str, issuer: str, subject: str, audience: str) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(name):
        yield "name", "it has 3 to 120 letters, digits, `-` and `_`, and begins with a letter or digit"
    if wrong := issuer_problem(issuer):
        yield "issuer", wrong
    for attribute, text in (("subject", subject), ("audience", audience)):
        if not text or len(text) > _LONGEST or not text.isprintable():
            yield attribute, f"it has 1 to {_LONGEST} printable characters"
