"""Whatever is wrong with a padding, the caller and the audit log are told the same: nothing to build an oracle of."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kvstack.hsm.plain_key import of_oct, of_private
from kvstack.hsm.protocol import DecryptionFailed
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from tests.hsm.conftest import requires_softhsm, softhsm

pytestmark = requires_softhsm

SIZE = 256
PAIR = rsa.generate_private_key(65537, SIZE * 8)
N, E = PAIR.public_key().public_numbers().n, PAIR.public_key().public_numbers().e
SECRETS = {size: os.urandom(size // 8) for size in (128, 192, 256)}
IV = os.urandom(16)


class Outcome(msgspec.Struct, frozen=True):
    """What a caller sees, and what is written down."""

    error: str
    text: str
    result: str
    status: int
    description: str


def raw(encoded: bytes) -> bytes:
    """Encrypt an encoding as it is."""
    assert len(encoded) == SIZE
    return pow(int.from_bytes(encoded, "big"), E, N).to_bytes(SIZE, "big")


def oaep(hashed: hashes.HashAlgorithm, mask: hashes.HashAlgorithm, label: bytes | None = None) -> bytes:
    """Encrypt by another OAEP than the one that is expected."""
    return PAIR.public_key().encrypt(b"message", padding.OAEP(padding.MGF1(mask), hashed, label))


def closed(size: int, padded: bytes) -> bytes:
    """Encrypt what is padded, or not, already."""
    encryptor = Cipher(algorithms.AES(SECRETS[size]), modes.CBC(IV)).encryptor()
    return encryptor.update(padded) + encryptor.finalize()


def noise(count: int) -> bytes:
    """Bytes none of which is zero."""
    return bytes(byte % 255 + 1 for byte in os.urandom(count))


SHA1, SHA256 = hashes.SHA1(), hashes.SHA256()
BAD_PKCS1 = {
    "the first byte is not zero": raw(b"\x01\x02" + noise(200) + b"\0" + noise(53)),
    "the block type is another one": raw(b"\0\x01" + noise(200) + b"\0" + noise(53)),
    "nothing ends the padding": raw(b"\0\x02" + noise(254)),
    "the padding is too short": raw(b"\0\x02" + noise(5) + b"\0" + noise(248)),
    "all zeros": bytes(SIZE),
    "all ones": raw(bytes(SIZE - 1) + b"\x01"),
    "more than the modulus": b"\xff" * SIZE,
    "too short": raw(b"\0\x02" + noise(200) + b"\0" + noise(53))[1:],
    "too long": raw(b"\0\x02" + noise(200) + b"\0" + noise(53)) + b"\0",
}
BAD_OAEP = {
    **{name: bad for name, bad in BAD_PKCS1.items() if "padding" not in name},
    "another label": oaep(SHA1, SHA1, b"label"),
    "another label, SHA-256": oaep(SHA256, SHA256, b"label"),
    "another hash for both": oaep(hashes.SHA384(), hashes.SHA384()),
    "another hash for the mask": oaep(SHA1, SHA256),
    "another hash for the label": oaep(SHA256, SHA1),
    "noise": raw(b"\0" + noise(255)),
    "another scheme": PAIR.public_key().encrypt(b"message", padding.PKCS1v15()),
}
BAD_CBC = {
    "a zero ends it": b"\x05" * 15 + b"\0",
    "more than a block is claimed": b"\x11" * 16,
    "far more than a block is claimed": b"\xff" * 16,
    "the padding is of two kinds": b"text" + b"\x0b" * 6 + b"\x0c" * 6,
    "one byte of the padding is another": bytes(12) + b"\x04\x04\x03\x04",
    "two blocks": b"first block here" + bytes(16),
}
BAD_LENGTHS = {"nothing": b"", "half a block": bytes(8), "a block and a half": bytes(24)}


class Deciphering:
    """A vault with one known key of each kind, in software and in the HSM."""

    def __init__(self, folder: Path) -> None:
        self.unlocked = initialise(folder, hsm=softhsm(), prepare=initialise_access)
        self.service = VaultService(self.unlocked)
        operator = self.service.operator
        self.service.create_vault(operator, "safe", sku="premium")
        for home in ("software", "hsm"):
            self.service.import_key(operator, "safe", f"{home}-rsa", of_private(PAIR), in_hsm=home == "hsm")
            for size, secret in SECRETS.items():
                self.service.import_key(operator, "safe", f"{home}-{size}", of_oct(secret), in_hsm=home == "hsm")

    def outcome(self, name: str, algorithm: str, ciphertext: bytes, iv: bytes = b"") -> Outcome:
        """What comes of a ciphertext that cannot be opened."""
        operator = self.service.operator
        with pytest.raises(DecryptionFailed) as refused:
            self.service.decrypt(operator, "safe", name, algorithm=algorithm, ciphertext=ciphertext, iv=iv)
        row = list(self.unlocked.audit.records())[-1]
        return Outcome(
            type(refused.value).__name__, str(refused.value), row.result, row.status or 0, row.description or ""
        )


@pytest.fixture(scope="module")
def deciphering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deciphering]:
    made = Deciphering(tmp_path_factory.mktemp("safe"))
    yield made
    made.unlocked.close()


ONE = Outcome(
    "DecryptionFailed",
    "the ciphertext cannot be decrypted with this key",
    "DecryptionFailed",
    400,
    "the ciphertext cannot be decrypted with this key",
)
# OpenSSL answers these, for a software key, with bytes that look like a message (implicit rejection).
ANSWERED = {name for name in BAD_PKCS1 if name not in ("more than the modulus", "too short", "too long")}


@pytest.mark.parametrize("home", ["software", "hsm"])
@pytest.mark.parametrize("algorithm", ["RSA-OAEP", "RSA-OAEP-256"])
@pytest.mark.parametrize("name", BAD_OAEP)
def test_oaep(deciphering: Deciphering, home: str, algorithm: str, name: str) -> None:
    ciphertext = BAD_OAEP[name]
    assert deciphering.outcome(f"{home}-rsa", algorithm, ciphertext) == ONE


@pytest.mark.parametrize("name", BAD_PKCS1)
def test_rsa1_5_in_the_hsm(deciphering: Deciphering, name: str) -> None:
    assert deciphering.outcome("hsm-rsa", "RSA1_5", BAD_PKCS1[name]) == ONE


@pytest.mark.parametrize("name", BAD_PKCS1)
def test_rsa1_5_in_software_tells_even_less(deciphering: Deciphering, name: str) -> None:
    """A padding that fails is not told at all; what no key could have made is the one error."""
    if name not in ANSWERED:
        assert deciphering.outcome("software-rsa", "RSA1_5", BAD_PKCS1[name]) == ONE
        return
    service, operator, given = deciphering.service, deciphering.service.operator, BAD_PKCS1[name]
    answers = {
        service.decrypt(operator, "safe", "software-rsa", algorithm="RSA1_5", ciphertext=given).value.reveal()
        for _ in range(3)
    }
    assert len(answers) == 1  # asked again, it does not give itself away
    assert len(answers.pop()) <= SIZE - 11
    last = list(deciphering.unlocked.audit.records())[-1]
    assert (last.result, last.status) == ("Success", 200)


@pytest.mark.parametrize("home", ["software", "hsm"])
@pytest.mark.parametrize("size", SECRETS)
@pytest.mark.parametrize("name", [*BAD_CBC, *BAD_LENGTHS])
def test_cbc_with_padding(deciphering: Deciphering, home: str, size: int, name: str) -> None:
    ciphertext = BAD_LENGTHS[name] if name in BAD_LENGTHS else closed(size, BAD_CBC[name])
    assert deciphering.outcome(f"{home}-{size}", f"A{size}CBCPAD", ciphertext, IV) == ONE


@pytest.mark.parametrize("home", ["software", "hsm"])
@pytest.mark.parametrize(
    ("name", "algorithm", "made"),
    [
        ("rsa", "RSA1_5", raw(b"\0\x02" + noise(200) + b"\0" + noise(53))),
        ("rsa", "RSA-OAEP", oaep(SHA1, SHA1)),
        ("rsa", "RSA-OAEP-256", oaep(SHA256, SHA256)),
        ("256", "A256CBCPAD", closed(256, b"message" + b"\x09" * 9)),
    ],
    ids=["RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "A256CBCPAD"],
)
def test_what_is_padded_well_opens(deciphering: Deciphering, home: str, name: str, algorithm: str, made: bytes) -> None:
    iv = IV if "CBC" in algorithm else b""
    service = deciphering.service
    opened = service.decrypt(service.operator, "safe", f"{home}-{name}", algorithm=algorithm, ciphertext=made, iv=iv)
    assert len(opened.value.reveal()) == (53 if algorithm == "RSA1_5" else 7)
