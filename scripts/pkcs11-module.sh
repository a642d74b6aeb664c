#!/usr/bin/env bash
# Find a PKCS#11 module for keys of type -HSM, or install SoftHSM2 by the system's package manager.
# With --nss, NSS softokn too: the tests hold it against SoftHSM2.
# Where neither can be done it says so, and all but -HSM keys goes on with software keys.
set -euo pipefail
cd "$(dirname "$0")/.."

exists() { # a file by any of these patterns
    local found
    for found in "$@"; do
        [ -e "$found" ] && return 0
    done
    return 1
}

# kvstack itself knows where modules lie (kvstack.hsm); before it is installed there is nothing to ask.
softhsm_there() { .venv/bin/python -c 'import os, sys; from kvstack.hsm.find import find_module; sys.exit(find_module(os.environ) is None)'; }
nss_there() {
    exists /usr/lib/*/libsoftokn3.so /usr/lib/*/nss/libsoftokn3.so /usr/lib64/libsoftokn3.so /usr/lib/libsoftokn3.so \
        /usr/local/lib/libsoftokn3.dylib /opt/homebrew/lib/libsoftokn3.dylib
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        echo "setup: not root, and there is no sudo" >&2
        return 1
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo --non-interactive "$@" # nobody there to type a password
    fi
}

apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    if ! exists /var/lib/apt/lists/*Packages*; then
        as_root apt-get -qq update || return 1
    fi
    # Lists may be there and out of date: once more with new ones.
    as_root apt-get -qq install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
        { as_root apt-get -qq update && as_root apt-get -qq install -y --no-install-recommends "$@" >/dev/null; }
}

install_packages() { # softhsm2 and nss by the names of whoever is asked
    local -a debian=() others=()
    for wanted in "$@"; do
        case $wanted in
        softhsm) debian+=(softhsm2) others+=(softhsm) ;;
        nss) debian+=(libnss3) others+=(nss) ;;
        esac
    done
    echo "setup: installing ${debian[*]} by the system's package manager"
    if command -v apt-get >/dev/null; then
        apt_install "${debian[@]}"
    elif command -v dnf >/dev/null; then
        as_root dnf --quiet --assumeyes install "${others[@]}" >/dev/null
    elif command -v brew >/dev/null; then
        brew install --quiet "${others[@]}" >/dev/null # as the user: brew refuses root
    else
        echo "setup: none of apt-get, dnf and brew is there" >&2
        return 1
    fi
}

wanted=()
softhsm_there || wanted+=(softhsm)
if [ "${1:-}" = --nss ]; then
    nss_there || wanted+=(nss)
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
