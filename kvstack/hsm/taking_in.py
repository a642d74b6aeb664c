"""Taking a plain key into a module: unwrapped there under a key that is used this once, the safest way it knows."""

import os
from collections.abc import Callable

from kvstack.hsm import constants as ck
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import CryptokiError, Template, mechanism
from kvstack.hsm.mechanisms import KEY_WRAP_KWP, KEY_WRAP_PAD, cbc_pad
from kvstack.hsm.plain_key import PlainKey
from kvstack.hsm.return_values import CKR_TEMPLATE_INCOMPLETE, LOST

_WRAPPING_BYTES = 32
_ONCE = {
    ck.CKA_CLASS: ck.CKO_SECRET_KEY,
    ck.CKA_KEY_TYPE: ck.CKK_AES,
    ck.CKA_TOKEN: False,
    ck.CKA_PRIVATE: True,
    ck.CKA_SENSITIVE: True,
    ck.CKA_EXTRACTABLE: False,
    ck.CKA_UNWRAP: True,
}
_PADDED = (KEY_WRAP_PAD, KEY_WRAP_KWP)  # NSS softokn knows RFC 5649 by the second number only


def taken_in(connection: Connection, session: int, plain: PlainKey, template: Template) -> int:
    """Unwrap a plain key by a template. Returns its handle. Raises CryptokiError, the last way's.

    C_CreateObject would need a module that takes a sensitive key in clear, which hardware seldom does.
    """
    ways: tuple[Callable[[Connection, int, PlainKey, Template], int], ...] = (_under_the_modules_key, _under_a_key)
    refusal: CryptokiError | None = None
    for way in ways:
        try:
            return way(connection, session, plain, template)
        except CryptokiError as error:
            if error.code in LOST:
                raise
            refusal = error
    raise refusal or AssertionError("there is no way")


def _under_the_modules_key(connection: Connection, session: int, plain: PlainKey, template: Template) -> int:
    """Encrypt and unwrap under a key that is never outside the module."""
    cryptoki, vector = connection.cryptoki, os.urandom(16)
    wanted = {**_ONCE, ck.CKA_VALUE_LEN: _WRAPPING_BYTES, ck.CKA_ENCRYPT: True}
    once = cryptoki.generate_key(session, mechanism(ck.CKM_AES_KEY_GEN), wanted)
    try:
        wrapped = cryptoki.encrypt(session, cbc_pad(vector), once, plain.reveal())
        return _unwrapped(connection, session, ck.CKM_AES_CBC_PAD, once, wrapped, plain, template, vector)
    finally:
        cryptoki.destroy(session, once)


def _under_a_key(connection: Connection, session: int, plain: PlainKey, template: Template) -> int:
    """Wrap here (RFC 5649) under a key drawn for this, and unwrap in the module under the same."""
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

    cryptoki, value = connection.cryptoki, os.urandom(_WRAPPING_BYTES)
    wrapped = aes_key_wrap_with_padding(value, plain.reveal())
    once = cryptoki.create(session, {**_ONCE, ck.CKA_VALUE: value})
    try:
        known = [method.number for method in _PADDED if method.number in connection.mechanisms]
        refusal: CryptokiError | None = None
        for number in known or [ck.CKM_AES_KEY_WRAP_PAD]:
            try:
                return _unwrapped(connection, session, number, once, wrapped, plain, template)
            except CryptokiError as error:
                refusal = error
        raise refusal or AssertionError("there is no mechanism")
    finally:
        cryptoki.destroy(session, once)


def _unwrapped(
    connection: Connection,
    session: int,
    number: int,
    once: int,
    wrapped: bytes,
    plain: PlainKey,
    template: Template,
    parameter: bytes | None = None,
) -> int:
    method, public = mechanism(number, parameter), plain.public
    try:
        return connection.cryptoki.unwrap(session, method, once, wrapped, template)
    except CryptokiError as error:
        if error.code != CKR_TEMPLATE_INCOMPLETE or public.curve is None:
            raise
    # NSS softokn keeps the public point beside an EC key, and takes none without it.
    beside = {**template, ck.CKA_NSS_DB: b"\x04" + public.x + public.y}
    return connection.cryptoki.unwrap(session, method, once, wrapped, beside)
