"""What NIST and the RFCs have published, as the package `cryptography_vectors` has it: software and HSM agree."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from kvstack.hsm import public_half
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.plain_key import of_oct, of_private
from kvstack.hsm.protocol import DecryptionFailed, KeyMaterial, KeyProvider, KeyReference, PublicKey
from kvstack.hsm.software import SoftwareKeys
from kvstack.hsm.token import initialise_token
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import Curve, KeySpecification
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.nist import Vector, encryptions, vectors

SOFTWARE = SoftwareKeys()


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
def test_aes_gcm_by_a_given_vector_is_nists(provider: KeyProvider, size: int) -> None:
    fitting = (
        one
        for one in vectors(f"ciphers/AES/GCM/gcmEncryptExtIV{size}.rsp")
        if (one["IVlen"], one["Taglen"]) == ("96", "128")
    )
    for one in every(fitting, provider)[:200]:
        iv, data = bytes.fromhex(one["IV"]), bytes.fromhex(one["AAD"])
        key, plaintext = oct_key(provider, one["Key"]), bytes.fromhex(one["PT"])
        made = provider.encrypt(key, ALGORITHMS[f"A{size}GCM"], plaintext, iv=iv, associated_data=data)
        assert (made.ciphertext.hex(), made.tag.hex(), made.iv) == (one["CT"], one["Tag"], iv)


@pytest.mark.parametrize("size", [128, 192, 256])
def test_aes_cbc_is_nists(provider: KeyProvider, size: int) -> None:
    for kind in ("MMT", "GFSbox", "KeySbox", "VarKey", "VarTxt"):
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


# Whether a signature is good; those of the third all have a changed encoding.
_RSA_JUDGED = (
    ("FIPS_186-2/SigVer15_186-3.rsp", "RS"),
    ("FIPS_186-2/SigVerPSS_186-3.rsp", "PS"),
    ("SigVer15EMTest.txt", "RS"),
)


def test_rsa_signatures_are_judged_as_by_nist() -> None:
    judged = 0
    for file, family in _RSA_JUDGED:
        n = ""
        for one in vectors(f"asymmetric/RSA/{file}"):
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


def test_rsa_signatures_nist_made_are_good() -> None:
    judged, key = 0, {"n": "", "e": ""}
    for one in vectors("asymmetric/RSA/FIPS_186-2/SigGen15_186-3.rsp"):
        key = {part: one.get(part, key[part]) for part in key}
        name = "RS" + one.get("SHAAlg", "")[3:]
        if "S" not in one or name not in ALGORITHMS or one["mod"] not in ("2048", "3072", "4096"):
            continue
        public = PublicKey(n=unpadded(key["n"]), e=unpadded(key["e"]))
        signature, digest = bytes.fromhex(one["S"]), _digest(ALGORITHMS[name], one["Msg"])
        assert public_half.verified(public, ALGORITHMS[name], digest, signature), one
        assert not public_half.verified(public, ALGORITHMS[name], digest, signature[:-1] + b"\0"), one
        judged += 1
    assert judged >= 60


def unpadded(written: str) -> bytes:
    return int(written, 16).to_bytes((int(written, 16).bit_length() + 7) // 8, "big")


@pytest.mark.parametrize(
    ("file", "name", "count"),
    [
        ("pkcs1v15crypt-vectors.txt", "RSA1_5", 20),
        ("pkcs-1v2-1d2-vec/oaep-vect.txt", "RSA-OAEP", 6),
        ("oaep-custom/oaep-sha256-sha256.txt", "RSA-OAEP-256", 60),
    ],
)
def test_what_others_encrypted_for_an_rsa_key_opens(provider: KeyProvider, file: str, name: str, count: int) -> None:
    made: dict[bytes, KeyReference] = {}
    found = list(encryptions(f"asymmetric/RSA/{file}", 2048))
    assert len(found) == count
    for plain, message, ciphertext in found:
        kind: Any = "RSA" if provider is SOFTWARE else "RSA-HSM"
        modulus = plain.public.n
        if modulus not in made:
            specification = KeySpecification(kind, 2048)
            material = provider.import_key(specification, plain)
            made[modulus] = KeyReference(f"{name}-{len(made)}", specification, material)
        assert provider.decrypt(made[modulus], ALGORITHMS[name], ciphertext) == message


_CURVES = {"P-256,SHA-256": "ES256", "P-384,SHA-384": "ES384", "P-521,SHA-512": "ES512", "K-256,SHA-256": "ES256K"}


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


@pytest.mark.parametrize("file", ["FIPS_186-3/SigGen.txt", "SECP256K1/SigGen.txt"])
def test_nists_ecdsa_keys_sign_what_their_public_halves_verify(provider: KeyProvider, file: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    found = [one for one in vectors(f"asymmetric/ECDSA/{file}") if "d" in one and one["heading"] in _CURVES]
    assert len(found) >= 15
    for one in found if provider is SOFTWARE else found[::3]:
        name = _CURVES[one["heading"]]
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


def test_nists_ec_private_keys_have_nists_public_halves() -> None:
    """Chosen by their length: the headings of this file name the way of generation last."""
    from cryptography.hazmat.primitives.asymmetric import ec

    lengths: dict[int, Curve] = {64: "P-256", 96: "P-384", 130: "P-521", 132: "P-521"}
    found = [one for one in vectors("asymmetric/ECDSA/FIPS_186-3/KeyPair.rsp") if len(one.get("Qx", "")) in lengths]
    assert len(found) == 30
    for one in found:
        curve = public_half.ec_curve(lengths[len(one["Qx"])])
        plain = of_private(ec.derive_private_key(int(one["d"], 16), curve))
        x, y = (int(one[part], 16).to_bytes(len(plain.public.x), "big") for part in ("Qx", "Qy"))
        assert (plain.public.x, plain.public.y) == (x, y)


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
