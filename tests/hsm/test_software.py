"""Software keys do what their algorithms say, as `cryptography` and the RFCs say it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_private_key

from kvstack.hsm import public_half
from kvstack.hsm.protocol import DecryptionFailed, HsmError, InputUnfit, KeyMaterial, KeyReference, PublicKey
from kvstack.hsm.software import SoftwareKeys
from kvstack.terms.algorithm import ALGORITHMS, Algorithm
from kvstack.terms.key import KeySpecification
from tests.hsm import crosscheck
from tests.hsm.examples import SOFTWARE, codes, key, signatures, title, uses

KEYS = SoftwareKeys()
MADE = {specification: key(KEYS, specification) for specification in SOFTWARE}


@pytest.mark.parametrize(("specification", "algorithm"), signatures(SOFTWARE), ids=title)
def test_a_signature_is_good_to_others(specification: KeySpecification, algorithm: Algorithm) -> None:
    made = MADE[specification]
    public = made.material.public
    digest = crosscheck.digest(algorithm, b"message", public)
    signature = KEYS.sign(made, algorithm, digest)
    assert crosscheck.signature_is_good(public, algorithm, b"message", signature)
    assert KEYS.verify(made, algorithm, digest, signature)
    assert not KEYS.verify(made, algorithm, crosscheck.digest(algorithm, b"another", public), signature)
    assert not KEYS.verify(made, algorithm, digest, signature[:-1])
    assert not KEYS.verify(made, algorithm, digest, b"")


@pytest.mark.parametrize(("specification", "algorithm"), codes(SOFTWARE), ids=title)
def test_an_authentication_code_is_that_of_others(specification: KeySpecification, algorithm: Algorithm) -> None:
    made = MADE[specification]
    digest = crosscheck.digest(algorithm, b"message")
    made_code = KEYS.sign(made, algorithm, digest)
    assert made_code == crosscheck.code(algorithm, made.material.blob, digest)
    assert KEYS.verify(made, algorithm, digest, made_code)
    for wrong in (made_code[:-1], b"", made_code + b"\0", bytes(len(made_code))):
        assert not KEYS.verify(made, algorithm, digest, wrong)


@pytest.mark.parametrize(("specification", "algorithm"), uses(SOFTWARE, "encapsulate"), ids=title)
def test_an_encapsulated_secret_comes_back_and_a_changed_one_is_another(
    specification: KeySpecification, algorithm: Algorithm
) -> None:
    made = MADE[specification]
    secret, ciphertext = public_half.encapsulated(made.material.public, algorithm)
    assert KEYS.decrypt(made, algorithm, ciphertext) == secret
    assert len(secret) == 32
    # FIPS 203 answers what was changed with a secret nobody else has, not with an error.
    assert KEYS.decrypt(made, algorithm, ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])) != secret
    for wrong in (ciphertext[:-1], b"", ciphertext + b"\0"):
        with pytest.raises(DecryptionFailed):
            KEYS.decrypt(made, algorithm, wrong)


@pytest.mark.parametrize("name", ["A128CBC", "A192CBC", "A256CBC"])
@pytest.mark.parametrize(("length", "padded"), [(1, 16), (15, 16), (16, 16), (17, 32)])
def test_cbc_without_padding_fills_up_with_zeros_as_azure_does(name: str, length: int, padded: int) -> None:
    made = MADE[KeySpecification("oct", int(name[1:4]))]
    sealed = KEYS.encrypt(made, ALGORITHMS[name], b"\1" * length)
    back = KEYS.decrypt(made, ALGORITHMS[name], sealed.ciphertext, iv=sealed.iv)
    assert back == (b"\1" * length).ljust(padded, b"\0")


@pytest.mark.parametrize(("specification", "algorithm"), uses(SOFTWARE, "encrypt") + uses(SOFTWARE, "wrap"), ids=title)
def test_what_is_encrypted_comes_back(specification: KeySpecification, algorithm: Algorithm) -> None:
    made, plaintext = MADE[specification], bytes(range(32))
    data = b"context" if algorithm.name.endswith("GCM") else b""
    sealed = KEYS.encrypt(made, algorithm, plaintext, associated_data=data)
    opened = KEYS.decrypt(made, algorithm, sealed.ciphertext, iv=sealed.iv, tag=sealed.tag, associated_data=data)
    assert opened == plaintext


@pytest.mark.parametrize(
    ("specification", "algorithm"), [use for use in uses(SOFTWARE, "encrypt") if use[0].family == "RSA"], ids=title
)
def test_what_others_encrypt_is_decrypted(specification: KeySpecification, algorithm: Algorithm) -> None:
    made = MADE[specification]
    assert (
        KEYS.decrypt(made, algorithm, crosscheck.rsa_encrypted(made.material.public, algorithm, b"hello")) == b"hello"
    )


RFC_3394 = [
    ("A128KW", "000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF",
     "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"),
    ("A192KW", "000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF",
     "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"),
    ("A256KW", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF",
     "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"),
    ("A256KW", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
     "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
     "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "secret", "plaintext", "wrapped"), RFC_3394)
def test_key_wrapping_is_that_of_rfc_3394(name: str, secret: str, plaintext: str, wrapped: str) -> None:
    made = _oct(bytes.fromhex(secret))
    assert KEYS.encrypt(made, ALGORITHMS[name], bytes.fromhex(plaintext)).ciphertext == bytes.fromhex(wrapped)
    assert KEYS.decrypt(made, ALGORITHMS[name], bytes.fromhex(wrapped)) == bytes.fromhex(plaintext)


def _oct(secret: bytes) -> KeyReference:
    material = KeyMaterial("software", secret, PublicKey())
    return KeyReference(secret.hex(), KeySpecification("oct", len(secret) * 8), material)


@pytest.mark.parametrize(("specification", "algorithm"), uses(SOFTWARE, "encrypt") + uses(SOFTWARE, "wrap"), ids=title)
def test_every_damage_is_one_and_the_same_error(specification: KeySpecification, algorithm: Algorithm) -> None:
    made, plaintext = MADE[specification], bytes(range(32))
    sealed = KEYS.encrypt(made, algorithm, plaintext)
    bad = [sealed.ciphertext[:-1], b"", sealed.ciphertext + b"\0"]
    if algorithm.name != "RSA1_5" and "CBC" not in algorithm.name:  # those do not notice every change
        bad.append(bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:])
    for ciphertext in bad:
        with pytest.raises(DecryptionFailed, match="cannot be decrypted"):
            KEYS.decrypt(made, algorithm, ciphertext, iv=sealed.iv, tag=sealed.tag)
    if sealed.tag:
        for changed in ({"tag": bytes(16)}, {"iv": bytes(12)}, {"associated_data": b"x"}, {"tag": sealed.tag[:12]}):
            arguments: dict[str, Any] = {"iv": sealed.iv, "tag": sealed.tag, **changed}
            with pytest.raises(DecryptionFailed):
                KEYS.decrypt(made, algorithm, sealed.ciphertext, **arguments)


UNFIT: list[tuple[str, bytes, bytes, str]] = [
    ("RSA-OAEP", bytes(215), b"", "at most 214 bytes, these are 215"),
    ("RSA-OAEP-256", bytes(191), b"", "at most 190 bytes"),
    ("RSA1_5", bytes(246), b"", "at most 245 bytes"),
    ("A256KW", bytes(15), b"", "wraps 16, 24, 32"),
    ("A256KW", bytes(17), b"", "wraps 16, 24, 32"),
    ("A256KW", bytes(16), bytes(8), "takes no initialisation vector"),
    ("A256GCM", b"x", bytes(16), "vector of 12 bytes, this one has 16"),
    ("A256CBCPAD", b"x", bytes(12), "vector of 16 bytes"),
]


@pytest.mark.parametrize(("name", "plaintext", "iv", "message"), UNFIT)
def test_input_of_a_wrong_length_is_refused_with_the_right_one(
    name: str, plaintext: bytes, iv: bytes, message: str
) -> None:
    algorithm = ALGORITHMS[name]
    made = next(made for specification, made in MADE.items() if algorithm.unfit(specification) is None)
    with pytest.raises(InputUnfit, match=message):
        KEYS.encrypt(made, algorithm, plaintext, iv=iv)


def test_a_given_vector_is_used_and_an_absent_one_drawn() -> None:
    provider = SoftwareKeys(random=lambda count: bytes([7]) * count)
    secret = provider.generate(KeySpecification("oct", 256))
    made = KeyReference("k", KeySpecification("oct", 256), secret)
    drawn = provider.encrypt(made, ALGORITHMS["A256GCM"], b"x", associated_data=b"a")
    assert drawn.iv == bytes([7]) * 12
    assert drawn.ciphertext + drawn.tag == AESGCM(secret.blob).encrypt(drawn.iv, b"x", b"a")
    assert provider.encrypt(made, ALGORITHMS["A256CBCPAD"], b"x", iv=bytes(16)).iv == bytes(16)
    assert provider.encrypt(made, ALGORITHMS["A256KW"], bytes(16)).ciphertext == keywrap.aes_key_wrap(
        secret.blob, bytes(16)
    )


def test_private_keys_are_parsed_once_and_a_bounded_number_is_kept() -> None:
    provider = SoftwareKeys(loaded=2)
    made = [key(provider, KeySpecification("EC", None, "P-256"), f"key-{number}") for number in range(4)]
    for one in made:
        provider.sign(one, ALGORITHMS["ES256"], bytes(32))
    assert list(provider._loaded) == ["key-2", "key-3"]
    parsed = provider._loaded["key-3"]
    provider.sign(made[3], ALGORITHMS["ES256"], bytes(32))
    assert provider._loaded["key-3"] is parsed
    provider.destroy(made[3])
    provider.destroy(made[3])
    assert list(provider._loaded) == ["key-2"]
    provider.close()
    assert not provider._loaded


def test_a_name_used_for_another_key_never_signs_with_the_first() -> None:
    provider = SoftwareKeys()
    specification = KeySpecification("EC", None, "P-256")
    first, second = (key(provider, specification, "same") for _ in range(2))
    for one in (first, second):
        signature = provider.sign(one, ALGORITHMS["ES256"], bytes(32))
        assert provider.verify(one, ALGORITHMS["ES256"], bytes(32), signature)


@pytest.mark.parametrize("specification", SOFTWARE, ids=title)
def test_the_blob_is_the_key_and_its_repr_does_not_show_it(specification: KeySpecification) -> None:
    made = MADE[specification]
    if specification.family == "oct":
        assert len(made.material.blob) * 8 == specification.size
    else:
        assert load_der_private_key(made.material.blob, None) is not None
    assert made.material.blob.hex() not in repr(made)
    assert repr(made.material.blob)[2:-1] not in repr(made)


def test_generating_an_rsa_key_lets_other_threads_run() -> None:
    worker = threading.Thread(target=KEYS.generate, args=(KeySpecification("RSA", 3072),))
    worker.start()
    turns = 0
    while worker.is_alive():
        turns += 1
    assert turns > 1000


def test_random_bytes_come_from_where_it_was_told() -> None:
    assert SoftwareKeys(random=lambda count: b"r" * count).random(5) == b"rrrrr"


_UNFIT: dict[str, Callable[[KeyMaterial, KeyMaterial], tuple[bytes, PublicKey]]] = {
    "another key of its kind": lambda made, other: (other.blob, made.public),
    "another public half": lambda made, other: (made.blob, other.public),
    "cut": lambda made, _: (made.blob[:-3], made.public),
    "of an unknown algorithm": lambda made, _: (made.blob.replace(b"\x2a\x86\x48", b"\x00\x86\x48"), made.public),
    "nothing": lambda made, _: (b"", made.public),
}


@pytest.mark.parametrize("specification", [KeySpecification("RSA", 2048), KeySpecification("EC", None, "P-256")])
@pytest.mark.parametrize("how", _UNFIT)
def test_material_that_is_not_the_keys_is_refused_before_it_is_taken(specification: KeySpecification, how: str) -> None:
    keys = SoftwareKeys()
    made, other = keys.generate(specification), keys.generate(specification)
    keys.check(KeyReference("good", specification, made))
    blob, public = _UNFIT[how](made, other)
    with pytest.raises(HsmError, match="is not that key"):
        keys.check(KeyReference("bad", specification, KeyMaterial("software", blob, public)))


def test_material_of_another_kind_or_size_is_refused() -> None:
    keys = SoftwareKeys()
    made = {kind: keys.generate(kind) for kind in SOFTWARE}
    for kind, material in made.items():
        keys.check(KeyReference(f"{kind}", kind, material))
        for other in SOFTWARE:
            if other != kind:
                with pytest.raises(HsmError, match="is not that key"):
                    keys.check(KeyReference(f"{kind} {other}", other, material))
