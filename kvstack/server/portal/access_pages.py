"""The pages on access: who was given what in a vault, and what one was given oneself."""

from collections.abc import Mapping, Sequence
from typing import Final

from kvstack.server.answer import Answer
from kvstack.server.portal.frame import Around
from kvstack.server.portal.html import Content, element
from kvstack.server.portal.parts import chip, chips, link, moment, pages, sliced, table
from kvstack.server.portal.vault_pages import around
from kvstack.server.portal.visit import Visit
from kvstack.terms.role import built_in_roles_by_id
from kvstack.terms.scope import written_scope
from kvstack.vault.access_policy import AccessPolicy
from kvstack.vault.explanation import PolicyGrant
from kvstack.vault.records import Vault

SIZE: Final = 100
Row = tuple[Content, ...]


def vault_access_page(visit: Visit, name: str) -> Answer:
    """Who was given what at a vault, above it, and in it, as far as he may see that."""
    service, caller = visit.service, visit.caller
    managed_hsm = bool(service.is_managed_hsm(name))
    home = service.get_managed_hsm(caller, name) if managed_hsm else service.get_vault(caller, name)
    known, roles = visit.principals(), _roles(visit)
    names = {one.id: one.name for one in known if one.name}
    members = {one.id: sorted(names.get(member, member) for member in one.members) for one in known}
    place = around(home.name, "access", managed_hsm=managed_hsm)
    given = service.list_role_assignments(caller, visit.scope(home))
    rows: list[Row] = [
        (
            element("bdi", names.get(one.principal_id, one.principal_id)),
            _kind(one.principal_type, members.get(one.principal_id, ())),
            element("bdi", roles.get(one.role_id, one.role_id)),
            written_scope(one.scope),
            moment(one.starts, "at once"),
            moment(one.expires, "no end"),
            chips(
                *((chip("Ended", "bad"),) if not one.holds(visit.now) else ()),
                *((chip("With a condition", "calm"),) if one.condition else ()),
                *((chip("Activated", "calm"),) if one.activation else ()),
            ),
        )
        for one in given
    ]
    rows.sort(key=lambda row: tuple(map(str, row[:4])))
    part = sliced(visit.request, len(rows), SIZE)
    listed = table(
        f"Roles at {home.name}, above it and in it",
        ("Who", "Kind", "Role", "Where", "From", "Until", "Remarks"),
        rows[part.start : part.end],
        empty="You may see no role assignment here.",
    )
    return visit.page(
        f"Who has access to {home.name}",
        _goes_by(home),
        listed,
        pages(part, "vaults", home.name, "access"),
        _policies(visit, home, names),
        _local(visit, home, names) if managed_hsm and home.pool is not None and home.pool.activated else None,
        around=place,
    )


def own_access_page(visit: Visit) -> Answer:
    """What he was given himself, directly or through groups."""
    own = visit.caller.id
    names = visit.names()
    rows: list[Row] = [
        (
            element("bdi", one.role.name if one.role is not None else one.assignment.role_id),
            _where(one.assignment.scope.vault, written_scope(one.assignment.scope) + one.inside.rstrip("/")),
            _through(one.through, names),
            moment(getattr(one.assignment, "expires", None), "no end"),
            _remarks(one.assignment, visit),
        )
        for one in visit.service.grants_of(visit.caller, own)
    ]
    rows += [_policy_row(one, names) for one in visit.service.policies_of(visit.caller, own)]
    part = sliced(visit.request, len(rows), SIZE)
    return visit.page(
        "Your access",
        table(
            "What you have been given",
            ("Role", "Where", "Through", "Until", "Remarks"),
            rows[part.start : part.end],
            empty="You have been given nothing here.",
        ),
        pages(part, "access"),
        around=Around(section="access"),
    )


def _policy_row(one: PolicyGrant, names: Mapping[str, str]) -> Row:
    remarks = chips() if one.counts else chips(chip("Does not count: the vault goes by roles", "warn"))
    return (
        "Access policy: " + ", ".join(sorted(one.policy.permissions)),
        _where(one.vault, one.vault),
        _through(one.through, names),
        "no end",
        remarks,
    )


def _roles(visit: Visit) -> Mapping[str, str]:
    """Return the names of roles by id."""
    found = {identifier: role.name for identifier, role in built_in_roles_by_id().items()}
    return found | {one.id: one.definition.name for one in visit.service.list_role_definitions(visit.caller)}


def _kind(principal_type: str, members: Sequence[str]) -> Content:
    """Return what somebody is; of a group, who is in it, as far as that can be seen."""
    words = principal_type.replace("_", " ")
    return (words, ": ", element("bdi", ", ".join(members))) if members else words


def _goes_by(home: Vault) -> Content:
    if home.pool is not None:
        words = "What is inside a Managed HSM its local roles alone give a right to."
    elif home.access_model == "rbac":
        words = "Roles give the rights to what is in this vault."
    else:
        words = "This vault's access policies give the rights to what is in it; roles only those to its settings."
    return element("p", words, class_="hint")


def _policies(visit: Visit, home: Vault, names: Mapping[str, str]) -> Content:
    if home.pool is not None or home.access_model != "access_policies":
        return None
    found: Sequence[AccessPolicy] = visit.service.list_access_policies(visit.caller, home.name)
    rows = [
        (
            element("bdi", names.get(one.principal_id, one.principal_id)),
            *(", ".join(sorted(given)) or "none" for given in (one.keys, one.secrets, one.certificates)),
        )
        for one in found
    ]
    return element("h2", "Access policies"), table(
        "What each permits", ("Who", "Keys", "Secrets", "Certificates"), rows, empty="There are none."
    )


def _local(visit: Visit, home: Vault, names: Mapping[str, str]) -> Content:
    roles = {one.id: one.name for one in visit.service.list_local_roles(visit.caller, home.name)}
    rows = [
        (
            element("bdi", names.get(one.principal_id, one.principal_id)),
            element("bdi", roles.get(one.role_id, one.role_id)),
            one.scope,
            moment(one.created),
        )
        for one in visit.service.list_local_assignments(visit.caller, home.name)
    ]
    return element("h2", "Local roles"), table(
        "Who has which", ("Who", "Role", "Where", "Given"), rows, empty="You may see none."
    )


def _where(vault: str, written: str) -> Content:
    return link(element("bdi", written), "vaults", vault) if vault else written


def _through(groups: tuple[str, ...], names: Mapping[str, str]) -> Content:
    return " in ".join(names.get(one, one) for one in groups) or "directly"


def _remarks(assignment: object, visit: Visit) -> Content:
    found = []
    holds = getattr(assignment, "holds", None)
    if holds is not None and not holds(visit.now):
        found.append(chip("Not in force", "bad"))
    if getattr(assignment, "condition", ""):
        found.append(chip("With a condition", "calm"))
    if getattr(assignment, "activation", ""):
        found.append(chip("Activated", "calm"))
    return chips(*found)
