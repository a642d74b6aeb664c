"""Unpadding in software gives what OAEP says, and one error for everything else."""

import os

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstack.hsm.oaep import unpadded
from kvstack.hsm.protocol import DecryptionFailed

KEY = rsa.generate_private_key(65537, 2048)
NUMBERS = KEY.private_numbers()
SIZE = 256


def encoded(message: bytes) -> bytes:
    """What a raw RSA decryption of a real OAEP ciphertext gives."""
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    ciphertext = int.from_bytes(KEY.public_key().encrypt(message, oaep), "big")
    return pow(ciphertext, NUMBERS.d, NUMBERS.public_numbers.n).to_bytes(SIZE, "big")


@settings(max_examples=40)
@given(st.binary(max_size=190))
def test_a_message_comes_back(message: bytes) -> None:
    assert unpadded(encoded(message)) == message


@settings(max_examples=40)
@given(st.integers(0, SIZE - 1), st.integers(1, 255))
def test_any_changed_byte_is_the_one_error(position: int, change: int) -> None:
    damaged = bytearray(encoded(b"message"))
    damaged[position] ^= change
    with pytest.raises(DecryptionFailed):
        unpadded(bytes(damaged))


@pytest.mark.parametrize("noise", [bytes(SIZE), b"\xff" * SIZE, os.urandom(SIZE)], ids=["zeros", "ones", "random"])
def test_noise_is_the_one_error(noise: bytes) -> None:
    with pytest.raises(DecryptionFailed):
        unpadded(noise)
