#!/usr/bin/env bash
# Make .venv with a Python new enough, and install the pinned dependencies into it. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "setup: kvstack needs Python 3.11 or newer, and ${PYTHON:-python3} is not; name one: make setup PYTHON=python3.13" >&2
    exit 1
fi

# Anew where the interpreter it was made with is gone.
if ! [ -x .venv/bin/python ] || ! new_enough .venv/bin/python; then
    echo "setup: making .venv with $("$python" --version)"
    if ! "$python" -m venv --clear .venv; then
        echo "setup: \`$python -m venv\` failed; on Debian and Ubuntu it is in the package python3-venv" >&2
        exit 1
    fi
fi
echo "setup: installing the pinned dependencies"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
