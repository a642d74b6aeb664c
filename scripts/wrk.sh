#!/usr/bin/env bash
# Find wrk, or install it by the system's package manager: `make bench-server` asks by it, and a test tries that.
# Where neither can be done it says so; the test is left out, and says that, too.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

command -v wrk >/dev/null && exit 0
install_packages wrk:wrk || true
command -v wrk >/dev/null || echo "setup: NO WRK was found, and none could be installed: the server's benchmark is not tried." >&2
