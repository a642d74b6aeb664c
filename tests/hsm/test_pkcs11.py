"""Keys in the HSM do what their algorithms say, and come out of it for nobody."""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import keywrap

from kvstack.hsm import constants as ck
from kvstack.hsm import token_keys, wrapped_keys
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import CryptokiError
from kvstack.hsm.key_templates import generated, private_template
from kvstack.hsm.mechanisms import KEY_WRAP, KEY_WRAP_PAD
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.protocol import (
    DecryptionFailed,
    HsmError,
    HsmUnavailable,
    KeyMaterial,
    KeyReference,
    PublicKey,
)
from kvstack.hsm.token import initialise_token
from kvstack.terms.algorithm import ALGORITHMS, Algorithm
from kvstack.terms.key import KeySpecification
from tests.hsm import crosscheck
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.examples import AES, EC, HSM, RSA, key, signatures, title, uses

pytestmark = requires_softhsm

Home = Any
HOMES = ("wrapped", "token")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pkcs11Module]:
    """One token for all tests that do not harm it."""
    made = initialise_token(tmp_path_factory.mktemp("hsm"), module=softhsm()).configuration
    opened = Pkcs11Module.open(made)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def keys(shared: Pkcs11Module) -> Callable[[KeySpecification, Home], tuple[Pkcs11Keys, KeyReference]]:
    """One key of each kind and home, made when first asked for."""
    made: dict[tuple[KeySpecification, Home], KeyReference] = {}

    def one(specification: KeySpecification, home: Home) -> tuple[Pkcs11Keys, KeyReference]:
        provider = Pkcs11Keys(shared, home)
        if (specification, home) not in made:
            made[specification, home] = key(provider, specification)
        return provider, made[specification, home]

    return one


Keys = Callable[[KeySpecification, Home], tuple[Pkcs11Keys, KeyReference]]


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize(("specification", "algorithm"), signatures(HSM), ids=title)
def test_a_signature_is_good_to_others(
    keys: Keys, specification: KeySpecification, algorithm: Algorithm, home: Home
) -> None:
    provider, made = keys(specification, home)
    signature = provider.sign(made, algorithm, crosscheck.digest(algorithm, b"message"))
    assert crosscheck.signature_is_good(made.material.public, algorithm, b"message", signature)
    assert provider.verify(made, algorithm, crosscheck.digest(algorithm, b"message"), signature)
    assert not provider.verify(made, algorithm, crosscheck.digest(algorithm, b"another"), signature)


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize(("specification", "algorithm"), uses(HSM, "encrypt") + uses(HSM, "wrap"), ids=title)
def test_what_is_encrypted_comes_back_and_damage_is_one_error(
    keys: Keys, specification: KeySpecification, algorithm: Algorithm, home: Home
) -> None:
    provider, made = keys(specification, home)
    plaintext, data = bytes(range(32)), b"context" if algorithm.name.endswith("GCM") else b""
    sealed = provider.encrypt(made, algorithm, plaintext, associated_data=data)
    opened = provider.decrypt(made, algorithm, sealed.ciphertext, iv=sealed.iv, tag=sealed.tag, associated_data=data)
    assert opened == plaintext
    bad = [sealed.ciphertext[:-1], b"", sealed.ciphertext + b"\0"]
    if "CBC" not in algorithm.name:  # nothing in it could tell, or only its padding, once in 256 times wrongly
        bad.append(b"\xff" * len(sealed.ciphertext))
    for ciphertext in bad:
        with pytest.raises(DecryptionFailed, match="cannot be decrypted"):
            provider.decrypt(made, algorithm, ciphertext, iv=sealed.iv, tag=sealed.tag, associated_data=data)
    if sealed.tag:
        with pytest.raises(DecryptionFailed):
            provider.decrypt(made, algorithm, sealed.ciphertext, iv=sealed.iv, tag=sealed.tag)
        with pytest.raises(DecryptionFailed):
            provider.decrypt(made, algorithm, sealed.ciphertext, iv=sealed.iv, tag=bytes(16), associated_data=data)
    # The key is none the worse for it.
    opened = provider.decrypt(made, algorithm, sealed.ciphertext, iv=sealed.iv, tag=sealed.tag, associated_data=data)
    assert opened == plaintext


