"""A key file is one key, or one clear error that holds nothing of the file."""

import subprocess
from base64 import urlsafe_b64encode
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstack.hsm.key_file import LONGEST, plain_key
from kvstack.hsm.plain_key import post_quantum_key
from kvstack.hsm.protocol import InputUnfit
from kvstack.terms.key import CURVES, KeySpecification
from kvstack.terms.secret import SecretValue

EXAMPLES: dict[str, Any] = msgspec.json.decode((Path(__file__).parent / "rfc_examples.json").read_bytes())
JWKS: list[dict[str, Any]] = [example["key"] for example in EXAMPLES["keys"]]
RSA_JWK = next(jwk for jwk in JWKS if jwk["kty"] == "RSA")
EC_JWK = next(jwk for jwk in JWKS if jwk["kty"] == "EC")
PLAIN = NoEncryption()
CRYPTOGRAPHY = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "P-256K": ec.SECP256K1(),
}


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(private: Any, form: PrivateFormat, how: KeySerializationEncryption = PLAIN) -> bytes:
    made: bytes = private.private_bytes(Encoding.PEM, form, how)
    return made


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("password", [None, b"w\xc3\xb6rd"])
@pytest.mark.parametrize("curve", [None, *CURVES])
def test_pem_is_read_in_every_form(form: PrivateFormat, password: bytes | None, curve: Any) -> None:
    private: Any = rsa_key() if curve is None else ec.generate_private_key(CRYPTOGRAPHY[curve])
    how = PLAIN if password is None else BestAvailableEncryption(password)
    found = plain_key(pem(private, form, how), None if password is None else SecretValue(password))
    assert found.specification == (
        KeySpecification("RSA", 2048) if curve is None else KeySpecification("EC", None, curve)
    )
    assert found.reveal() == private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, PLAIN)


@pytest.mark.parametrize("key_type", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "ML-KEM-768", "ML-KEM-1024"])
def test_a_post_quantum_key_is_read_as_pem_and_as_jwk(key_type: Any) -> None:
    private = post_quantum_key(key_type)
    from_pem = plain_key(pem(private, PrivateFormat.PKCS8))
    jwk = {"kty": "AKP", "alg": key_type, "priv": base64url(private.private_bytes_raw())}
    from_jwk = plain_key(msgspec.json.encode(jwk))
    assert from_pem.specification == from_jwk.specification == KeySpecification(key_type)
    assert from_pem.public == from_jwk.public
    with pytest.raises(InputUnfit, match="do not belong together"):
        plain_key(msgspec.json.encode({**jwk, "pub": base64url(from_jwk.public.raw[:-1] + b"\0\1")}))


def test_the_uses_a_jwk_names_are_kept_as_far_as_a_vault_knows_them() -> None:
    found = plain_key(msgspec.json.encode({**EC_JWK, "key_ops": ["sign", "deriveKey", "wrapKey"]}))
    assert found.operations == frozenset({"sign"})
    assert plain_key(msgspec.json.encode({**EC_JWK})).operations is None


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def changed(jwk: dict[str, Any], **members: Any) -> bytes:
    return msgspec.json.encode({name: value for name, value in {**jwk, **members}.items() if value is not None})


