"""Exportable keys leave the module wrapped for their recipient, in clear never; no other key leaves it at all."""

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_private_key

from kvstack.hsm import constants as ck
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import CryptokiError, Template
from kvstack.hsm.key_templates import private_template
from kvstack.hsm.mechanisms import KEY_WRAP, KEY_WRAP_PAD, cbc_pad
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.plain_key import PlainKey, of_oct, of_private, rsa_public
from kvstack.hsm.protocol import (
    HsmError,
    KeyMaterial,
    KeyReference,
    MechanismUnsupported,
    ReleasingProvider,
)
from kvstack.hsm.release_root import release_root_identity
from kvstack.hsm.software import SoftwareKeys
from kvstack.hsm.token import initialise_token
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import CURVES, KeySpecification
from kvstack.terms.release import WRAPPINGS, ReleaseWrapping
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.examples import signatures, title

RECIPIENT = rsa.generate_private_key(65537, 2048)
PLAIN = WRAPPINGS["CKM_RSA_AES_KEY_WRAP"]
HASHES = {"SHA-1": hashes.SHA1(), "SHA-256": hashes.SHA256(), "SHA-384": hashes.SHA384()}
KINDS = (
    KeySpecification("RSA", 2048),
    KeySpecification("RSA", 3072),
    *(KeySpecification("EC", None, curve) for curve in CURVES),
    *(KeySpecification("oct", size) for size in (128, 192, 256)),
)


def in_hsm(kind: KeySpecification) -> KeySpecification:
    return KeySpecification(f"{kind.type}-HSM", kind.size, kind.curve)  # type: ignore[arg-type]


def reference(specification: KeySpecification, material: KeyMaterial) -> KeyReference:
    return KeyReference(os.urandom(8).hex(), specification, material)


def unwrapped(blob: bytes, wrapping: ReleaseWrapping = PLAIN, recipient: rsa.RSAPrivateKey = RECIPIENT) -> bytes:
    """What the recipient gets out of it, by nothing of kvstack's."""
    length, used = recipient.key_size // 8, HASHES[wrapping.hash]
    once = recipient.decrypt(blob[:length], padding.OAEP(padding.MGF1(used), used, None))
    assert len(once) == 32
    return aes_key_unwrap_with_padding(once, blob[length:])


def taken(kind: KeySpecification, content: bytes) -> PlainKey:
    """The released key as a plain one. SoftHSM fills the DER up to eight bytes with zeros."""
    if kind.family == "oct":
        return of_oct(content)
    for end in range(len(content), len(content) - 8, -1):
        try:
            return of_private(load_der_private_key(content[:end], None))
        except ValueError:
            continue
    raise AssertionError("what was released is no key")


def requires_its_original(provider: ReleasingProvider, key: KeyReference, outside: PlainKey) -> None:
    """What either signs or encrypts, the other verifies or decrypts."""
    software = SoftwareKeys()
    copy = reference(outside.specification, software.import_key(outside.specification, outside))
    for _, algorithm in signatures((key.specification,)):
        digest = os.urandom(algorithm.digest_bytes or 32)
        assert provider.verify(key, algorithm, digest, software.sign(copy, algorithm, digest))
        assert software.verify(copy, algorithm, digest, provider.sign(key, algorithm, digest))
    if outside.specification.family == "oct":
        wrapping = ALGORITHMS[f"A{outside.specification.size}KW"]
        assert provider.decrypt(key, wrapping, software.encrypt(copy, wrapping, b"0123456789abcdef").ciphertext)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pkcs11Module]:
    opened = Pkcs11Module.open(initialise_token(tmp_path_factory.mktemp("hsm"), module=softhsm()).configuration)
    yield opened
    opened.close()


