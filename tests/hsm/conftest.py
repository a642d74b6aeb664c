"""A real token for each test that asks for one, and a loud word where its module is not there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.configuration import HsmConfiguration
from kvstack.hsm.find import find_module
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.token import initialise_token

SOFTHSM = find_module()
NSS = next(
    (
        path
        for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
        for path in (Path(folder) / "libsoftokn3.so", Path(folder) / "nss" / "libsoftokn3.so")
        if path.is_file()
    ),
    None,
)

requires_softhsm = pytest.mark.skipif(
    SOFTHSM is None or not SOFTHSM.is_file(),
    reason="no PKCS#11 module: install SoftHSM2, or name one in KVSTACK_PKCS11_MODULE",
)
requires_nss = pytest.mark.skipif(NSS is None, reason="no NSS softokn (libnss3) to hold against SoftHSM")


def softhsm() -> Path:
    """The module the tests run on."""
    assert SOFTHSM is not None
    return SOFTHSM


@pytest.fixture
def token(tmp_path: Path) -> HsmConfiguration:
    """A token of its own, with its keys; closed."""
    return initialise_token(tmp_path / "hsm", module=softhsm()).configuration


@pytest.fixture
def module(token: HsmConfiguration) -> Iterator[Pkcs11Module]:
    """That token, open."""
    opened = Pkcs11Module.open(token)
    yield opened
    opened.close()
