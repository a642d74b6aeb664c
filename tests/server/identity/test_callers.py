"""What is remembered of a token is forgotten as soon as what it was given for may have changed."""

from collections.abc import Mapping

import msgspec
import pytest

from kvstack.hsm.protocol import PublicKey
from kvstack.server.identity.callers import Callers
from kvstack.server.identity.external import ExternalTokens
from kvstack.server.identity.issuer_keys import IssuerKeys
from kvstack.server.identity.signed_json import TokenRefused
from kvstack.server.names import Host
from kvstack.vault.credentials import SignInRulesRow
from kvstack.vault.identity_configuration import IdentityConfiguration
from kvstack.vault.sign_in import Held
from tests.server.identity.test_tokens import EXPECTED, GOOD, KEYS, NOW, TENANT, token

HOST = Host("vault", "shop.vault.localhost", "shop", EXPECTED.audience, EXPECTED.audience)
GIVEN = b"Bearer " + token(msgspec.structs.replace(GOOD, credential="secret/1"))


class Vault:
    """Says what a vault would, and counts how often it is asked."""

    def __init__(self) -> None:
        self.holds = True
        self.rules = SignInRulesRow(principal_id=GOOD.oid)
        self.mark = 0
        self.asked = 0
        self.looked = 0
        self.meanwhile = 0  # by how much the mark grows while it is asked

    def token_keys(self) -> Mapping[str, PublicKey]:
        """Return the keys."""
        return KEYS

    def standing(self, principal_id: str, credential: str) -> Held | None:
        """Tell whether it holds."""
        assert (principal_id, credential) == (GOOD.oid, "secret/1")
        self.asked += 1
        holds, self.mark = self.holds, self.mark + self.meanwhile
        return Held("app", self.rules) if holds else None

    def sign_in_mark(self) -> int:
        """Return the mark."""
        self.looked += 1
        return self.mark


class Clock:
    """A clock to set."""

    def __init__(self) -> None:
        self.now = float(NOW + 1)

    def __call__(self) -> float:
        return self.now


def world() -> tuple[Vault, Clock, Callers]:
    vault, clock = Vault(), Clock()
    return (
        vault,
        clock,
        Callers(
            vault,
            EXPECTED.issuer,
            TENANT,
            clock,
            ExternalTokens((), IssuerKeys(IdentityConfiguration(), clock, lambda *_: None)),
        ),
    )


def test_a_token_is_checked_once_while_nothing_changes() -> None:
    vault, clock, callers = world()
    for _ in range(100):
        assert callers.principal(GIVEN, HOST).id == GOOD.oid
        clock.now += 0.01
    assert vault.asked == 1
    assert vault.looked <= 5


def test_what_was_taken_away_is_noticed_within_a_quarter_of_a_second() -> None:
    vault, clock, callers = world()
    callers.principal(GIVEN, HOST)
    vault.holds, vault.mark = False, 1
    clock.now += 0.25
    with pytest.raises(TokenRefused, match="does not hold any more"):
        callers.principal(GIVEN, HOST)


def test_a_clock_that_is_set_back_does_not_keep_what_is_gone() -> None:
    vault, clock, callers = world()
    callers.principal(GIVEN, HOST)
    vault.holds, vault.mark = False, 1
    clock.now -= 30
    with pytest.raises(TokenRefused, match="does not hold any more"):
        callers.principal(GIVEN, HOST)


def test_what_is_found_out_while_something_changes_is_not_remembered() -> None:
    vault, clock, callers = world()
    callers.principal(GIVEN, HOST)
    vault.mark, vault.meanwhile = 1, 1
    clock.now += 0.25
    callers.principal(GIVEN, HOST)
    vault.holds, vault.meanwhile = False, 0
    clock.now += 0.25
    with pytest.raises(TokenRefused):
        callers.principal(GIVEN, HOST)


def test_a_token_whose_credential_is_gone_is_never_remembered() -> None:
    vault, _, callers = world()
    vault.holds = False
    for _ in range(2):
        with pytest.raises(TokenRefused):
            callers.principal(GIVEN, HOST)
    assert vault.asked == 2


def test_a_token_is_used_only_from_where_its_principal_may_be() -> None:
    vault, _, callers = world()
    vault.rules = SignInRulesRow(principal_id=GOOD.oid, networks=("203.0.113.0/24",))
    for _ in range(2):
        assert callers.principal(GIVEN, HOST, "203.0.113.7").id == GOOD.oid
        with pytest.raises(TokenRefused, match="from this address"):
            callers.principal(GIVEN, HOST, "192.0.2.1")
