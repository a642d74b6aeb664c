"""The page of algorithms says what works: KVSTACK_WRITE_DOCS=1 writes it anew."""

import os
from pathlib import Path

import pytest

from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.software import SoftwareKeys
from kvstack.hsm.token import InitialisedToken, initialise_token
from tests.hsm.algorithm_matrix import matrix
from tests.hsm.conftest import requires_nss, requires_softhsm, softhsm

WRITE = bool(os.environ.get("KVSTACK_WRITE_DOCS"))  # before tests are cut off from the environment
PAGE = Path(__file__).parents[2] / "docs" / "algorithms.md"


@requires_softhsm
@requires_nss
@pytest.mark.slow
def test_the_page_of_algorithms_says_what_works(tmp_path: Path, nss: InitialisedToken) -> None:
    first = Pkcs11Module.open(initialise_token(tmp_path / "hsm", module=softhsm()).configuration)
    second = Pkcs11Module.open(nss.configuration)
    modules = {
        "SoftHSM2, wrapped": Pkcs11Keys(first, "wrapped"),
        "SoftHSM2, token": Pkcs11Keys(first, "token"),
        "NSS softokn, token": Pkcs11Keys(second),
    }
    found = matrix(SoftwareKeys(), modules)
    first.close()
    second.close()
    if WRITE:
        PAGE.write_text(found)
    assert PAGE.read_text() == found
