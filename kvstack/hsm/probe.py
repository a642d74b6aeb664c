"""Whether a module keeps its promises: kvstack attacks its own keys with everything a holder of the PIN could try."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from kvstack.hsm import constants as ck
from kvstack.hsm.cryptoki import Cryptoki, CryptokiError, Mechanism, Template, mechanism
from kvstack.hsm.key_templates import generated, private_template
from kvstack.hsm.mechanisms import KEY_WRAP, KEY_WRAP_PAD, cbc_pad
from kvstack.terms.key import KeySpecification


class Weaknesses(msgspec.Struct, frozen=True):
    """What succeeded and should not have.

    wrapping: how a wrapped key comes out, which condemns wrapped keys; holding: how a holder of the PIN takes the
    token's own keys out, which condemns them too and is to be told; reading: that the module simply gives them
    out, which condemns the module.
    """

    wrapping: tuple[str, ...] = ()
    holding: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()


# The cheapest keys to make: what holds for them holds for every private and for every secret key.
_VICTIMS = (KeySpecification("EC-HSM", None, "P-256"), KeySpecification("oct-HSM", 256))
_AS_SECRET = {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET, ck.CKA_TOKEN: False}


def weaknesses(cryptoki: Cryptoki, session: int, root: int | None, kek: int) -> Weaknesses:
    """Attack the root, the key-encryption key and a key of no value. Leaves nothing behind."""
    with _attackers_key(cryptoki, session) as own:
        victims = () if root is None else _VICTIMS
        wrapping = dict.fromkeys(
            what for victim in victims for what in _against_wrapping(cryptoki, session, root or 0, victim)
        )
        keys = [key for key in (root, kek) if key is not None]
        # The same promise is broken for both keys or for none: each is told once.
        holding = dict.fromkeys(what for key in keys for what in _against_holding(cryptoki, session, own, key))
        reading = dict.fromkeys(what for key in keys for what in _against_reading(cryptoki, session, key))
        return Weaknesses(tuple(wrapping), tuple(holding), tuple(reading))


def _against_wrapping(cryptoki: Cryptoki, session: int, root: int, kind: KeySpecification) -> Iterator[str]:
    """Yield how a wrapped key can be had in clear."""
    template = private_template(kind, token=False, extractable=True)
    victim, _ = generated(cryptoki, session, kind, template)
    try:
        blob = cryptoki.wrap(session, KEY_WRAP_PAD, root, victim)
    finally:
        cryptoki.destroy(session, victim)
    closed = private_template(kind, token=False, extractable=False)
    silent = {name: value for name, value in closed.items() if name not in (ck.CKA_SENSITIVE, ck.CKA_EXTRACTABLE)}

    def comes_out(template: Template) -> bool:
        handle = cryptoki.unwrap(session, KEY_WRAP_PAD, root, blob, template)
        try:
            return (
                cryptoki.attribute(session, handle, ck.CKA_EXTRACTABLE) != b"\x00"
                or cryptoki.attribute(session, handle, ck.CKA_SENSITIVE) != b"\x01"
                or cryptoki.attribute(session, handle, ck.CKA_VALUE) is not None
            )
        finally:
            cryptoki.destroy(session, handle)

    try:
        if comes_out(closed):
            yield "it unwraps keys without the protection asked for"
    except CryptokiError as error:
        yield f"it cannot open a wrapped {kind.type} key again: {error}"
    if _succeeds(lambda: comes_out({**closed, ck.CKA_EXTRACTABLE: True})):
        yield "it unwraps an extractable copy of a wrapped key"
    if _succeeds(lambda: comes_out({**closed, ck.CKA_SENSITIVE: False})):
        yield "it unwraps a readable copy of a wrapped key"
    if _succeeds(lambda: comes_out(silent)):
        yield "it unwraps an unprotected copy of a wrapped key where nothing is said"
    if _succeeds(lambda: comes_out({**_AS_SECRET, ck.CKA_EXTRACTABLE: True, ck.CKA_SENSITIVE: False})):
        yield "it unwraps a wrapped key as readable bytes"
    if _succeeds(lambda: _opened_otherwise(cryptoki, session, root, blob)):
        yield "it unwraps with the wrapping root by another mechanism"
    if _succeeds(lambda: bool(cryptoki.decrypt(session, cbc_pad(bytes(16)), root, blob[: len(blob) // 16 * 16]))):
        yield "it decrypts with the wrapping root"


def _against_holding(cryptoki: Cryptoki, session: int, own: int, key: int) -> Iterator[str]:
    """Yield how a key of the token can be taken out of it."""
    if any(_succeeds(partial(_wrapped_out, cryptoki, session, method, own, key)) for method in _WRAPPINGS):
        yield "it wraps a key that is not extractable out under another one"
    if any(_succeeds(partial(_weakened, cryptoki, session, key, name, value)) for name, value in _WEAKER):
        yield "it copies a key that is not extractable into one that is"


def _against_reading(cryptoki: Cryptoki, session: int, key: int) -> Iterator[str]:
    """Yield how a key of the token can be read."""
    if _succeeds(lambda: cryptoki.attribute(session, key, ck.CKA_VALUE) is not None):
        yield "it gives out the value of a sensitive key"


_WRAPPINGS = (KEY_WRAP, KEY_WRAP_PAD, mechanism(ck.CKM_AES_CBC_PAD, bytes(16)))


_WEAKER = ((ck.CKA_EXTRACTABLE, True), (ck.CKA_SENSITIVE, False))


def _opened_otherwise(cryptoki: Cryptoki, session: int, root: int, blob: bytes) -> bool:
    """Unwrap a piece of a wrapped key as an AES key: what it does to known text would tell what the piece holds."""
    template = {**_AS_SECRET, ck.CKA_KEY_TYPE: ck.CKK_AES, ck.CKA_EXTRACTABLE: False, ck.CKA_SENSITIVE: True}
    method = mechanism(ck.CKM_AES_CBC, bytes(16))
    cryptoki.destroy(session, cryptoki.unwrap(session, method, root, blob[:32], template))
    return True


def _wrapped_out(cryptoki: Cryptoki, session: int, method: Mechanism, wrapping: int, key: int) -> bool:
    return bool(cryptoki.wrap(session, method, wrapping, key))


def _weakened(cryptoki: Cryptoki, session: int, key: int, name: int, value: bool) -> bool:
    """Try a weaker copy. The key itself is left alone: an attack on it that succeeds could not be taken back."""
    copied = cryptoki.copy(session, key, {ck.CKA_TOKEN: False, name: value})
    try:
        return cryptoki.attribute(session, copied, name) == (b"\1" if value else b"\0")
    finally:
        cryptoki.destroy(session, copied)


def _succeeds(attack: Callable[[], bool]) -> bool:
    try:
        return attack()
    except CryptokiError:
        return False


@contextmanager
def _attackers_key(cryptoki: Cryptoki, session: int) -> Iterator[int]:
    template = private_template(KeySpecification("oct-HSM", 256), token=False, extractable=True)
    handle, _ = generated(cryptoki, session, KeySpecification("oct-HSM", 256), template)
    try:
        yield handle
    finally:
        cryptoki.destroy(session, handle)
