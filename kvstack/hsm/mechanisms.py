"""Which PKCS#11 mechanism does what an algorithm asks, and what it is given."""

from typing import Final

import msgspec

from kvstack.hsm import constants as ck
from kvstack.hsm.cryptoki import Mechanism, mechanism, oaep, pss
from kvstack.terms.algorithm import Algorithm

# The DER of a DigestInfo up to the digest itself. Source: RFC 8017, 9.2, note 1.
_DIGEST_INFO: Final = {
    "RS256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "RS384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "RS512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


class Signing(msgspec.Struct, frozen=True):
    """How to sign a digest. prefix: what stands before it; room: how long a signature can be, bytes."""

    number: int
    mechanism: Mechanism
    prefix: bytes = b""
    room: int = 512


_PKCS1: Final = mechanism(ck.CKM_RSA_PKCS)
_ECDSA: Final = mechanism(ck.CKM_ECDSA)
_SIGNING: Final[dict[str, Signing]] = {
    "RS256": Signing(ck.CKM_RSA_PKCS, _PKCS1, _DIGEST_INFO["RS256"]),
    "RS384": Signing(ck.CKM_RSA_PKCS, _PKCS1, _DIGEST_INFO["RS384"]),
    "RS512": Signing(ck.CKM_RSA_PKCS, _PKCS1, _DIGEST_INFO["RS512"]),
    "PS256": Signing(ck.CKM_RSA_PKCS_PSS, pss(ck.CKM_SHA256, ck.CKG_MGF1_SHA256, 32)),
    "PS384": Signing(ck.CKM_RSA_PKCS_PSS, pss(ck.CKM_SHA384, ck.CKG_MGF1_SHA384, 48)),
    "PS512": Signing(ck.CKM_RSA_PKCS_PSS, pss(ck.CKM_SHA512, ck.CKG_MGF1_SHA512, 64)),
    "ES256": Signing(ck.CKM_ECDSA, _ECDSA, room=64),
    "ES384": Signing(ck.CKM_ECDSA, _ECDSA, room=96),
    "ES512": Signing(ck.CKM_ECDSA, _ECDSA, room=132),
    "ES256K": Signing(ck.CKM_ECDSA, _ECDSA, room=64),
    "HS256": Signing(ck.CKM_SHA256_HMAC, mechanism(ck.CKM_SHA256_HMAC), room=32),
    "HS384": Signing(ck.CKM_SHA384_HMAC, mechanism(ck.CKM_SHA384_HMAC), room=48),
    "HS512": Signing(ck.CKM_SHA512_HMAC, mechanism(ck.CKM_SHA512_HMAC), room=64),
}

RAW_RSA: Final = mechanism(ck.CKM_RSA_X_509)
KEY_WRAP: Final = mechanism(ck.CKM_AES_KEY_WRAP)
KEY_WRAP_PAD: Final = mechanism(ck.CKM_AES_KEY_WRAP_PAD)
KEY_WRAP_KWP: Final = mechanism(ck.CKM_AES_KEY_WRAP_KWP)
_DECRYPTION: Final[dict[str, tuple[int, Mechanism]]] = {
    "RSA1_5": (ck.CKM_RSA_PKCS, _PKCS1),
    "RSA-OAEP": (ck.CKM_RSA_PKCS_OAEP, oaep(ck.CKM_SHA_1, ck.CKG_MGF1_SHA1)),
    "RSA-OAEP-256": (ck.CKM_RSA_PKCS_OAEP, oaep(ck.CKM_SHA256, ck.CKG_MGF1_SHA256)),
}


def signing(algorithm: Algorithm) -> Signing:
    """Return how a digest is signed."""
    return _SIGNING[algorithm.name]


def rsa_decryption(algorithm: Algorithm) -> tuple[int, Mechanism]:
    """Return the number and the mechanism of an RSA decryption."""
    return _DECRYPTION[algorithm.name]


def cbc(iv: bytes) -> Mechanism:
    """Return CKM_AES_CBC."""
    return mechanism(ck.CKM_AES_CBC, iv)


def cbc_pad(iv: bytes) -> Mechanism:
    """Return CKM_AES_CBC_PAD."""
    return mechanism(ck.CKM_AES_CBC_PAD, iv)
