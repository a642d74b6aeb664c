"""Managed HSMs on a module that is not kvstack's to make tokens in: NSS softokn, whose one token is the store's."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.cryptoki import Cryptoki
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.key_home import Token
from kvstack.vault.service import VaultService
from tests.hsm.conftest import NSS, requires_nss
from tests.vault.service.pools import EC_HSM, POOL

pytestmark = requires_nss

_LABEL = "NSS Certificate DB"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[VaultService]:
    folder = Path(tempfile.mkdtemp())
    parameters = f"configdir='sql:{folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags="
    cryptoki = Cryptoki(str(NSS))
    cryptoki.initialise(parameters)
    session = cryptoki.open_session(next(token.slot for token in cryptoki.tokens() if token.label == _LABEL))
    cryptoki.login(session, b"", security_officer=True)
    cryptoki.initialise_pin(session, b"a-pin-of-nss")
    cryptoki.finalise()
    (folder / "pin").touch(0o600)
    (folder / "pin").write_text("a-pin-of-nss")
    token = Token(label=_LABEL, adopt=True, pin_file=str(folder / "pin"), parameters=parameters)
    unlocked = initialise(tmp_path, hsm=NSS, token=token, prepare=initialise_access)
    yield VaultService(unlocked)
    unlocked.close()
    shutil.rmtree(folder)


def test_where_no_token_waits_to_be_initialised_there_is_no_managed_hsm_and_nothing_is_left(
    service: VaultService, tmp_path: Path
) -> None:
    with pytest.raises(HsmUnavailable, match="has no token that waits to be initialised"):
        service.create_managed_hsm(service.operator, POOL)
    assert service.list_managed_hsms(service.operator) == ()
    assert [path.name for path in (tmp_path / ".kvstack/hsm/pools").iterdir()] == ["lock"]
    service.create_vault(service.operator, "safe", sku="premium")
    assert service.create_key(service.operator, "safe", "k", specification=EC_HSM).provider == "pkcs11-token"
