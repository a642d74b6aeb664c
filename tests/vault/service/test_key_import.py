"""Keys made elsewhere work in a vault as they did outside; random bytes; encapsulated secrets."""

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from kvstack.hsm.plain_key import PlainKey, of_oct, of_private, post_quantum_key
from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter, Forbidden
from tests.vault.service.world import World

VAULT = "payments-dev"
DIGEST = hashlib.sha256(b"message").digest()


def test_an_imported_key_signs_what_its_original_verifies(dev: World) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    made = dev.service.import_key(dev.operator, VAULT, "k", of_private(private), tags={"a": "b"})
    assert (made.specification, made.provider) == (KeySpecification("EC", None, "P-256"), "software")
    assert dict(made.tags) == {"a": "b"}
    signature = dev.service.sign(dev.operator, VAULT, "k", algorithm="ES256", digest=DIGEST).value
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    private.public_key().verify(encode_dss_signature(r, s), DIGEST, ec.ECDSA(Prehashed(SHA256())))
    theirs = decode_dss_signature(private.sign(DIGEST, ec.ECDSA(Prehashed(SHA256()))))
    raw = b"".join(part.to_bytes(32, "big") for part in theirs)
    assert dev.service.verify(dev.operator, VAULT, "k", algorithm="ES256", digest=DIGEST, signature=raw)


def test_importing_again_makes_a_new_version_with_the_uses_its_file_names(dev: World) -> None:
    first = dev.service.import_key(dev.operator, VAULT, "k", of_oct(bytes(32)))
    assert "wrapKey" in first.operations
    second = dev.service.import_key(dev.operator, VAULT, "k", of_oct(bytes(32), frozenset({"sign"})))
    assert second.operations == {"sign"}
    assert [one.version for one in dev.service.list_key_versions(dev.operator, VAULT, "k")] == [
        first.version,
        second.version,
    ]
    with pytest.raises(Forbidden, match="may not wrapKey"):
        dev.service.wrap_key(dev.operator, VAULT, "k", algorithm="A256KW", key=SecretValue(bytes(16)))


def test_who_may_not_import_gets_nothing_in(dev: World) -> None:
    person = dev.person("Key Vault Crypto User")
    with pytest.raises(Forbidden):
        dev.service.import_key(person, VAULT, "k", of_oct(bytes(32)))
    assert not dev.service.list_keys(dev.operator, VAULT)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (lambda: of_oct(bytes(32)), "standard vault and takes no oct-HSM key"),
        (lambda: of_private(post_quantum_key("ML-DSA-44")), "ML-DSA-44 keys are software keys"),
    ],
)
def test_what_cannot_go_into_an_hsm_is_refused(dev: World, plain: Any, words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        dev.service.import_key(dev.operator, VAULT, "k", plain(), in_hsm=True)
    assert not dev.service.list_keys(dev.operator, VAULT)


def test_a_plain_key_masks_itself_and_is_wiped() -> None:
    with PlainKey(KeySpecification("oct", 128), b"0123456789abcdef", of_oct(bytes(16)).public) as key:
        assert "0123" not in repr(key)
        assert key.reveal() == b"0123456789abcdef"
    assert key.reveal() == bytes(16)


@pytest.mark.parametrize("count", [1, 128])
def test_random_bytes_are_drawn(dev: World, count: int) -> None:
    drawn = dev.service.random_bytes(dev.operator, VAULT, count)
    assert len(drawn) == count
    assert drawn != dev.service.random_bytes(dev.operator, VAULT, 128)


@pytest.mark.parametrize("count", [-1, 0, 129])
def test_no_other_number_of_random_bytes_is(dev: World, count: int) -> None:
    with pytest.raises(BadParameter, match="1 to 128 random bytes"):
        dev.service.random_bytes(dev.operator, VAULT, count)


@pytest.mark.parametrize("key_type", ["ML-KEM-768", "ML-KEM-1024"])
def test_a_secret_is_encapsulated_and_got_out_again(dev: World, key_type: Any) -> None:
    made = dev.service.create_key(dev.operator, VAULT, "k", specification=KeySpecification(key_type))
    sent = dev.service.encapsulate(dev.operator, VAULT, "k", algorithm=key_type)
    got = dev.service.decapsulate(dev.operator, VAULT, "k", algorithm=key_type, ciphertext=sent.ciphertext)
    assert (got.value, got.version) == (sent.secret, made.version)
    assert "****" in repr(sent)
    reader = dev.person("Key Vault Reader")
    dev.service.encapsulate(reader, VAULT, "k", algorithm=key_type)  # the public half is all it takes
    with pytest.raises(Forbidden):
        dev.service.decapsulate(reader, VAULT, "k", algorithm=key_type, ciphertext=sent.ciphertext)


def test_a_key_that_encapsulates_does_nothing_else(dev: World) -> None:
    dev.service.create_key(
        dev.operator, VAULT, "k", specification=KeySpecification("ML-KEM-768"), operations={"wrapKey"}
    )
    with pytest.raises(Forbidden, match="may not unwrapKey"):
        dev.service.decapsulate(dev.operator, VAULT, "k", algorithm="ML-KEM-768", ciphertext=bytes(1088))
    with pytest.raises(BadParameter, match="ML-KEM-1024 needs a key of type ML-KEM-1024, this one is ML-KEM-768"):
        dev.service.encapsulate(dev.operator, VAULT, "k", algorithm="ML-KEM-1024")
    with pytest.raises(BadParameter, match="cannot sign"):
        dev.service.update_key(dev.operator, VAULT, "k", operations={"sign"})


@pytest.mark.parametrize("key_type", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"])
def test_a_post_quantum_key_signs_and_verifies(dev: World, key_type: Any) -> None:
    dev.service.create_key(dev.operator, VAULT, "k", specification=KeySpecification(key_type))
    made = dev.service.sign(dev.operator, VAULT, "k", algorithm=key_type, digest=bytes(64))
    check: dict[str, Any] = {"algorithm": key_type, "signature": made.value}
    assert dev.service.verify(dev.operator, VAULT, "k", digest=bytes(64), **check)
    assert not dev.service.verify(dev.operator, VAULT, "k", digest=b"\1" * 64, **check)
    with pytest.raises(BadParameter, match=r"a digest of 64 bytes \(mu\), not of 32"):
        dev.service.sign(dev.operator, VAULT, "k", algorithm=key_type, digest=DIGEST)
