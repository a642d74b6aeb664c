"""What this cloud is: where its sign-in, its resource manager and its vaults are, told to everybody.

`az cloud register`, and Terraform's `metadata_host`, ask for it before anybody has signed in. Source: what
`/metadata/endpoints` of Azure's resource manager answers, less the services that are not here.
"""

from typing import Any, Final

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.names import COLLECTIVE, LOGIN
from kvstack.server.request import Request
from kvstack.server.resource_manager.routes import require_version

PATH: Final = ("metadata", "endpoints")
# The older version has a list of clouds, the newer one the cloud that was asked.
_LIST: Final = "2019-05-01"
VERSIONS: Final = (_LIST, "2022-09-01")


def cloud_metadata(request: Request, domain: str, tenant: str) -> Answer:
    """Answer with this cloud. domain: the server's. Raises Refusal."""
    if request.method not in ("GET", "HEAD"):
        raise Refusal(refused(405, "MethodNotAllowed", "This path takes GET.", headers=((b"allow", b"GET, HEAD"),)))
    version = request.query.get("api-version")
    require_version(version, VERSIONS)
    found = _cloud(request.host.authority, domain, tenant)
    return answered([found] if version == _LIST else found)


def _cloud(authority: str, domain: str, tenant: str) -> dict[str, Any]:
    _, colon, port = authority.rpartition(":")
    end = f"{domain}{colon}{port if colon else ''}"
    vaults, hsms = (f"{kind}.{end}" for kind in COLLECTIVE)
    here = f"https://{authority}/"
    return {
        "name": "kvstack",
        "resourceManager": here,
        "authentication": {
            "loginEndpoint": f"https://{LOGIN}.{end}/",
            "audiences": [here],
            "tenant": tenant,
            "identityProvider": "AAD",
        },
        "microsoftGraphResourceId": here,
        "suffixes": {"keyVaultDns": vaults, "mhsmDns": hsms},
    }
