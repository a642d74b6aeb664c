"""What clients give of a vault, and what of it there is here: what cannot be kept is refused rather than forgotten."""

import re
from typing import Final

import msgspec

from kvstack.server.resource_manager.errors import bad_request
from kvstack.terms.principal import is_guid
from kvstack.vault.access_policies import GivenPolicy
from kvstack.vault.records import NetworkRules, Sku

_LOCATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{0,63}")


class GivenSku(msgspec.Struct, frozen=True, rename="camel"):
    """A SKU. family: A, always; name: standard or premium."""

    name: str
    family: str = "A"


class GivenPermissions(msgspec.Struct, frozen=True, rename="camel"):
    """What a policy permits. storage: managed storage accounts, which there are none of."""

    keys: list[str] | None = None
    secrets: list[str] | None = None
    certificates: list[str] | None = None
    storage: list[str] | None = None


class GivenEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One access policy."""

    object_id: str
    permissions: GivenPermissions
    tenant_id: str | None = None
    application_id: str | None = None


class GivenAddress(msgspec.Struct, frozen=True, rename="camel"):
    """One address or range."""

    value: str


class GivenNetwork(msgspec.Struct, frozen=True, rename="camel"):
    """A vault's network rules."""

    bypass: str | None = None
    default_action: str | None = None
    ip_rules: list[GivenAddress] | None = None
    virtual_network_rules: list[dict[str, object]] | None = None


class GivenProperties(msgspec.Struct, frozen=True, rename="camel"):
    """A vault's properties; what is not given stays, or is what a new vault has."""

    tenant_id: str | None = None
    sku: GivenSku | None = None
    access_policies: list[GivenEntry] | None = None
    enabled_for_deployment: bool | None = None
    enabled_for_disk_encryption: bool | None = None
    enabled_for_template_deployment: bool | None = None
    enable_soft_delete: bool | None = None
    soft_delete_retention_in_days: int | None = None
    enable_rbac_authorization: bool | None = None
    enable_purge_protection: bool | None = None
    create_mode: str | None = None
    network_acls: GivenNetwork | None = None
    public_network_access: str | None = None


NO_PROPERTIES: Final = GivenProperties()


class PutVault(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives to make a vault, or to have one be so."""

    location: str
    properties: GivenProperties
    tags: dict[str, str] | None = None


class PatchVault(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives to change a vault."""

    properties: GivenProperties | None = None
    tags: dict[str, str] | None = None


class GivenPolicies(msgspec.Struct, frozen=True, rename="camel"):
    """Access policies to add, to take away, or to have instead of those of the same principals."""

    access_policies: list[GivenEntry]


class PutPolicies(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a change of access policies."""

    properties: GivenPolicies


def location_of(text: str) -> str:
    """Return a location as resource manager writes it: `West Europe` is `westeurope`. Raises Refusal."""
    if not _LOCATION.fullmatch(text):
        raise bad_request("`location` is the name of a place: letters, digits, spaces.", "LocationNotAvailable")
    return text.replace(" ", "").lower()


def require_there_is(given: GivenProperties, tenant: str) -> None:
    """Refuse what no vault here can be, or do. Raises Refusal."""
    if given.tenant_id is not None and given.tenant_id.lower() != tenant:
        raise bad_request("`properties.tenantId` is another tenant's.", "InvalidTenantId")
    for name, wanted in (
        ("enabledForDeployment", given.enabled_for_deployment),
        ("enabledForDiskEncryption", given.enabled_for_disk_encryption),
        ("enabledForTemplateDeployment", given.enabled_for_template_deployment),
    ):
        if wanted:
            raise bad_request(f"`properties.{name}` opens a vault to a service of Azure's that is not here.")
    if given.enable_soft_delete is False:
        raise bad_request("The property 'enableSoftDelete' cannot be set to false: every vault has soft delete.")
    if given.public_network_access is not None and given.public_network_access.lower() != "enabled":
        raise bad_request(
            "`properties.publicNetworkAccess` is `Enabled`: there is no other network. "
            "`networkAcls.defaultAction` of `Deny` closes a vault to addresses that are not listed."
        )


def sku_of(given: GivenSku) -> Sku:
    """Return a vault's SKU. Raises Refusal."""
    match given.family.upper(), given.name.lower():
        case "A", "standard":
            return "standard"
        case "A", "premium":
            return "premium"
        case _:
            raise bad_request("`properties.sku` is of family `A`, `standard` or `premium`.", "InvalidSku")


def network_of(given: GivenNetwork) -> NetworkRules:
    """Return network rules; what is not given is as Azure has it by default. Raises Refusal."""
    if given.virtual_network_rules:
        raise bad_request("`networkAcls.virtualNetworkRules`: there are no virtual networks here.")
    match (given.default_action or "Allow").lower():
        case "allow":
            action: str = "allow"
        case "deny":
            action = "deny"
        case _:
            raise bad_request("`networkAcls.defaultAction` is `Allow` or `Deny`.")
    match (given.bypass or "AzureServices").lower():
        case "azureservices":
            bypass: str = "trusted_services"
        case "none":
            bypass = "none"
        case _:
            raise bad_request("`networkAcls.bypass` is `AzureServices` or `None`.")
    rules = tuple(one.value for one in given.ip_rules or ())
    return msgspec.convert({"default_action": action, "bypass": bypass, "ip_rules": rules}, NetworkRules)


def policies_of(given: list[GivenEntry], tenant: str) -> tuple[GivenPolicy, ...]:
    """Return access policies as the vault has them. Raises Refusal."""
    found = []
    for one in given:
        if one.application_id is not None:
            raise bad_request("`accessPolicies.applicationId`: no token here is an application's for somebody else.")
        if one.tenant_id is not None and one.tenant_id.lower() != tenant:
            raise bad_request("`accessPolicies.tenantId` is another tenant's.", "InvalidTenantId")
        if not is_guid(one.object_id):
            raise bad_request("`accessPolicies.objectId` is a GUID.", "InvalidObjectId")
        permitted = one.permissions
        found.append(
            GivenPolicy(
                principal_id=one.object_id,
                keys=frozenset(permitted.keys or ()),
                secrets=frozenset(permitted.secrets or ()),
                certificates=frozenset(permitted.certificates or ()),
            )
        )
    return tuple(found)
