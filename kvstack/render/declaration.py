"""What is there, written as a stack would declare it: YAML that plans empty once it is taken over. Never a value."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from kvstack.backends.protocol import Actual, Snapshot
from kvstack.resources.access_policy import AccessPolicy
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.role_definition import role_identity
from kvstack.schema.attribute import Attribute
from kvstack.schema.resource import Resource, attributes
from kvstack.terms.access_policy import COLLECTIONS, in_order
from kvstack.terms.identity import identity_named
from kvstack.terms.principal import Principal

_WIDTH: Final = 116
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Other readers of YAML take these for something else than text.
_NOT_PLAIN: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_OF_SECRETS: Final = (
    "Only the vault knows the values, and `ignore_changes: [value]` keeps what is there. Take it out where a value is",
    "to come from its `value_from`. A rotated one is renewed as its `generate` says: see that this is what you want.",
)
# What a rotated secret is renewed with: a vault keeps when, and not how.
_GENERATED: Final = {"generate": {"length": 48}}
_ORDER: Final = ("access", "policies", "deny", "roles", "keys", "secrets", "contacts", "issuers", "certificates")


class Written(msgspec.Struct, frozen=True):
    """A declaration of one vault. text: YAML; left_out: names of what is there and not in it, each with the reason;
    roles: identities of the roles that it defines, for they are given in the vault."""

    text: str
    left_out: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset()


def written(
    snapshot: Snapshot,
    vault: str,
    principals: Mapping[str, Principal],
    *,
    stack: str | None,
    known: Mapping[str, str],
    roles: frozenset[str],
) -> Written:
    """Return the declaration of a vault or Managed HSM. vault: its real name; principals: those the backend knows, by
    id; stack: the name of a new stack, None for a file that a stack includes; known: names that stack has for
    principals already, by id; roles: names of the roles a declaration can name without defining them, in lower
    case."""
    identity = f"vaults/{vault.lower()}"
    home = snapshot.things[identity]
    left_out: list[str] = []
    inside = list(_inside(snapshot, identity, roles, left_out))
    given = (actual.resource.role for actual in inside if isinstance(actual.resource, RoleAssignment))
    wanted = sorted({role_identity(role) for role in given if role.lower() not in roles})
    defined = {role: snapshot.things[role] for role in wanted}
    names = _names(inside, principals, known)
    lines = [f"stack: {scalar(stack)}"] if stack is not None else []
    new = {found: names[found] for found in names if found not in known}
    if new:
        lines.append("principals:")
        lines += [f"  {scalar(name)}: {_principal(principals[found], names)}" for found, name in new.items()]
    if defined:
        lines.append("roles:")
        lines += _named(list(defined.values()), "  ")
    lines += [f"{type(home.resource).collection}:", f"  {scalar(home.resource.name)}:"]
    own = _attributes(home.resource)
    lines += list(_block(own, 4))
    for collection in _ORDER:
        things = [one for one in inside if type(one.resource).collection == collection]
        if things:
            lines.append(f"    {collection}:")
            lines += [f"      # {words}" for words in (_OF_SECRETS if collection == "secrets" else ())]
            lines += _collection(things, names)
    if not own and not inside:
        lines[-1] += " {}"
    return Written("\n".join(lines) + "\n", tuple(left_out), frozenset(defined))


def _inside(
    snapshot: Snapshot, identity: str, roles: frozenset[str], left_out: list[str]
) -> Iterator[Actual[Resource]]:
    name, home = identity.removeprefix("vaults/"), snapshot.things[identity].resource
    denials: set[tuple[str, ...]] = set()
    for key, actual in sorted(snapshot.things.items()):
        resource = actual.resource
        if isinstance(resource, RoleAssignment | DenyAssignment):
            level, _, rest = resource.scope.lower().partition("/")
            if level != "vault" or rest.split("/")[0] != name:
                continue
            if isinstance(resource, RoleAssignment) and not (
                resource.role.lower() in roles or role_identity(resource.role) in snapshot.things
            ):
                left_out.append(f"the role `{resource.role}` of {resource.principal}: no stack can name it")
                continue
        elif not key.startswith(f"{identity}/"):
            continue
        elif isinstance(resource, AccessPolicy) and getattr(home, "access_model", "") != "access_policies":
            left_out.append(f"the access policy of {resource.principal}: the vault goes by roles, it does not count")
            continue
        if isinstance(resource, DenyAssignment):
            if resource.address_parts() in denials:
                left_out.append(f"deny/{resource.name}: another one in this vault has the name, at another scope")
                continue
            denials.add(resource.address_parts())
        if actual.deletion is not None:
            left_out.append(f"{resource.collection}/{resource.name}: it is soft-deleted")
            continue
        yield actual


def _names(
    things: Iterable[Actual[Resource]], principals: Mapping[str, Principal], known: Mapping[str, str]
) -> dict[str, str]:
    """Return what the declaration calls each principal it needs a name for, by id; groups bring their members."""
    taken = set(known.values())
    found: dict[str, str] = {}
    waiting = [principal for one in things for principal in _principals(one.resource)]
    while waiting:
        identifier = waiting.pop()
        principal = principals.get(identifier)
        if identifier in known:
            found[identifier] = known[identifier]
            continue
        # Where another principal has its name in the stack, it goes by its id.
        if identifier in found or principal is None or not principal.name or principal.name in taken:
            continue
        taken.add(principal.name)
        found[identifier] = principal.name
        waiting += sorted(principal.members)
    return found


def _principals(resource: Resource) -> tuple[str, ...]:
    """Return the ids of those a thing is about."""
    match resource:
        case RoleAssignment(principal=principal, eligible=terms) if terms is not None:
            return (principal, *sorted(terms.approvers))
        case (
            RoleAssignment(principal=principal)
            | HsmRoleAssignment(principal=principal)
            | AccessPolicy(principal=principal)
        ):
            return (principal,)
        case DenyAssignment(principals=principals, excluded=excluded):
            return (*sorted(principals or ()), *sorted(excluded))
        case _:
            return ()


def _principal(principal: Principal, names: Mapping[str, str]) -> str:
    members = [names[member] for member in sorted(principal.members) if member in names]
    body: dict[str, Any] = {"type": principal.type, "id": principal.id}
    return flow({**body, "members": members} if members else body)


def _collection(things: list[Actual[Resource]], names: Mapping[str, str]) -> Iterator[str]:
    if attribute := type(things[0].resource).written_as:
        yield from (f"      - {flow(entry)}" for entry in _plain(getattr(things[0].resource, attribute)))
        return
    if type(things[0].resource).listed:
        for one in things:
            body = _assignment(one.resource, names)
            line = f"      - {flow(body)}"
            if len(line) <= _WIDTH:
                yield line
            else:
                first, *rest = _block(body, 8)
                yield from (f"      - {first.lstrip()}", *rest)
        return
    yield from _named(things, "      ")


def _named(things: list[Actual[Resource]], space: str) -> Iterator[str]:
    """Yield what stands under names, so far in."""
    for one in things:
        resource = one.resource
        body = _attributes(resource)
        if one.kind == "secret":
            variable = re.sub(r"[^A-Z0-9]", "_", resource.name.upper())
            source = {"env": variable if variable[0].isalpha() else f"SECRET_{variable}"}
            body = {
                # A value that rotates is drawn.
                "value_from": _GENERATED if {"every", "before_expiry"} & body.get("rotation", {}).keys() else source,
                **body,
                "lifecycle": {"ignore_changes": ["value"]},
            }
        line = f"{space}{scalar(resource.name)}: {flow(body)}"
        if len(line) <= _WIDTH:
            yield line
        else:
            yield f"{space}{scalar(resource.name)}:"
            yield from _block(body, len(space) + 2)


def _assignment(resource: Resource, names: Mapping[str, str]) -> dict[str, Any]:
    body = _attributes(resource)
    principal = str(body.get("principal", ""))
    if principal in names or identity_named(principal) is not None:
        # What a managed identity is, its name says.
        body = {**body, "principal": names.get(principal, principal)}
        body.pop("principal_type", None)
    if "approvers" in body.get("eligible", {}):
        body["eligible"] = {**body["eligible"], "approvers": _called(body["eligible"]["approvers"], names)}
    body |= {list_: _called(body[list_], names) for list_ in ("principals", "except") if list_ in body}
    if isinstance(resource, AccessPolicy):
        body |= {kind: list(in_order(kind, getattr(resource, kind))) for kind in COLLECTIONS if kind in body}
    if isinstance(resource, RoleAssignment | DenyAssignment):
        body = {"name": resource.name, **body} if resource.name else body
        inside = resource.scope.split("/", 2)[2:]
        said: dict[str, Any] = {name: body[name] for name in ("name", "principal", "role") if name in body}
        rest = {name: value for name, value in body.items() if name not in (*said, "scope")}
        body = {**said, **({"scope": inside[0]} if inside else {}), **rest}
    return body


def _called(principals: Iterable[str], names: Mapping[str, str]) -> list[str]:
    return sorted(names.get(principal, principal) for principal in principals)


def _attributes(resource: Resource) -> dict[str, Any]:
    """Return what has to be written of a thing: what it would not be by itself."""
    found: dict[str, Any] = {}
    least = resource
    for entry in attributes(type(resource)):
        if entry.comparison != "compared" or entry.required or entry.name == "name":
            continue
        without = msgspec.structs.replace(least, **{entry.name: _default(entry)})
        if without.resolved() == resource.resolved() or entry.name in without.left_to_the_vault():
            least = without
    for entry in attributes(type(resource)):
        if entry.comparison != "compared" or entry.name == "name":
            continue
        value = getattr(least, entry.name)
        if entry.required or value != _default(entry):
            found[entry.written] = _plain(value)
    return found


def _default(entry: Attribute) -> Any:
    return None if entry.default is msgspec.UNSET else entry.default


def _plain(value: Any) -> Any:
    built = msgspec.to_builtins(value, order="sorted")
    return sorted(built) if isinstance(value, frozenset) else built


# YAML


def scalar(value: Any) -> str:
    """Return one scalar: plain where every reader takes it for the text it is, else in double quotes."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case int() | float():
            return str(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    return '"' + "".join(map(_escaped, text)).replace("${", "\\x24{") + '"'


def _escaped(letter: str) -> str:
    if letter in ('"', "\\"):
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    return f"\\U{ord(letter):08x}"


def flow(value: Any) -> str:
    """Return a value in one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{scalar(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case _:
            return scalar(value)


def _block(body: Mapping[str, Any], indent: int) -> Iterator[str]:
    """Yield a mapping in lines, what fits into one each."""
    space = " " * indent
    for key, value in body.items():
        line = f"{space}{scalar(key)}: {flow(value)}"
        if len(line) <= _WIDTH or not isinstance(value, dict):
            yield line
        else:
            yield f"{space}{scalar(key)}:"
            yield from _block(value, indent + 2)
