# Installing by the system's package manager; sourced by the scripts that need something.

exists() { # a file by any of these patterns
    local found
    for found in "$@"; do
        [ -e "$found" ] && return 0
    done
    return 1
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

install_packages() { # each as `NAME OF apt-get:NAME OF OTHERS`
    local -a debian=("${@%%:*}") others=("${@##*:}")
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
