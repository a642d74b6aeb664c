"""What one stack file may hold: the types a declaration is converted to."""

import types
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from kvstack.declare.graph import Import, Move, Removal
from kvstack.declare.rules import Rule, Silence
from kvstack.resources.alert import Alert
from kvstack.resources.catalog import RESOURCES, inside
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.event_subscription import EventSubscription
from kvstack.resources.identity import Identity
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.role_definition import RoleDefinition
from kvstack.resources.vault import Vault
from kvstack.schema.attribute import doc
from kvstack.schema.resource import Resource, attributes
from kvstack.terms.kind import kind_words
from kvstack.terms.name import ResourceGroupName
from kvstack.terms.principal import GUID, Guid, PrincipalType

STACK_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$(?!\n)"
C = TypeVar("C", bound=Resource)
VariableValue = str | int | bool


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a stack file that is no resource."""


class HsmChoice(_Part, frozen=True):
    """What a stack asks of the HSM."""

    isolated: Annotated[
        bool, doc("Load the HSM's module in a process of its own, so that no key is ever in this one's memory.", True)
    ] = False


class BackendChoice(_Part, frozen=True):
    """Where the vaults are."""

    type: Annotated[
        Literal["embedded", "azure"], doc("`embedded`: the vault that comes with kvstack, in `.kvstack`.", "embedded")
    ] = "embedded"
    hsm: Annotated[HsmChoice, doc("Embedded: how the HSM is used.", {"isolated": True})] = HsmChoice()
    tenant: Annotated[Guid | None, doc("Azure: the tenant's id.")] = None
    subscription: Annotated[Guid | None, doc("Azure: the subscription's id.")] = None
    resource_group: Annotated[ResourceGroupName | None, doc("Azure: where vaults are made.")] = None
    location: Annotated[str | None, doc("Azure: the region vaults are made in.", "westeurope")] = None


class Variable(_Part, frozen=True):
    """A value that differs from one use of the stack to another."""

    type: Annotated[Literal["string", "number", "bool"], doc("What it is.", "string")] = "string"
    default: Annotated[VariableValue | None, doc("Its value where none is given; without one it has to be given.")] = (
        None
    )
    allowed: Annotated[tuple[VariableValue, ...], doc("The only values it may have.", ["dev", "prod"])] = ()
    description: Annotated[str, doc("What it is for.")] = ""


class DeclaredPrincipal(_Part, frozen=True):
    """Somebody who can be given access."""

    type: Annotated[PrincipalType, doc("What it is.", "service_principal")]
    id: Annotated[str, doc("Its object id.", "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11", pattern=GUID)]
    members: Annotated[tuple[str, ...], doc("Of a group: its members, by their names here.", ["alice"])] = ()


class Environment(_Part, frozen=True):
    """What is different in one environment, chosen by `--env`."""

    variables: Annotated[dict[str, VariableValue], doc("Values of variables.", {"env": "prod"})] = {}
    backend: Annotated[BackendChoice | None, doc("Where this environment's vaults are.")] = None
    production: Annotated[bool, doc("Whether real things depend on it: `lint` is stricter there.", True)] = False


class StatePlace(_Part, frozen=True):
    """Where the state is kept."""

    path: Annotated[str, doc("A folder, relative to the stack's.", "state")]


def _block(container: type[C]) -> type[C]:
    """Return a vault or Managed HSM with what stands inside it: one collection a resource type, so that a new type
    needs no line here."""
    annotations: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for resource in inside(container):
        annotations[resource.collection] = Annotated[_written(resource), doc(_words(resource))]
        defaults[resource.collection] = () if resource.listed or resource.written_as else {}
    body = {"__annotations__": annotations, "__module__": __name__, "__doc__": container.__doc__, **defaults}
    return types.new_class(f"{container.__name__}Block", (container,), {}, lambda namespace: namespace.update(body))


def _written(resource: type[Resource]) -> Any:
    """Return the type of what is written for all things of a type in one vault or Managed HSM."""
    if resource.written_as:
        return next(entry.type for entry in attributes(resource) if entry.name == resource.written_as)
    return tuple[resource, ...] if resource.listed else dict[str, resource]  # type: ignore[valid-type]


def _words(resource: type[Resource]) -> str:
    return (resource.__doc__ or "").split("\n")[0]


VaultBlock = _block(Vault)
ManagedHsmBlock = _block(ManagedHsm)


class Included(_Part, frozen=True):
    """A file that a stack includes."""

    principals: Annotated[dict[str, DeclaredPrincipal], doc("Who can be given access, by the names used here.")] = {}
    identities: Annotated[
        dict[str, Identity], doc("The managed identities, to be named in access like principals.")
    ] = {}
    roles: Annotated[
        dict[str, RoleDefinition], doc("Roles beside the built-in ones; a role's key is its default name.")
    ] = {}
    access: Annotated[
        tuple[RoleAssignment, ...], doc("Access wider than one vault of this stack, or to a vault of somebody else.")
    ] = ()
    deny: Annotated[
        tuple[DenyAssignment, ...], doc("What is forbidden wider than in one vault, or in a vault of somebody else.")
    ] = ()
    events: Annotated[
        dict[str, EventSubscription], doc("Who is told of events; the key of one is its default name.")
    ] = {}
    alerts: Annotated[
        dict[str, Alert],
        doc("Who is told of what the audit shows, or of too many events; the key of one is its default name."),
    ] = {}
    vaults: Annotated[dict[str, VaultBlock], doc("The vaults; a vault's key is its address and its default name.")] = {}  # type: ignore[valid-type]
    managed_hsms: Annotated[
        dict[str, ManagedHsmBlock],  # type: ignore[valid-type]
        doc("The Managed HSMs; the key of one is its address and its default name."),
    ] = {}
    rules: Annotated[tuple[Rule, ...], doc("Rules of the stack's own, for what may be declared.")] = ()
    silence: Annotated[tuple[Silence, ...], doc("Warnings that are right here, and why.")] = ()
    moved: Annotated[tuple[Move, ...], doc("Addresses that changed.", [{"from": "a/keys/x", "to": "a/keys/y"}])] = ()
    removed: Annotated[
        tuple[Removal, ...],
        doc(
            "Things no longer declared that need a word: `destroy: false` keeps them.",
            [{"address": "a/keys/x", "destroy": False}],
        ),
    ] = ()
    imports: Annotated[
        tuple[Import, ...], doc("Things that are there already and shall be this stack's.", [{"address": "a/keys/x"}])
    ] = msgspec.field(default=(), name="import")


class StackFile(Included, frozen=True, kw_only=True):
    """A kvstack stack: key vaults, and everything in and around them."""

    stack: Annotated[
        str, doc("The stack's name; everything it makes is tagged with it.", "payments", pattern=STACK_NAME)
    ]
    backend: Annotated[BackendChoice, doc("Where the vaults are.", {"type": "embedded"})] = BackendChoice()
    state: Annotated[StatePlace | None, doc("Where the state is kept; by default in `.kvstack/state`.")] = None
    variables: Annotated[
        dict[str, Variable],
        doc("Values that differ from use to use: `--var NAME=VALUE`, KVSTACK_VAR_NAME, environments."),
    ] = {}
    environments: Annotated[dict[str, Environment], doc("What differs between environments, chosen by `--env`.")] = {}
    include: Annotated[
        tuple[str, ...], doc("More files of this stack, inside its folder; `*` matches.", ["vaults/*.yaml"])
    ] = ()
    defaults: Annotated[
        dict[
            Literal[
                "vault",
                "key",
                "secret",
                "certificate",
                "issuer",
                "role_assignment",
                "role_definition",
                "deny_assignment",
                "access_policy",
                "managed_hsm",
                "hsm_key",
                "hsm_role_definition",
                "hsm_role_assignment",
                "identity",
                "event_subscription",
                "alert",
            ],
            dict[str, Any],
        ],
        doc("What all things of a kind share where they do not say otherwise.", {"vault": {"purge_protection": True}}),
    ] = {}


KIND_WORDS = {resource.kind: kind_words(resource.kind) for resource in RESOURCES}
