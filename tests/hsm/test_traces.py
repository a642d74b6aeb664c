"""The searches for secrets find them, however they are written."""

import base64
import os
from collections.abc import Callable

import pytest

from tests.hsm.traces import number, traces

SECRET = number(int.from_bytes(b"\x01" + os.urandom(63), "big"))


@pytest.mark.parametrize(
    "written",
    [
        bytes,
        lambda secret: secret[::-1],
        lambda secret: secret[:50],
        lambda secret: secret.hex().encode(),
        lambda secret: secret.hex().upper().encode(),
        lambda secret: secret[::-1].hex().encode(),
        *(lambda secret, n=n: base64.b64encode(bytes(n) + secret) for n in range(3)),
        *(lambda secret, n=n: base64.urlsafe_b64encode(bytes(n) + secret) for n in range(3)),
        *(lambda secret, n=n: base64.b64encode(bytes(n) + secret[::-1]) for n in range(3)),
    ],
)
def test_a_secret_is_found(written: Callable[[bytes], bytes]) -> None:
    content = os.urandom(100) + written(SECRET) + os.urandom(100)
    assert any(trace in content for trace in traces(SECRET))
    assert any(trace in written(SECRET[:16]) for trace in traces(SECRET[:16]))


def test_another_one_is_not() -> None:
    assert not any(trace in os.urandom(10_000) for trace in traces(SECRET))
