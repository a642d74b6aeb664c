"""A program for Azure Key Vault that knows nothing of kvstack: a secret is read, and a digest signed in the vault."""

import hashlib
import os

from azure.identity import DefaultAzureCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm
from azure.keyvault.secrets import SecretClient

vault = os.environ["AZURE_KEYVAULT_URL"]
credential = DefaultAzureCredential(disable_instance_discovery=True)
with SecretClient(vault, credential) as secrets, KeyClient(vault, credential) as keys:
    password = secrets.get_secret("db-password")
    print(f"read {password.name}: {len(password.value or '')} characters")
    with CryptographyClient(keys.get_key("signing"), credential) as signing:
        digest = hashlib.sha256(b"an order").digest()
        signature = signing.sign(SignatureAlgorithm.es256, digest).signature
        print("signed and verified:", signing.verify(SignatureAlgorithm.es256, digest, signature).is_valid)