WRONG: list[tuple[bytes, str]] = [
    (b"", "holds no key"),
    (b"\0\xff", "holds no key"),
    (b"{", "is no JSON Web Key"),
    (b"{}", "is no JSON Web Key"),
    (b'{"kty": 7}', "is no JSON Web Key"),
    (b'{"kty": "RSA", "n": "\xff"}', "is no JSON Web Key"),
    (b"{" * 60_000, "is no JSON Web Key"),
    (b"{" + b" " * LONGEST, "more than"),
    (b'{"kty": "OKP"}', "none of RSA, EC, oct and AKP"),
    (b'{"kty": "RSA-HSM"}', "a plain key's `kty` is `RSA`"),
    (b'{"kty": "oct", "k": ""}', "has no `k`"),
    (b'{"kty": "oct", "k": "AAAA"}', "128, 192 or 256 bits, this one has 24"),
    (b'{"kty": "oct", "k": "AA=="}', "not base64url"),
    (b'{"kty": "oct", "k": "A A"}', "not base64url"),
    (b'{"kty": "AKP", "alg": "ML-DSA-44", "priv": "AAAA"}', "is its seed"),
    (b'{"kty": "AKP", "alg": "SLH-DSA"}', "an AKP key's `alg`"),
    (changed(RSA_JWK, d=None), "no `d`: it is a public key"),
    (changed(RSA_JWK, p=None), "some are missing"),
    (changed(RSA_JWK, oth=[]), "more than two primes"),
    (changed(RSA_JWK, e="AA"), "do not belong together"),
    (changed(RSA_JWK, e=base64url(bytes([255]) * 600)), "do not belong together"),
    (changed(RSA_JWK, n=base64url(bytes([255]) * 256)), "do not belong together"),
    (changed(RSA_JWK, n=base64url(bytes([255]) * 512)), "do not belong together"),
    (changed(RSA_JWK, n=base64url(bytes([255]) * 128)), "2048, 3072 or 4096 bits, this one has 1024"),
    (changed(RSA_JWK, d=base64url(b"\1\0\1")), "do not belong together"),
    (changed(RSA_JWK, p=RSA_JWK["q"]), "do not belong together"),
    (changed(RSA_JWK, dp=RSA_JWK["dq"]), "do not belong together"),
    (changed(RSA_JWK, n=base64url(bytes(5000))), "longer than any key's"),
    (changed(EC_JWK, d=None), "no `d`: it is a public key"),
    (changed(EC_JWK, crv="P-224"), "an EC key's `crv`"),
    (changed(EC_JWK, crv="P-384"), "has 48 bytes, not 32"),
    (changed(EC_JWK, x=EC_JWK["y"]), "are not on its curve"),
    (changed(EC_JWK, d=base64url(bytes(32))), "are not on its curve"),
    (changed(EC_JWK, d=base64url(bytes([255]) * 32)), "are not on its curve"),
    (changed(EC_JWK, d=base64url(bytes(31) + b"\7")), "do not belong together"),
    (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no private key"),
    (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key that can be read"),
    (b"-----BEGIN PRIVATE KEY-----\n", "holds no private key"),
    (pem(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8), "a key of this kind is not taken"),
    (pem(ec.generate_private_key(ec.SECP224R1()), PrivateFormat.PKCS8), "this one is on secp224r1"),
    (pem(rsa_key(), PrivateFormat.PKCS8) * 2, "holds 2 private keys"),
    (pem(rsa_key(), PrivateFormat.PKCS8, BestAvailableEncryption(b"x")), "is encrypted: give its password"),
]


@pytest.mark.parametrize(("content", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_no_key_is_one_clear_error(content: bytes, words: str) -> None:
    with pytest.raises(InputUnfit, match=words) as refused:
        plain_key(content)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pem(rsa_key(), PrivateFormat.PKCS8, BestAvailableEncryption(b"x")), "or the password is wrong"),
        (pem(rsa_key(), PrivateFormat.PKCS8), "is not encrypted, and a password is given"),
        (msgspec.json.encode(EC_JWK), "a JSON Web Key has no password"),
    ],
)
def test_a_wrong_password_is_told_and_not_repeated(content: bytes, words: str) -> None:
    with pytest.raises(InputUnfit, match=words) as refused:
        plain_key(content, SecretValue("correct horse"))
    assert "horse" not in str(refused.value)


@given(jwk=st.sampled_from(JWKS), data=st.data())
@settings(max_examples=200)
def test_a_damaged_jwk_is_a_key_or_one_error(jwk: dict[str, Any], data: st.DataObject) -> None:
    text = bytearray(msgspec.json.encode(jwk))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.integers(0, 255))
    _key_or_error(bytes(text))


@given(
    jwk=st.sampled_from(JWKS),
    members=st.dictionaries(
        st.sampled_from(["kty", "crv", "n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y", "k", "key_ops", "alg"]),
        st.text(max_size=50) | st.integers() | st.none() | st.binary(max_size=300).map(base64url) | st.just([]),
        max_size=3,
    ),
)
@settings(max_examples=200)
def test_any_members_are_a_key_or_one_error(jwk: dict[str, Any], members: dict[str, Any]) -> None:
    _key_or_error(msgspec.json.encode({**jwk, **members}))


@given(data=st.data())
@settings(max_examples=150)
def test_a_damaged_pem_is_a_key_or_one_error(data: st.DataObject) -> None:
    text = bytearray(_EC_PEM)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(text)) | st.just(len(text)))
    _key_or_error(bytes(text[:cut]))


@given(content=st.binary(max_size=400), password=st.none() | st.binary(max_size=10))
@settings(max_examples=150)
def test_any_bytes_are_a_key_or_one_error(content: bytes, password: bytes | None) -> None:
    for text in (content, b"{" + content, b"-----BEGIN PRIVATE KEY-----\n" + content):
        _key_or_error(text, None if password is None else SecretValue(password))


_EC_PEM = pem(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8)


def _key_or_error(content: bytes, password: SecretValue | None = None) -> None:
    try:
        plain_key(content, password)
    except InputUnfit as error:
        refusal = str(error)
    else:
        return
    assert len(refusal) < 300


def test_openssls_own_files_are_read(tmp_path: Path) -> None:
    for command in (
        ("ecparam", "-name", "secp521r1", "-genkey", "-noout", "-out", "sec1.pem"),
        ("ecparam", "-name", "prime256v1", "-genkey", "-out", "with-parameters.pem"),
        ("genrsa", "-traditional", "-out", "pkcs1.pem", "2048"),
    ):
        subprocess.run(["openssl", *command], cwd=tmp_path, check=True, capture_output=True)
    found = {path.name: plain_key(path.read_bytes()).specification for path in tmp_path.iterdir()}
    assert found == {
        "sec1.pem": KeySpecification("EC", None, "P-521"),
        "with-parameters.pem": KeySpecification("EC", None, "P-256"),
        "pkcs1.pem": KeySpecification("RSA", 2048),
    }
