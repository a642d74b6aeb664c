#!/usr/bin/env bash
# Find a PKCS#11 module for keys of type -HSM, or install SoftHSM2 by the system's package manager.
# With --nss, NSS softokn too: the tests hold it against SoftHSM2.
# Where neither can be done it says so, and all but -HSM keys goes on with software keys.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

# kvstack itself knows where modules lie (kvstack.hsm); before it is installed there is nothing to ask.
softhsm_there() { .venv/bin/python -c 'import os, sys; from kvstack.hsm.find import find_module; sys.exit(find_module(os.environ) is None)'; }
nss_there() {
    exists /usr/lib/*/libsoftokn3.so /usr/lib/*/nss/libsoftokn3.so /usr/lib64/libsoftokn3.so /usr/lib/libsoftokn3.so \
        /usr/local/lib/libsoftokn3.dylib /opt/homebrew/lib/libsoftokn3.dylib
}

wanted=()
softhsm_there || wanted+=(softhsm2:softhsm)
if [ "${1:-}" = --nss ]; then
    nss_there || wanted+=(libnss3:nss)
fi
[ ${#wanted[@]} -eq 0 ] && exit 0

# One attempt a virtual environment: whoever has no sudo is not asked for it at every `make test`.
tried=.venv/.pkcs11-tried
if ! [ -e "$tried" ] || [ "${1:-}" = --nss ]; then
    install_packages "${wanted[@]}" || true
    touch "$tried"
fi
if ! softhsm_there; then
    cat >&2 <<'NOTE'
setup: NO PKCS#11 MODULE was found, and SoftHSM2 could not be installed: keys of type -HSM are unavailable.
       All else goes on with software keys. To have them, install SoftHSM2 (softhsm2, softhsm), or set
       KVSTACK_PKCS11_MODULE to the path of a module, and run `rm .venv/.pkcs11-tried; make setup`.
NOTE
fi
