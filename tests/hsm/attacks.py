"""What a holder of the PIN could try against a key of type `-HSM`, with every call a module has for it."""

from collections.abc import Callable, Iterator

import msgspec

from kvstack.hsm import constants as ck
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import Cryptoki, CryptokiError, Mechanism, Template, mechanism, oaep
from kvstack.hsm.key_templates import generated, private_template, public_template
from kvstack.hsm.mechanisms import KEY_WRAP, KEY_WRAP_KWP, KEY_WRAP_PAD
from kvstack.terms.key import KeySpecification

# Of an RSA key: d, p, q, d mod p-1, d mod q-1, the coefficient. Source: PKCS#11 2.40, pkcs11t.h.
_OF_RSA = (ck.CKA_PRIVATE_EXPONENT, 0x124, 0x125, 0x126, 0x127, 0x128)
_GUARDS = {ck.CKA_EXTRACTABLE: True, ck.CKA_SENSITIVE: False}

# A symmetric key's way out under AES and RSA, a private key's under AES.
_BY_AES: dict[str, Mechanism] = {
    "key wrap": KEY_WRAP,
    "key wrap with padding": KEY_WRAP_PAD,
    "key wrap with padding, NSS's number": KEY_WRAP_KWP,
    "CBC with padding": mechanism(ck.CKM_AES_CBC_PAD, bytes(16)),
    "CBC": mechanism(ck.CKM_AES_CBC, bytes(16)),
}
_BY_RSA: dict[str, Mechanism] = {
    "PKCS#1": mechanism(ck.CKM_RSA_PKCS),
    "OAEP": oaep(ck.CKM_SHA_1, ck.CKG_MGF1_SHA1),
}


