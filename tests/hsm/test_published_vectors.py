"""What NIST and the RFCs have published, as the package `cryptography_vectors` has it: software and HSM agree."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest

from kvstack.hsm import public_half
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.plain_key import of_oct, of_private
from kvstack.hsm.protocol import DecryptionFailed, KeyMaterial, KeyProvider, KeyReference, PublicKey
from kvstack.hsm.software import SoftwareKeys
from kvstack.hsm.token import initialise_token
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import KeySpecification
from tests.hsm.conftest import requires_softhsm, softhsm

SOFTWARE = SoftwareKeys()
ROOT = Path(cryptography_vectors.__file__).parent
Vector = dict[str, str]


def vectors(path: str) -> Iterator[Vector]:
    """Every vector of a file, with the headings it stands under: `[mod = 2048]`, `[P-256,SHA-256]`."""
    heading: Vector = {}
    current: Vector = {}
    for line in (ROOT / path).read_text().splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            inner, _, inner_value = line.strip("[]\r\n ").partition("=")
            heading = {**heading, inner.strip(): inner_value.strip()} if inner_value else {"heading": inner.strip()}
        elif not line.strip() or line.startswith("#") or (name == "FAIL"):
            if name == "FAIL":
                current["FAIL"] = "yes"
            if not line.strip() and current:
                yield {**heading, **current}
                current = {}
        elif equals:
            current[name] = value
    if current:
        yield {**heading, **current}


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pkcs11Keys]:
    opened = Pkcs11Module.open(initialise_token(tmp_path_factory.mktemp("hsm"), module=softhsm()).configuration)
    yield Pkcs11Keys(opened)
    opened.close()


def oct_key(provider: KeyProvider, secret: str) -> KeyReference:
    plain = of_oct(bytes.fromhex(secret))
    kind = "oct" if provider is SOFTWARE else "oct-HSM"
    specification = KeySpecification(kind, plain.specification.size)  # type: ignore[arg-type]
    return KeyReference(f"{kind}-{secret}", specification, provider.import_key(specification, plain))


def every(found: Iterator[Vector], provider: KeyProvider) -> list[Vector]:
    """All for software, every eleventh for the HSM, which has each key imported first."""
    listed = list(found)
    assert len(listed) > 5
    return listed if provider is SOFTWARE else listed[::11]


@pytest.fixture(params=["software", pytest.param("hsm", marks=requires_softhsm)])
def provider(request: pytest.FixtureRequest) -> KeyProvider:
    made: KeyProvider = SOFTWARE if request.param == "software" else request.getfixturevalue("hsm")
    return made


@pytest.mark.parametrize("size", [128, 192, 256])
def test_aes_key_wrap_is_nists(provider: KeyProvider, size: int) -> None:
    for one in every(vectors(f"keywrap/kwtestvectors/KW_AE_{size}.txt"), provider):
        if len(one["P"]) > 512 and provider is not SOFTWARE:
            continue  # SoftHSM's generic secrets end somewhere
        key = oct_key(provider, one["K"])
        assert provider.encrypt(key, ALGORITHMS[f"A{size}KW"], bytes.fromhex(one["P"])).ciphertext.hex() == one["C"]
    for one in every(vectors(f"keywrap/kwtestvectors/KW_AD_{size}.txt"), provider):
        key = oct_key(provider, one["K"])
        _opens(provider, key, f"A{size}KW", one, "P", "C")


@pytest.mark.parametrize("size", [128, 192, 256])
def test_aes_gcm_is_nists(provider: KeyProvider, size: int) -> None:
    fitting = (
        one
        for one in vectors(f"ciphers/AES/GCM/gcmDecrypt{size}.rsp")
        if (one["IVlen"], one["Taglen"]) == ("96", "128")
    )
    for one in every(fitting, provider)[:200]:
        key = oct_key(provider, one["Key"])
        more = {"tag": bytes.fromhex(one["Tag"]), "associated_data": bytes.fromhex(one["AAD"])}
        _opens(provider, key, f"A{size}GCM", one, "PT", "CT", iv=bytes.fromhex(one["IV"]), **more)


@pytest.mark.parametrize("size", [128, 192, 256])
def test_aes_cbc_is_nists(provider: KeyProvider, size: int) -> None:
    for kind in ("MMT", "GFSbox", "KeySbox"):
        for one in every(vectors(f"ciphers/AES/CBC/CBC{kind}{size}.rsp"), provider):
            if "KEY" not in one:
                continue
            key, iv, algorithm = oct_key(provider, one["KEY"]), bytes.fromhex(one["IV"]), ALGORITHMS[f"A{size}CBC"]
            plaintext, ciphertext = bytes.fromhex(one["PLAINTEXT"]), bytes.fromhex(one["CIPHERTEXT"])
            assert provider.encrypt(key, algorithm, plaintext, iv=iv).ciphertext == ciphertext
            assert provider.decrypt(key, algorithm, ciphertext, iv=iv) == plaintext


@pytest.mark.parametrize("size", [256, 384, 512])
def test_hmac_is_that_of_rfc_4231(size: int) -> None:
    found = [one for one in vectors(f"HMAC/rfc-4231-sha{size}.txt") if "MD" in one]
    assert found
    for one in found:
        material = KeyMaterial("software", bytes.fromhex(one["Key"]), PublicKey())
        key = KeyReference(one["Key"], KeySpecification("oct", 256), material)
        assert SOFTWARE.sign(key, ALGORITHMS[f"HS{size}"], bytes.fromhex(one["Msg"])).hex() == one["MD"]


def test_rsa_signatures_are_judged_as_by_nist() -> None:
    judged = 0
    for file, family in (("SigVer15_186-3.rsp", "RS"), ("SigVerPSS_186-3.rsp", "PS")):
        n = ""
        for one in vectors(f"asymmetric/RSA/FIPS_186-2/{file}"):
            n = one.get("n", n)
            name = family + one.get("SHAAlg", "")[3:]
            if "S" not in one or name not in ALGORITHMS or one["mod"] not in ("2048", "3072", "4096"):
                continue
            algorithm = ALGORITHMS[name]
            salt = len(bytes.fromhex(one.get("SaltVal", ""))) if family == "PS" else algorithm.digest_bytes
            if salt != algorithm.digest_bytes:
                continue  # Key Vault's salt is as long as the digest
            public = PublicKey(n=bytes.fromhex(n).lstrip(b"\0"), e=bytes.fromhex(one["e"]).lstrip(b"\0"))
            valid = public_half.verified(public, algorithm, _digest(algorithm, one["Msg"]), bytes.fromhex(one["S"]))
            assert valid == one["Result"].startswith("P"), one
            judged += 1
    assert judged > 30


_CURVES = {"P-256,SHA-256": "ES256", "P-384,SHA-384": "ES384", "P-521,SHA-512": "ES512"}


def test_ecdsa_signatures_are_judged_as_by_nist() -> None:
    judged = 0
    for one in vectors("asymmetric/ECDSA/FIPS_186-3/SigVer.rsp"):
        name = _CURVES.get(one.get("heading", ""))
        if name is None or "R" not in one:
            continue
        algorithm = ALGORITHMS[name]
        length = {"ES256": 32, "ES384": 48, "ES512": 66}[name]
        x, y, r, s = (int(one[part], 16).to_bytes(length, "big") for part in ("Qx", "Qy", "R", "S"))
        try:
            public = PublicKey(curve=algorithm.curve, x=x, y=y)
            valid = public_half.verified(public, algorithm, _digest(algorithm, one["Msg"]), r + s)
        except ValueError:
            valid = False  # the point was changed, and is no longer on its curve
        assert valid == one["Result"].startswith("P"), one
        judged += 1
    assert judged == 45


def test_nists_ecdsa_keys_sign_what_their_public_halves_verify(provider: KeyProvider) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    for one in list(vectors("asymmetric/ECDSA/FIPS_186-3/SigGen.txt")):
        name = _CURVES.get(one.get("heading", ""))
        if name is None or "d" not in one:
            continue
        algorithm = ALGORITHMS[name]
        curve = public_half.ec_curve(algorithm.curve or "P-256")
        plain = of_private(ec.derive_private_key(int(one["d"], 16), curve))
        assert int.from_bytes(plain.public.x, "big") == int(one["Qx"], 16)
        kind: Any = "EC" if provider is SOFTWARE else "EC-HSM"
        specification = KeySpecification(kind, None, algorithm.curve)
        key = KeyReference(f"{kind}-{one['d']}", specification, provider.import_key(specification, plain))
        digest = _digest(algorithm, one["Msg"])
        assert provider.verify(key, algorithm, digest, provider.sign(key, algorithm, digest))
        half = len(plain.public.x)
        theirs = b"".join(int(one[part], 16).to_bytes(half, "big") for part in ("R", "S"))
        assert provider.verify(key, algorithm, digest, theirs)


def _digest(algorithm: Any, message: str) -> bytes:
    return hashlib.new(algorithm.digest.replace("-", "").lower(), bytes.fromhex(message)).digest()


def _opens(
    provider: KeyProvider, key: KeyReference, name: str, one: Vector, plain: str, closed: str, **more: Any
) -> None:
    """A ciphertext opens, or is refused where the vector says so."""
    ciphertext = bytes.fromhex(one[closed])
    if "FAIL" in one or plain not in one:
        with pytest.raises(DecryptionFailed):
            provider.decrypt(key, ALGORITHMS[name], ciphertext, **more)
    else:
        assert provider.decrypt(key, ALGORITHMS[name], ciphertext, **more).hex() == one[plain]
