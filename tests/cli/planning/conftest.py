"""Vaults made once and copied for each test, and runs of the command line on them."""

from tests.e2e.fixtures import (  # noqa: F401  # pytest finds fixtures by their names here
    folder,
    forks,
    hsm_folder,
    hsm_kvstack,
    hsm_vault,
    kvstack,
    software_vault,
)
