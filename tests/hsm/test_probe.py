"""The probe lets SoftHSM keep wrapped keys, and finds NSS softokn out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.pkcs11_kek import Pkcs11KeyEncryptionKey
from kvstack.hsm.protocol import MechanismUnsupported
from kvstack.hsm.token import InitialisedToken, initialise_token
from kvstack.terms.algorithm import Algorithm
from kvstack.terms.key import KeySpecification
from tests.hsm import crosscheck
from tests.hsm.conftest import requires_nss, requires_softhsm, softhsm
from tests.hsm.examples import HSM, key, title, uses

SPECIFICATIONS = tuple(specification for specification in HSM if specification.curve != "P-256K")


@requires_softhsm
def test_softhsm_withstands_every_attack(tmp_path: Path) -> None:
    made = initialise_token(tmp_path / "hsm", module=softhsm())
    assert made.configuration.keys == "wrapped"
    assert made.warnings == ()


@pytest.fixture(scope="module")
def provider(nss: InitialisedToken) -> Iterator[Pkcs11Keys]:
    module = Pkcs11Module.open(nss.configuration)
    yield Pkcs11Keys(module)
    module.close()


@requires_nss
def test_a_module_that_ignores_the_unwrap_template_gets_token_keys_and_says_so(nss: InitialisedToken) -> None:
    assert nss.configuration.keys == "token"
    assert nss.configuration.root == ""
    told = "\n".join(map(str, nss.warnings))
    assert "it unwraps an extractable copy of a wrapped key" in told
    assert "it wraps a key that is not extractable out under another one" in told


@requires_nss
def test_its_key_encryption_key_works(nss: InitialisedToken) -> None:
    module = Pkcs11Module.open(nss.configuration)
    kek = Pkcs11KeyEncryptionKey(module)
    assert kek.unwrap(kek.wrap(bytes(32), b"vault"), b"vault") == bytes(32)
    module.close()


@requires_nss
@pytest.mark.parametrize("specification", SPECIFICATIONS, ids=title)
def test_token_keys_do_on_another_module_what_they_do_on_softhsm(
    provider: Pkcs11Keys, specification: KeySpecification
) -> None:
    made = key(provider, specification)
    assert made.material.provider == "pkcs11-token"
    for algorithm in _algorithms(specification, "sign"):
        digest = crosscheck.digest(algorithm, b"message")
        signature = provider.sign(made, algorithm, digest)
        if specification.family == "oct":
            assert provider.verify(made, algorithm, digest, signature), algorithm.name
            continue
        assert crosscheck.signature_is_good(made.material.public, algorithm, b"message", signature), algorithm.name
    for algorithm in _algorithms(specification, "encrypt") + _algorithms(specification, "wrap"):
        sealed = provider.encrypt(made, algorithm, bytes(32))
        opened = provider.decrypt(made, algorithm, sealed.ciphertext, iv=sealed.iv, tag=sealed.tag)
        assert opened == bytes(32), algorithm.name
    provider.destroy(made)


def _algorithms(specification: KeySpecification, purpose: str) -> list[Algorithm]:
    return [algorithm for _, algorithm in uses((specification,), purpose)]


@requires_nss
def test_what_a_module_cannot_do_is_an_error_naming_the_mechanism(provider: Pkcs11Keys) -> None:
    with pytest.raises(MechanismUnsupported, match=r"cannot do CKM_EC_KEY_PAIR_GEN.*CKR_"):
        provider.generate(KeySpecification("EC-HSM", None, "P-256K"))
