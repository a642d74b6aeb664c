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
    """What succeeded and should not have. wrapping: condemns wrapped keys only; holding: condemns the module."""

    wrapping: tuple[str, ...] = ()
    holding: tuple[str, ...] = ()


# The cheapest key to make: what holds for it holds for every private key.
_VICTIM = KeySpecification("EC-HSM", None, "P-256")
_AS_SECRET = {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET, ck.CKA_TOKEN: False}


def weaknesses(cryptoki: Cryptoki, session: int, root: int | None, kek: int) -> Weaknesses:
    """Attack the root, the key-encryption key and a key of no value. Leaves nothing behind."""
    with _attackers_key(cryptoki, session) as own:
        wrapping = () if root is None else tuple(_against_wrapping(cryptoki, session, root))
        holding: list[str] = []
        for name, key in (("wrapping root", root), ("key-encryption key", kek)):
            if key is not None:
                holding.extend(f"{what} the {name}" for what in _against_holding(cryptoki, session, own, key))
        return Weaknesses(wrapping, tuple(holding))


def _against_wrapping(cryptoki: Cryptoki, session: int, root: int) -> Iterator[str]:
    """Yield how a wrapped key can be had in clear."""
    template = private_template(_VICTIM, token=False, extractable=True)
    victim, _ = generated(cryptoki, session, _VICTIM, template)
    try:
        blob = cryptoki.wrap(session, KEY_WRAP_PAD, root, victim)
    finally:
        cryptoki.destroy(session, victim)
    closed = private_template(_VICTIM, token=False, extractable=False)
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
        yield f"it cannot open a wrapped key again: {error}"
        return
    if _succeeds(lambda: comes_out({**closed, ck.CKA_EXTRACTABLE: True})):
        yield "it unwraps an extractable copy of a wrapped key"
    if _succeeds(lambda: comes_out({**closed, ck.CKA_SENSITIVE: False})):
        yield "it unwraps a readable copy of a wrapped key"
    if _succeeds(lambda: comes_out(silent)):
        yield "it unwraps an unprotected copy of a wrapped key where nothing is said"
    if _succeeds(lambda: comes_out({**_AS_SECRET, ck.CKA_EXTRACTABLE: True, ck.CKA_SENSITIVE: False})):
        yield "it unwraps a private key as readable bytes"
    if _succeeds(lambda: bool(cryptoki.decrypt(session, cbc_pad(bytes(16)), root, blob[: len(blob) // 16 * 16]))):
        yield "it decrypts with the wrapping root"


def _against_holding(cryptoki: Cryptoki, session: int, own: int, key: int) -> Iterator[str]:
    """Yield how a key of the token can be had in clear."""
    if _succeeds(lambda: cryptoki.attribute(session, key, ck.CKA_VALUE) is not None):
        yield "it gives out the value of"
    if any(_succeeds(partial(_wrapped_out, cryptoki, session, method, own, key)) for method in _WRAPPINGS):
        yield "it wraps out under another key"
    if any(_succeeds(partial(_weakened, cryptoki, session, key, name, value)) for name, value in _WEAKER):
        yield "it takes away the protection of"


_WRAPPINGS = (KEY_WRAP, KEY_WRAP_PAD, mechanism(ck.CKM_AES_CBC_PAD, bytes(16)))


_WEAKER = ((ck.CKA_EXTRACTABLE, True), (ck.CKA_SENSITIVE, False))


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
