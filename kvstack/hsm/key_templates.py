"""What a key is in PKCS#11: the attributes it is made and opened with, and how its public half is read."""

from kvstack.hsm import constants as ck
from kvstack.hsm.cryptoki import Cryptoki, CryptokiError, Mechanism, Template, mechanism
from kvstack.hsm.protocol import InputUnfit, PublicKey
from kvstack.hsm.return_values import CKR_FUNCTION_FAILED
from kvstack.terms.key import Curve, KeySpecification

# The curves' object identifiers, DER. Source: RFC 5480, SEC 2.
_CURVES: dict[Curve, bytes] = {
    "P-256": bytes.fromhex("06082a8648ce3d030107"),
    "P-384": bytes.fromhex("06052b81040022"),
    "P-521": bytes.fromhex("06052b81040023"),
    "P-256K": bytes.fromhex("06052b8104000a"),
}
_FIELD_BYTES: dict[Curve, int] = {"P-256": 32, "P-384": 48, "P-521": 66, "P-256K": 32}


def generation(specification: KeySpecification) -> Mechanism:
    """Return the mechanism that makes such a key."""
    match specification.family:
        case "RSA":
            return mechanism(ck.CKM_RSA_PKCS_KEY_PAIR_GEN)
        case "EC":
            return mechanism(ck.CKM_EC_KEY_PAIR_GEN)
        case "oct":
            return mechanism(ck.CKM_AES_KEY_GEN)
        case "ML-DSA" | "ML-KEM":
            raise InputUnfit(f"{specification.type} keys are software keys")


def public_template(specification: KeySpecification) -> Template:
    """Return the public half's attributes. It lives only until it was read."""
    if specification.family == "EC":
        return {ck.CKA_TOKEN: False, ck.CKA_VERIFY: True, ck.CKA_EC_PARAMS: _CURVES[specification.curve or "P-256"]}
    return {
        ck.CKA_TOKEN: False,
        ck.CKA_VERIFY: True,
        ck.CKA_ENCRYPT: True,
        ck.CKA_MODULUS_BITS: specification.size or 2048,
        ck.CKA_PUBLIC_EXPONENT: b"\x01\x00\x01",
    }


def private_template(
    specification: KeySpecification, *, token: bool, extractable: bool
) -> dict[int, bool | int | bytes]:
    """Return the attributes of a private or secret key, without its size: what every key has, and what it may do.

    extractable: only for the moment between generation and being wrapped under the root.
    """
    common: dict[int, bool | int | bytes] = {
        ck.CKA_TOKEN: token,
        ck.CKA_PRIVATE: True,
        ck.CKA_SENSITIVE: True,
        ck.CKA_EXTRACTABLE: extractable,
    }
    match specification.family:
        case "RSA":
            return {**common, ck.CKA_CLASS: ck.CKO_PRIVATE_KEY, ck.CKA_KEY_TYPE: ck.CKK_RSA} | {
                ck.CKA_SIGN: True,
                ck.CKA_DECRYPT: True,
                ck.CKA_UNWRAP: False,
            }
        case "EC":
            return {**common, ck.CKA_CLASS: ck.CKO_PRIVATE_KEY, ck.CKA_KEY_TYPE: ck.CKK_EC} | {
                ck.CKA_SIGN: True,
                ck.CKA_DERIVE: False,
            }
        case "oct":
            return {**common, ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_AES} | {
                ck.CKA_ENCRYPT: True,
                ck.CKA_DECRYPT: True,
                ck.CKA_WRAP: True,
                ck.CKA_UNWRAP: True,
                ck.CKA_SIGN: True,
                ck.CKA_VERIFY: True,
            }
        case "ML-DSA" | "ML-KEM":
            raise InputUnfit(f"{specification.type} keys are software keys")


def code_template() -> Template:
    """Return the attributes a wrapped oct key is opened with to make authentication codes: SoftHSM takes an AES key for
    nothing else than AES."""
    return {
        ck.CKA_TOKEN: False,
        ck.CKA_PRIVATE: True,
        ck.CKA_SENSITIVE: True,
        ck.CKA_EXTRACTABLE: False,
        ck.CKA_CLASS: ck.CKO_SECRET_KEY,
        ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET,
        ck.CKA_SIGN: True,
        ck.CKA_VERIFY: True,
    }


def generated(
    cryptoki: Cryptoki, session: int, specification: KeySpecification, private: Template
) -> tuple[int, PublicKey]:
    """Generate a key. Returns its private or secret handle, and the public half; the public object is gone again."""
    method = generation(specification)
    if specification.family == "oct":
        size = (specification.size or 256) // 8
        return cryptoki.generate_key(session, method, {**private, ck.CKA_VALUE_LEN: size}), PublicKey()
    public, handle = cryptoki.generate_pair(session, method, public_template(specification), private)
    try:
        return handle, _public_half(cryptoki, session, public, specification)
    except BaseException:
        cryptoki.destroy(session, handle)
        raise
    finally:
        cryptoki.destroy(session, public)


def _public_half(cryptoki: Cryptoki, session: int, public: int, specification: KeySpecification) -> PublicKey:
    def read(attribute: int) -> bytes:
        value = cryptoki.attribute(session, public, attribute)
        if not value:
            raise CryptokiError("C_GetAttributeValue", CKR_FUNCTION_FAILED)
        return value

    if specification.family == "RSA":
        return PublicKey(n=read(ck.CKA_MODULUS).lstrip(b"\0"), e=read(ck.CKA_PUBLIC_EXPONENT).lstrip(b"\0"))
    curve = specification.curve or "P-256"
    length = _FIELD_BYTES[curve]
    # A DER octet string around the uncompressed point 04 x y; some modules give the point bare.
    point = read(ck.CKA_EC_POINT)[-(2 * length + 1) :]
    if len(point) != 2 * length + 1 or point[0] != 4:
        raise CryptokiError("C_GetAttributeValue", CKR_FUNCTION_FAILED)
    return PublicKey(curve=curve, x=point[1 : 1 + length], y=point[1 + length :])
