#!/usr/bin/env bash
# The whole story on real data, in a temporary folder: a stack planned, applied, found unchanged, changed behind kvstack's
# back, found as drift and mended; a file signed in the HSM; a certificate from its authority on a TLS server; what purge
# protection refuses; a year in seconds, with a webhook that is told of it; the audit. KEEP=1 keeps the folder; `--no-hsm`
# does without an HSM though there is one. It exits with 0 only if every command had the exit code it should have.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ -x "$root/.venv/bin/kvstack" ] && PATH="$root/.venv/bin:$PATH"
command -v kvstack >/dev/null || { echo "demo: kvstack is not installed here: run \`make setup\`" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/kvstack-demo.XXXXXX")
started=$(date +%s)
steps=0
webhook=''
finish() {
    local status=$?
    if [ -n "$webhook" ]; then
        kill "$webhook" 2>/dev/null || true
        wait "$webhook" 2>/dev/null || true
    fi
    if [ -n "${KEEP:-}" ]; then
        echo "demo: the folder is kept: $work"
    else
        rm -rf "$work"
    fi
    [ $status -eq 0 ] || echo "demo: FAILED after $steps commands; KEEP=1 keeps the folder for a closer look" >&2
}
trap finish EXIT
cd "$work"

bold='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; fi

say() { printf '\n%s# %s%s\n' "$dim" "$*" "$plain"; }
run() { # EXIT-CODE COMMAND: show the command as typed, run it, and require its exit code
    local expected=$1 command=$2 status=0
    printf '%s$ %s%s\n' "$bold" "$command" "$plain"
    eval "$command" 2>&1 || status=$?
    steps=$((steps + 1))
    if [ "$status" -ne "$expected" ]; then
        echo "demo: that should have exited with $expected, not with $status" >&2
        exit 1
    fi
    [ "$expected" -eq 0 ] || printf '%s(exit code %s, as it should be)%s\n' "$dim" "$status" "$plain"
}

# Nothing of the caller's own may reach the stack.
for name in $(compgen -e KVSTACK_VAR_ || true) KVSTACK_ENV; do unset "$name"; done

cat >kvstack.yaml <<'YAML'
stack: shop
principals:
  shop-api: {type: service_principal, id: 6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11}
  alice:    {type: user, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10}
  on-call:  {type: group, id: 0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22, members: [alice]}
vaults:
  shop-dev:
    sku: premium
    soft_delete_retention_days: 7
    access:
      - {principal: shop-api, role: Key Vault Secrets User}
      - {principal: on-call, role: Key Vault Secrets Officer}
      - {principal: on-call, role: Key Vault Crypto Officer, scope: keys/signing, until: 2030-01-31T00:00:00Z}
    keys:
      signing:
        type: RSA-HSM
        size: 3072
        operations: [sign, verify]
        rotation: {every: P90D, expire_after: P120D, notify_before_expiry: P30D}
      tokens: {type: EC-HSM, curve: P-256}
    secrets:
      db-password: {value_from: {env: DB_PASSWORD}, content_type: text/plain}
      session-key: {value_from: {generate: {length: 48}}, tags: {rotated-by: platform}}
    certificates:
      web:
        subject: CN=shop.example.com
        dns_names: [shop.example.com]
        issuer: shop-trust/certificates/root
        key: {type: EC}
        content_type: application/x-pem-file
        renew: {days_before_expiry: 30}
  shop-trust:
    sku: premium
    certificates:
      root:
        subject: CN=Shop Root
        key: {type: EC-HSM, curve: P-384}
        validity_months: 120
        authority: {path_length: 0, permitted: [shop.example.com]}
  shop-vault-prod:
    sku: premium
    soft_delete_retention_days: 90
    purge_protection: true
    keys:
      archive: {type: oct-HSM, size: 256, operations: [wrapKey, unwrapKey]}
    secrets:
      root-token: {value_from: {generate: {length: 64, characters: hex}}}
YAML

say "A vault of our own: encrypted, its keys in an HSM where there is one."
run 0 "kvstack init${1:+ $1}"
where="the HSM"
if ! [ -e .kvstack/hsm/hsm.json ]; then
    where="the vault's encrypted store"
    sed -i.hsm 's/-HSM//' kvstack.yaml && rm kvstack.yaml.hsm
    say "There is NO HSM here: no PKCS#11 module was found, or none was wanted. All keys are software keys."
fi

say "What we want. The keys will be made in $where and stay there."
run 0 "cat kvstack.yaml"

say "Mistakes are told before anything is touched: all of them, each where it stands."
mkdir broken
sed -e 's/Secrets Officer/Secrets Oficer/' -e 's/every: P90D/every: P3D/' -e 's/curve: P-256/curv: P-256/' \
    -e 's/{value_from: {env: DB_PASSWORD}/{value: hunter2/' -e 's/days: 90/days: 365/' kvstack.yaml >broken/kvstack.yaml
run 1 "kvstack -C broken validate"
run 0 "kvstack validate"

say "What would change. A plan needs no secret: DB_PASSWORD is not even set here."
run 0 "kvstack plan"

say "Now for real. The value comes from the environment; it is in no file, no plan, no log."
export DB_PASSWORD='correct horse battery staple'
run 0 "kvstack apply --yes"

say "Once more: there is nothing to do."
run 0 "kvstack plan --detailed-exitcode"

say "Somebody changes things behind our back. alice is on call, and may; shop-api only reads, and may not."
run 0 "printf %s 'hunter2' | kvstack --as alice secret set shop-dev/db-password"
run 0 "kvstack --as alice secret delete shop-dev/session-key"
run 0 "kvstack --as alice key rotate shop-dev/signing"
run 1 "printf %s 'mine now' | kvstack --as shop-api secret set shop-dev/db-password"

say "drift tells what moved, and who did it. The key's new version is what its policy asks for: no drift."
run 2 "kvstack drift"

say "The next plan puts it right, and apply does."
run 0 "kvstack apply --yes"
run 0 "kvstack drift"

say "Who may do what, and why? And what would a change of access come to, for whom? The plan of it says so."
run 0 "kvstack access explain alice secrets/set shop-dev/secrets/db-password"
cp kvstack.yaml kvstack.keep
sed -i.bak -e 's/{principal: shop-api, role: Key Vault Secrets User}/{principal: shop-api, role: Key Vault Administrator}/' \
    -e '/{principal: on-call, role: Key Vault Secrets Officer}/d' kvstack.yaml && rm kvstack.yaml.bak
run 0 "kvstack plan"
mv kvstack.keep kvstack.yaml

say "A file signed by the key: it never left $where."
run 0 "kvstack key sign shop-dev/signing --file kvstack.yaml --out kvstack.sig"
run 0 "kvstack key verify shop-dev/signing --file kvstack.yaml --signature-file kvstack.sig"
cp kvstack.yaml edited.yaml && echo '# edited' >>edited.yaml
run 1 "kvstack key verify shop-dev/signing --file edited.yaml --signature-file kvstack.sig"

say "A certificate from our own authority, whose key never left $where, and a TLS server that shows it."
run 0 "kvstack secret download shop-dev/web --file server.pem"
run 0 "kvstack certificate download shop-trust/root --file root.pem"
run 0 "python3 \$root/scripts/tls_round_trip.py server.pem root.pem shop.example.com"

say "Deleted is not gone: purge protection keeps it from everybody, the operator too, and recover brings it back."
run 0 "kvstack secret delete shop-vault-prod/root-token"
run 1 "kvstack secret purge shop-vault-prod/root-token --yes"
run 0 "kvstack secret recover shop-vault-prod/root-token"

say "Nor can a plan take the protection away."
cp kvstack.yaml kvstack.keep
sed -i.bak 's/purge_protection: true/purge_protection: false/' kvstack.yaml && rm kvstack.yaml.bak
run 1 "kvstack plan"
mv kvstack.keep kvstack.yaml

if [ "$where" = "the HSM" ] && command -v openssl >openssl.log; then
    say "A Managed HSM: a pool of tokens. Its security domain goes to three custodians; any two of them bring it back."
    for custodian in alice bob carol; do
        openssl req -x509 -newkey rsa:2048 -noenc -keyout $custodian.key -out $custodian.pem -subj "/CN=$custodian" \
            2>openssl.log
    done
    run 0 "kvstack managed-hsm create shop-hsm --tokens 2"
    run 1 "kvstack key create shop-hsm/root --type EC-HSM"
    run 0 "kvstack hsm security-domain download shop-hsm --custodian alice.pem --custodian bob.pem --custodian carol.pem \
        --quorum 2 --file shop.domain"
    run 0 "kvstack managed-hsm role assign shop-hsm --principal operator --role 'Managed HSM Crypto User'"
    run 0 "kvstack key create shop-hsm/root --type EC-HSM"
    run 0 "kvstack key sign shop-hsm/root --file kvstack.yaml --out pool.sig"
    run 0 "kvstack hsm backup shop-hsm --file shop.backup"

    say "Its machine is lost. In another vault one custodian changes nothing; two, and the backup, bring it back."
    mkdir elsewhere
    run 0 "kvstack -C elsewhere init --hsm"
    run 0 "kvstack -C elsewhere managed-hsm create shop-hsm"
    run 1 "kvstack -C elsewhere hsm security-domain upload shop-hsm --file shop.domain --custodian-key bob.key"
    run 0 "kvstack -C elsewhere hsm security-domain upload shop-hsm --file shop.domain --custodian-key bob.key \
        --custodian-key carol.key"
    run 0 "kvstack -C elsewhere hsm restore shop-hsm --file shop.backup --yes"
    run 0 "kvstack -C elsewhere managed-hsm role assign shop-hsm --principal operator --role 'Managed HSM Crypto User'"
    run 0 "kvstack -C elsewhere key verify shop-hsm/root --file kvstack.yaml --signature-file pool.sig"
    run 0 "kvstack -C elsewhere key sign shop-hsm/root --file kvstack.yaml --out elsewhere.sig"
    run 0 "kvstack key verify shop-hsm/root --file kvstack.yaml --signature-file elsewhere.sig"
fi

say "Access for a while, in a vault whose clock is simulated: taken up with a reason, and over by itself."
mkdir later
run 0 "kvstack -C later init --no-hsm --simulated-clock"
HOOK_KEY=$(head -c 36 /dev/urandom | base64)
export HOOK_KEY
python3 "$root/scripts/demo_webhook.py" port events.txt &
webhook=$!
for _ in $(seq 100); do [ -s port ] || sleep 0.1; done
host="127.0.0.1:$(cat port)"
(umask 077 && echo "{\"allow\": [\"$host\"], \"http\": [\"$host\"]}" >later/.kvstack/events.json)
cat >later/kvstack.yaml <<YAML
stack: later
principals:
  alice: {type: user, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10}
events:
  ending:
    types: [Microsoft.KeyVault.KeyNearExpiry, Microsoft.KeyVault.CertificateNewVersionCreated]
    endpoint: {webhook: "http://$host/", secret: later/secrets/hook-key}
vaults:
  later:
    network: {default_action: deny}
    secrets:
      pager: {value_from: {generate: {length: 20}}}
      hook-key: {value_from: {env: HOOK_KEY}}
    keys:
      sealing: {type: EC, rotation: {every: P120D, expire_after: P150D, notify_before_expiry: P60D, keep_previous: P30D}}
    certificates: {web: {subject: CN=later.example.com, key: {type: EC}, validity_months: 6, renew: {days_before_expiry: 30}}}
    access:
      - {principal: alice, role: Key Vault Secrets User, eligible: {until: 2036-01-01T00:00:00Z, max_duration: PT4H}}
YAML
run 0 "kvstack -C later apply --yes"
run 1 "kvstack -C later --as alice secret download later/pager --file pager"
run 0 "kvstack -C later --as alice access activate 'Key Vault Secrets User' --for PT1H --justification 'INC-4711: who is called?'"
run 0 "kvstack -C later --as alice secret download later/pager --file pager"
run 0 "kvstack -C later run-due --at $(python3 -c \
    'import datetime as d; print(f"{d.datetime.now(d.UTC) + d.timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}")')"
run 1 "kvstack -C later --as alice secret download later/pager --file again"
run 0 "kvstack -C later access explain alice secrets/get later/secrets/pager"

say "The year ahead, as the calendar has it; and the year itself, in seconds. Looked after once in thirty days here, some comes late."
in_days() { python3 -c "import datetime as d; print(f'{d.datetime.now(d.UTC) + d.timedelta(days=$1):%Y-%m-%dT%H:%M:%SZ}')"; }
run 0 "kvstack -C later calendar --until $(in_days 361) 2>&1"
run 0 "(for days in \$(seq 30 30 360); do kvstack -C later run-due --at \$(in_days \$days) 2>&1 | grep -v -e clock -e moves || exit; done)"

say "The old versions are disabled. And this is what the webhook was told meanwhile, over HTTP, each event signed."
run 0 "kvstack -C later key list-versions later/sealing 2>&1 | grep -v -e clock -e moves"
run 0 "cat events.txt"
run 0 "grep -q KeyNearExpiry events.txt && grep -q CertificateNewVersionCreated events.txt"

say "Every operation is in the audit, and the audit cannot be changed unnoticed: not by who owns its file, either."
run 0 "kvstack audit verify"
run 0 "kvstack audit tail -n 5"
run 0 "python3 -c 'import sqlite3; vault = sqlite3.connect(\"later/.kvstack/vault/vault.db\"); vault.execute(
    \"UPDATE audit SET time = time - 86400000000 WHERE position = 9\"); vault.commit()'"
run 1 "kvstack -C later audit verify"

say "And everything is as declared."
run 0 "kvstack plan --detailed-exitcode"

echo
echo "demo: $steps commands, every one as expected, in $(($(date +%s) - started)) seconds; keys in $where."
