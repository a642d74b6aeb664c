"""How a key that is released is wrapped for its recipient."""

from typing import Literal

import msgspec

Hash = Literal["SHA-1", "SHA-256", "SHA-384"]
EPHEMERAL_BYTES = 32


class ReleaseWrapping(msgspec.Struct, frozen=True):
    """One of Azure's names. hash: of OAEP, and of its mask.

    An AES-256 key drawn for this once wraps the released key (RFC 5649: PKCS#8 DER, or an oct key's bytes), and is
    itself encrypted to the recipient's RSA key by OAEP: the two stand one after the other, the encrypted AES key first.
    That is CKM_RSA_AES_KEY_WRAP of PKCS#11.
    """

    name: str
    hash: Hash


WRAPPINGS: dict[str, ReleaseWrapping] = {
    wrapping.name: wrapping
    for wrapping in (
        ReleaseWrapping("CKM_RSA_AES_KEY_WRAP", "SHA-1"),
        ReleaseWrapping("RSA_AES_KEY_WRAP_256", "SHA-256"),
        ReleaseWrapping("RSA_AES_KEY_WRAP_384", "SHA-384"),
    )
}
DEFAULT_WRAPPING = "CKM_RSA_AES_KEY_WRAP"


def release_wrapping(name: str) -> ReleaseWrapping:
    """Return the wrapping of this name. Raises ValueError naming those there are."""
    found = WRAPPINGS.get(name)
    if found is None:
        raise ValueError(f"`{name}` is no algorithm to release a key with; there are {', '.join(WRAPPINGS)}")
    return found
