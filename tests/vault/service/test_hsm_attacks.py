"""No key of type `-HSM` comes out of its module, whatever a holder of the PIN asks of it.

Each attack is made on a key without protection first, where it succeeds: so it is one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kvstack.hsm.connection import Connection
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.terms.key import CURVES, OCT_SIZES, RSA_SIZES, KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from tests.hsm import crosscheck
from tests.hsm.attacks import Attacker, Wrapped
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.examples import title, uses

pytestmark = requires_softhsm

VAULT = "safe"
SPECIFICATIONS = (
    KeySpecification("RSA-HSM", 2048),
    # Big ones are long in the making.
    *(pytest.param(KeySpecification("RSA-HSM", size), marks=pytest.mark.slow) for size in RSA_SIZES if size > 2048),
    *(KeySpecification("EC-HSM", None, curve) for curve in CURVES),
    *(KeySpecification("oct-HSM", size) for size in OCT_SIZES),
)


class Victim(msgspec.Struct):
    """A vault's key, open in the module. handle: its; blob: what the vault keeps of it; root: what that is under."""

    kind: KeySpecification
    handle: int
    blob: bytes
    root: int


class Safe:
    """A vault with an HSM, and somebody who holds its PIN."""

    def __init__(self, folder: Path) -> None:
        self.unlocked = initialise(folder, hsm=softhsm(), prepare=initialise_access)
        self.service = VaultService(self.unlocked)
        self.service.create_vault(self.service.operator, VAULT, sku="premium")
        provider = self.unlocked.providers["pkcs11"]
        assert isinstance(provider, Pkcs11Keys)
        self.module: Pkcs11Module = provider._module
        self.connection: Connection = self.module.run(lambda connection: connection)
        self.attacker = Attacker(self.connection)
        self._victims: dict[str, Victim] = {}

    def victim(self, kind: KeySpecification) -> Victim:
        """A key the vault has made and used."""
        name = title(kind)
        if name not in self._victims:
            self.service.create_key(self.service.operator, VAULT, name, specification=kind)
            self.use(kind)
            opened = next(reversed(self.connection.open_keys._open.values()))
            wrapped = msgspec.msgpack.decode(opened.material, type=Wrapped)
            root = self.connection.root(self.attacker.session)
            self._victims[name] = Victim(kind, opened.handle, wrapped.ciphertext, root)
        return self._victims[name]

    def use(self, kind: KeySpecification) -> None:
        """Sign with it, or encrypt."""
        service, operator, name = self.service, self.service.operator, title(kind)
        if kind.family == "oct":
            algorithm = f"A{kind.size}GCM"
            assert service.encrypt(operator, VAULT, name, algorithm=algorithm, plaintext=SecretValue("text")).ciphertext
            return
        signing = uses((kind,), "sign")[0][1]
        given: dict[str, Any] = {"algorithm": signing.name, "digest": crosscheck.digest(signing, b"message")}
        signature = service.sign(operator, VAULT, name, **given).value
        assert service.verify(operator, VAULT, name, signature=signature, **given)


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Safe]:
    made = Safe(tmp_path_factory.mktemp("safe"))
    yield made
    made.attacker.close()
    made.unlocked.close()


@pytest.fixture(params=SPECIFICATIONS, ids=title)
def victim(safe: Safe, request: pytest.FixtureRequest) -> Victim:
    return safe.victim(request.param)


@pytest.fixture
def attacker(safe: Safe) -> Attacker:
    return safe.attacker


@pytest.fixture
def twin(safe: Safe, victim: Victim) -> Iterator[int]:
    """A key of the same kind, unprotected; small, where only the kind matters."""
    kind = KeySpecification("RSA-HSM", 2048) if victim.kind.family == "RSA" else victim.kind
    handle = safe.attacker.open_twin(kind)
    yield handle
    safe.attacker.cryptoki.destroy(safe.attacker.session, handle)


def test_no_private_attribute_is_read(attacker: Attacker, victim: Victim, twin: int) -> None:
    assert len(attacker.read(victim.kind, twin)) == (6 if victim.kind.family == "RSA" else 1)
    assert attacker.read(victim.kind, victim.handle) == []


def test_it_is_not_wrapped_under_a_callers_key(attacker: Attacker, victim: Victim, twin: int) -> None:
    assert "key wrap with padding" in attacker.wrapped_out(victim.kind, twin)
    assert attacker.wrapped_out(victim.kind, victim.handle) == []


def test_it_is_not_wrapped_under_another_key_of_the_vault(safe: Safe, victim: Victim, twin: int) -> None:
    other = safe.victim(KeySpecification("oct-HSM", 256))
    assert "key wrap with padding" in safe.attacker.wrapped_out(victim.kind, twin, other.handle)
    assert safe.attacker.wrapped_out(victim.kind, victim.handle, other.handle) == []
    assert safe.attacker.wrapped_out(victim.kind, victim.handle, victim.root) == []


def test_it_is_not_copied_into_a_weaker_one(attacker: Attacker, victim: Victim, twin: int) -> None:
    assert {"extractable", "readable", "both"} <= set(attacker.copied(twin))
    assert attacker.copied(victim.handle) == []


def test_it_is_not_made_weaker(safe: Safe, attacker: Attacker, victim: Victim) -> None:
    assert attacker.changed(victim.handle) == []
    assert attacker.guards(victim.handle) == (b"\x00", b"\x01")
    safe.use(victim.kind)


def test_what_the_vault_keeps_of_it_is_not_unwrapped_unprotected(attacker: Attacker, victim: Victim, twin: int) -> None:
    assert attacker.unwrapped_as_asked(victim.kind, victim.root, victim.blob) == (b"\x00", b"\x01")
    ways = attacker.unwrapped(victim.kind, attacker.aes, attacker.wrapped(twin))
    assert {"extractable, key wrap with padding", "readable, key wrap with padding"} <= set(ways)
    assert attacker.unwrapped(victim.kind, victim.root, victim.blob) == []


def test_what_the_vault_keeps_of_it_is_not_decrypted(attacker: Attacker, victim: Victim) -> None:
    assert "CBC" in attacker.decrypted(attacker.aes, victim.blob)
    assert attacker.decrypted(victim.root, victim.blob) == []


@pytest.mark.parametrize("which", ["root", "kek"])
def test_the_keys_above_it_do_not_come_out_either(safe: Safe, attacker: Attacker, which: str) -> None:
    kind = KeySpecification("oct-HSM", 256)
    key = safe.connection.root(attacker.session) if which == "root" else safe.connection.kek
    assert attacker.read(kind, key) == []
    assert attacker.wrapped_out(kind, key) == []
    assert attacker.copied(key) == []
    assert attacker.changed(key) == []
    assert attacker.guards(key) == (b"\x00", b"\x01")