@pytest.mark.parametrize("name", ["RSA-OAEP", "RSA-OAEP-256", "RSA1_5"])
@pytest.mark.parametrize("length", [0, 1, 32, 190])
def test_what_others_encrypt_is_decrypted(keys: Keys, name: str, length: int) -> None:
    provider, made = keys(RSA, "wrapped")
    ciphertext = crosscheck.rsa_encrypted(made.material.public, ALGORITHMS[name], bytes(length))
    assert provider.decrypt(made, ALGORITHMS[name], ciphertext) == bytes(length)


@pytest.mark.parametrize("name", ["A256GCM", "A256CBCPAD"])
@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 4095, 25 * 1024])
def test_any_length_is_encrypted(keys: Keys, name: str, length: int) -> None:
    provider, made = keys(AES, "wrapped")
    sealed = provider.encrypt(made, ALGORITHMS[name], bytes(length))
    assert provider.decrypt(made, ALGORITHMS[name], sealed.ciphertext, iv=sealed.iv, tag=sealed.tag) == bytes(length)


def test_key_wrapping_is_that_of_rfc_3394(shared: Pkcs11Module, keys: Keys) -> None:
    # No key of ours is known outside the HSM: the mechanism is tried with one that is.
    known = bytes(range(32))

    def wrapped(connection: Connection) -> bytes:
        session = connection.sessions.borrow()
        secret: dict[int, bool | int | bytes] = {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_TOKEN: False}
        wrapping = connection.cryptoki.create(
            session, {**secret, ck.CKA_KEY_TYPE: ck.CKK_AES, ck.CKA_WRAP: True, ck.CKA_VALUE: known}
        )
        value: dict[int, bool | int | bytes] = {
            ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET,
            ck.CKA_EXTRACTABLE: True,
            ck.CKA_VALUE: bytes(24),
        }
        target = connection.cryptoki.create(session, {**secret, **value})
        result = connection.cryptoki.wrap(session, KEY_WRAP, wrapping, target)
        connection.sessions.give_back(session)
        return result

    assert shared.run(wrapped) == keywrap.aes_key_wrap(known, bytes(24))


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("specification", [RSA, EC, AES], ids=title)
def test_no_attribute_of_a_key_gives_it_away(
    shared: Pkcs11Module, keys: Keys, specification: KeySpecification, home: Home
) -> None:
    _, made = keys(specification, home)

    def attack(connection: Connection) -> None:
        open_key = connection.open_keys.borrow(made.id, made.material.blob, lambda: _opened(connection, made))
        session = connection.sessions.borrow()
        cryptoki, handle = connection.cryptoki, open_key.handle
        for attribute in (ck.CKA_VALUE, ck.CKA_PRIVATE_EXPONENT, 0x124, 0x125):  # and the two primes
            assert cryptoki.attribute(session, handle, attribute) is None
        assert cryptoki.attribute(session, handle, ck.CKA_EXTRACTABLE) == b"\0"
        assert cryptoki.attribute(session, handle, ck.CKA_SENSITIVE) == b"\1"
        for weaker in ({ck.CKA_EXTRACTABLE: True}, {ck.CKA_SENSITIVE: False}):
            with pytest.raises(CryptokiError):
                cryptoki.change(session, handle, weaker)
            with pytest.raises(CryptokiError):
                cryptoki.copy(session, handle, {ck.CKA_TOKEN: False, **weaker})
        own, _ = _callers_key(connection, session)
        for method in (KEY_WRAP, KEY_WRAP_PAD):
            with pytest.raises(CryptokiError, match="CKR_KEY_UNEXTRACTABLE"):
                cryptoki.wrap(session, method, own, handle)
        connection.sessions.give_back(session)
        connection.open_keys.give_back(open_key)

    shared.run(attack)


def _opened(connection: Connection, made: KeyReference) -> int:
    if made.material.provider == token_keys.PROVIDER:
        return token_keys.opened(connection, made)
    return wrapped_keys.opened(connection, made)


def _callers_key(connection: Connection, session: int) -> tuple[int, PublicKey]:
    return generated(connection.cryptoki, session, AES, private_template(AES, token=False, extractable=True))


