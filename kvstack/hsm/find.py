"""Where a PKCS#11 module is, when nobody said."""

import os
from collections.abc import Mapping
from pathlib import Path

MODULE_VARIABLE = "KVSTACK_PKCS11_MODULE"

# Where SoftHSM2's packages put it.
_USUAL_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",  # Debian, Ubuntu, Alpine
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",  # Fedora, RHEL
    "/usr/lib64/softhsm/libsofthsm.so",
    "/usr/lib/libsofthsm2.so",  # Arch
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",  # macOS on Apple silicon
    "/usr/local/lib/softhsm/libsofthsm2.so",  # macOS on Intel, the BSDs, `make install`
)


def find_module(environ: Mapping[str, str] = os.environ, places: tuple[str, ...] = _USUAL_PLACES) -> Path | None:
    """Return the module KVSTACK_PKCS11_MODULE names, there or not; else SoftHSM2 in a usual place; else None."""
    named = environ.get(MODULE_VARIABLE)
    if named:
        return Path(named)
    return next((path for path in map(Path, places) if path.is_file()), None)
