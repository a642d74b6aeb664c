"""Managed HSMs on a module whose tokens somebody else keeps: NSS softokn, SoftHSM in another's folder."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.cryptoki import Cryptoki
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.hsm.token import initialise_token
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.key_home import Token
from kvstack.vault.service import VaultService
from tests.hsm.conftest import NSS, requires_nss, requires_softhsm, softhsm
from tests.vault.service.pools import DIGEST, EC_HSM, POOL, custodians

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


@requires_nss
def test_where_no_token_waits_to_be_initialised_there_is_no_managed_hsm_and_nothing_is_left(
    service: VaultService, tmp_path: Path
) -> None:
    with pytest.raises(HsmUnavailable, match="has no token that waits to be initialised"):
        service.create_managed_hsm(service.operator, POOL)
    assert service.list_managed_hsms(service.operator) == ()
    assert [path.name for path in (tmp_path / ".kvstack/hsm/pools").iterdir()] == ["lock"]
    service.create_vault(service.operator, "safe", sku="premium")
    assert service.create_key(service.operator, "safe", "k", specification=EC_HSM).provider == "pkcs11-token"


@requires_softhsm
def test_of_tokens_that_somebody_else_keeps_a_purge_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    officers = initialise_token(tmp_path / "officer", module=softhsm()).configuration
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "officer/softhsm2.conf"))
    token = Token(adopt=True, pin_file=officers.pin_source.file)
    (tmp_path / "store").mkdir()
    unlocked = initialise(tmp_path / "store", hsm=softhsm(), token=token, prepare=initialise_access)
    service = VaultService(unlocked)
    operator = service.operator
    for _ in range(2):
        service.create_managed_hsm(operator, POOL)
        service.download_security_domain(operator, POOL, custodians(), 2)
        service.assign_local_role(
            operator, POOL, role="Managed HSM Crypto User", principal_id=operator.id, principal_type="user"
        )
        service.create_key(operator, POOL, "k", specification=EC_HSM)
        assert service.sign(operator, POOL, "k", algorithm="ES256", digest=DIGEST).value
        service.delete_managed_hsm(operator, POOL)
        (left,) = service.purge_managed_hsm(operator, POOL)
        assert "the token `treasury-1`" in left
        assert "is empty now and stays: only its security officer can take it away" in left
    assert [path.name for path in (tmp_path / "store/.kvstack/hsm/pools").iterdir()] == ["lock"]
    unlocked.close()
