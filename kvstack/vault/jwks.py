"""The public keys in a JSON Web Key Set, as an attestation authority publishes them. Source: RFC 7517, 7518."""

import binascii
from typing import Any

import msgspec

from kvstack.hsm.protocol import PublicKey
from kvstack.hsm.public_half import ec_key
from kvstack.terms.key import Curve
from kvstack.terms.release_policy import unambiguous_json
from kvstack.vault.attestation import ALLOWED, AuthorityKey
from kvstack.vault.errors import BadParameter

LONGEST = 256 << 10
_MOST = 64
_RSA_BITS = (2048, 8192)
_FIELD_BYTES: dict[Curve, int] = {"P-256": 32, "P-384": 48, "P-521": 66}


class _Jwk(msgspec.Struct, frozen=True):
    """The members that matter. x5c: certificates, the key's own first: Azure's authorities give nothing else."""

    kty: str
    kid: str = ""
    use: str = ""
    key_ops: list[str] | None = None
    alg: str = ""
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""
    x5c: list[str] = []
    d: Any = None
    p: Any = None
    q: Any = None
    k: Any = None


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[_Jwk]


def authority_keys(jwks: bytes) -> tuple[AuthorityKey, ...]:
    """Return the keys an authority signs with. Raises BadParameter, which repeats nothing of the file."""
    if len(jwks) > LONGEST:
        raise BadParameter(f"a key set has at most {LONGEST} bytes")
    try:
        found = msgspec.convert(unambiguous_json(jwks), _KeySet)
    except (msgspec.ValidationError, RecursionError):
        raise BadParameter("this is no JSON Web Key Set: an object with `keys`, each with its `kty`") from None
    except ValueError as error:
        raise BadParameter(f"the key set cannot be read: {error}") from None
    if len(found.keys) > _MOST:
        raise BadParameter(f"an authority has at most {_MOST} keys")
    keys = tuple(_key(jwk, place) for place, jwk in enumerate(found.keys, 1) if _signs(jwk))
    if not keys:
        raise BadParameter("the key set has no key that signs: none of RSA, or of EC on P-256, P-384 and P-521")
    seen: set[tuple[str, str]] = set()
    for key in keys:
        named = (key.kid, key.algorithm)
        if named in seen:
            raise BadParameter(
                f"two keys have the same `kid`: `{key.kid[:100]}`", "Nobody could tell which one signed."
            )
        seen.add(named)
    return keys


def _signs(jwk: _Jwk) -> bool:
    for_signing = jwk.use in ("", "sig") and (jwk.key_ops is None or "verify" in jwk.key_ops)
    if jwk.kty == "oct" or any(part is not None for part in (jwk.d, jwk.p, jwk.q, jwk.k)):
        raise BadParameter(
            "the key set holds a private or a symmetric key", "Take the set the authority publishes: public keys only."
        )
    return for_signing and jwk.kty in ("RSA", "EC")


def _key(jwk: _Jwk, place: int) -> AuthorityKey:
    if jwk.alg and jwk.alg not in ALLOWED:
        raise BadParameter(f"key {place}: its `alg` is none of {', '.join(ALLOWED)}")
    given = _rsa(jwk, place) if jwk.kty == "RSA" else _ec(jwk, place)
    certified = _certified(jwk, place) if jwk.x5c else None
    if given is not None and certified is not None and given != certified:
        raise BadParameter(f"key {place}: its numbers are not those of its certificate (`x5c`)")
    public = given or certified
    if public is None:
        raise BadParameter(f"key {place}: it has neither its numbers nor a certificate (`x5c`)")
    if public.curve is None and not _RSA_BITS[0] <= int.from_bytes(public.n, "big").bit_length() <= _RSA_BITS[1]:
        raise BadParameter(f"key {place}: an RSA key that signs has {_RSA_BITS[0]} to {_RSA_BITS[1]} bits")
    if (public.curve is None) != (jwk.kty == "RSA"):
        raise BadParameter(f"key {place}: its certificate (`x5c`) is of another kind of key")
    return AuthorityKey(jwk.kid, public, jwk.alg)


def _rsa(jwk: _Jwk, place: int) -> PublicKey | None:
    if not jwk.n and not jwk.e:
        return None
    n, e = (_bytes(text, place).lstrip(b"\0") for text in (jwk.n, jwk.e))
    if not n or not n[-1] & 1 or not 1 <= len(e) <= 4 or not e[-1] & 1 or int.from_bytes(e, "big") < 3:
        raise BadParameter(f"key {place}: these are no RSA key's numbers")
    return PublicKey(n=n, e=e)


def _ec(jwk: _Jwk, place: int) -> PublicKey | None:
    if not jwk.x and not jwk.y:
        return None
    for curve, length in _FIELD_BYTES.items():
        if jwk.crv == curve:
            x, y = _bytes(jwk.x, place), _bytes(jwk.y, place)
            try:
                if len(x) != length or len(y) != length:
                    raise ValueError
                ec_key(curve, x, y)
            except ValueError:
                raise BadParameter(f"key {place}: this is no point on {curve}") from None
            return PublicKey(curve=curve, x=x, y=y)
    raise BadParameter(f"key {place}: its curve is none of {', '.join(_FIELD_BYTES)}")


def _certified(jwk: _Jwk, place: int) -> PublicKey:
    """Return the key of the first certificate. Its dates and its issuer are nobody's business here: whoever gives the
    set to the vault says that the key is the authority's."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        certificate = x509.load_der_x509_certificate(binascii.a2b_base64(jwk.x5c[0], strict_mode=True))
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, UnicodeEncodeError):
        raise BadParameter(f"key {place}: `x5c` does not begin with a certificate, base64 of DER") from None
    match public:
        case RSAPublicKey():
            numbers = public.public_numbers()
            n, e = (number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (numbers.n, numbers.e))
            return PublicKey(n=n, e=e)
        case EllipticCurvePublicKey():
            point = public.public_numbers()
            for curve, length in _FIELD_BYTES.items():
                if public.curve.name == _NAMES[curve]:
                    x, y = (number.to_bytes(length, "big") for number in (point.x, point.y))
                    return PublicKey(curve=curve, x=x, y=y)
    raise BadParameter(f"key {place}: its certificate is for another kind of key than RSA, P-256, P-384 and P-521")


_NAMES: dict[Curve, str] = {"P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1"}


def _bytes(text: str, place: int) -> bytes:
    try:
        if set("=+/") & set(text):
            raise ValueError
        return binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        raise BadParameter(f"key {place}: its numbers are not base64url without padding") from None
