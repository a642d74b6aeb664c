"""The private half of a key in the HSM is in no object of Python's and in no file of the vault or of the token.

Keys are twins: made outside, so that what to search for is known, and imported. Making and importing are a process of
their own, importing being the documented exception.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kvstack.hsm.plain_key import of_oct, of_private
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.key_home import Token
from kvstack.vault.service import VaultService
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.traces import number, traces
from tests.vault.service import object_dump

pytestmark = requires_softhsm
ROOT = Path(__file__).parents[3]
HOMES = ("hsm", "software")


class Twins:
    """One key of each family, known, and imported both into the HSM and as a software key."""

    def __init__(self, folder: Path, token: Token) -> None:
        self.folder = folder
        pair, point = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
        secret = os.urandom(32)
        numbers = pair.private_numbers()
        self.secrets = {
            "rsa": tuple(map(number, (numbers.p, numbers.q, numbers.d))),
            "ec": (number(point.private_numbers().private_value),),
            "oct": (secret,),
        }
        self.unlocked = initialise(folder, hsm=softhsm(), token=token, prepare=initialise_access)
        self.service = service = VaultService(self.unlocked)
        service.create_vault(service.operator, "safe", sku="premium")
        for name, plain in (("rsa", of_private(pair)), ("ec", of_private(point)), ("oct", of_oct(secret))):
            for home in HOMES:
                service.import_key(service.operator, "safe", f"{home}-{name}", plain, in_hsm=home == "hsm")

    def found(self, content: bytes) -> list[str]:
        """The families whose secrets are in there."""
        return [
            family
            for family, secrets in self.secrets.items()
            if any(trace in content for secret in secrets for trace in traces(secret))
        ]


@pytest.fixture(params=[Token(), Token(keys_in_token=True)], ids=["wrapped", "token"])
def twins(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    made = Twins(tmp_path, request.param)
    yield made
    made.unlocked.close()


def dumped(folder: Path, names: list[str]) -> bytes:
    """Everything Python can reach in a process that has just used these keys."""
    finished = subprocess.run(
        [sys.executable, object_dump.__file__, str(folder), *names],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    assert len(finished.stdout) > 300_000
    return finished.stdout


def test_no_object_of_python_holds_a_key_that_is_in_the_hsm(twins: Twins) -> None:
    """The same search finds all three where they are software keys: so it searches."""
    twins.unlocked.close()
    names = {home: [f"{home}-{family}" for family in twins.secrets] for home in HOMES}
    assert twins.found(dumped(twins.folder, names["software"])) == ["rsa", "ec", "oct"]
    assert twins.found(dumped(twins.folder, names["hsm"])) == []


def test_no_file_holds_a_key(twins: Twins) -> None:
    service, operator = twins.service, twins.service.operator
    for home in HOMES:
        for family in twins.secrets:
            object_dump.use(service, f"{home}-{family}")
    service.rotate_key(operator, "safe", "hsm-ec")
    service.delete_key(operator, "safe", "hsm-rsa")
    service.recover_key(operator, "safe", "hsm-rsa")
    (twins.folder / "backup").write_bytes(service.backup_key(operator, "safe", "software-rsa"))
    _searched(twins)
    twins.unlocked.close()
    _searched(twins)


def _searched(twins: Twins) -> None:
    """Search the database with its log, the token and its copies, configuration and locks: all there is."""
    files = [path for path in twins.folder.rglob("*") if path.is_file()]
    assert {"hsm.json"} <= {path.name for path in files}
    assert any(path.suffix == ".object" for path in files)
    assert {path.name: twins.found(path.read_bytes()) for path in files} == {path.name: [] for path in files}
