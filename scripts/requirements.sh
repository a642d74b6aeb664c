#!/usr/bin/env bash
# Pin all dependencies with the hashes of every wheel there is, for the oldest Python that is supported: what a newer one
# needs less of does no harm, and none of them needs more. The files name no index, no host and no path.
# Arguments go to pip-compile: --upgrade, --upgrade-package NAME.
set -euo pipefail
cd "$(dirname "$0")/.."

# What this machine adds of its own must not get into the files.
unset PIP_FIND_LINKS PIP_CONSTRAINT PIP_REQUIREMENT
export CUSTOM_COMPILE_COMMAND="make requirements"

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3.11}" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check pip-tools

compile() {
    "$tools/bin/pip-compile" --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host \
        --no-emit-find-links "$@"
}
compile "$@" --extra server --output-file requirements/run.txt pyproject.toml requirements/run.in
compile "$@" --extra server --constraint requirements/run.txt --output-file requirements/dev.txt \
    pyproject.toml requirements/run.in requirements/dev.in
compile "$@" --output-file requirements/az.txt requirements/az.in
