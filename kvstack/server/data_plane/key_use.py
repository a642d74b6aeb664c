"""The operations that use keys, in Azure's words. Source: azure/openapi/data-plane, keys.json."""

from typing import Final

import msgspec

from kvstack.server.answer import Answer, answered
from kvstack.server.data_plane.api import Operation
from kvstack.server.data_plane.context import Asked, bytes_of, place, text_of
from kvstack.server.data_plane.key_documents import key_id
from kvstack.terms.release import DEFAULT_WRAPPING
from kvstack.terms.secret import SecretValue
from kvstack.vault.key_use import Decrypted, Encrypted


class UseKey(msgspec.Struct, frozen=True):
    """What a client gives to have something encrypted, decrypted, wrapped or unwrapped; base64url."""

    alg: str
    value: str
    iv: str | None = None
    aad: str | None = None
    tag: str | None = None

    def __repr__(self) -> str:
        return f"UseKey({self.alg}, ****)"


class Sign(msgspec.Struct, frozen=True):
    """What a client gives to have a digest signed."""

    alg: str
    value: str


class Verify(msgspec.Struct, frozen=True):
    """What a client gives to have a signature verified."""

    alg: str
    digest: str
    value: str


class Release(msgspec.Struct, frozen=True):
    """What a client gives to have a key released. target: an attestation token."""

    target: str
    nonce: str | None = None
    enc: str | None = None


class RandomBytes(msgspec.Struct, frozen=True):
    """How many bytes a client wants."""

    count: int


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a use gives."""

    kid: str
    value: str
    iv: str | None = None
    tag: str | None = None
    aad: str | None = None

    def __repr__(self) -> str:
        return f"Result({self.kid}, ****)"


def sign(asked: Asked, names: tuple[str, ...]) -> Answer:
    """Sign: a digest."""
    name, version = place(names)
    given = asked.request.document(Sign)
    digest = bytes_of("value", given.value)
    made = asked.service.sign(asked.caller, asked.vault, name, algorithm=given.alg, digest=digest, version=version)
    return answered(Result(key_id(asked, name, made.version), text_of(made.value)))


def verify(asked: Asked, names: tuple[str, ...]) -> Answer:
    """Verify: whether a signature is the key's."""
    name, version = place(names)
    given = asked.request.document(Verify)
    valid = asked.service.verify(
        asked.caller,
        asked.vault,
        name,
        algorithm=given.alg,
        digest=bytes_of("digest", given.digest),
        signature=bytes_of("value", given.value),
        version=version,
    )
    return answered({"value": valid})


def encrypt(asked: Asked, names: tuple[str, ...]) -> Answer:
    """Encrypt."""
    name, version = place(names)
    given = asked.request.document(UseKey)
    made = asked.service.encrypt(
        asked.caller,
        asked.vault,
        name,
        algorithm=given.alg,
        plaintext=SecretValue(bytes_of("value", given.value)),
        iv=bytes_of("iv", given.iv or ""),
        associated_data=bytes_of("aad", given.aad or ""),
        version=version,
    )
    return _encrypted(asked, name, made, given.aad)


def decrypt(asked: Asked, names: tuple[str, ...]) -> Answer:
    """Decrypt."""
    name, version = place(names)
    given = asked.request.document(UseKey)
    made = asked.service.decrypt(
        asked.caller,
        asked.vault,
        name,
        algorithm=given.alg,
        ciphertext=bytes_of("value", given.value),
        iv=bytes_of("iv", given.iv or ""),
        tag=bytes_of("tag", given.tag or ""),
        associated_data=bytes_of("aad", given.aad or ""),
        version=version,
    )
    return _decrypted(asked, name, made)


def wrap_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """WrapKey: another key's bytes."""
    name, version = place(names)
    given = asked.request.document(UseKey)
    key = SecretValue(bytes_of("value", given.value))
    made = asked.service.wrap_key(asked.caller, asked.vault, name, algorithm=given.alg, key=key, version=version)
    return _encrypted(asked, name, made, None)


def unwrap_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """UnwrapKey: another key's bytes."""
    name, version = place(names)
    given = asked.request.document(UseKey)
    wrapped = bytes_of("value", given.value)
    made = asked.service.unwrap_key(
        asked.caller, asked.vault, name, algorithm=given.alg, wrapped=wrapped, version=version
    )
    return _decrypted(asked, name, made)


def release(asked: Asked, names: tuple[str, ...]) -> Answer:
    """Release: the key itself, to an environment its policy names."""
    name, version = place(names)
    given = asked.request.document(Release)
    made = asked.service.release_key(
        asked.caller,
        asked.vault,
        name,
        target_attestation_token=given.target,
        version=version,
        algorithm=given.enc or DEFAULT_WRAPPING,
        nonce=given.nonce,
        vault_url=asked.base,
    )
    return answered({"value": made.decode()})


def random_bytes(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetRandomBytes."""
    given = asked.request.document(RandomBytes)
    drawn = asked.service.random_bytes(asked.caller, asked.vault, given.count)
    return answered({"value": text_of(drawn.reveal())})


def _encrypted(asked: Asked, name: str, made: Encrypted, aad: str | None) -> Answer:
    return answered(
        Result(
            key_id(asked, name, made.version),
            text_of(made.ciphertext),
            iv=text_of(made.iv) if made.iv else None,
            tag=text_of(made.tag) if made.tag else None,
            aad=aad,
        )
    )


def _decrypted(asked: Asked, name: str, made: Decrypted) -> Answer:
    return answered(Result(key_id(asked, name, made.version), text_of(made.value.reveal())))


_USES: Final = (
    ("sign", sign, "sign", "7.0"),
    ("verify", verify, "verify", "7.0"),
    ("encrypt", encrypt, "encrypt", "7.0"),
    ("decrypt", decrypt, "decrypt", "7.0"),
    ("wrapKey", wrap_key, "wrapkey", "7.0"),
    ("unwrapKey", unwrap_key, "unwrapkey", "7.0"),
    ("release", release, "release", "7.3"),
)

OPERATIONS: Final = (
    *(
        Operation(name, "POST", ("keys", "{}", "{}", word), answer, "working" if word == "release" else "using", since)
        for name, answer, word, since in _USES
    ),
    Operation("GetRandomBytes", "POST", ("rng",), random_bytes, "working", "7.2"),
)
