"""Keys made elsewhere are taken into the module, work there as they did outside, and do not come out again."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kvstack.hsm import constants as ck
from kvstack.hsm.configuration import KeyHome
from kvstack.hsm.connection import Connection
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.plain_key import PlainKey
from kvstack.hsm.protocol import HsmError, KeyMaterial, KeyReference, MechanismUnsupported, NotPortable, PublicKey
from kvstack.hsm.software import SoftwareKeys
from kvstack.hsm.token import InitialisedToken, initialise_token
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import CURVES, OCT_SIZES, KeySpecification
from tests.hsm import crosscheck
from tests.hsm.conftest import requires_nss, requires_softhsm, softhsm
from tests.hsm.examples import signatures, title, uses

SOFTWARE = SoftwareKeys()
HOMES: tuple[KeyHome, ...] = ("wrapped", "token")
TAKEN = (
    *(KeySpecification("RSA", size) for size in (2048, 3072, 4096)),
    *(KeySpecification("EC", None, curve) for curve in CURVES),
    *(KeySpecification("oct", size) for size in OCT_SIZES),
)


@cache
def original(specification: KeySpecification) -> KeyMaterial:
    return SOFTWARE.generate(specification)


def plain(specification: KeySpecification) -> PlainKey:
    made = original(specification)
    return PlainKey(specification, made.blob, made.public)


def in_hsm(specification: KeySpecification) -> KeySpecification:
    return KeySpecification(f"{specification.type}-HSM", specification.size, specification.curve)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pkcs11Module]:
    opened = Pkcs11Module.open(initialise_token(tmp_path_factory.mktemp("hsm"), module=softhsm()).configuration)
    yield opened
    opened.close()


def taken(provider: Pkcs11Keys, specification: KeySpecification) -> KeyReference:
    with plain(specification) as key:
        material = provider.import_key(in_hsm(specification), key)
        assert key.reveal()  # the caller's to wipe
    assert set(key.reveal()) == {0}
    return KeyReference(os.urandom(8).hex(), in_hsm(specification), material)


@requires_softhsm
@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("specification", TAKEN, ids=title)
def test_an_imported_key_works_as_its_original(
    shared: Pkcs11Module, specification: KeySpecification, home: Any
) -> None:
    provider = Pkcs11Keys(shared, home)
    made = taken(provider, specification)
    assert made.material.public == original(specification).public
    _works_as_its_original(provider, made, specification)
    provider.destroy(made)


def _works_as_its_original(provider: Pkcs11Keys, made: KeyReference, specification: KeySpecification) -> None:
    outside = KeyReference("original", specification, original(specification))
    for _, algorithm in signatures((made.specification,)):
        signature = provider.sign(made, algorithm, crosscheck.digest(algorithm, b"message"))
        assert crosscheck.signature_is_good(made.material.public, algorithm, b"message", signature), algorithm.name
    for _, algorithm in uses((made.specification,), "encrypt") + uses((made.specification,), "wrap"):
        sealed = SOFTWARE.encrypt(outside, algorithm, bytes(32))
        assert provider.decrypt(made, algorithm, sealed.ciphertext, iv=sealed.iv, tag=sealed.tag) == bytes(32)
        sealed = provider.encrypt(made, algorithm, bytes(32))
        assert SOFTWARE.decrypt(outside, algorithm, sealed.ciphertext, iv=sealed.iv, tag=sealed.tag) == bytes(32)
    SOFTWARE.destroy(outside)


@requires_softhsm
@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("specification", [TAKEN[0], TAKEN[3], TAKEN[-1]], ids=title)
def test_an_imported_key_cannot_be_read_nor_taken_out(
    shared: Pkcs11Module, specification: KeySpecification, home: Any
) -> None:
    provider = Pkcs11Keys(shared, home)
    made = taken(provider, specification)
    value = ck.CKA_PRIVATE_EXPONENT if specification.family == "RSA" else ck.CKA_VALUE

    def looked_at(connection: Connection) -> None:
        opened = provider._use(made, None, lambda cryptoki, session, handle: handle)
        session = connection.sessions.borrow()
        attributes = {name: connection.cryptoki.attribute(session, opened, name) for name in (value, *_PROTECTION)}
        connection.sessions.give_back(session)
        assert attributes == {value: None, **_PROTECTION}

    shared.run(looked_at)
    provider.destroy(made)


_PROTECTION = {ck.CKA_SENSITIVE: b"\1", ck.CKA_EXTRACTABLE: b"\0", ck.CKA_PRIVATE: b"\1"}


@requires_softhsm
def test_no_file_of_the_token_holds_an_imported_key(shared: Pkcs11Module) -> None:
    keys = [(Pkcs11Keys(shared, home), taken(Pkcs11Keys(shared, home), TAKEN[-1])) for home in HOMES]
    secret = original(TAKEN[-1]).blob
    files = [path for path in Path(shared.configuration.tokens).rglob("*") if path.is_file()]
    assert len(files) > 3
    assert not [path for path in files if secret in path.read_bytes()]
    for provider, made in keys:
        assert secret not in made.material.blob
        provider.destroy(made)


@requires_softhsm
def test_authentication_codes_of_a_wrapped_key_are_those_of_its_original(shared: Pkcs11Module) -> None:
    provider = Pkcs11Keys(shared, "wrapped")
    made, digest, algorithm = taken(provider, KeySpecification("oct", 256)), bytes(range(32)), ALGORITHMS["HS256"]
    code = provider.sign(made, algorithm, digest)
    assert code == crosscheck.code(algorithm, original(KeySpecification("oct", 256)).blob, digest)
    assert provider.verify(made, algorithm, digest, code)
    assert not provider.verify(made, algorithm, digest, bytes(32))
    # The same key, used as an AES key in between and afterwards.
    assert provider.encrypt(made, ALGORITHMS["A256KW"], bytes(16)).ciphertext
    assert provider.sign(made, algorithm, digest) == code
    provider.destroy(made)


@requires_softhsm
@pytest.mark.parametrize(
    ("home", "size", "name", "words"),
    [
        ("wrapped", 128, "HS256", "cannot do CKM_SHA256_HMAC: it wants a key at least as long as the hash"),
        ("wrapped", 256, "HS512", "cannot do CKM_SHA512_HMAC: it wants a key at least as long as the hash"),
        ("token", 256, "HS256", "cannot do CKM_SHA256_HMAC: not with the AES keys it keeps in its token"),
    ],
)
def test_a_code_the_module_cannot_make_is_an_error_naming_the_mechanism(
    shared: Pkcs11Module, home: Any, size: int, name: str, words: str
) -> None:
    provider = Pkcs11Keys(shared, home)
    made = taken(provider, KeySpecification("oct", size))
    with pytest.raises(MechanismUnsupported, match=words):
        provider.sign(made, ALGORITHMS[name], bytes(ALGORITHMS[name].digest_bytes or 0))
    provider.destroy(made)


@requires_softhsm
def test_only_wrapped_keys_travel(shared: Pkcs11Module) -> None:
    wrapped, token = (Pkcs11Keys(shared, home) for home in HOMES)
    made = taken(wrapped, TAKEN[-1])
    wrapped.require_portable(made)
    wrapped.check(made)
    held = taken(token, TAKEN[-1])
    with pytest.raises(NotPortable, match="is an object of the token `kvstack`"):
        token.require_portable(held)
    token.destroy(held)


@requires_softhsm
def test_a_key_wrapped_under_another_root_is_refused(shared: Pkcs11Module) -> None:
    provider = Pkcs11Keys(shared, "wrapped")
    made = taken(provider, TAKEN[-1])
    version, _, mechanism, ciphertext = msgspec.msgpack.decode(made.material.blob)
    elsewhere = msgspec.msgpack.encode((version, bytes(16), mechanism, ciphertext))
    with pytest.raises(HsmError, match="wrapped under another root"):
        provider.check(msgspec.structs.replace(made, material=KeyMaterial("pkcs11-wrapped", elsewhere, PublicKey())))


@requires_nss
@pytest.mark.parametrize(
    "specification", [one for one in TAKEN if one.curve != "P-256K" and (one.size or 0) < 3072], ids=title
)
def test_another_module_takes_keys_too(nss: InitialisedToken, specification: KeySpecification) -> None:
    module = Pkcs11Module.open(nss.configuration)
    provider = Pkcs11Keys(module)
    made = taken(provider, specification)
    assert made.material.provider == "pkcs11-token"
    _works_as_its_original(provider, made, specification)
    if specification.family == "oct":
        code = provider.sign(made, ALGORITHMS["HS256"], bytes(32))
        assert code == crosscheck.code(ALGORITHMS["HS256"], original(specification).blob, bytes(32))
    provider.destroy(made)
    module.close()
