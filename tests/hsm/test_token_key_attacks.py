"""What NSS softokn keeps of its promises about keys of its token, and what it does not: docs/hsm.md says the same."""

from collections.abc import Iterator

import pytest

from kvstack.hsm import token_keys
from kvstack.hsm.connection import Connection
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.token import InitialisedToken
from kvstack.terms.key import KeySpecification
from tests.hsm.attacks import Attacker
from tests.hsm.conftest import requires_nss
from tests.hsm.examples import HSM, key, title

pytestmark = requires_nss
SPECIFICATIONS = tuple(kind for kind in HSM if kind.curve != "P-256K")


@pytest.fixture(scope="module")
def connection(nss: InitialisedToken) -> Iterator[Connection]:
    module = Pkcs11Module.open(nss.configuration)
    yield module.run(lambda one: one)
    module.close()


@pytest.fixture(scope="module")
def attacker(connection: Connection) -> Iterator[Attacker]:
    made = Attacker(connection)
    yield made
    made.close()


@pytest.fixture(params=SPECIFICATIONS, ids=title)
def victim(
    nss: InitialisedToken, connection: Connection, request: pytest.FixtureRequest
) -> Iterator[tuple[KeySpecification, int]]:
    module = Pkcs11Module.open(nss.configuration)
    keys = Pkcs11Keys(module)
    made = key(keys, request.param)
    yield request.param, token_keys.opened(connection, made)
    keys.destroy(made)
    module.close()


def test_no_private_attribute_is_read(attacker: Attacker, victim: tuple[KeySpecification, int]) -> None:
    kind, handle = victim
    twin = attacker.open_twin(kind)
    assert len(attacker.read(kind, twin)) == (6 if kind.family == "RSA" else 1)
    attacker.cryptoki.destroy(attacker.session, twin)
    assert attacker.read(kind, handle) == []


def test_the_key_itself_is_not_made_weaker(attacker: Attacker, victim: tuple[KeySpecification, int]) -> None:
    _, handle = victim
    assert attacker.changed(handle) == []
    assert attacker.guards(handle) == (b"\x00", b"\x01")


def test_no_readable_copy_is_made_but_one_that_says_it_may_leave(
    attacker: Attacker, victim: tuple[KeySpecification, int]
) -> None:
    """NSS does not keep this one: PKCS#11 lets nobody make a copy extractable."""
    _, handle = victim
    assert attacker.copied(handle) == ["extractable"]


def test_softokn_wraps_a_key_that_may_not_leave(attacker: Attacker, victim: tuple[KeySpecification, int]) -> None:
    """NSS does not keep this one either, which is why the probe tells of it and lets no wrapped keys be made there."""
    kind, handle = victim
    assert "key wrap with padding" in attacker.wrapped_out(kind, handle)
