#!/usr/bin/env bash
# Find Chromium and its driver, or install both by the system's package manager: the pages are tried in it.
# Where neither can be done it says so; the tests that need a browser are left out, and say that, too.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

there() { command -v chromium >/dev/null && command -v chromedriver >/dev/null; }

there && exit 0
install_packages chromium:chromium chromium-driver:chromedriver || true
there || echo "setup: NO CHROMIUM was found, and none could be installed: pages are tried in no browser." >&2
