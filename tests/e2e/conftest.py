"""What every end-to-end test starts from."""

from tests.e2e.fixtures import (  # noqa: F401  # pytest finds fixtures by their names here
    folder,
    forks,
    hsm_folder,
    hsm_kvstack,
    hsm_vault,
    kvstack,
    software_vault,
)
