"""A small stack to plan and apply."""

STACK = """
stack: small
principals:
  alice: {type: user, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10}
  bob: {type: user, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c11}
variables:
  env: {type: string, default: dev, allowed: [dev, prod]}
environments:
  prod: {variables: {env: prod}}
vaults:
  small-${var.env}:
    access:
      - {principal: alice, role: Key Vault Secrets Officer}
    keys:
      signing: {type: EC}
    secrets:
      token: {value_from: {env: TOKEN}, content_type: text/plain}
      drawn: {value_from: {generate: {length: 20}}}
"""

TOKEN = "a token from the environment"
ADDRESSES = [
    "small-dev",
    "small-dev/keys/signing",
    "small-dev/secrets/token",
    "small-dev/secrets/drawn",
    "small-dev/access/alice/key-vault-secrets-officer",
]
