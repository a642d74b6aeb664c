"""What the environment of a client has to hold so that it finds a server and trusts it."""

from pathlib import Path

from kvstack.server.names import LOGIN, MANAGEMENT
from kvstack.server.running import Running, portal_address


def client_environment(running: Running, authority: Path, vault: str | None = None) -> dict[str, str]:
    """Return the variables. authority: the file of the certificate authority; vault: whose address to name."""
    found = (
        {}
        if not running.own_certificate
        else {
            # Python's synchronous clients and `az` read the first; its asynchronous ones, Go's and most other programs
            # the second; Node's the third.
            "REQUESTS_CA_BUNDLE": str(authority),
            "SSL_CERT_FILE": str(authority),
            "NODE_EXTRA_CA_CERTS": str(authority),
        }
    )
    found |= {
        "AZURE_AUTHORITY_HOST": f"https://{LOGIN}.{running.domain}:{running.port}",
        "AZURE_TENANT_ID": running.tenant_id,
        # `az` would ask Microsoft whether the sign-in's host is one of theirs.
        "AZURE_CORE_INSTANCE_DISCOVERY": "false",
        "AZURE_SUBSCRIPTION_ID": running.subscription_id,
        "KVSTACK_RESOURCE_MANAGER": f"https://{MANAGEMENT}.{running.domain}:{running.port}",
        "KVSTACK_PORTAL": portal_address(running),
        "KVSTACK_VAULT_SUFFIX": f"vault.{running.domain}:{running.port}",
    }
    if running.proxy_port is not None:
        found["HTTPS_PROXY"] = f"http://127.0.0.1:{running.proxy_port}"
        # `localhost` would stand for `shop.vault.localhost`, too.
        found["NO_PROXY"] = "127.0.0.1"
    if vault is not None:
        found["AZURE_KEYVAULT_URL"] = f"https://{vault.lower()}.vault.{running.domain}:{running.port}"
    return found