def test_a_blob_is_not_opened_extractable_or_readable(shared: Pkcs11Module, keys: Keys) -> None:
    _, made = keys(EC, "wrapped")
    *_, ciphertext = msgspec.msgpack.decode(made.material.blob)

    def attack(connection: Connection) -> None:
        session = connection.sessions.borrow()
        root = connection.root(session)
        closed = private_template(EC, token=False, extractable=False)
        assert connection.cryptoki.unwrap(session, KEY_WRAP_PAD, root, ciphertext, closed)
        for weaker in ({ck.CKA_EXTRACTABLE: True}, {ck.CKA_SENSITIVE: False}):
            with pytest.raises(CryptokiError, match="CKR_TEMPLATE_INCONSISTENT"):
                connection.cryptoki.unwrap(session, KEY_WRAP_PAD, root, ciphertext, {**closed, **weaker})
        connection.sessions.give_back(session)

    shared.run(attack)


def test_blob_and_repr_show_no_key(keys: Keys) -> None:
    _, made = keys(RSA, "wrapped")
    assert made.material.public.n not in made.material.blob
    assert made.material.blob.hex()[40:80] not in repr(made)


def test_what_is_not_the_keys_own_blob_is_refused(keys: Keys) -> None:
    provider, first = keys(RSA, "wrapped")
    second = key(provider, RSA)
    swapped = KeyMaterial("pkcs11-wrapped", second.material.blob, first.material.public)
    cases = {
        "is not that key": [swapped, KeyMaterial("pkcs11-wrapped", b"noise", first.material.public)],
        "C_UnwrapKey answered": [KeyMaterial("pkcs11-wrapped", _damaged(first), first.material.public)],
        "another root": [KeyMaterial("pkcs11-wrapped", _under_another_root(first), first.material.public)],
    }
    for message, materials in cases.items():
        for number, material in enumerate(materials):
            with pytest.raises(HsmError, match=message):
                provider.sign(KeyReference(f"{message}{number}", RSA, material), ALGORITHMS["RS256"], bytes(32))


def _damaged(made: KeyReference) -> bytes:
    version, root, method, ciphertext = msgspec.msgpack.decode(made.material.blob)
    return msgspec.msgpack.encode((version, root, method, ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])))


def _under_another_root(made: KeyReference) -> bytes:
    version, _, method, ciphertext = msgspec.msgpack.decode(made.material.blob)
    return msgspec.msgpack.encode((version, bytes(16), method, ciphertext))


def test_a_destroyed_token_key_is_gone_and_destroying_it_twice_is_no_error(keys: Keys) -> None:
    provider, _ = keys(EC, "token")
    made = key(provider, EC)
    provider.sign(made, ALGORITHMS["ES256"], bytes(32))
    provider.destroy(made)
    provider.destroy(made)
    with pytest.raises(HsmUnavailable, match="no longer holds the key"):
        provider.sign(made, ALGORITHMS["ES256"], bytes(32))


def test_a_destroyed_wrapped_key_lives_on_in_its_blob_only(keys: Keys) -> None:
    provider, _ = keys(EC, "wrapped")
    made = key(provider, EC)
    provider.destroy(made)
    assert provider.sign(made, ALGORITHMS["ES256"], bytes(32))


def test_generating_an_rsa_key_lets_other_threads_run(keys: Keys) -> None:
    provider, made = keys(EC, "wrapped")
    worker = threading.Thread(target=provider.generate, args=(KeySpecification("RSA-HSM", 3072),))
    worker.start()
    signed = next(
        turn
        for turn in itertools.count()
        if not provider.sign(made, ALGORITHMS["ES256"], bytes(32)) or not worker.is_alive()
    )
    assert signed > 10


def test_random_bytes_are_drawn_in_the_hsm(keys: Keys) -> None:
    provider, _ = keys(EC, "wrapped")
    assert len({provider.random(16) for _ in range(8)}) == 8
    assert len(provider.random(128)) == 128


def test_the_modules_mechanisms_are_listed_by_name(shared: Pkcs11Module) -> None:
    assert {"CKM_ECDSA", "CKM_AES_KEY_WRAP_PAD", "CKM_RSA_PKCS_PSS"} <= shared.mechanisms()
