"""Stacks that between them need every kind of change."""

# Every kind of thing, and every source of a value. `runs` counts how often the command ran.
FIRST = """
stack: payments
principals:
  alice: {type: user, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10}
vaults:
  pay-one:
    sku: premium
    access:
      - {principal: alice, role: Key Vault Secrets User}
    contacts: [{email: pki@example.com}, {email: ops@example.com, name: Ops}]
    issuers:
      corporate: {provider: DigiCert, account_id: "1"}
      ending: {provider: GlobalSign}
      renamed: {provider: GlobalSign}
    keys:
      signing: {type: EC%(hsm)s}
      wrapping: {type: EC, operations: [sign, verify]}
      former: {type: EC}
      renamed: {type: EC%(hsm)s}
    secrets:
      from-env: {value_from: {env: PAY_ENV}}
      from-file: {value_from: {file: value.txt}, content_type: text/plain}
      generated: {value_from: {generate: {length: 20}}}
      commanded: {value_from: {command: [sh, -c, "echo run >> runs; od -An -N9 -tx1 /dev/urandom"]}}
      kept: {value_from: {generate: {length: 10}}}
      gone: {value_from: {generate: {length: 11}}}
      purged: {value_from: {generate: {length: 12}}, lifecycle: {purge_on_delete: true}}
      moving: {value_from: {generate: {length: 13}}}
      released: {value_from: {generate: {length: 14}}}
      adopted: {value_from: {generate: {length: 15}}}
      renamed: {value_from: {generate: {length: 16}}}
  pay-two:
    lifecycle: {purge_on_delete: true}
    contacts: [{email: two@example.com}]
    issuers: {inside: {provider: DigiCert}}
    secrets:
      inside: {value_from: {generate: {length: 16}}}
  pay-three:
    secrets:
      with-it: {value_from: {generate: {length: 17}}}
  pay-four:
    keys:
      within: {type: EC}
    secrets:
      within: {value_from: {generate: {length: 18}}}
"""

# What is recovered later is deleted by this: `kept`, and `pay-four` with what is in it.
WITHOUT = """
stack: payments
principals:
  alice: {type: user, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10}
vaults:
  pay-one:
    sku: premium
    access:
      - {principal: alice, role: Key Vault Secrets User}
    contacts: [{email: pki@example.com}, {email: ops@example.com, name: Ops}]
    issuers:
      corporate: {provider: DigiCert, account_id: "1"}
      ending: {provider: GlobalSign}
      renamed: {provider: GlobalSign}
    keys:
      signing: {type: EC%(hsm)s}
      wrapping: {type: EC, operations: [sign, verify]}
      former: {type: EC}
      renamed: {type: EC%(hsm)s}
    secrets:
      from-env: {value_from: {env: PAY_ENV}}
      from-file: {value_from: {file: value.txt}, content_type: text/plain}
      generated: {value_from: {generate: {length: 20}}}
      commanded: {value_from: {command: [sh, -c, "echo run >> runs; od -An -N9 -tx1 /dev/urandom"]}}
      gone: {value_from: {generate: {length: 11}}}
      purged: {value_from: {generate: {length: 12}}, lifecycle: {purge_on_delete: true}}
      moving: {value_from: {generate: {length: 13}}}
      released: {value_from: {generate: {length: 14}}}
      adopted: {value_from: {generate: {length: 15}}}
      renamed: {value_from: {generate: {length: 16}}}
  pay-two:
    lifecycle: {purge_on_delete: true}
    contacts: [{email: two@example.com}]
    issuers: {inside: {provider: DigiCert}}
    secrets:
      inside: {value_from: {generate: {length: 16}}}
  pay-three:
    secrets:
      with-it: {value_from: {generate: {length: 17}}}
"""

# Create, update, rotate, replace, delete, purge, recover, move, forget and import, all at once.
CHANGED = """
stack: payments
principals:
  alice: {type: user, id: 00000c5e-6f0d-4a53-9a3e-0d7d1f6b2c10}
vaults:
  pay-one:
    sku: premium
    tags: {team: payments}
    access:
      - {principal: alice, role: Key Vault Secrets User}
    contacts: [{email: pki@example.com, phone: "1"}]
    issuers:
      corporate: {provider: DigiCert, account_id: "2"}
      renamed: {name: other-name, provider: GlobalSign}
      fresh: {provider: DigiCert}
    keys:
      signing: {type: EC%(hsm)s, curve: P-384}
      wrapping: {type: EC, operations: [verify]}
      renamed: {name: other-name, type: EC%(hsm)s}
      fresh: {type: EC%(hsm)s}
    secrets:
      from-env: {value_from: {env: PAY_ENV}}
      from-file: {value_from: {file: value.txt}, content_type: application/json}
      generated: {value_from: {generate: {length: 30}}}
      commanded: {value_from: {command: [sh, -c, "echo again >> runs; od -An -N8 -tx1 /dev/urandom"]}}
      kept: {value_from: {generate: {length: 10}}}
      moved: {name: moving, value_from: {generate: {length: 13}}}
      adopted: {value_from: {generate: {length: 15}}}
      renamed: {name: other-name, value_from: {generate: {length: 16}}}
      made: {value_from: {generate: {length: 19}}}
  pay-two:
    location: elsewhere
    lifecycle: {purge_on_delete: true}
    contacts: [{email: two@example.com}]
    issuers: {inside: {provider: DigiCert}}
    secrets:
      inside: {value_from: {generate: {length: 16}}}
  pay-four:
    keys:
      within: {type: EC}
    secrets:
      within: {value_from: {generate: {length: 18}}}
moved:
  - {from: pay-one/secrets/moving, to: pay-one/secrets/moved}
removed:
  - {address: pay-one/secrets/released, destroy: false}
import:
  - {address: pay-one/secrets/adopted}
"""


def stack(template: str, *, hsm: bool) -> str:
    """Return a stack with keys in an HSM, or in software."""
    return template % {"hsm": "-HSM" if hsm else ""}
