#!/usr/bin/env bash
# Run a command, and show what it printed only where it failed.
set -euo pipefail
printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
status=0
"$@" >"$printed" 2>&1 || status=$?
[ $status -eq 0 ] || cat "$printed" >&2
exit $status
