"""A real token for each test that asks for one, and a loud word where its module is not there."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.configuration import HsmConfiguration, PinSource
from kvstack.hsm.cryptoki import Cryptoki
from kvstack.hsm.find import find_module
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.token import InitialisedToken, initialise_token

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


@pytest.fixture(params=[False, True], ids=["here", "isolated"])
def token(tmp_path: Path, request: pytest.FixtureRequest) -> HsmConfiguration:
    """A token of its own, with its keys; closed. Its module is loaded in this process, and in one of its own."""
    return initialise_token(tmp_path / "hsm", module=softhsm(), isolated=request.param).configuration


@pytest.fixture
def module(token: HsmConfiguration) -> Iterator[Pkcs11Module]:
    """That token, open."""
    opened = Pkcs11Module.open(token)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def nss() -> Iterator[InitialisedToken]:
    """A database of NSS softokn with a PIN, as its own tools make one, adopted."""
    folder = Path(tempfile.mkdtemp())
    parameters = f"configdir='sql:{folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags="
    cryptoki = Cryptoki(str(NSS))
    cryptoki.initialise(parameters)
    label = "NSS Certificate DB"
    slot = next(token.slot for token in cryptoki.tokens() if token.label == label)
    session = cryptoki.open_session(slot)
    cryptoki.login(session, b"", security_officer=True)
    cryptoki.initialise_pin(session, b"a-pin-of-nss")
    cryptoki.finalise()
    (folder / "pin").touch(0o600)
    (folder / "pin").write_text("a-pin-of-nss")
    yield initialise_token(
        folder / "hsm",
        module=Path(str(NSS)),
        label=label,
        adopt=True,
        pin_source=PinSource(file=str(folder / "pin")),
        parameters=parameters,
    )
    shutil.rmtree(folder)
