"""The keys, signatures and ciphertexts of RFC 7515, 7516, 7517 and 7520 are read, verified and decrypted."""

import hashlib
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kvstack.hsm.key_file import plain_key
from kvstack.hsm.plain_key import of_oct
from kvstack.hsm.protocol import KeyMaterial, KeyReference
from kvstack.hsm.software import SoftwareKeys
from kvstack.terms.algorithm import ALGORITHMS

KEYS = SoftwareKeys()
EXAMPLES: dict[str, Any] = msgspec.json.decode((Path(__file__).parent / "rfc_examples.json").read_bytes())


def title(example: Any) -> str:
    return str(example["source"])


def octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def imported(jwk: Any) -> KeyReference:
    plain = plain_key(msgspec.json.encode(jwk))
    return KeyReference("example", plain.specification, KeyMaterial("software", plain.reveal(), plain.public))


@pytest.mark.parametrize("example", EXAMPLES["keys"], ids=title)
def test_a_key_is_read(example: Any) -> None:
    jwk = example["key"]
    made = imported(jwk)
    assert made.specification.family == jwk["kty"]
    match jwk["kty"]:
        case "RSA":
            assert (made.material.public.n, made.material.public.e) == (octets(jwk["n"]), octets(jwk["e"]))
        case "EC":
            assert (made.material.public.x, made.material.public.y) == (octets(jwk["x"]), octets(jwk["y"]))
        case _:
            assert made.material.blob == octets(jwk["k"])


@pytest.mark.parametrize("example", EXAMPLES["keys"] + EXAMPLES["jws"], ids=title)
def test_without_its_primes_an_rsa_key_is_the_same(example: Any) -> None:
    jwk = example["key"]
    short = {name: value for name, value in jwk.items() if name not in ("p", "q", "dp", "dq", "qi")}
    assert imported(short).material.public == imported(jwk).material.public


@pytest.mark.parametrize("example", EXAMPLES["jws"], ids=title)
def test_a_signature_is_verified_and_made_again(example: Any) -> None:
    made, algorithm, signature = imported(example["key"]), ALGORITHMS[example["alg"]], octets(example["signature"])
    signed = example["input"].encode()
    # A provider makes the code of what it is given; all others are given a digest.
    digest = signed if made.specification.family == "oct" else _digest(algorithm.digest, signed)
    assert KEYS.verify(made, algorithm, digest, signature)
    assert not KEYS.verify(made, algorithm, digest, signature[:-1] + bytes([signature[-1] ^ 1]))
    again = KEYS.sign(made, algorithm, digest)
    assert KEYS.verify(made, algorithm, digest, again)
    if algorithm.name in ("RS256", "HS256"):
        assert again == signature
    KEYS.close()


@pytest.mark.parametrize("example", EXAMPLES["jwe"], ids=title)
def test_an_encrypted_key_is_unwrapped_and_opens_the_text(example: Any) -> None:
    made = imported(example["key"])
    content_key = KEYS.decrypt(made, ALGORITHMS[example["alg"]], octets(example["encrypted_key"]))
    KEYS.close()
    opening: dict[str, Any] = {"iv": octets(example["iv"])}
    if example["enc"].endswith("GCM"):
        opening.update(tag=octets(example["tag"]), associated_data=example["protected"].encode())
    else:
        content_key = content_key[16:]  # RFC 7518, 5.2: the first half authenticates
    plain = of_oct(content_key)
    key = KeyReference("content", plain.specification, KeyMaterial("software", plain.reveal(), plain.public))
    mode = "GCM" if example["enc"].endswith("GCM") else "CBCPAD"
    algorithm = ALGORITHMS[f"A{len(content_key) * 8}{mode}"]
    assert KEYS.decrypt(key, algorithm, octets(example["ciphertext"]), **opening).decode() == example["plaintext"]


def _digest(name: str | None, data: bytes) -> bytes:
    return hashlib.new((name or "").replace("-", "").lower(), data).digest()
