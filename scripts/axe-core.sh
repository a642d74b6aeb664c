#!/usr/bin/env bash
# Find axe-core, which looks through pages for what keeps people out, or install it from npm into `build/`.
# Where that cannot be done it says so; the test that needs it is left out, and says that, too.
set -euo pipefail
cd "$(dirname "$0")/.."

there() { [ -f build/axe-core/node_modules/axe-core/axe.min.js ]; }

there && exit 0
mkdir -p build/axe-core
command -v npm >/dev/null &&
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix build/axe-core axe-core@4.14.1 >/dev/null || true
there || echo "setup: NO AXE-CORE was found, and it could not be installed: pages are looked through by our own tests only." >&2
