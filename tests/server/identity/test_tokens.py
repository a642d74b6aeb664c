"""A token is accepted when everything about it is right, and refused for anything else."""

import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from kvstack.hsm.protocol import PublicKey
from kvstack.server.identity.signed_json import LEEWAY, TokenRefused
from kvstack.server.identity.tokens import Claims, Expected, checked_claims, signed_token

NOW = 1_800_000_000
KEY = ec.derive_private_key(7, ec.SECP256R1())
ANOTHER = ec.derive_private_key(8, ec.SECP256R1())
TENANT = "1dba969c-eb90-4e56-b166-faaf396b0343"
EXPECTED = Expected("https://login.localhost/t/v2.0", TENANT, "https://vault.localhost")
GOOD = Claims(
    aud=EXPECTED.audience,
    iss=EXPECTED.issuer,
    iat=NOW,
    nbf=NOW,
    exp=NOW + 3600,
    oid="6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11",
    sub="6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11",
    tid=TENANT,
)


def public(key: ec.EllipticCurvePrivateKey) -> PublicKey:
    point = key.public_key().public_numbers()
    return PublicKey(curve="P-256", x=point.x.to_bytes(32), y=point.y.to_bytes(32))


KEYS = {"k1": public(KEY)}


def signing(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
    return r.to_bytes(32) + s.to_bytes(32)


def token(claims: Claims = GOOD, *, key: ec.EllipticCurvePrivateKey = KEY, kid: str = "k1") -> bytes:
    return signed_token(claims, kid, lambda digest: signing(key, digest)).encode()


def text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def forged(header: dict[str, Any], claims: Any = None, sign: Any = None) -> bytes:
    """A token somebody made by hand."""
    payload = json.loads(msgspec.json.encode(GOOD)) if claims is None else claims
    content = f"{text(json.dumps(header).encode())}.{text(json.dumps(payload).encode())}"
    signature = (sign or (lambda data: signing(KEY, hashlib.sha256(data).digest())))(content.encode())
    return f"{content}.{text(signature)}".encode()


def accepted(given: bytes, *, now: float = NOW + 1, expected: Expected = EXPECTED) -> Claims:
    return checked_claims(given, KEYS, expected, now)


def refused(given: bytes, words: str, **more: Any) -> None:
    with pytest.raises(TokenRefused, match=words):
        accepted(given, **more)


def test_a_good_token_is_accepted() -> None:
    assert accepted(token()) == GOOD


@pytest.mark.parametrize("name", ["none", "None", "NONE", "", "HS256", "RS256", "ES384", "ES256K", "es256"])
def test_only_one_algorithm_is_accepted_whatever_the_token_names(name: str) -> None:
    refused(forged({"typ": "JWT", "alg": name, "kid": "k1"}), "not signed as tokens")
    refused(forged({"typ": "JWT", "alg": name, "kid": "k1"}, sign=lambda _: b""), "not signed as tokens")


def test_a_public_key_taken_for_a_shared_secret_is_refused() -> None:
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    point = KEYS["k1"].x + KEYS["k1"].y
    for secret in (pem, point, b""):
        given = forged(
            {"alg": "HS256", "kid": "k1"}, sign=lambda data, secret=secret: hmac.digest(secret, data, "sha256")
        )
        refused(given, "not signed as tokens")
        given = forged(
            {"alg": "ES256", "kid": "k1"}, sign=lambda data, secret=secret: hmac.digest(secret, data, "sha256")
        )
        refused(given, "signature")


def test_a_key_that_comes_with_the_token_is_no_key_of_the_vault() -> None:
    own = rsa.generate_private_key(65537, 2048)
    point = public(ANOTHER)
    jwk = {"kty": "EC", "crv": "P-256", "x": text(point.x), "y": text(point.y)}
    for header in ({"jwk": jwk}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example"}):
        given = forged(
            {"alg": "ES256", "kid": "k1", **header},
            sign=lambda data: signing(ANOTHER, hashlib.sha256(data).digest()),
        )
        refused(given, "signature")
    refused(forged({"alg": "RS256", "kid": "k1"}, sign=lambda data: own.sign(data, PKCS1v15(), SHA256())), "not signed")


@pytest.mark.parametrize("kid", ["k2", "", "../k1", "k1\0", "K1", "' OR 1=1"])
def test_a_made_up_key_id_finds_nothing(kid: str) -> None:
    refused(token(kid=kid), "no key of this vault")


@pytest.mark.parametrize("kid", [None, 1, ["k1"], {"k1": 1}])
def test_a_key_id_that_is_no_text_finds_nothing(kid: Any) -> None:
    refused(forged({"alg": "ES256", "kid": kid}), "not what a token has")


def test_a_token_of_another_vault_is_refused() -> None:
    refused(token(key=ANOTHER), "signature")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("aud", "https://managedhsm.localhost", "another audience"),
        ("aud", "https://vault.localhost:8443", "another audience"),
        ("aud", "", "another audience"),
        ("iss", "https://login.localhost/other/v2.0", "another issuer"),
        ("iss", "https://login.localhost:8443/other/v2.0", "another issuer"),
        ("iss", "https://login.localhost:8443@example.com/t/v2.0", "another issuer"),
        ("iss", "https://login.localhost.example.com:8443/t/v2.0", "another issuer"),
        ("iss", "http://login.localhost:8443/t/v2.0", "another issuer"),
        ("tid", "00000000-0000-4000-8000-000000000000", "another issuer or tenant"),
        ("oid", "operator", "names no principal"),
        ("oid", "", "names no principal"),
        ("exp", NOW - LEEWAY, "has expired"),
        ("nbf", NOW + LEEWAY + 2, "not valid yet"),
        ("iat", NOW + LEEWAY + 2, "not valid yet"),
    ],
)
def test_a_claim_that_is_another_one_is_refused(field: str, value: Any, words: str) -> None:
    refused(token(msgspec.structs.replace(GOOD, **{field: value})), words)


