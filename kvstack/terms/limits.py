"""Sizes and counts Azure Key Vault holds everyone to. Source: azure/facts.md, names and sizes."""

from datetime import timedelta

SECRET_BYTES = 25 * 1024
CONTENT_TYPE_CHARACTERS = 255
TAGS = 15
OWNER_TAGS = 2  # kvstack-stack and kvstack-address: what is left of TAGS is the stack's own
TAG_NAME_CHARACTERS = 256
TAG_VALUE_CHARACTERS = 256
SECRET_TAG_NAME_CHARACTERS = 512
SECRET_TAG_VALUE_CHARACTERS = 512
RETENTION_DAYS = (7, 90)
IP_RULES = 1000
ACCESS_POLICIES = 1024  # of a vault
VIRTUAL_NETWORK_RULES = 200
RANDOM_BYTES = (1, 128)
PAGE = (1, 25)
ACTIVATION = (
    timedelta(minutes=5),
    timedelta(hours=24),
)  # how long an eligible role lasts once it is taken up
POOL_KEYS = 5000  # of a Managed HSM, deleted ones included
POOL_KEY_VERSIONS = 100
POOL_TOKENS = (1, 10)  # kvstack's own bound: Azure shows nobody its tokens
