"""The second root of a token: keys that may be released are wrapped under it, and no other key ever is.

The wrapping root makes every key it opens stay in the module (CKA_UNWRAP_TEMPLATE). A key that is to leave it, wrapped
for whom its policy names, cannot be under that root: it has one of its own, whose id follows from the first one's, so
that no configuration has to name it. In a security domain both come from the one secret; elsewhere this one is made
when the first such key is.
"""

import hashlib

from kvstack.hsm import constants as ck
from kvstack.hsm.cryptoki import Cryptoki, CryptokiError, Template, mechanism
from kvstack.hsm.key_templates import generated, private_template
from kvstack.hsm.mechanisms import KEY_WRAP_PAD
from kvstack.hsm.probe import weaknesses
from kvstack.hsm.protocol import HsmError
from kvstack.terms.key import KeySpecification

_KEY_BYTES = 32
LABEL = b"kvstack release root"

# Sensitive whatever is asked for: what it opens can leave wrapped, and be read by nobody.
RELEASE_ROOT: Template = {
    ck.CKA_CLASS: ck.CKO_SECRET_KEY,
    ck.CKA_KEY_TYPE: ck.CKK_AES,
    ck.CKA_VALUE_LEN: _KEY_BYTES,
    ck.CKA_LABEL: LABEL,
    ck.CKA_TOKEN: True,
    ck.CKA_PRIVATE: True,
    ck.CKA_SENSITIVE: True,
    ck.CKA_EXTRACTABLE: False,
    ck.CKA_MODIFIABLE: False,
    ck.CKA_SIGN: False,
    ck.CKA_VERIFY: False,
    ck.CKA_DERIVE: False,
    ck.CKA_ENCRYPT: False,
    ck.CKA_DECRYPT: False,
    ck.CKA_WRAP: True,
    ck.CKA_UNWRAP: True,
    ck.CKA_ALLOWED_MECHANISMS: (ck.CKM_AES_KEY_WRAP_PAD,),
    ck.CKA_UNWRAP_TEMPLATE: {ck.CKA_SENSITIVE: True},
}


def release_root_identity(root: str) -> str:
    """Return the CKA_ID of the release root beside a wrapping root. root: that one's, hexadecimal."""
    return hashlib.sha256(b"kvstack release root" + bytes.fromhex(root)).digest()[:16].hex()


def make_release_root(cryptoki: Cryptoki, session: int, identity: str, module: str) -> None:
    """Generate a release root, and attack it. Raises HsmError, and leaves none, where the module does not keep it."""
    template = {**RELEASE_ROOT, ck.CKA_ID: bytes.fromhex(identity)}
    handle = cryptoki.generate_key(session, mechanism(ck.CKM_AES_KEY_GEN), template)
    try:
        found = broken_promises(cryptoki, session, handle)
        if found:
            raise HsmError(
                f"the HSM module {module} cannot keep keys that may be released: {'; '.join(found)}",
                "Use another module, or keys that are not exportable.",
            )
    except BaseException:
        cryptoki.destroy(session, handle)
        raise


def broken_promises(cryptoki: Cryptoki, session: int, root: int) -> tuple[str, ...]:
    """Return what a holder of the PIN could do with a release root and should not be able to: take it out, or read a
    key that is wrapped under it. Leaves nothing behind."""
    own = weaknesses(cryptoki, session, None, root)
    victim = KeySpecification("EC-HSM", None, "P-256")
    handle, _ = generated(cryptoki, session, victim, private_template(victim, token=False, extractable=True))
    try:
        blob = cryptoki.wrap(session, KEY_WRAP_PAD, root, handle)
    finally:
        cryptoki.destroy(session, handle)
    readable = {**private_template(victim, token=False, extractable=True), ck.CKA_SENSITIVE: False}
    try:
        opened = cryptoki.unwrap(session, KEY_WRAP_PAD, root, blob, readable)
    except CryptokiError:
        return (*own.reading, *own.holding)
    try:
        open_book = cryptoki.attribute(session, opened, ck.CKA_SENSITIVE) != b"\x01"
    finally:
        cryptoki.destroy(session, opened)
    return (*own.reading, *own.holding, *(("it unwraps a readable copy of a wrapped key",) if open_book else ()))