@pytest.mark.parametrize("wrapping", WRAPPINGS.values(), ids=WRAPPINGS)
@pytest.mark.parametrize("kind", KINDS, ids=title)
def test_a_released_software_key_is_the_key(kind: KeySpecification, wrapping: ReleaseWrapping) -> None:
    keys = SoftwareKeys()
    made = reference(kind, keys.generate_exportable(kind))
    requires_its_original(
        keys, made, taken(kind, unwrapped(keys.release(made, wrapping, rsa_public(RECIPIENT)), wrapping))
    )


@requires_softhsm
@pytest.mark.parametrize("kind", KINDS, ids=title)
def test_a_released_hsm_key_is_the_key(shared: Pkcs11Module, kind: KeySpecification) -> None:
    keys = Pkcs11Keys(shared)
    made = reference(in_hsm(kind), keys.generate_exportable(in_hsm(kind)))
    requires_its_original(keys, made, taken(kind, unwrapped(keys.release(made, PLAIN, rsa_public(RECIPIENT)))))
    keys.check(made)
    keys.require_portable(made)


@requires_softhsm
@pytest.mark.parametrize("kind", KINDS[::3], ids=title)
def test_an_imported_key_is_released_as_it_came(shared: Pkcs11Module, kind: KeySpecification) -> None:
    keys, software = Pkcs11Keys(shared), SoftwareKeys()
    original = software.generate(kind)
    with PlainKey(kind, original.blob, original.public) as plain:
        made = reference(in_hsm(kind), keys.import_exportable(in_hsm(kind), plain))
    out = taken(kind, unwrapped(keys.release(made, PLAIN, rsa_public(RECIPIENT))))
    assert out.public == original.public
    if kind.family == "oct":
        assert out.reveal() == original.blob


@requires_softhsm
def test_openssl_opens_what_was_released(shared: Pkcs11Module, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    keys, kind = Pkcs11Keys(shared), KeySpecification("EC-HSM", None, "P-256")
    made = reference(kind, keys.generate_exportable(kind))
    blob = keys.release(made, PLAIN, rsa_public(RECIPIENT))
    pem = RECIPIENT.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "recipient.pem").write_bytes(pem)
    (tmp_path / "once").write_bytes(blob[:256])
    (tmp_path / "wrapped").write_bytes(blob[256:])

    def openssl(*arguments: str) -> bytes:
        return subprocess.run(["openssl", *arguments], check=True, cwd=tmp_path, capture_output=True).stdout

    oaep = ("-pkeyopt", "rsa_padding_mode:oaep")
    once = openssl("pkeyutl", "-decrypt", "-inkey", "recipient.pem", "-in", "once", *oaep)
    (tmp_path / "key.der").write_bytes(
        openssl("enc", "-d", "-id-aes256-wrap-pad", "-K", once.hex(), "-iv", "A65959A6", "-in", "wrapped")
    )
    point = openssl("pkey", "-inform", "DER", "-in", "key.der", "-pubout", "-outform", "DER")
    assert point.endswith(b"\x04" + made.material.public.x + made.material.public.y)


@requires_softhsm
@pytest.mark.parametrize("name", ["RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384"])
def test_a_hash_the_module_does_not_know_is_named(shared: Pkcs11Module, name: str) -> None:
    keys, kind = Pkcs11Keys(shared), KeySpecification("EC-HSM", None, "P-256")
    made = reference(kind, keys.generate_exportable(kind))
    with pytest.raises(MechanismUnsupported, match=name):
        keys.release(made, WRAPPINGS[name], rsa_public(RECIPIENT))
    assert keys.sign(made, ALGORITHMS["ES256"], bytes(32))


@requires_softhsm
def test_another_recipient_opens_nothing(shared: Pkcs11Module) -> None:
    keys, kind = Pkcs11Keys(shared), KeySpecification("oct-HSM", 256)
    made = reference(kind, keys.generate_exportable(kind))
    blob = keys.release(made, PLAIN, rsa_public(RECIPIENT))
    with pytest.raises((ValueError, InvalidUnwrap)):
        unwrapped(blob, recipient=rsa.generate_private_key(65537, 2048))
    assert keys.release(made, PLAIN, rsa_public(RECIPIENT)) != blob


