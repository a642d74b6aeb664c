"""RFC 3394's and RFC 5649's examples, and NIST's vectors of wrapping with padding, in software and in a module."""

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from kvstack.hsm import constants as ck
from kvstack.hsm.connection import Connection
from kvstack.hsm.mechanisms import KEY_WRAP_PAD
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.plain_key import of_oct
from kvstack.hsm.protocol import HsmError, KeyProvider, KeyReference
from kvstack.hsm.software import SoftwareKeys
from kvstack.hsm.token import initialise_token
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import KeySpecification
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.nist import Vector, vectors

SOFTWARE = SoftwareKeys()
_KEY = bytes(range(32))
_DATA = bytes.fromhex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f")

# RFC 3394, 4.1 to 4.6: the sizes of the wrapping and of the wrapped key, and what comes out.
RFC_3394 = (
    (128, 128, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
    (192, 128, "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"),
    (256, 128, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
    (192, 192, "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"),
    (256, 192, "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"),
    (256, 256, "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"),
)
# RFC 5649, 6: under one key of 192 bits, 20 bytes and 7 bytes.
_RFC_5649_KEY = "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8"
RFC_5649 = (
    (
        "c37b7e6492584340bed12207808941155068f738",
        "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
    ),
    ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pkcs11Module]:
    opened = Pkcs11Module.open(initialise_token(tmp_path_factory.mktemp("hsm"), module=softhsm()).configuration)
    yield opened
    opened.close()


@pytest.fixture(params=["software", pytest.param("hsm", marks=requires_softhsm)])
def provider(request: pytest.FixtureRequest) -> KeyProvider:
    made: KeyProvider = SOFTWARE if request.param == "software" else Pkcs11Keys(request.getfixturevalue("module"))
    return made


@pytest.mark.parametrize(("size", "length", "wrapped"), RFC_3394)
def test_every_example_of_rfc_3394(provider: KeyProvider, size: int, length: int, wrapped: str) -> None:
    plain = of_oct(_KEY[: size // 8])
    kind: Any = "oct" if provider is SOFTWARE else "oct-HSM"
    specification = KeySpecification(kind, size)
    key = KeyReference(f"{size}-{length}", specification, provider.import_key(specification, plain))
    algorithm, data = ALGORITHMS[f"A{size}KW"], _DATA[: length // 8]
    assert provider.encrypt(key, algorithm, data).ciphertext.hex() == wrapped
    assert provider.decrypt(key, algorithm, bytes.fromhex(wrapped)) == data


@pytest.mark.parametrize(("data", "wrapped"), RFC_5649)
def test_every_example_of_rfc_5649_by_what_wraps_keys_in_software(data: str, wrapped: str) -> None:
    key = bytes.fromhex(_RFC_5649_KEY)
    assert aes_key_wrap_with_padding(key, bytes.fromhex(data)).hex() == wrapped
    assert aes_key_unwrap_with_padding(key, bytes.fromhex(wrapped)).hex() == data


@requires_softhsm
@pytest.mark.parametrize(("data", "wrapped"), RFC_5649)
def test_every_example_of_rfc_5649_by_the_mechanism_that_wraps_keys_in_a_module(
    module: Pkcs11Module, data: str, wrapped: str
) -> None:
    assert module.run(lambda connection: _unwrapped(connection, _RFC_5649_KEY, wrapped)) == data
    made = module.run(lambda connection: _wrapped(connection, _RFC_5649_KEY, data))
    assert made == _as_softhsm_wraps(_RFC_5649_KEY, data)


@pytest.mark.parametrize("size", [128, 192, 256])
def test_wrapping_with_padding_is_nists(size: int) -> None:
    for one in vectors(f"keywrap/kwtestvectors/KWP_AE_{size}.txt"):
        assert aes_key_wrap_with_padding(bytes.fromhex(one["K"]), bytes.fromhex(one["P"])).hex() == one["C"]
    opened = refused = 0
    for one in vectors(f"keywrap/kwtestvectors/KWP_AD_{size}.txt"):
        key, ciphertext = bytes.fromhex(one["K"]), bytes.fromhex(one["C"])
        if "FAIL" in one:
            with pytest.raises(InvalidUnwrap):
                aes_key_unwrap_with_padding(key, ciphertext)
            refused += 1
        else:
            assert aes_key_unwrap_with_padding(key, ciphertext).hex() == one["P"]
            opened += 1
    assert opened > 100
    assert refused > 20


@requires_softhsm
@pytest.mark.parametrize("size", [128, 192, 256])
def test_wrapping_with_padding_in_a_module_is_nists(module: Pkcs11Module, size: int) -> None:
    for one in _some(f"keywrap/kwtestvectors/KWP_AE_{size}.txt"):
        expected = _as_softhsm_wraps(one["K"], one["P"])
        assert expected == one["C"] or len(one["P"]) % 16
        assert _closed(module, one) == expected
    for one in _some(f"keywrap/kwtestvectors/KWP_AD_{size}.txt"):
        if "FAIL" in one:
            with pytest.raises(HsmError, match="C_UnwrapKey answered"):
                _opened(module, one)
        else:
            assert _opened(module, one) == one["P"]


def _some(path: str) -> list[Vector]:
    """Every ninth vector that a generic secret of SoftHSM has room for."""
    found = [one for one in vectors(path) if len(one.get("P", one["C"])) <= 512][::9]
    assert len(found) > 20
    return found


def _as_softhsm_wraps(key: str, data: str) -> str:
    """What RFC 5649 gives where the length is a multiple of eight; SoftHSM fills up to that with zeros before."""
    filled = bytes.fromhex(data) + bytes(-(len(data) // 2) % 8)
    return aes_key_wrap_with_padding(bytes.fromhex(key), filled).hex()


def _closed(module: Pkcs11Module, one: Vector) -> str:
    return module.run(lambda connection: _wrapped(connection, one["K"], one["P"]))


def _opened(module: Pkcs11Module, one: Vector) -> str:
    return module.run(lambda connection: _unwrapped(connection, one["K"], one["C"]))


def _root(connection: Connection, session: int, key: str) -> int:
    """A wrapping key whose bytes are known, for as long as the session lasts."""
    template = {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_AES, ck.CKA_TOKEN: False, ck.CKA_WRAP: True}
    return connection.cryptoki.create(session, {**template, ck.CKA_UNWRAP: True, ck.CKA_VALUE: bytes.fromhex(key)})


_GENERIC = {
    ck.CKA_CLASS: ck.CKO_SECRET_KEY,
    ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET,
    ck.CKA_TOKEN: False,
    ck.CKA_EXTRACTABLE: True,
    ck.CKA_SENSITIVE: False,
}


def _wrapped(connection: Connection, key: str, data: str) -> str:
    cryptoki, session = connection.cryptoki, connection.keepers.borrow()
    try:
        root = _root(connection, session, key)
        wanted = cryptoki.create(session, {**_GENERIC, ck.CKA_VALUE: bytes.fromhex(data)})
        wrapped = cryptoki.wrap(session, KEY_WRAP_PAD, root, wanted).hex()
        cryptoki.destroy(session, wanted)
        cryptoki.destroy(session, root)
    finally:
        connection.keepers.give_back(session)
    return wrapped


def _unwrapped(connection: Connection, key: str, wrapped: str) -> str:
    cryptoki, session = connection.cryptoki, connection.keepers.borrow()
    root = _root(connection, session, key)
    try:
        opened = cryptoki.unwrap(session, KEY_WRAP_PAD, root, bytes.fromhex(wrapped), _GENERIC)
        value = cryptoki.attribute(session, opened, ck.CKA_VALUE)
        cryptoki.destroy(session, opened)
    finally:
        cryptoki.destroy(session, root)
        connection.keepers.give_back(session)
    assert value is not None
    return value.hex()