def test_a_token_is_the_same_by_whatever_port_its_client_came() -> None:
    issuer = "https://login.localhost:8443/t/v2.0"
    claims = msgspec.structs.replace(GOOD, iss=issuer)
    assert checked_claims(token(claims), KEYS, EXPECTED, NOW) == claims


@pytest.mark.parametrize("field", ["aud", "iss", "iat", "nbf", "exp", "oid", "sub", "tid"])
@pytest.mark.parametrize("value", [None, "missing", ["https://vault.localhost"], True, 1e300])
def test_a_claim_that_is_missing_or_of_another_kind_is_refused(field: str, value: Any) -> None:
    claims = json.loads(msgspec.json.encode(GOOD))
    if value == "missing":
        del claims[field]
        given = forged({"alg": "ES256", "kid": "k1"}, claims)
        refused(given, "not what a token has")
        return
    claims[field] = value
    with pytest.raises(TokenRefused):
        accepted(forged({"alg": "ES256", "kid": "k1"}, claims))


def test_clocks_may_differ_by_a_minute_and_no_more() -> None:
    accepted(token(), now=NOW + 3600 + LEEWAY - 1)
    refused(token(), "has expired", now=NOW + 3600 + LEEWAY)
    accepted(token(), now=NOW - LEEWAY)
    refused(token(), "not valid yet", now=NOW - LEEWAY - 1)


def test_a_name_that_stands_twice_is_read_by_nobody() -> None:
    header = text(b'{"alg":"none","alg":"ES256","kid":"k1"}')
    content = f"{header}.{text(msgspec.json.encode(GOOD))}"
    given = f"{content}.{text(signing(KEY, hashlib.sha256(content.encode()).digest()))}"
    refused(given.encode(), "not what a token has")


def test_a_token_that_wants_an_extension_is_refused() -> None:
    refused(forged({"alg": "ES256", "kid": "k1", "crit": ["b64"], "b64": False}), "not signed as tokens")


def test_another_spelling_of_a_signature_is_another_token() -> None:
    good = token()
    refused(good + b"=", "base64url")
    last = good[-1:]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 64 bytes leave four bits of the last sign unused: only zeros there are what an encoder writes.
    other = alphabet[alphabet.index(last) ^ 1 : (alphabet.index(last) ^ 1) + 1]
    refused(good[:-1] + other, "base64url")


@given(st.binary(max_size=300))
def test_whatever_comes_as_a_token_is_refused_in_words(given: bytes) -> None:
    with pytest.raises(TokenRefused):
        accepted(given)


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_a_token_with_one_changed_bit_is_refused(place: int, bit: int) -> None:
    good = bytearray(token())
    good[place % len(good)] ^= 1 << bit
    with pytest.raises(TokenRefused):
        accepted(bytes(good))


def test_a_huge_token_is_not_read() -> None:
    refused(b"a." + b"b" * (17 << 10) + b".c", "too long")
