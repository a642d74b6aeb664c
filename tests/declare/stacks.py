"""Stacks to try things on: written into a folder, read back as a declaration or as what is wrong with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kvstack.declare.declaration import Declaration, declaration
from kvstack.terms.diagnostic import Diagnostic, KvstackError

ALICE = "91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10"
API = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
ON_CALL = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"

VALID = f"""\
stack: payments
variables:
  env: {{type: string, default: dev, allowed: [dev, prod]}}
  days: {{type: number, default: 30}}
  protect: {{type: bool, default: false}}
environments:
  prod: {{variables: {{env: prod, protect: true}}}}
principals:
  payments-api: {{type: service_principal, id: {API}}}
  alice: {{type: user, id: {ALICE}}}
  on-call: {{type: group, id: {ON_CALL}, members: [alice]}}
defaults:
  key: {{tags: {{shared: "yes"}}}}
access:
  - {{principal: on-call, role: Key Vault Reader, scope: subscription}}
vaults:
  payments-${{var.env}}:
    sku: premium
    soft_delete_retention_days: ${{var.days}}
    purge_protection: ${{var.protect}}
    network: {{default_action: deny, ip_rules: [203.0.113.0/24]}}
    tags: {{team: payments, owner: "${{principals.alice.id}}"}}
    access:
      - {{principal: payments-api, role: Key Vault Secrets User}}
      - {{principal: on-call, role: Key Vault Crypto Officer, scope: keys/signing, until: 2027-01-31T00:00:00Z}}
    keys:
      signing:
        type: EC-HSM
        curve: P-256
        operations: [sign, verify]
        rotation: {{every: P90D, expire_after: P120D, notify_before_expiry: P30D}}
      sealed:
        type: EC-HSM
        exportable: true
        release_policy:
          policy:
            version: 1.0.0
            anyOf: [{{authority: "https://attest.example.com", allOf: [{{claim: tee.svn, greaterOrEquals: 3}}]}}]
    secrets:
      db-password: {{value_from: {{env: DB_PASSWORD}}, content_type: text/plain}}
      session-key: {{value_from: {{generate: {{length: 48}}}}, rotation: {{every: P30D}}}}
      token: {{value_from: {{file: token.txt}}, lifecycle: {{ignore_changes: [tags], prevent_destroy: true}}}}
      pass: {{value_from: {{command: [pass, show, db]}}}}
"""


def write(folder: Path, text: str | bytes, files: Mapping[str, str | bytes] | None = None) -> Path:
    """Write a stack file, and others beside it."""
    for name, content in {"kvstack.yaml": text, **(files or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def read(
    folder: Path, text: str | bytes, files: Mapping[str, str | bytes] | None = None, **options: Any
) -> Declaration:
    """Return the declaration of a stack file."""
    return declaration(write(folder, text, files), **options)


def problems(
    folder: Path, text: str | bytes, files: Mapping[str, str | bytes] | None = None, **options: Any
) -> tuple[Diagnostic, ...]:
    """Return what is wrong with a stack file; nothing where nothing is."""
    try:
        read(folder, text, files, **options)
    except KvstackError as error:
        return error.diagnostics
    return ()


def told(folder: Path, text: str | bytes, files: Mapping[str, str | bytes] | None = None, **options: Any) -> list[str]:
    """Return what is wrong with a stack file as `LINE:COLUMN SUMMARY`; of an included file, with its name in front."""
    return [
        f"{'' if found.place.file == 'kvstack.yaml' else found.place.file + ':'}"
        f"{found.place.line}:{found.place.column} {found.summary}"
        if found.place
        else f"nowhere {found.summary}"
        for found in problems(folder, text, files, **options)
    ]