ORDINARY = (
    KeySpecification("EC-HSM", None, "P-256"),
    KeySpecification("oct-HSM", 256),
    KeySpecification("RSA-HSM", 2048),
)


@requires_softhsm
@pytest.mark.parametrize("kind", ORDINARY, ids=title)
def test_an_ordinary_key_is_never_released(shared: Pkcs11Module, kind: KeySpecification) -> None:
    keys = Pkcs11Keys(shared)
    made = reference(kind, keys.generate(kind))
    with pytest.raises(HsmError, match="not made exportable"):
        keys.release(made, PLAIN, rsa_public(RECIPIENT))
    # Nor where a blob says it is under the other root: the release root does not open it.
    version, _, mechanism, ciphertext = msgspec.msgpack.decode(made.material.blob)
    release_root = bytes.fromhex(release_root_identity(shared.configuration.root))
    keys.generate_exportable(KeySpecification("EC-HSM", None, "P-256"))
    forged = msgspec.msgpack.encode((version, release_root, mechanism, ciphertext))
    with pytest.raises(HsmError):
        keys.release(
            msgspec.structs.replace(made, material=msgspec.structs.replace(made.material, blob=forged)),
            PLAIN,
            rsa_public(RECIPIENT),
        )


@requires_softhsm
@pytest.mark.parametrize("kind", ORDINARY, ids=title)
def test_whoever_has_the_pin_cannot_take_an_ordinary_key_out(shared: Pkcs11Module, kind: KeySpecification) -> None:
    keys = Pkcs11Keys(shared)
    keys.generate_exportable(
        KeySpecification("EC-HSM", None, "P-256")
    )  # so that there is a release root to attack with
    ciphertext = msgspec.msgpack.decode(keys.generate(kind).blob)[3]
    leaving = private_template(kind, token=False, extractable=True)

    def attacks(connection: Connection, session: int) -> Iterator[Callable[[], object]]:
        cryptoki, root = connection.cryptoki, connection.root(session)
        release_root = connection.release_root(session)
        closed = cryptoki.unwrap(
            session, KEY_WRAP_PAD, root, ciphertext, private_template(kind, token=False, extractable=False)
        )
        yield lambda: cryptoki.unwrap(session, KEY_WRAP_PAD, root, ciphertext, leaving)
        yield lambda: cryptoki.unwrap(session, KEY_WRAP_PAD, release_root, ciphertext, leaving)
        for method in (KEY_WRAP, KEY_WRAP_PAD, cbc_pad(bytes(16))):
            yield partial(cryptoki.wrap, session, method, release_root, closed)
            yield partial(cryptoki.wrap, session, method, release_root, root)
            yield partial(cryptoki.wrap, session, method, root, release_root)
        stronger: tuple[Template, ...] = ({ck.CKA_EXTRACTABLE: True}, {ck.CKA_SENSITIVE: False})
        for change in stronger:
            yield partial(cryptoki.copy, session, closed, {ck.CKA_TOKEN: False, **change})
            yield partial(cryptoki.change, session, closed, change)

    def tried(connection: Connection) -> int:
        session = connection.keepers.borrow()
        count = 0
        try:
            for attack in attacks(connection, session):
                with pytest.raises(CryptokiError):
                    attack()
                count += 1
            return count
        finally:
            connection.keepers.give_back(session)

    assert shared.run(tried) == 15


@requires_softhsm
def test_a_token_that_keeps_its_keys_itself_makes_none_that_leave(shared: Pkcs11Module) -> None:
    keys = Pkcs11Keys(shared, "token")
    kind = KeySpecification("EC-HSM", None, "P-256")
    made = reference(kind, keys.generate(kind))
    with pytest.raises(HsmError, match="not made exportable"):
        keys.release(made, PLAIN, rsa_public(RECIPIENT))
    keys.destroy(made)
