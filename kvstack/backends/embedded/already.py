"""A thing that was made before, found again when it is to be made: the same call twice is one thing."""

from kvstack.backends.embedded.snapshot import snapshot
from kvstack.backends.protocol import Actual, R, Wanted
from kvstack.resources.catalog import CONTAINERS
from kvstack.schema.differences import to_change
from kvstack.schema.resource import Resource
from kvstack.vault.caller import Caller
from kvstack.vault.service import VaultService


def already(
    service: VaultService, caller: Caller, subscription: str, wanted: Wanted[R], *, stack: str = ""
) -> Actual[Resource] | None:
    """Return what is there where it is ours and exactly what is wanted, else None. stack: whose names count as ours."""
    resource = wanted.resource
    vault = wanted.vault or (resource.name if type(resource) in CONTAINERS.values() else "")
    things = snapshot(service.snapshot(caller, (vault,) if vault else ()), subscription, stack).things
    there = things.get(resource.identity(wanted.vault))
    if there is None or there.deletion is not None or to_change(there.resource, resource):
        return None
    # Nothing says whose a thing of some kinds is: that it is just as wanted has to be enough.
    marked = there.owner == wanted.owner if hasattr(resource, "tags") else there.named_by_us
    ours = marked or resource.ours_by_state
    if wanted.value is not None:
        (fingerprint,) = service.fingerprints(caller, [(vault, resource.name, wanted.value)])
        ours = ours and fingerprint == there.fingerprint
    return there if ours else None