class Attacker:
    """Somebody with the PIN, in a session of his own, with wrapping keys of his own."""

    def __init__(self, connection: Connection) -> None:
        self.cryptoki: Cryptoki = connection.cryptoki
        self._connection = connection
        self.session = connection.keepers.borrow()
        aes = private_template(KeySpecification("oct-HSM", 256), token=False, extractable=True)
        self.aes, _ = generated(self.cryptoki, self.session, KeySpecification("oct-HSM", 256), aes)
        rsa = KeySpecification("RSA-HSM", 2048)
        self.rsa, self._private = self.cryptoki.generate_pair(
            self.session,
            mechanism(ck.CKM_RSA_PKCS_KEY_PAIR_GEN),
            {**public_template(rsa), ck.CKA_WRAP: True},
            private_template(rsa, token=False, extractable=True),
        )

    def close(self) -> None:
        """Leave nothing behind."""
        for handle in (self.aes, self.rsa, self._private):
            self.cryptoki.destroy(self.session, handle)
        self._connection.keepers.give_back(self.session)

    def open_twin(self, kind: KeySpecification) -> int:
        """A key of the same kind that is not protected: every attack has to succeed on it, or is none."""
        template = private_template(kind, token=False, extractable=True)
        handle, _ = generated(self.cryptoki, self.session, kind, {**template, ck.CKA_SENSITIVE: False})
        return handle

    def read(self, kind: KeySpecification, key: int) -> list[int]:
        """The private attributes that can be read."""
        wanted = _OF_RSA if kind.family == "RSA" else (ck.CKA_VALUE,)
        return [one for one in wanted if self.cryptoki.attribute(self.session, key, one)]

    def wrapped_out(self, kind: KeySpecification, key: int, further: int | None = None) -> list[str]:
        """The ways the key comes out under a key of the attacker's, or under `further`, one he may use."""
        ways = [(name, method, self.aes) for name, method in _BY_AES.items()]
        if further is not None:
            ways = [(name, method, further) for name, method in _BY_AES.items()]
        elif kind.family == "oct":
            ways += [(name, method, self.rsa) for name, method in _BY_RSA.items()]
        return [
            name
            for name, method, under in ways
            if succeeds(lambda method=method, under=under: self._wrapped(method, under, key))  # type: ignore[misc]
        ]

    def _wrapped(self, method: Mechanism, under: int, key: int) -> bool:
        return bool(self.cryptoki.wrap(self.session, method, under, key))

    def copied(self, key: int) -> list[str]:
        """The weaker copies that can be made."""
        return [
            name
            for name, template in _weaker()
            if succeeds(lambda template=template: self._weaker_copy(key, template))  # type: ignore[misc]
        ]

    def _weaker_copy(self, key: int, template: Template) -> bool:
        copied = self.cryptoki.copy(self.session, key, {**template, ck.CKA_TOKEN: False})
        try:
            return self._unprotected(copied)
        finally:
            self.cryptoki.destroy(self.session, copied)

    def changed(self, key: int) -> list[str]:
        """The ways the key itself can be made weaker."""
        return [
            name
            for name, template in _weaker()
            if succeeds(lambda template=template: self._weakened(key, template))  # type: ignore[misc]
        ]

    def _weakened(self, key: int, template: Template) -> bool:
        self.cryptoki.change(self.session, key, template)
        return self._unprotected(key)

    def unwrapped(self, kind: KeySpecification, root: int, blob: bytes) -> list[str]:
        """The ways a wrapped key comes out of its blob unprotected, by the root it is under."""
        closed = private_template(kind, token=False, extractable=False)
        silent = {name: value for name, value in closed.items() if name not in _GUARDS}
        bytes_only: Template = {
            ck.CKA_CLASS: ck.CKO_SECRET_KEY,
            ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET,
            ck.CKA_TOKEN: False,
        }
        templates: dict[str, Template] = {
            "nothing said": silent,
            "extractable": {**closed, ck.CKA_EXTRACTABLE: True},
            "readable": {**closed, ck.CKA_SENSITIVE: False},
            "both": {**closed, **_GUARDS},
            "as bytes": {**bytes_only, **_GUARDS},
            "as bytes, nothing said": bytes_only,
            "kept in the token": {**silent, ck.CKA_TOKEN: True},
        }
        return [
            f"{name}, {how}"
            for name, template in templates.items()
            for how, method in _BY_AES.items()
            if succeeds(lambda m=method, t=template: self._opens(m, root, blob, t))  # type: ignore[misc]
        ]

    def wrapped(self, key: int) -> bytes:
        """A key that may leave, under the attacker's own."""
        return self.cryptoki.wrap(self.session, KEY_WRAP_PAD, self.aes, key)

    def unwrapped_as_asked(self, kind: KeySpecification, root: int, blob: bytes) -> tuple[bytes | None, bytes | None]:
        """What guards a key that is opened as kvstack opens it."""
        closed = private_template(kind, token=False, extractable=False)
        opened = self.cryptoki.unwrap(self.session, KEY_WRAP_PAD, root, blob, closed)
        try:
            return self.guards(opened)
        finally:
            self.cryptoki.destroy(self.session, opened)

    def _opens(self, method: Mechanism, root: int, blob: bytes, template: Template) -> bool:
        opened = self.cryptoki.unwrap(self.session, method, root, blob, template)
        try:
            return self._unprotected(opened)
        finally:
            self.cryptoki.destroy(self.session, opened)

    def decrypted(self, root: int, blob: bytes) -> list[str]:
        """The ways the blob opens as if it were a message."""
        whole = blob[: len(blob) // 16 * 16]
        return [
            name
            for name, method in _BY_AES.items()
            if succeeds(lambda m=method: bool(self.cryptoki.decrypt(self.session, m, root, whole)))  # type: ignore[misc]
        ]

    def _unprotected(self, key: int) -> bool:
        return self.guards(key) != (b"\x00", b"\x01")

    def guards(self, key: int) -> tuple[bytes | None, bytes | None]:
        """Whether a key is extractable, and whether it is sensitive."""
        extractable = self.cryptoki.attribute(self.session, key, ck.CKA_EXTRACTABLE)
        return extractable, self.cryptoki.attribute(self.session, key, ck.CKA_SENSITIVE)


def _weaker() -> Iterator[tuple[str, Template]]:
    yield "extractable", {ck.CKA_EXTRACTABLE: True}
    yield "readable", {ck.CKA_SENSITIVE: False}
    yield "both", _GUARDS
    yield "for everybody", {ck.CKA_PRIVATE: False, **_GUARDS}


def succeeds(attack: Callable[[], bool]) -> bool:
    """Whether a call is answered, and by what was asked for."""
    try:
        return attack()
    except CryptokiError:
        return False


class Wrapped(msgspec.Struct, array_like=True):
    """What kvstack keeps of a wrapped key, as somebody reads it who has broken the barrier."""

    version: int
    root: bytes
    mechanism: int
    ciphertext: bytes
