#!/usr/bin/env bash
# The vault over HTTPS on real data, in a temporary folder: a server is started, a program written for Azure's clients reads
# a secret from it, uses a key in it, and the server is stopped. KEEP=1 keeps the folder.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ -x "$root/.venv/bin/kvstack" ] && PATH="$root/.venv/bin:$PATH"
command -v kvstack >/dev/null || { echo "demo: kvstack is not installed here: run \`make setup\`" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/kvstack-demo.XXXXXX")
server=''
finish() {
    local status=$?
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if [ -n "${KEEP:-}" ]; then echo "demo: the folder is kept: $work"; else rm -rf "$work"; fi
    [ $status -eq 0 ] || echo "demo: FAILED; KEEP=1 keeps the folder for a closer look" >&2
}
trap finish EXIT
cd "$work"
show() { printf '$ %s\n' "$1"; eval "$1"; }

# Nothing of the caller's own may reach the stack, or the program.
for name in $(compgen -e KVSTACK_ || true) $(compgen -e AZURE_ || true); do
    [ "$name" = KVSTACK_PKCS11_MODULE ] || unset "$name"
done

cat >kvstack.yaml <<'YAML'
stack: shop
principals:
  shop-api: {type: service_principal, id: 6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11}
vaults:
  shop-dev:
    access:
      - {principal: shop-api, role: Key Vault Secrets User}
      - {principal: shop-api, role: Key Vault Crypto User}
    keys:
      signing: {type: EC}
    secrets:
      db-password: {value_from: {generate: {length: 24}}}
YAML
cp "$root/examples/server/program.py" program.py

show 'kvstack init > /dev/null 2>&1 && kvstack apply --yes > /dev/null 2>&1'
show 'kvstack credential create shop-api --file client-secret'
show 'kvstack serve --port 0 --proxy-port 0 2> serve.log & server=$!'
until grep -qs '"serving"' serve.log; do
    kill -0 "$server" 2>/dev/null || { cat serve.log >&2; exit 1; }
    sleep 0.1
done
show 'eval "$(kvstack env --vault shop-dev)"'
show 'export AZURE_CLIENT_ID=6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11 AZURE_CLIENT_SECRET="$(cat client-secret)"'
show 'cat program.py'
show 'python program.py'
show 'kill "$server" && wait "$server"'
server=''
show "kvstack audit tail -n 20 --json | grep -o '\"operation\": \"\\(SignIn\\|SecretGet\\|KeySign\\)\"' | sort | uniq -c"
echo 'demo: a program written for Azure read a secret and signed with a key, over TLS, from this vault.'
