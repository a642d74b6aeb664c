#!/usr/bin/env bash
# Install Azure's clients of other languages, pinned, into folders of their own in the user's cache: a second run finds
# them there. Arguments name some of them: az node go java. Where one cannot be installed it says so; the test that needs it is
# left out, and says that, too.
set -euo pipefail
cd "$(dirname "$0")/.."
clients=tests/server/clients

az() {
    .venv/bin/python -m venv "$1"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/az.txt
}

node() {
    mkdir -p "$1"
    cp "$clients"/node/package*.json "$1"
    # Nothing of a package runs while it is installed.
    npm ci --prefix "$1" --silent --no-audit --no-fund --ignore-scripts
}

go() {
    mkdir -p "$1"
    command go build -C "$clients/go" -mod=readonly -o "$1/program" .
}

java() {
    mvn --quiet --batch-mode -Dstyle.color=never --file "$clients/java/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory="$1/lib"
    javac -cp "$1/lib/*" -d "$1/classes" "$clients/java/Program.java"
}

installed() {
    local folder
    folder=$(.venv/bin/python -m tests.server.clients.installed "$1")
    [ -e "$folder/.complete" ] && return 0
    echo "setup: installing Azure's client: $1"
    rm -rf "$folder"
    # In a shell of its own: `set -e` holds in no function whose failure is looked at.
    if bash -euo pipefail -c "$(declare -f "$1"); clients=$clients; $1 \"\$0\"" "$folder"; then
        touch "$folder/.complete"
    else
        rm -rf "$folder"
        echo "setup: AZURE'S CLIENT $1 could not be installed: the server is not tried with it." >&2
    fi
}

[ $# -gt 0 ] || set -- az node go java
for name; do installed "$name"; done
