"""An attestation authority and an environment it attests, made of `cryptography` alone."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from cryptography.x509 import load_der_x509_certificate

HASHES: dict[str, Any] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES: dict[str, Any] = {"256": ec.SECP256R1(), "384": ec.SECP384R1(), "512": ec.SECP521R1()}
OAEP: dict[str, Any] = {
    "CKM_RSA_AES_KEY_WRAP": hashes.SHA1(),
    "RSA_AES_KEY_WRAP_256": hashes.SHA256(),
    "RSA_AES_KEY_WRAP_384": hashes.SHA384(),
}


def text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def content(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def number(value: int) -> str:
    return text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Authority:
    """Signs attestations. algorithm: RS256 to ES512."""

    def __init__(self, url: str = "https://attest.example.com", algorithm: str = "RS256", kid: str = "a") -> None:
        self.url = url
        self.algorithm = algorithm
        self.kid = kid
        self.key: Any = (
            ec.generate_private_key(CURVES[algorithm[2:]])
            if algorithm.startswith("ES")
            else rsa.generate_private_key(65537, 2048)
        )

    def jwk(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        common = {"kid": self.kid, "use": "sig"}
        if isinstance(numbers, rsa.RSAPublicNumbers):
            return {**common, "kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        length = (self.key.key_size + 7) // 8
        point = {"x": text(numbers.x.to_bytes(length, "big")), "y": text(numbers.y.to_bytes(length, "big"))}
        return {
            **common,
            "kty": "EC",
            "crv": {"512": "P-521"}.get(self.algorithm[2:], f"P-{self.algorithm[2:]}"),
            **point,
        }

    def jwks(self) -> bytes:
        return json.dumps({"keys": [self.jwk()]}).encode()

    def signature(self, signed: bytes) -> bytes:
        used = HASHES[self.algorithm[2:]]
        match self.algorithm[:2]:
            case "RS":
                made: bytes = self.key.sign(signed, padding.PKCS1v15(), used)
            case "PS":
                made = self.key.sign(signed, padding.PSS(padding.MGF1(used), used.digest_size), used)
            case _:
                half = (self.key.key_size + 7) // 8
                pair = decode_dss_signature(self.key.sign(signed, ec.ECDSA(used)))
                made = b"".join(one.to_bytes(half, "big") for one in pair)
        return made

    def token(self, claims: Any, **header: Any) -> str:
        """The claims, signed. header: instead of what it would say; a member of None is left out."""
        whole = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT", **header}
        return self.raw(
            json.dumps({name: value for name, value in whole.items() if value is not None}).encode(),
            json.dumps(claims).encode(),
        )

    def raw(self, header: bytes, claims: bytes) -> str:
        signed = f"{text(header)}.{text(claims)}"
        return f"{signed}.{text(self.signature(signed.encode()))}"


class Environment:
    """An enclave with its own key."""

    def __init__(self, kid: str = "TpmEphemeralEncryptionKey", bits: int = 2048) -> None:
        self.kid = kid
        self.key = rsa.generate_private_key(65537, bits)

    def jwk(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        return {"kty": "RSA", "kid": self.kid, "key_ops": ["encrypt"], "n": number(numbers.n), "e": number(numbers.e)}

    def claims(self, issuer: str, second: float, **more: Any) -> dict[str, Any]:
        """What is attested of it at a second, for an hour."""
        times = {"iat": int(second), "nbf": int(second), "exp": int(second) + 3600}
        return {"iss": issuer, **times, "x-ms-runtime": {"keys": [self.jwk()]}, **more}

    def opened(self, answer: bytes) -> tuple[bytes, dict[str, Any]]:
        """The released key (PKCS#8 DER or an oct key's bytes), and all that was answered; the signature is checked."""
        header, payload, signature = answer.decode().split(".")
        described = json.loads(content(header))
        assert described["alg"] == "RS256"
        certificate = load_der_x509_certificate(base64.b64decode(described["x5c"][0]))
        signer = certificate.public_key()
        assert isinstance(signer, rsa.RSAPublicKey)
        signer.verify(content(signature), f"{header}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
        answered = json.loads(content(payload))
        inner = json.loads(content(answered["response"]["key"]["key"]["key_hsm"]))
        assert inner["header"] == {"kid": self.kid, "alg": "dir", "enc": answered["request"]["enc"]}
        used, wrapped = OAEP[inner["header"]["enc"]], content(inner["ciphertext"])
        length = self.key.key_size // 8
        once = self.key.decrypt(wrapped[:length], padding.OAEP(padding.MGF1(used), used, None))
        return aes_key_unwrap_with_padding(once, wrapped[length:]), answered


def policy(authority: str, *conditions: dict[str, Any], combined: str = "allOf") -> bytes:
    """A release policy with one authority."""
    listed = list(conditions) or [{"claim": "x-ms-attestation-type", "equals": "sevsnpvm"}]
    return json.dumps({"version": "1.0.0", "anyOf": [{"authority": authority, combined: listed}]}).encode()
