#!/usr/bin/env bash
# Find a PostgreSQL server, or install one by the system's package manager: the rotator of examples/ is held against it.
# Where neither can be done it says so; the tests that need it are left out, and say that, too.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

there() { PYTHONPATH=. .venv/bin/python -c 'import sys; from tests.examples.postgresql import programs; sys.exit(programs() is None)'; }

there && exit 0
install_packages postgresql:postgresql-server || true
there || echo "setup: NO POSTGRESQL SERVER was found, and none could be installed: what needs one is left out of the tests." >&2
